"""A plan made part by part hands over without a gap."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.errors import InputError
from infra.season.apply import actions_at, bounds_at
from infra.season.plan import Plan, build_plan, check_plan, read_season
from tests.evaluator import evaluate, rule_violations

Season = dict[str, Any]
Write = Callable[[Season], Path]
NOW = datetime(2026, 9, 17, 10, tzinfo=UTC)


@pytest.fixture
def month(small: Season) -> Season:
    """Four weeks with busy nights in the second half, so that the two parts differ at night."""
    small["horizon"]["to"] = "2026-10-04"
    small["markets"][0]["periods"] = [
        {"name": "tests", "kind": "exam", "from": "2026-09-21", "to": "2026-10-02", "factor": 3}
    ]
    small["demand"]["profiles"]["school"]["00:00"] = 1.0
    small["capacity"]["web"]["max"] = 90
    return small


def live(plan: Plan, now: datetime) -> dict[str, list[dict[str, object]]]:
    return {
        name: [action.request for action in actions_at(target, target_name=name, now=now)]
        for name, target in plan.targets.items()
    }


def test_a_part_without_the_bursts_of_another_part_is_planned(month: Season, write: Write) -> None:
    month["demand"]["bursts"] = [
        {"name": "exam", "days": ["mon"], "from": "2026-09-28", "to": "2026-09-28", "at": "10:00",
         "logins": 9000, "over": "10m"},
    ]  # fmt: skip
    season = read_season(write(month))
    without, with_it = (
        build_plan(season, start=start, end=end).targets["web"].verdict["peak"]
        for start, end in (
            (date(2026, 9, 7), date(2026, 9, 20)),
            (date(2026, 9, 21), date(2026, 10, 4)),
        )
    )
    assert isinstance(without, int)
    assert isinstance(with_it, int)
    # 90,000 requests in 600 seconds, 25 an instance.
    assert with_it >= without + 6


def test_the_second_part_takes_over_with_the_first_ones_remaining_actions(
    month: Season, write: Write
) -> None:
    path = write(month)
    season = read_season(path)
    first = build_plan(season, end=date(2026, 9, 20))
    second = build_plan(season, start=date(2026, 9, 21), previous=first, now=NOW)
    target = second.targets["web"]
    remaining = [
        action
        for action in first.targets["web"].actions
        if str(action["EndTime"]) > "2026-09-17T10"
    ]
    assert remaining
    assert [a for a in target.actions[: target.carried] if a in remaining] == remaining
    actions = live(second, NOW)
    initial = {name: bounds_at(item, NOW).min for name, item in second.targets.items()}
    assert initial == {name: bounds_at(item, NOW).min for name, item in first.targets.items()}
    assert evaluate(path, actions, since=NOW, initial=initial) == []
    until = datetime(2026, 10, 6, tzinfo=UTC)
    assert rule_violations(actions, since=NOW, until=until) == []
    assert check_plan(second, season, bounds={}, now=NOW) == [
        "the plan of season small ends in 17 days, on 2026-10-04"
    ]


def test_two_parts_made_apart_hold_together(month: Season, write: Write) -> None:
    path = write(month)
    season = read_season(path)
    parts = [
        build_plan(season, end=date(2026, 9, 20)),
        build_plan(season, start=date(2026, 9, 21)),
    ]
    since = datetime(2026, 9, 6, 22, tzinfo=UTC)
    actions = {"web": [dict(a) for part in parts for a in part.targets["web"].actions]}
    assert (
        evaluate(path, actions, since=since, initial={"web": parts[0].targets["web"].start}) == []
    )
    assert rule_violations(actions, since=since, until=datetime(2026, 10, 6, tzinfo=UTC)) == []


def test_carried_actions_count_in_the_budget(month: Season, write: Write) -> None:
    season = read_season(write(month))
    first = build_plan(season, end=date(2026, 9, 20))
    remaining = (
        build_plan(season, start=date(2026, 9, 21), previous=first, now=NOW).targets["web"].carried
    )
    month["limits"] = {"actions": {"web": 124 - remaining}}
    with pytest.raises(InputError, match="scheduled actions are too few"):
        build_plan(read_season(write(month)), start=date(2026, 9, 21), previous=first, now=NOW)


def test_a_plan_that_does_not_follow_the_earlier_one_is_refused(
    month: Season, write: Write
) -> None:
    season = read_season(write(month))
    first = build_plan(season, end=date(2026, 9, 20))
    with pytest.raises(InputError, match="ends on 2026-09-20, the new one begins on 2026-09-22"):
        build_plan(season, start=date(2026, 9, 22), previous=first, now=NOW)


def test_an_edited_carried_action_makes_the_plan_stale(month: Season, write: Write) -> None:
    season = read_season(write(month))
    first = build_plan(season, end=date(2026, 9, 20))
    second = build_plan(season, start=date(2026, 9, 21), previous=first, now=NOW)
    alone = build_plan(season, start=date(2026, 9, 21))
    assert second.inputs_sha256 != alone.inputs_sha256


def test_a_part_outside_the_horizon_is_refused(month: Season, write: Write) -> None:
    season = read_season(write(month))
    with pytest.raises(InputError, match="1 problem"):
        build_plan(season, start=date(2026, 9, 1))
    with pytest.raises(InputError, match="1 problem"):
        build_plan(season, start=date(2026, 9, 10), end=date(2026, 9, 9))
