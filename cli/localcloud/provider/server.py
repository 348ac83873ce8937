"""The gRPC side: turns the engine's calls into the machine's and its errors into the engine's."""

# ruff: noqa: N802 (the protocol names its methods so)

from __future__ import annotations

import functools
import json
import os
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent import futures
from typing import Any, Final, NoReturn

import grpc
from google.protobuf import any_pb2, empty_pb2
from google.rpc import status_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from cli.localcloud import endpoint
from cli.localcloud.provider import invokes
from cli.localcloud.provider.aws import AwsError, Cloud
from cli.localcloud.provider.machine import Machine, PartlyCreatedError, ResourceError
from cli.localcloud.provider.rows import ROWS
from cli.localcloud.provider.values import Properties, decode, encode, has_unknown
from infra.errors import InputError

VERSION: Final = "7.51.1"
# How many calls are served at once; the engine sends up to 4 a core by default.
THREADS: Final = 24
# gRPC's own limit of 4 MB is too small for large states (pulumi's SDKs use the same figure).
MAX_MESSAGE_BYTES: Final = 400 * 1024 * 1024
# For the call that is under way when the engine dies.
GRACE_SECONDS: Final = 60.0


class Providers:
    """Gives each connection a provider of its own.

    The engine makes one for each provider that it has configured: where a stack moves to another
    Region, two at once.
    """

    def __init__(self, endpoint_url: str) -> None:
        self._endpoint = endpoint_url
        self._lock = threading.Lock()
        self._by_peer: dict[str, Provider] = {}

    def __getattr__(self, method: str) -> Callable[[Any, Any], Any]:
        def call(request: Any, context: Any) -> Any:
            return getattr(self._provider(context.peer()), method)(request, context)

        return call

    def _provider(self, peer: str) -> Provider:
        with self._lock:
            if peer not in self._by_peer:
                self._by_peer[peer] = Provider(self._endpoint)
            return self._by_peer[peer]


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Serves one engine, for one configuration."""

    def __init__(self, endpoint_url: str) -> None:
        self._endpoint = endpoint_url
        self._cloud: Cloud | None = None
        self._default_tags: Mapping[str, str] = {}
        self._lock = threading.Lock()
        self._regions: dict[str, Cloud] = {}
        self._machines: dict[tuple[str, str], Served] = {}

    # ---- the provider itself -----------------------------------------------------------------

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def GetSchema(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetSchemaResponse(schema="{}")

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        # Another Region is another cloud: everything in it is replaced, as pulumi-aws does.
        old, _ = decode(request.old_inputs if request.old_inputs.fields else request.olds)
        new, _ = decode(request.news)
        if old.get("region") != new.get("region"):
            return provider_pb2.DiffResponse(
                changes=provider_pb2.DiffResponse.DIFF_SOME, replaces=["region"], diffs=["region"]
            )
        changed = sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k))
        some = provider_pb2.DiffResponse.DIFF_SOME
        none = provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=some if changed else none, diffs=changed)

    def Configure(self, request: Any, context: Any) -> Any:
        config, _ = decode(request.args)
        try:
            if config.get("endpoints"):
                endpoint.check_config(config["endpoints"], "aws:endpoints")
        except InputError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        region = config.get("region") or os.environ.get("AWS_REGION")
        if not isinstance(region, str):
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                "no Region is set\nfix: set aws:region in the stack's file",
            )
        tags = _parsed(config.get("defaultTags")) or {}
        self._default_tags = _parsed(tags.get("tags")) or {}
        self._cloud = self._in_region(str(region))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True,
            supportsPreview=True,
            acceptResources=False,
            acceptOutputs=False,
            supports_autonaming_configuration=False,
        )

    # ---- resources ---------------------------------------------------------------------------

    def Check(self, request: Any, context: Any) -> Any:
        old, _ = decode(request.olds)
        new, secrets = decode(request.news)
        machine = self._machine(request.urn, new, context)
        inputs, failures = machine.check(_name(request.urn), request.randomSeed, old, new)
        return provider_pb2.CheckResponse(
            inputs=encode(inputs, secrets | machine.secrets),
            failures=[provider_pb2.CheckFailure(property=p, reason=r) for p, r in failures],
        )

    def Diff(self, request: Any, context: Any) -> Any:
        outputs, _ = decode(request.olds)
        old, _ = decode(request.old_inputs)
        new, _ = decode(request.news)
        for name in request.ignoreChanges:
            top = name.split(".")[0].split("[")[0]
            if top in old:
                new[top] = old[top]
            else:
                new.pop(top, None)
        difference = self._machine(request.urn, new, context).diff(outputs, old, new)
        response = provider_pb2.DiffResponse
        detailed: dict[str, Any] = {}
        for path, kind in difference.changes.items():
            suffix = "_REPLACE" if path in difference.replaces else ""
            detailed[path] = provider_pb2.PropertyDiff(
                kind=getattr(provider_pb2.PropertyDiff, f"{kind.upper()}{suffix}"),
                inputDiff=True,
            )
        return response(
            changes=response.DIFF_SOME if difference.changes else response.DIFF_NONE,
            replaces=sorted(difference.replaces),
            diffs=sorted({path.split(".")[0] for path in difference.changes}),
            deleteBeforeReplace=difference.delete_first,
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: Any) -> Any:
        inputs, secrets = decode(request.properties)
        machine = self._machine(request.urn, inputs, context)
        secrets |= machine.secrets
        try:
            id, outputs = machine.create(inputs, preview=request.preview)
        except PartlyCreatedError as error:
            detail = provider_pb2.ErrorResourceInitFailed(
                id=error.id,
                properties=encode(error.properties, secrets),
                inputs=request.properties,
                reasons=[_redacted(str(error), inputs, secrets)],
            )
            _abort_with(context, f"{_name(request.urn)}: not as it should be", detail)
        except ResourceError as error:
            _abort(context, request.urn, error, inputs, secrets)
        return provider_pb2.CreateResponse(id=id, properties=encode(outputs, secrets))

    def Update(self, request: Any, context: Any) -> Any:
        outputs, was_secret = decode(request.olds)
        old, _ = decode(request.old_inputs)
        new, secrets = decode(request.news)
        for name in request.ignoreChanges:
            top = name.split(".")[0].split("[")[0]
            if top in old:
                new[top] = old[top]
        machine = self._machine(request.urn, new, context)
        secrets |= machine.secrets | was_secret
        try:
            result = machine.update(request.id, outputs, old, new, preview=request.preview)
        except ResourceError as error:
            _abort(context, request.urn, error, new, secrets)
        return provider_pb2.UpdateResponse(properties=encode(result, secrets))

    def Read(self, request: Any, context: Any) -> Any:
        outputs, secrets = decode(request.properties)
        inputs, more = decode(request.inputs)
        machine = self._machine(request.urn, inputs or outputs, context)
        secrets |= more | machine.secrets
        try:
            found = machine.read(request.id, outputs, inputs)
        except ResourceError as error:
            _abort(context, request.urn, error, inputs, secrets)
        if found is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=request.id,
            properties=encode(found[0], secrets),
            inputs=encode(found[1], secrets),
        )

    def Delete(self, request: Any, context: Any) -> Any:
        outputs, secrets = decode(request.properties)
        machine = self._machine(request.urn, outputs, context)
        try:
            machine.delete(request.id, outputs)
        except ResourceError as error:
            _abort(context, request.urn, error, outputs, secrets)
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        arguments, _ = decode(request.args)
        if has_unknown(arguments):
            return provider_pb2.InvokeResponse()
        function = invokes.FUNCTIONS.get(request.tok)
        if function is None:
            context.abort(
                grpc.StatusCode.UNIMPLEMENTED,
                f"{request.tok} is not in the local cloud's provider: add it to "
                f"cli/localcloud/provider/invokes.py",
            )
        try:
            answer = function(self._region_of(arguments, context), arguments)  # pyright: ignore[reportOptionalCall] # aborted above
        except AwsError as error:
            context.abort(grpc.StatusCode.UNKNOWN, f"{request.tok}: {error}")
            raise AssertionError from error
        response = provider_pb2.InvokeResponse()
        # The field's name is a word of Python's.
        getattr(response, "return").CopyFrom(encode(answer))
        return response

    # ---- helpers -----------------------------------------------------------------------------

    def _in_region(self, region: str) -> Cloud:
        with self._lock:
            return self._regions.setdefault(region, Cloud(self._endpoint, region))

    def _region_of(self, properties: Properties, context: Any) -> Cloud:
        if self._cloud is None:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the provider is not configured")
            raise AssertionError
        region = properties.get("region")
        return self._in_region(region) if isinstance(region, str) else self._cloud

    def _machine(self, urn: str, properties: Properties, context: Any) -> Served:
        token = urn.split("::")[2].rpartition("$")[2]
        row = ROWS.get(token)
        if row is None:
            context.abort(
                grpc.StatusCode.UNIMPLEMENTED,
                f"{token} is not in the local cloud's provider: add a row to "
                f"cli/localcloud/provider/rows/",
            )
            raise AssertionError
        cloud = self._region_of(properties, context)
        with self._lock:
            key = (token, cloud.region)
            if key not in self._machines:
                self._machines[key] = Served(row, cloud, self._default_tags)
            return self._machines[key]


class Served(Machine):
    """A machine with what the engine needs to know of its secrets."""

    @functools.cached_property
    def secrets(self) -> frozenset[str]:
        return frozenset(self.row.sensitive.split())


def _parsed(value: Any) -> Any:
    """Provider configuration arrives as JSON text inside its values."""
    return json.loads(value) if isinstance(value, str) and value else value


def _name(urn: str) -> str:
    return urn.split("::", 3)[3]


def _redacted(text: str, properties: Properties, secrets: frozenset[str]) -> str:
    """The text without the values of secrets: AWS's messages quote what they refuse."""
    for name in secrets:
        value = properties.get(name)
        if isinstance(value, str) and value:
            text = text.replace(value, "[secret]")
    return text


