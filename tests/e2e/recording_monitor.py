"""A resource monitor that records what a program registers, as Pulumi's own would receive it.

`run_program()` runs infra/__main__.py as Pulumi's Python language host does: in a process of its
own, working directory infra/, that directory first on the path, settings through the environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Generator, Mapping
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    provider_pb2,
    resource_pb2,
    resource_pb2_grpc,
)

from cli.localcloud.provider.rows import ROWS
from cli.localcloud.provider.schema import schema_of
from infra.paths import PROJECT_ROOT

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
CERTIFICATE = "aws:acm/certificate:Certificate"
ZONES = ["eu-north-1a", "eu-north-1b", "eu-north-1c"]
PASSWORD = "a-password-that-nobody-may-see"
# What AWS answers to the functions that the program calls.
ANSWERS: dict[str, dict[str, Any]] = {
    "aws:index/getAvailabilityZones:getAvailabilityZones": {"names": ZONES, "id": "zones"},
    "aws:ec2/getManagedPrefixList:getManagedPrefixList": {"id": "pl-0123456789abcdef0"},
    "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": "123456789012", "id": "me"},
    "aws:secretsmanager/getRandomPassword:getRandomPassword": {
        "randomPassword": PASSWORD,
        "id": "password",
    },
}

# What Pulumi's language host does with a program, in as few lines; the garbage collector and the
# debug log took two fifths of its processor time.
LANGUAGE_HOST = textwrap.dedent(
    """
    import gc
    gc.disable()
    import asyncio, os, runpy, sys
    import pulumi
    from pulumi.runtime import Settings, configure
    from pulumi.runtime.stack import run_in_stack

    configure(Settings(monitor=sys.argv[1], engine=sys.argv[1], project="firstbell",
                       stack=sys.argv[2], parallel=8, dry_run=bool(sys.argv[3])))

    pulumi.log.debug = lambda *arguments, **options: None

    async def main():
        async def run():
            runpy.run_path(".", run_name="__main__")
        await run_in_stack(run)

    asyncio.new_event_loop().run_until_complete(main())
    """
)


def sample(tree: Any, text: str) -> Any:
    """A value of a schema's type."""
    match tree:
        case "str" | "any":
            return text
        case "int" | "float":
            return 1
        case "bool":
            return True
        case [item]:
            return [sample(item, text)]
        case dict() if "*" in tree:
            return {}
        case _:
            return {key: sample(inner, f"{text}-{key}") for key, inner in tree.items()}


def proofs(certificate: Mapping[str, Any]) -> list[dict[str, str]]:
    """The record by which each name of a certificate is proven, as ACM lists them."""
    names = [certificate["domainName"], *(certificate.get("subjectAlternativeNames") or ())]
    return [
        {
            "domainName": name,
            "resourceRecordName": f"_proof.{name}",
            "resourceRecordType": "CNAME",
            "resourceRecordValue": "_proof.acm-validations.aws",
        }
        for name in dict.fromkeys(names)
    ]


@dataclass(frozen=True)
class Registered:
    """One resource as the program registered it."""

    type: str
    name: str
    parent: str
    inputs: Mapping[str, Any]
    dependencies: frozenset[str]
    """What has to exist before, as `ListenerRule::name`."""
    retained: bool = False
    """Whether it stays when it is no longer declared."""
    ignored: frozenset[str] = frozenset()
    """Properties whose changes nobody wants to hear of."""


@dataclass
class Recording:
    """All resources of a run by URN, in no particular order."""

    resources: dict[str, Registered] = field(default_factory=dict[str, Registered])


