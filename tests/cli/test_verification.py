"""What is live, as it is verified and told: staging against the season, instance refreshes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cli.live import LiveTarget, unfinished
from cli.verification import TargetStatus, TargetVerdict, below_floor, lent_verdict
from infra.paths import PROJECT_ROOT
from infra.season.plan import Bounds, prepare, read_plan, read_season

NOW = datetime(2026, 12, 7, 8, tzinfo=UTC)


def verdict(more: int) -> TargetVerdict:
    """Of the committed stack's staging tier, each action of which takes `more` instances."""
    path = PROJECT_ROOT / "stacks" / "seasons" / "infomentor.yaml"
    season, plan = read_season(path), read_plan(path.with_suffix(".plan.json"))

    def live(name: str, at_now: Bounds, extra: int) -> LiveTarget:
        actions: dict[str, dict[str, Any]] = {
            str(number): {**action, "MaxSize": int(str(action.get("MaxSize", 60))) + extra}
            for number, action in enumerate(plan.targets[name].actions)
        }
        return LiveTarget("autoscaling-group", name, at_now, actions)

    found = {
        "web": live("web", Bounds(34, 60), 0),
        "staging": live("staging", Bounds(4, 4), more),
    }
    bounds = plan.targets["staging"].bounds
    prepared = prepare(season)
    return lent_verdict(season, "staging", found, prepared, bounds=bounds, now=NOW)


@pytest.mark.parametrize(("more", "holds"), [(0, True), (1, False)])
def test_staging_that_takes_one_instance_too_many_is_found(more: int, holds: bool) -> None:
    found = verdict(more)
    assert found.holds is holds
    if not holds:
        # From 12:02 to 15:32 in Stockholm: 15 allowed and then 10, one more of each taken.
        assert found.problems[0] == (
            "from 2026-12-07 11:02 for 210 minutes: may have 10 at times, and its live actions "
            "leave it up to 16"
        )


@pytest.mark.parametrize(("required", "headroom"), [(3, 2), (5, 0), (8, -3), (None, None)])
def test_headroom_is_what_serves_beyond_what_is_required(
    required: int | None, headroom: int | None
) -> None:
    found = TargetStatus("web", 4, 5, required, None, None, None, None)
    assert found.to_json()["headroom"] == headroom


def test_what_serves_with_less_than_its_floor_is_named() -> None:
    found = [
        TargetStatus(name, floor, serving, None, None, None, None, None)
        for name, floor, serving in (
            *(("web", 4, 3), ("quiz", 4, 4), ("staging", 4, 5)),
            ("unscheduled", None, 0),
        )
    ]
    assert below_floor(found) == ["web"]


@pytest.mark.parametrize(
    ("status", "told", "failed"),
    [
        ("Pending", True, False),
        ("InProgress", True, False),
        ("Failed", True, True),
        ("RollbackFailed", True, True),
        ("Successful", False, False),
        ("Cancelled", False, False),
    ],
)
def test_the_last_instance_refresh_is_told_unless_it_is_over(
    status: str, told: bool, failed: bool
) -> None:
    """As DescribeInstanceRefreshes shows them, the newest first."""
    started = datetime(2026, 12, 7, 2, tzinfo=UTC)
    last = {
        "Status": status,
        "StartTime": started,
        "PercentageComplete": 50,
        "StatusReason": "i-1 is unhealthy",
    }
    before = {"Status": "Failed", "StartTime": started}
    found = list(unfinished("web", [last, before]))
    assert bool(found) == told
    for refresh in found:
        assert refresh.failed == failed
        assert (refresh.percent, refresh.reason) == (50, "i-1 is unhealthy")
    assert list(unfinished("web", [])) == []
