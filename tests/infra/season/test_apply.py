"""What of a plan is live at a moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast
from zoneinfo import ZoneInfo

import pytest

from infra.paths import PROJECT_ROOT
from infra.season.apply import actions_at, bounds_at, name_of
from infra.season.plan import Bounds, PlanTarget, read_plan
from tests.evaluator import evaluate

DEMO = PROJECT_ROOT / "stacks" / "seasons" / "demo.yaml"
STOCKHOLM = ZoneInfo("Europe/Stockholm")


@pytest.fixture(scope="module")
def web() -> PlanTarget:
    return read_plan(DEMO.with_name("demo.plan.json")).targets["web"]


def names(target: PlanTarget, now: datetime) -> list[str]:
    return [action.name for action in actions_at(target, target_name="web", now=now)]


def test_a_week_later_no_action_has_another_name(web: PlanTarget) -> None:
    november = datetime(2026, 11, 9, 10, tzinfo=UTC)
    before, after = names(web, november), names(web, november + timedelta(days=7))
    assert set(after) <= set(before)


def test_a_start_time_is_passed_only_when_it_lies_more_than_five_minutes_ahead(
    web: PlanTarget,
) -> None:
    start = datetime.fromisoformat(str(web.actions[10]["StartTime"]))

    def start_time(now: datetime) -> object:
        (action,) = (
            action
            for action in actions_at(web, target_name="web", now=now)
            if action.request["EndTime"] == web.actions[10]["EndTime"]
            and action.request["Recurrence"] == web.actions[10]["Recurrence"]
        )
        return action.request.get("StartTime")

    assert start_time(start - timedelta(minutes=6)) == web.actions[10]["StartTime"]
    assert start_time(start - timedelta(minutes=5)) is None
    assert start_time(start + timedelta(days=1)) is None


def test_an_action_that_ended_is_left_out(web: PlanTarget) -> None:
    end = datetime.fromisoformat(str(web.actions[0]["EndTime"]))
    name = names(web, end - timedelta(minutes=1))[0]
    assert name not in names(web, end)


def test_a_changed_size_keeps_the_name_and_a_changed_time_does_not(web: PlanTarget) -> None:
    request = dict(web.actions[0])
    assert name_of("web", request | {"MinSize": 59}) == name_of("web", request)
    for time in ("Recurrence", "TimeZone", "StartTime", "EndTime"):
        assert name_of("web", request | {time: "other"}) != name_of("web", request)


def test_two_targets_have_different_names_for_the_same_times(web: PlanTarget) -> None:
    now = datetime(2026, 8, 1, tzinfo=UTC)
    other = {action.name for action in actions_at(web, target_name="other", now=now)}
    assert not other & set(names(web, now))


def test_the_floor_before_the_first_action_is_the_plans_start(web: PlanTarget) -> None:
    assert bounds_at(web, datetime(2026, 8, 1, tzinfo=UTC)) == Bounds(2, 80)


def test_the_floor_of_a_grading_monday_follows_its_actions(web: PlanTarget) -> None:
    def floor(hour: int, minute: int) -> int:
        return bounds_at(web, datetime(2026, 12, 7, hour, minute, tzinfo=STOCKHOLM)).min

    assert floor(5, 0) == 2
    # 400 users in thousands x 1.0 x 2.5 + 150 x 1.0 + the bells: 1,483 requests/s at 25 a unit.
    assert floor(8, 10) == 60
    assert 5 < floor(20, 0) < 60


@pytest.mark.parametrize(
    "now",
    [
        datetime(2026, 12, 7, 8, 30, tzinfo=STOCKHOLM),
        datetime(2026, 11, 2, 3, 0, tzinfo=STOCKHOLM),
        datetime(2027, 3, 28, 2, 59, tzinfo=UTC),
        datetime(2027, 6, 20, 12, 0, tzinfo=UTC),
    ],
)
def test_applied_in_the_middle_of_the_season_every_floor_still_holds(now: datetime) -> None:
    plan = read_plan(DEMO.with_name("demo.plan.json"))
    live: dict[str, list[dict[str, object]]] = {}
    for name, target in plan.targets.items():
        live[name] = [a.request for a in actions_at(target, target_name=name, now=now)]
    initial = {name: bounds_at(target, now).min for name, target in plan.targets.items()}
    assert evaluate(DEMO, live, since=now.astimezone(UTC), initial=initial) == []


def test_no_action_sets_what_it_does_not_mean_to_change(web: PlanTarget) -> None:
    for request in web.actions:
        assert set(request) == {"Recurrence", "TimeZone", "StartTime", "EndTime", "MinSize"}


def test_replicas_take_the_arguments_of_application_auto_scaling() -> None:
    database = read_plan(DEMO.with_name("demo.plan.json")).targets["database"]
    for request in database.actions:
        assert set(request) == {
            "Schedule",
            "Timezone",
            "StartTime",
            "EndTime",
            "ScalableTargetAction",
        }
        assert str(request["Schedule"]).startswith("cron(")
        assert set(cast("dict[str, object]", request["ScalableTargetAction"])) == {"MinCapacity"}
