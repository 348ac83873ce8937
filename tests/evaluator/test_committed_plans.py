"""The committed plans of the stacks that tell a story, judged by the second evaluator."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from infra.paths import PROJECT_ROOT
from tests.evaluator import evaluate, find_excess, rule_violations
from tests.evaluator.actions import plan_actions

SINCE, UNTIL = datetime(2026, 8, 1, tzinfo=UTC), datetime(2027, 8, 1, tzinfo=UTC)


@pytest.mark.parametrize("name", ["elyco", "infomentor", "itslearning"])
def test_it_holds_takes_nothing_that_is_not_its_own_and_breaks_no_rule(name: str) -> None:
    """Of itslearning too: imports run in no market's core hours."""
    season = PROJECT_ROOT / "stacks" / "seasons" / f"{name}.yaml"
    file = season.with_suffix(".plan.json")
    actions = plan_actions(file)
    targets = json.loads(file.read_text())["targets"]
    initial = {target: item["bounds"]["start"] for target, item in targets.items()}
    assert evaluate(season, actions, since=SINCE, initial=initial) == []
    assert find_excess(season, actions, since=SINCE, initial=initial) == []
    assert rule_violations(actions, since=SINCE, until=UNTIL) == []


Actions = list[dict[str, Any]]


def later(actions: Actions, minutes: int) -> None:
    """Actions fire so many minutes later, at the same hour."""
    assert actions
    for action in actions:
        minute, rest = action["Recurrence"].split(" ", 1)
        action["Recurrence"] = f"{int(minute) + minutes} {rest}"
        for key in ("StartTime", "EndTime"):
            moved = datetime.fromisoformat(action[key]) + timedelta(minutes=minutes)
            action[key] = moved.strftime("%Y-%m-%dT%XZ")


def tenant_comes_late(actions: Actions) -> None:
    most = max(action["MinSize"] for action in actions)
    later([action for action in actions if action["MinSize"] == most], 10)


def imports_stay(actions: Actions) -> None:
    later([action for action in actions if action["MaxSize"] == 0], 3)


def one_more(actions: Actions) -> None:
    lowest = min(actions, key=lambda action: action["MaxSize"])
    lowest["MinSize"] += 1
    lowest["MaxSize"] += 1


@pytest.mark.parametrize(
    ("name", "target", "change", "zone", "first"),
    [
        # The burst at 08:50 is widened by three minutes.
        ("elyco", "nantes", tenant_comes_late, "Europe/Paris", time(8, 47)),
        ("itslearning", "imports", imports_stay, "Europe/Oslo", time(7, 30)),
        ("infomentor", "staging", one_more, "Europe/Stockholm", None),
    ],
    ids=["tenant", "imports", "staging"],
)
def test_a_plan_that_breaks_its_story_is_found_out(
    name: str, target: str, change: Callable[[Actions], None], zone: str, first: time | None
) -> None:
    """A tenant's tier that comes late, imports that stay a minute, one instance lent too many."""
    season = PROJECT_ROOT / "stacks" / "seasons" / f"{name}.yaml"
    file = season.with_suffix(".plan.json")
    actions: dict[str, Any] = plan_actions(file)
    change(actions[target])
    targets = json.loads(file.read_text())["targets"]
    initial = {target: item["bounds"]["start"] for target, item in targets.items()}
    judge = evaluate if name == "elyco" else find_excess
    found = judge(season, actions, since=SINCE, initial=initial)
    assert {gap.target for gap in found} == {target}
    if first is not None:
        assert {gap.start.astimezone(ZoneInfo(zone)).time() for gap in found} == {first}
