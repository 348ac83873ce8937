"""Room for new actions: the engine creates before it deletes, and AWS counts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cli.deployment import outgoing
from infra.errors import FirstbellError

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