class _Monitor(resource_pb2_grpc.ResourceMonitorServicer, engine_pb2_grpc.EngineServicer):
    def __init__(self, stack: str, recording: Recording, *, applied: bool) -> None:
        self._stack = stack
        self._applied = applied
        self._recording = recording
        self._root = ""
        self._lock = threading.Lock()

    def SupportsFeature(  # noqa: N802
        self, request: resource_pb2.SupportsFeatureRequest, context: grpc.ServicerContext
    ) -> resource_pb2.SupportsFeatureResponse:
        return resource_pb2.SupportsFeatureResponse(
            hasSupport=request.id in ("secrets", "resourceReferences", "outputValues")
        )

    def RegisterResource(  # noqa: N802
        self, request: resource_pb2.RegisterResourceRequest, context: grpc.ServicerContext
    ) -> resource_pb2.RegisterResourceResponse:
        parents = request.parent.split("::")[2] + "$" if "::" in request.parent else ""
        parents = "" if parents.startswith("pulumi:pulumi:Stack") else parents
        urn = f"urn:pulumi:{self._stack}::firstbell::{parents}{request.type}::{request.name}"
        with self._lock:
            self._recording.resources[urn] = Registered(
                request.type,
                request.name,
                request.parent,
                json_format.MessageToDict(request.object),
                frozenset(":".join(urn.rsplit(":", 3)[1:]) for urn in request.dependencies),
                request.retainOnDelete,
                frozenset(request.ignoreChanges),
            )
        answer = resource_pb2.RegisterResourceResponse(
            urn=urn, id=UNKNOWN if request.custom else "", object=request.object
        )
        if self._applied and request.custom and request.type in ROWS:
            answer.id = f"{request.name}-id"
            given = set(request.object)
            answer.object.update(
                {
                    prop: sample(tree, f"{request.name}-{prop}")
                    for prop, tree in schema_of(request.type).outputs.items()
                    if prop not in given
                }
                | {
                    "arn": f"arn:aws:{request.type.split(':')[1].split('/')[0]}:eu-north-1:"
                    f"123456789012:{request.name}"
                }
            )
            if request.type == CERTIFICATE:
                inputs = json_format.MessageToDict(request.object)
                answer.object.update({"domainValidationOptions": proofs(inputs)})
        return answer

    def RegisterResourceOutputs(  # noqa: N802
        self, request: resource_pb2.RegisterResourceOutputsRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def Invoke(  # noqa: N802
        self, request: resource_pb2.ResourceInvokeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.InvokeResponse:
        if request.tok not in ANSWERS:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"nobody expected {request.tok}")
        answer = struct_pb2.Struct()
        answer.update(ANSWERS[request.tok])
        return provider_pb2.InvokeResponse(**{"return": answer})  # pyright: ignore[reportArgumentType] (the stub takes `return` for no name)

    def SignalAndWaitForShutdown(  # noqa: N802
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def Log(  # noqa: N802
        self, request: engine_pb2.LogRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def SetRootResource(  # noqa: N802
        self, request: engine_pb2.SetRootResourceRequest, context: grpc.ServicerContext
    ) -> engine_pb2.SetRootResourceResponse:
        self._root = request.urn
        return engine_pb2.SetRootResourceResponse()

    def GetRootResource(  # noqa: N802
        self, request: engine_pb2.GetRootResourceRequest, context: grpc.ServicerContext
    ) -> engine_pb2.GetRootResourceResponse:
        return engine_pb2.GetRootResourceResponse(urn=self._root)


@contextmanager
def _serve(stack: str, recording: Recording, *, applied: bool) -> Generator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    monitor = _Monitor(stack, recording, applied=applied)
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(monitor, server)
    engine_pb2_grpc.add_EngineServicer_to_server(monitor, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(grace=None).wait()


def run_program(
    stack: str,
    config: Mapping[str, Any],
    environment: Mapping[str, str],
    *,
    applied: bool = False,
    folder: Path = PROJECT_ROOT / "infra",
) -> tuple[Recording, subprocess.CompletedProcess[str]]:
    """Run the program as a full Pulumi installation would; returns what it registered.

    With `applied`, as `up` does it: what a resource has only once it exists is made up. `folder`
    has the program's __main__.py.
    """
    recording = Recording()
    values = {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()
    }
    with _serve(stack, recording, applied=applied) as address:
        finished = subprocess.run(
            [sys.executable, "-c", LANGUAGE_HOST, address, stack, "" if applied else "preview"],
            cwd=folder,
            env={
                "PATH": os.environ["PATH"],
                "PULUMI_CONFIG": json.dumps(values),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    return recording, finished