def _abort(
    context: Any, urn: str, error: Exception, properties: Properties, secrets: frozenset[str]
) -> NoReturn:
    context.abort(
        grpc.StatusCode.UNKNOWN, f"{_name(urn)}: {_redacted(str(error), properties, secrets)}"
    )
    raise AssertionError


def _abort_with(context: Any, text: str, detail: Any) -> NoReturn:
    """End the call with a detail that the engine understands, in gRPC's own trailing header."""
    packed = any_pb2.Any()
    packed.Pack(detail)
    status = status_pb2.Status(
        code=grpc.StatusCode.UNKNOWN.value[0], message=text, details=[packed]
    )
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, text)
    raise AssertionError


def serve(endpoint_url: str, announce: Callable[[int], None]) -> None:
    """Serve on a free loopback port until the process is ended; `announce` is told the port."""
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=THREADS),
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ],
    )
    providers: Any = Providers(endpoint_url)  # a servicer by its methods
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(providers, server)
    port = server.add_insecure_port("127.0.0.1:0")
    engine = os.getppid()
    # The engine asks with SIGINT, once it has no call under way, and waits.
    asked = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: asked.set())
    server.start()
    announce(port)
    # An engine that is killed tells nobody: whoever finds its parent changed is left behind.
    while not asked.wait(timeout=1) and os.getppid() == engine:
        pass
    server.stop(grace=GRACE_SECONDS).wait()
    # Python would take half a second to free what the process takes with it.
    os._exit(0)
