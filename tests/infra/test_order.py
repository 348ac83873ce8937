"""What has to exist at AWS before something else can: the program says so to the engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.settings.stack import read_stack
from tests.conftest import WriteStack
from tests.e2e.recording_monitor import Recording, run_program


@pytest.fixture
def recording(write_stack: WriteStack, stacks: Path, home: Path) -> Recording:
    write_stack("tiny")
    settings = read_stack("tiny")
    recorded, finished = run_program(
        "tiny",
        {"aws:region": settings.region, "firstbell:platform": {"domain": settings.platform.domain}},
        {"FIRSTBELL_HOME": str(home), "FIRSTBELL_STACKS": str(stacks)},
    )
    assert finished.returncode == 0, finished.stderr
    return recorded


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        # "The load balancer does not route traffic to the target group."
        ("Policy::tiny-web-requests", {"ListenerRule::tiny-web"}),
        # Its VPC has to have a route to an internet gateway.
        ("LoadBalancer::tiny", {"Route::tiny-public-internet"}),
        # Instances install packages while they boot.
        ("Group::tiny-web", {f"Route::tiny-application-{zone}-nat" for zone in (1, 2, 3)}),
        # A replica that came before the writer would become it.
        ("Target::tiny-database", {"ClusterInstance::tiny-database-writer"}),
    ],
)
def test_the_later_waits_for_what_aws_demands_before_it(
    recording: Recording, later: str, earlier: set[str]
) -> None:
    (waits,) = (
        resource.dependencies
        for urn, resource in recording.resources.items()
        if urn.endswith(f":{later}")
    )
    assert earlier <= waits
