"""The committed plans of the stacks that tell a story, judged by the second evaluator."""

from __future__ import annotations

import json
from datetime import UTC, datetime

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
