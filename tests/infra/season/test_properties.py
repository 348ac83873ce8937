"""Every plan holds and breaks no rule, whatever the calendar, the zone and the load."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.errors import InputError
from infra.season.plan import Plan, build_plan, read_season
from tests.evaluator import evaluate, rule_violations

Season = dict[str, Any]
ZONES = [
    "UTC",
    "Europe/Stockholm",
    "Atlantic/Reykjavik",
    "America/New_York",
    "Australia/Sydney",
    "Pacific/Auckland",
    "Asia/Kolkata",
    "America/Nuuk",
    "Australia/Lord_Howe",
]
QUICK = settings(
    max_examples=12,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def times(first: int, last: int) -> st.SearchStrategy[str]:
    return st.integers(first, last).map(lambda m: f"{m // 60:02}:{m % 60:02}")


profiles = st.fixed_dictionaries(
    {
        kind: st.dictionaries(
            times(0, 1439), st.floats(0, 3).map(lambda x: round(x, 2)), min_size=1, max_size=6
        )
        for kind in ("school", "weekend")
    }
)


@st.composite
def seasons(draw: st.DrawFn) -> Season:
    """One or two markets in different zones, in both hemispheres, over a clock change or not."""
    first = draw(
        st.sampled_from(
            # A clock change in Europe, in Australia and in America; a leap day; a new year.
            [
                date(2026, 10, 19),
                date(2027, 3, 22),
                date(2026, 9, 28),
                date(2028, 2, 26),
                date(2026, 12, 28),
            ]
        )
    )
    last = first + timedelta(days=draw(st.integers(0, 20)))
    names = ["one", "two"][: draw(st.integers(1, 2))]
    term = {"from": str(first - timedelta(days=3)), "to": str(last + timedelta(days=3))}
    return {
        "version": 1,
        "timezone": draw(st.sampled_from(ZONES)),
        "horizon": {"from": str(first), "to": str(last)},
        "markets": [
            {
                "name": name,
                "timezone": draw(st.sampled_from(ZONES)),
                "users": draw(st.integers(1, 400)) * 1000,
                "weekend": draw(st.sampled_from([["sat", "sun"], ["fri", "sat"], ["sun"]])),
                "terms": [term],
                "breaks": [],
                "periods": draw(
                    st.just([])
                    | st.just(
                        [
                            {
                                "name": "x",
                                "kind": "exam",
                                "from": str(last),
                                "to": str(last),
                                "factor": 2,
                            }
                        ]
                    )
                ),
            }
            for name in names
        ],
        "demand": {
            "profiles": draw(profiles),
            "bursts": [
                {
                    "name": "bell",
                    "market": "one",
                    "days": "all",
                    "at": draw(times(5 * 60, 22 * 60)),
                    "logins": draw(st.integers(1, 50)) * 1000,
                    "over": draw(st.sampled_from(["10m", "20m", "90s"])),
                }
            ],
        },
        "capacity": {
            "web": {
                "kind": "autoscaling-group",
                "requests_per_second": 20,
                "boot": draw(st.sampled_from(["0m", "4m", "40m"])),
                "min": draw(st.integers(0, 3)),
                "max": 10_000,
            },
            "database": {
                "kind": "aurora-replicas",
                "requests_per_second": 50_000,
                "boot": "15m",
                "min": 0,
                "max": 15,
            },
        },
    }


def planned(season: Season, folder: Path) -> tuple[Path, Plan]:
    path = folder / "season.yaml"
    path.write_text(yaml.safe_dump(season, sort_keys=False))
    return path, build_plan(read_season(path))


@QUICK
@given(season=seasons())
def test_every_plan_holds_in_every_minute_and_breaks_no_rule(
    season: Season, tmp_path: Path
) -> None:
    path, plan = planned(season, tmp_path)
    since = datetime.fromisoformat(season["horizon"]["from"]).replace(tzinfo=UTC) - timedelta(
        days=1
    )
    until = datetime.fromisoformat(season["horizon"]["to"]).replace(tzinfo=UTC) + timedelta(days=3)
    actions = {name: list(target.actions) for name, target in plan.targets.items()}
    start = {name: target.start for name, target in plan.targets.items()}
    assert evaluate(path, actions, since=since, initial=start) == []
    assert rule_violations(actions, since=since, until=until) == []


@QUICK
@given(season=seasons(), weeks=st.integers(1, 60))
def test_a_season_moved_by_weeks_in_utc_gives_actions_moved_by_weeks(
    season: Season, weeks: int, tmp_path: Path
) -> None:
    season["timezone"] = "UTC"
    for market in season["markets"]:
        market["timezone"] = "UTC"
    later = deepcopy(season)
    by = timedelta(weeks=weeks)

    def move(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: move(value) for key, value in node.items()}
        if isinstance(node, list):
            return [move(value) for value in node]
        if isinstance(node, str) and node.startswith("20") and node.count("-") == 2:
            return str(date.fromisoformat(node) + by)
        return node

    _, plan = planned(season, tmp_path)
    _, moved = planned(move(later), tmp_path)
    for name, target in plan.targets.items():
        assert [
            (w | {"from": move(w["from"]), "to": move(w["to"])}) for w in map(dict, target.windows)
        ] == list(moved.targets[name].windows)
        starts = [
            [datetime.fromisoformat(str(action["StartTime"])) for action in each.actions]
            for each in (target, moved.targets[name])
        ]
        assert [start + by for start in starts[0]] == starts[1]


@QUICK
@given(season=seasons(), elsewhere=st.integers(0, 110))
def test_one_action_more_never_costs(season: Season, elsewhere: int, tmp_path: Path) -> None:
    def hours(declared: int) -> float | None:
        season["limits"] = {"actions": {"web": declared}}
        try:
            return planned(season, tmp_path)[1].targets["web"].instance_hours
        except InputError as error:
            assert "scheduled actions are too few" in str(error)  # noqa: PT017 (else a plan)
            return None

    fewer, more = hours(elsewhere + 1), hours(elsewhere)
    assert fewer is None or (more is not None and more <= fewer)


def test_a_horizon_that_ends_with_a_clock_change_before_midnight(
    small: Season, tmp_path: Path
) -> None:
    # America/Nuuk goes from 23:00 to midnight on Saturday 27 March 2027.
    small |= {"timezone": "America/Nuuk", "horizon": {"from": "2027-03-22", "to": "2027-03-27"}}
    small["markets"][0]["terms"] = [{"from": "2027-01-11", "to": "2027-06-11"}]
    small["demand"]["profiles"]["weekend"] = {"00:00": 0, "22:30": 1}
    path, plan = planned(small, tmp_path)
    target = plan.targets["web"]
    since = datetime(2027, 3, 21, tzinfo=UTC)
    until = datetime(2027, 3, 30, tzinfo=UTC)
    assert evaluate(path, {"web": target.actions}, since=since, initial={"web": target.start}) == []
    assert rule_violations({"web": target.actions}, since=since, until=until) == []


@pytest.mark.parametrize("zone", ["Europe/Stockholm", "Australia/Sydney"])
def test_a_horizon_of_one_day_is_planned(zone: str, small: Season, tmp_path: Path) -> None:
    small |= {"timezone": zone, "horizon": {"from": "2026-09-07", "to": "2026-09-07"}}
    path, plan = planned(small, tmp_path)
    since = datetime(2026, 9, 6, tzinfo=UTC)
    target = plan.targets["web"]
    assert evaluate(path, {"web": target.actions}, since=since, initial={"web": target.start}) == []


def test_one_action_less_one_moved_or_one_lowered_is_caught_by_the_evaluator(
    small: Season, tmp_path: Path
) -> None:
    path, plan = planned(small, tmp_path)
    target = plan.targets["web"]
    since = datetime(2026, 9, 6, tzinfo=UTC)

    def holds(actions: list[dict[str, Any]]) -> bool:
        return evaluate(path, {"web": actions}, since=since, initial={"web": target.start}) == []

    right: list[dict[str, Any]] = [dict(action) for action in target.actions]
    assert holds(right)
    highest = max(range(len(right)), key=lambda n: right[n]["MinSize"])
    assert not holds([a for n, a in enumerate(right) if n != highest])
    lowered = deepcopy(right)
    lowered[highest]["MinSize"] -= 1
    assert not holds(lowered)
    moved = deepcopy(right)
    minute, hour, *rest = moved[highest]["Recurrence"].split()
    moved[highest]["Recurrence"] = " ".join([minute, str(int(hour) + 1), *rest])
    start = datetime.fromisoformat(moved[highest]["StartTime"]) + timedelta(hours=1)
    moved[highest]["StartTime"] = start.isoformat()
    assert not holds(moved)
