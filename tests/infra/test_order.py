"""What has to exist at AWS before something else can: the program says so to the engine."""

from __future__ import annotations

import pytest

from tests.infra.conftest import Record


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
    record: Record, later: str, earlier: set[str]
) -> None:
    assert earlier <= record().dependencies(later)


@pytest.mark.parametrize("group", ["web", "workers"])
def test_instances_boot_once_each_zone_can_mount_the_files(record: Record, group: str) -> None:
    """One that came before is never ready, and is given up after twice its boot."""
    mounts = {f"MountTarget::tiny-files-{zone}" for zone in (1, 2, 3)}
    made = record(files={}, workers={})
    assert mounts <= made.dependencies(f"Group::tiny-{group}")
