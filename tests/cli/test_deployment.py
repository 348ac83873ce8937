"""What is refused before `up`, and room for new actions: the engine creates before it deletes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli import lifecycle, policy
from cli.deployment import Previewed, outgoing, refuse
from cli.engine import Engine
from cli.stack import Change, OpenStack, Outcome
from infra.errors import FirstbellError, Problems
from tests.infra.checks.builders import settings
from tests.infra.policy import sound
from tests.infra.policy.twins import TWINS

NOW = datetime(2026, 9, 7, 6, 0, tzinfo=UTC)  # a Monday


def action(hour: int, minute: int = 0, end: str = "2027-06-01T00:00:00Z") -> dict[str, object]:
    return {
        "Recurrence": f"{minute} {hour} * * *",
        "TimeZone": "UTC",
        "EndTime": end,
        "MinSize": 3,
    }


def going(live: dict[str, dict[str, object]], planned: set[str], most: int) -> list[str]:
    return outgoing(live, planned=planned, own_prefix="demo-web-", most=most, now=NOW)


def test_nothing_goes_where_there_is_room() -> None:
    live = {"demo-web-a": action(8), "demo-web-b": action(9)}
    assert going(live, {"demo-web-c", "demo-web-d"}, most=4) == []


def test_as_few_as_make_room_go_and_what_fires_latest_first() -> None:
    live = {"demo-web-a": action(8), "demo-web-b": action(23), "demo-web-c": action(12)}
    assert going(live, {"demo-web-x"}, most=3) == ["demo-web-b"]
    assert going(live, {"demo-web-x"}, most=2) == ["demo-web-b", "demo-web-c"]


def test_what_is_planned_or_belongs_to_others_stays() -> None:
    live = {"demo-web-a": action(8), "demo-web-x": action(23), "nightly-report": action(22)}
    assert going(live, {"demo-web-x", "demo-web-y"}, most=3) == ["demo-web-a"]


def test_what_will_not_fire_again_goes_before_all_others() -> None:
    live = {"demo-web-a": action(23), "demo-web-b": action(8, end="2026-09-07T07:00:00Z")}
    assert going(live, {"demo-web-x"}, most=2) == ["demo-web-b"]


def test_what_fires_within_a_quarter_of_an_hour_is_never_taken_away() -> None:
    live = {"demo-web-a": action(6, 15), "demo-web-b": action(6, 16)}
    assert going(live, {"demo-web-x"}, most=2) == ["demo-web-b"]
    with pytest.raises(FirstbellError, match="no room") as caught:
        going(live, {"demo-web-x"}, most=1)
    assert caught.value.fix == "run the command again in 15 minutes"


def test_a_control_that_fails_hides_no_data_that_would_be_lost() -> None:
    gone = Change("delete", "urn::small-database", "aws:rds/cluster:Cluster", "small-database")
    outcome = Outcome((gone,), 0)
    unsafe = policy.judge("tiny", TWINS["ELB.6"].change(sound.applied()), [])
    sane = policy.judge("tiny", sound.applied(), [])
    engine = Engine(Path(), "3.0.0", "not used")
    stack = OpenStack(settings(), engine, None, Path(), {}, [[]])

    def told(report: policy.Report) -> list[str]:
        found = Previewed(outcome, [], lifecycle.effects(outcome), report)
        with pytest.raises(Problems) as caught:
            refuse(stack, found, [])
        return [str(problem) for problem in caught.value.problems]

    control, lost = told(unsafe)
    assert control.startswith("ELB.6 LoadBalancer lb")
    assert "small-database: would be removed, and the database with it" in lost
    (lost,) = told(sane)
    assert lost.startswith("small-database: would be removed, and the database with it")
