"""The committed plan of the demo season, judged against its season file, and its bad twins."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.evaluator import rule_violations
from tests.evaluator.actions import plan_actions, read_all
from tests.evaluator.replay import Gap, find_gaps
from tests.evaluator.required import Required, required_units

SEASONS = Path(__file__).parents[2] / "stacks" / "seasons"
SEASON = SEASONS / "demo.yaml"
TARGETS = ["web", "database"]
Live = Mapping[str, Sequence[Mapping[str, object]]]


@functools.cache
def required() -> list[Required]:
    return required_units(SEASON)


@functools.cache
def demo() -> tuple[dict[str, list[dict[str, object]]], dict[str, int], datetime, datetime]:
    """The plan's actions, the units before them, and the horizon."""
    first = required()[0]
    initial = {target.name: int(target.units[0]) for target in required()}
    end = first.start + timedelta(minutes=len(first.units))
    return plan_actions(SEASONS / "demo.plan.json"), initial, first.start, end


def judge(live: Live) -> list[Gap]:
    _, initial, start, _ = demo()
    return find_gaps(required(), live, since=start, initial=initial)


def raises(target: str) -> list[int]:
    """Indexes of the actions that raise the floor each time they fire."""
    live, initial, start, end = demo()
    actions = read_all(live[target])
    fired = sorted(
        (moment, index, action.minimum or 0)
        for index, action in enumerate(actions)
        for moment in action.firings(start, end)
    )
    found: dict[int, bool] = {}
    floor = initial[target]
    for _, index, minimum in fired:
        found[index] = found.get(index, True) and minimum > floor
        floor = minimum
    return [index for index, is_raise in sorted(found.items()) if is_raise]


def some(indexes: Sequence[int], most: int = 4) -> list[int]:
    """Some of them, spread over the season."""
    return list(indexes[:: max(1, len(indexes) // most)])[:most]


def changed(target: str, index: int, change: Mapping[str, object] | None) -> Live:
    """The plan with one action changed, or left out."""
    live = demo()[0]
    actions = list(live[target])
    actions[index : index + 1] = [] if change is None else [{**actions[index], **change}]
    return {**live, target: actions}


def an_hour_later(action: Mapping[str, object]) -> dict[str, object]:
    hour = timedelta(hours=1)
    recurrence = str(action["Recurrence"]).split()
    recurrence[1] = str(int(recurrence[1]) + 1)
    moved = {
        key: (datetime.fromisoformat(str(action[key])) + hour).isoformat()
        for key in ("StartTime", "EndTime")
        if key in action
    }
    return {"Recurrence": " ".join(recurrence), **moved}


def test_the_plan_holds_in_every_minute_of_the_horizon() -> None:
    assert judge(demo()[0]) == []


def test_the_plan_breaks_no_rule() -> None:
    live, _, start, end = demo()
    assert rule_violations(live, since=start, until=end) == []


@pytest.mark.parametrize("target", TARGETS)
def test_the_plan_with_one_raise_removed_is_rejected(target: str) -> None:
    for index in some(raises(target)):
        gaps = judge(changed(target, index, None))
        assert gaps, demo()[0][target][index]
        assert {gap.target for gap in gaps} == {target}


def test_the_plan_with_one_raise_an_hour_later_is_rejected() -> None:
    for index in some([n for n in raises("web") if "Recurrence" in demo()[0]["web"][n]]):
        action = demo()[0]["web"][index]
        assert judge(changed("web", index, an_hour_later(action))), action


def test_the_plan_with_one_minimum_lowered_by_one_is_rejected() -> None:
    live, initial, _, _ = demo()
    sizes = [int(str(action["MinSize"])) for action in live["web"]]
    above = [n for n, size in enumerate(sizes) if size > min(initial["web"], *sizes)]
    for index in some(above):
        assert judge(changed("web", index, {"MinSize": sizes[index] - 1})), live["web"][index]
