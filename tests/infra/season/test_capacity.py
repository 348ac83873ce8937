"""Units from requests per second, for every kind of target."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import Problems
from infra.season.capacity import Bounds, ahead, sustained, units_for
from infra.season.compile import Window, capacity_reservation_schedule, check, read_action
from infra.season.grid import Grid, minute_of
from infra.season.plan import Plan, build_plan, prepare, read_season
from infra.season.season_file import Target
from infra.season.simulate import play_floor

Season = dict[str, Any]
Write = Callable[[Season], Path]
STOCKHOLM = ZoneInfo("Europe/Stockholm")


def web(**keys: object) -> Target:
    return Target.model_validate(
        {"kind": "autoscaling-group", "requests_per_second": 20, "boot": "4m"} | keys
    )


def units(target: Target, *rates: float, least: int = 0) -> list[int]:
    return units_for(target, np.array(rates), least).tolist()


def test_floors_are_sized_against_the_hard_limit() -> None:
    # 20 / 0.6 = 33.3 is the hard limit, three quarters of it are 25.
    assert units(web(), 0, 24.9, 25, 25.1, 250) == [0, 1, 1, 2, 10]
    assert units(web(floor_utilisation=0.9), 30, 30.1) == [1, 2]
    assert units(web(), 0, 100, least=2) == [2, 4]


def test_the_loss_of_a_zone_leaves_enough() -> None:
    # Of n units over three zones, the fullest zone takes ceil(n / 3).
    found = units(web(zone_loss=True), 25, 50, 250)
    assert found == [2, 3, 15]
    assert [n - -(-n // 3) for n in found] == [1, 2, 10]


def test_a_warm_pool_shortens_the_lead() -> None:
    assert web(boot="10m").lead_minutes == 12
    assert web(boot="10m", warm_pool="30s").lead_minutes == 3


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(0, 12))
def test_a_floor_ahead_is_the_most_of_what_follows(need: list[int], minutes: int) -> None:
    expected = [max(need[i : i + minutes + 1]) for i in range(len(need))]
    assert ahead(np.array(need), minutes).tolist() == expected


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(0, 12))
def test_what_is_raised_stays_for_the_minimum_run(need: list[int], minutes: int) -> None:
    floor = sustained(np.array(need), minutes).tolist()
    assert all(a >= b for a, b in zip(floor, need, strict=True))
    for level in range(1, 10):
        since = None
        for at, units_now in enumerate([*floor, 0]):
            if units_now >= level and since is None:
                since = at
            if units_now < level and since is not None:
                assert since == 0 or at - since >= minutes or at == len(floor)
                since = None


def test_aurora_has_at_most_15_replicas() -> None:
    with pytest.raises(ValueError, match="max 16 is above AWS's limit of 15"):
        web(kind="aurora-replicas", max=16)
    assert web(kind="aurora-replicas", max=15).max == 15


def test_elasticache_has_at_most_5_replicas() -> None:
    with pytest.raises(ValueError, match="max 6 is above AWS's limit of 5"):
        web(kind="elasticache-replicas", max=6)


def test_a_target_takes_its_markets_classes_and_share(small: Season, write: Write) -> None:
    small["markets"].append({"name": "iceland", "timezone": "UTC", "users": 10_000})
    small["capacity"] = {
        name: small["capacity"]["web"] | {"max": 500} | keys
        for name, keys in {
            "all": {},
            "iceland": {"markets": ["iceland"]},
            "login": {"classes": ["login"]},
            "half": {"share": 0.5},
        }.items()
    }
    needs = {
        need.name: need.requests_per_second for need in prepare(read_season(write(small))).needs
    }
    monday_at_ten_past_eight = 8 * 60 + 10
    at = {name: float(rate[monday_at_ten_past_eight]) for name, rate in needs.items()}
    # 06:10 UTC: Iceland sleeps at 0.02 a thousand.
    assert at["iceland"] == pytest.approx(0.2)
    assert at["login"] == pytest.approx(10_000 * 10 / 1200)
    assert at["all"] == pytest.approx(200 + 0.2 + 10_000 * 10 / 1200)
    assert at["half"] == pytest.approx(at["all"] / 2)


def test_a_login_can_weigh_more_than_a_page(small: Season, write: Write) -> None:
    small["demand"]["weights"] = {"login": 3}
    (need,) = prepare(read_season(write(small))).needs
    assert need.requests_per_second[8 * 60 + 10] == pytest.approx(200 + 3 * 10_000 * 10 / 1200)


# --- load balancer capacity ---------------------------------------------------------------------


def balancer(small: Season) -> Season:
    small["capacity"]["balancer"] = {
        "kind": "load-balancer-capacity",
        "requests_per_second": 1,
        "utilisation": 1,
        "floor_utilisation": 1,
        "boot": "2h",
        "min": 0,
        "max": 1000,
    }
    return small


def test_balancer_capacity_becomes_schedules_that_raise_and_reset(
    small: Season, write: Write
) -> None:
    plan = build_plan(read_season(write(balancer(small))))
    actions = plan.targets["balancer"].actions
    inputs = [json.loads(cast("dict[str, str]", action["Target"])["Input"]) for action in actions]
    assert inputs[0] == {
        "LoadBalancerArn": "LOAD_BALANCER",
        "MinimumLoadBalancerCapacity": {"CapacityUnits": 284},
    }
    assert inputs[1] == {"LoadBalancerArn": "LOAD_BALANCER", "ResetCapacityReservation": True}
    # Two hours and two minutes before the first need above 100 units.
    assert actions[0]["ScheduleExpression"] == "cron(58 5 ? * MON,TUE,WED,THU,FRI *)"


def reservation(day: int, hour: int, units: int) -> dict[str, object]:
    of = date(2026, 9, day)
    return capacity_reservation_schedule(
        Window(of, of, (of.weekday(),), hour * 60, units), STOCKHOLM
    )


def test_two_decreases_a_day_are_allowed_and_three_are_not() -> None:
    steps = [(7, 500), (9, 400), (12, 300)]
    fine = [reservation(7, hour, units) for hour, units in steps]
    bounds = Bounds(0, 1000)
    assert check("load-balancer-capacity", fine, bounds) == []
    assert check("load-balancer-capacity", [*fine, reservation(8, 8, 0)], bounds) == [
        "is lowered three times within a day of 2026-09-07T07:00:00Z"
    ]
    assert check("load-balancer-capacity", [*fine, reservation(8, 9, 0)], bounds) == []


def test_a_reservation_below_100_units_is_caught() -> None:
    assert check("load-balancer-capacity", [reservation(7, 7, 99)], Bounds(0, 1000)) == [
        "reserves 99 units, AWS takes 100 to 15000"
    ]
    assert check("load-balancer-capacity", [reservation(7, 7, 100)], Bounds(0, 1000)) == []


# --- what lives from the others -----------------------------------------------------------------


def staged(small: Season, cap: int = 12, **keys: object) -> Season:
    small["capacity"]["staging"] = {
        "kind": "autoscaling-group",
        "against": ["web"],
        "units": 8,
        "min": 0,
        "max": 8,
    } | keys
    small["limits"] = {"instances": {"max": cap, "targets": ["web", "staging"]}}
    return small


def played(plan: Plan, name: str, season: Season) -> list[int]:
    grid = Grid(STOCKHOLM, *(date.fromisoformat(season["horizon"][k]) for k in ("from", "to")))
    target = plan.targets[name]
    floors = play_floor(target.actions, start=grid.start, count=grid.count, initial=target.start)
    return floors.nominal.tolist()


def test_staging_lives_from_what_production_gives_back(small: Season, write: Write) -> None:
    plan = build_plan(read_season(write(staged(small))))
    web_floor, staging = played(plan, "web", small), played(plan, "staging", small)
    assert max(a + b for a, b in zip(web_floor, staging, strict=True)) <= 12
    assert max(staging) == 8
    assert min(staging) == 0
    # It has gone, drained included, when production rises, also when its own drop is late.
    for at in range(1, len(web_floor)):
        if web_floor[at] > web_floor[at - 1]:
            assert max(staging[max(0, at - 7) : at]) + web_floor[at] <= 12
    for action in plan.targets["staging"].actions:
        assert action["MinSize"] == action["MaxSize"]


def test_staging_without_room_for_its_minimum_is_refused(small: Season, write: Write) -> None:
    with pytest.raises(Problems, match="problem") as caught:
        build_plan(read_season(write(staged(small, min=1))))
    assert "capacity/staging: at times only 0 units are left, fewer than min 1" in str(caught.value)


def test_staging_larger_than_what_production_ever_gives_back_is_refused(
    small: Season, write: Write
) -> None:
    """Production never needs less than 2 of 12: 10 may be lent, 11 not."""
    least = min(played(build_plan(read_season(write(staged(small)))), "web", small))
    build_plan(read_season(write(staged(small, units=12 - least, max=20))))
    with pytest.raises(Problems) as caught:
        build_plan(read_season(write(staged(small, units=13 - least, max=20))))
    assert (
        f"capacity/staging/units: {13 - least} units are more than web ever give back: of "
        f"limits/instances/max 12 at most {12 - least} are left (write units: {12 - least} or less"
    ) in str(caught.value)


def test_staging_needs_a_shared_cap(small: Season, write: Write) -> None:
    season = staged(small)
    del season["limits"]
    with pytest.raises(Problems) as caught:
        build_plan(read_season(write(season)))
    assert "capacity/staging/against: needs a shared cap" in str(caught.value)


def test_floors_above_a_shared_cap_are_refused(small: Season, write: Write) -> None:
    with pytest.raises(Problems) as caught:
        build_plan(read_season(write(staged(small, cap=11))))
    assert "limits/instances/max: web and staging need 12" in str(caught.value)


def test_workers_run_outside_core_hours_only(small: Season, write: Write) -> None:
    small["markets"][0]["core_hours"] = {"from": "07:00", "to": "17:00"}
    small["capacity"]["workers"] = {
        "kind": "worker-hours",
        "jobs": ["imports"],
        "units": 4,
        "min": 0,
        "max": 4,
    }
    plan = build_plan(read_season(write(small)))
    floor = played(plan, "workers", small)
    monday, saturday = slice(0, 1440), slice(5 * 1440, 6 * 1440)
    assert [n for n, units in enumerate(floor[monday]) if units == 0] == list(
        range(6 * 60 + 58, 17 * 60)
    )
    assert set(floor[saturday]) == {4}
    assert [action["Recurrence"] for action in plan.targets["workers"].actions[:2]] == [
        "58 6 * * 1-5",
        "0 17 * * 1-5",
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"core_units": 4}, None),
        ({"core_units": 5}, "core_units 5 is above units 4, and within core hours there are fewer"),
        ({"max": 3}, "capacity/workers/units: 4 units are more than max 3 (write units: 3 or less"),
    ],
)
def test_units_that_no_worker_could_have_are_refused(
    small: Season, write: Write, change: dict[str, int], said: str | None
) -> None:
    """They would have been cut without a word, and imports would run within core hours."""
    small["markets"][0]["core_hours"] = {"from": "07:00", "to": "17:00"}
    workers = {"kind": "worker-hours", "units": 4, "min": 0, "max": 4}
    small["capacity"]["workers"] = workers | change
    if said is None:
        build_plan(read_season(write(small)))
        return
    with pytest.raises(Problems, match=re.escape(said)):
        build_plan(read_season(write(small)))


def test_every_compiled_action_reads_back(small: Season, write: Write) -> None:
    plan = build_plan(read_season(write(balancer(small))))
    for target in plan.targets.values():
        for request in target.actions:
            action = read_action(request)
            assert action.start is not None
            assert action.start >= minute_of(datetime(2026, 9, 6, tzinfo=UTC))
            assert action.min is not None


def test_a_target_without_requests_per_second_is_refused() -> None:
    with pytest.raises(ValueError, match="requests_per_second is missing"):
        Target.model_validate({"kind": "autoscaling-group", "boot": "4m"})
    with pytest.raises(ValueError, match="units is missing"):
        Target.model_validate({"kind": "worker-hours"})
