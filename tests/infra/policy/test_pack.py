"""The controls as Pulumi runs them: served as a process of its own, asked over gRPC."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from infra.paths import PROJECT_ROOT
from infra.policy.base import UNKNOWN, Resource
from infra.policy.catalogue import CONTROLS
from tests.infra.policy import sound
from tests.infra.policy.twins import TWINS

PACK = PROJECT_ROOT / "infra" / "policy"


@pytest.fixture(scope="module")
def analyzer() -> Generator[analyzer_pb2_grpc.AnalyzerStub]:
    """The pack as Pulumi's language host starts it: the folder run, engine address as argument."""
    running = subprocess.Popen(
        [sys.executable, "-u", str(PACK), "127.0.0.1:1"],
        cwd=PACK,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    port = running.stdout.readline().strip()
    assert port.isdigit(), running.stderr and running.stderr.read()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield analyzer_pb2_grpc.AnalyzerStub(channel)
    running.kill()
    running.communicate()


def fields(resource: Resource) -> dict[str, Any]:
    properties = struct_pb2.Struct()
    properties.update(dict(resource.properties))
    return {
        "type": resource.type,
        "properties": properties,
        "urn": resource.urn,
        "name": resource.name,
    }


def analysed(
    analyzer: analyzer_pb2_grpc.AnalyzerStub, resource: Resource
) -> tuple[set[str], set[str]]:
    """Policies that a resource violates, and those that could not run."""
    answer = analyzer.Analyze(analyzer_pb2.AnalyzeRequest(**fields(resource)))
    return _split(answer.diagnostics)


def analysed_stack(
    analyzer: analyzer_pb2_grpc.AnalyzerStub, resources: Iterable[Resource]
) -> tuple[set[str], set[str]]:
    answer = analyzer.AnalyzeStack(
        analyzer_pb2.AnalyzeStackRequest(
            resources=[
                analyzer_pb2.AnalyzerResource(
                    **fields(resource),
                    propertyDependencies={
                        key: analyzer_pb2.AnalyzerPropertyDependencies(urns=sorted(urns))
                        for key, urns in resource.dependencies.items()
                    },
                )
                for resource in resources
            ]
        )
    )
    return _split(answer.diagnostics)


def _split(diagnostics: Iterable[Any]) -> tuple[set[str], set[str]]:
    violated: set[str] = set()
    unknown: set[str] = set()
    for each in diagnostics:
        mandatory = each.enforcementLevel == analyzer_pb2.MANDATORY
        (violated if mandatory else unknown).add(each.policyName)
    return violated, unknown


def test_the_pack_offers_every_control_as_mandatory(
    analyzer: analyzer_pb2_grpc.AnalyzerStub,
) -> None:
    info = analyzer.GetAnalyzerInfo(empty_pb2.Empty())
    assert info.name == "firstbell"
    offered = {policy.name: policy for policy in info.policies}
    assert set(offered) == {control.id.lower().replace(".", "-") for control in CONTROLS}
    assert {policy.enforcementLevel for policy in info.policies} == {analyzer_pb2.MANDATORY}
    assert offered["ec2-6"].url.endswith("ec2-controls.html#ec2-6")


def test_a_resource_that_violates_a_control_is_refused(
    analyzer: analyzer_pb2_grpc.AnalyzerStub,
) -> None:
    (good,) = (each for each in sound.web() if each.type == sound.BALANCER)
    (bad,) = (each for each in TWINS["ELB.6"].change([good]) if each.type == sound.BALANCER)
    assert analysed(analyzer, good) == (set(), set())
    assert analysed(analyzer, bad) == ({"elb-6"}, set())


def test_a_control_that_meets_an_unknown_value_says_that_it_could_not_run(
    analyzer: analyzer_pb2_grpc.AnalyzerStub,
) -> None:
    balancer = sound.resource(
        sound.BALANCER,
        "lb",
        dropInvalidHeaderFields=True,
        accessLogs={"enabled": True},
        enableDeletionProtection=UNKNOWN,
    )
    assert analysed(analyzer, balancer) == (set(), {"elb-6"})


def test_controls_that_span_resources_see_the_stack(
    analyzer: analyzer_pb2_grpc.AnalyzerStub,
) -> None:
    assert analysed_stack(analyzer, sound.applied()) == (set(), set())
    changed = TWINS["EC2.6"].change(sound.applied())
    assert analysed_stack(analyzer, changed) == ({"ec2-6"}, set())
    violated, unknown = analysed_stack(analyzer, sound.planned(changed))
    assert violated == {"ec2-6"}
    assert "elb-16" in unknown


def test_pulumis_file_names_the_projects_own_environment() -> None:
    described = yaml.safe_load((PACK / "PulumiPolicy.yaml").read_text())
    assert described["runtime"]["name"] == "python"
    environment = Path(described["runtime"]["options"]["virtualenv"])
    assert (PACK / environment).resolve() == PROJECT_ROOT / ".venv"
