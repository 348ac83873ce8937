"""Required units against seasons worked out by hand, and plans against their bad twins."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tests.evaluator import Gap, evaluate, rule_violations
from tests.evaluator.required import NotJudgedError, required_units

BURST = {"name": "bell", "market": "sweden", "at": "08:10", "logins": 6000, "over": "20m"}


def season(folder: Path, **change: object) -> Path:
    """Two weeks around the change of the clocks in Sweden: 10 requests/s, a bell of 50 more."""
    document: dict[str, object] = {
        "version": 1,
        "timezone": "Europe/Stockholm",
        "horizon": {"from": "2026-10-19", "to": "2026-11-01"},
        "markets": [
            {
                "name": "sweden",
                "users": 10000,
                "holidays": {"country": "SE"},
                "terms": [{"name": "autumn", "from": "2026-08-17", "to": "2026-12-18"}],
                "breaks": [{"name": "autumn", "from": "2026-10-28", "to": "2026-10-30"}],
            }
        ],
        "demand": {
            "profiles": {
                "school": {"07:00": 1.0, "16:00": 0.1},
                "weekend": {"00:00": 0.05},
            },
            "bursts": [BURST],
        },
        "capacity": {
            "web": {
                "kind": "autoscaling-group",
                "requests_per_second": 4,
                "utilisation": 0.5,
                "floor_utilisation": 0.75,
                "boot": "4m",
                "min": 1,
                "max": 20,
            }
        },
    }
    path = folder / "season.yaml"
    path.write_text(yaml.safe_dump(document | change))
    return path


def units_at(path: Path, moment: str) -> int:
    (web,) = required_units(path)
    return int(web.units[(datetime.fromisoformat(moment) - web.start) // timedelta(minutes=1)])


@pytest.mark.parametrize(
    ("moment", "units"),
    [
        ("2026-10-19T06:59+02:00", 1),  # before 07:00 the day's last step holds: 1/s
        ("2026-10-19T07:00+02:00", 2),  # 10/s over 6/s a unit
        ("2026-10-19T08:09+02:00", 2),
        ("2026-10-19T08:10+02:00", 10),  # 10 + 6,000 logins x 10 / 1,200 s
        ("2026-10-19T08:29+02:00", 10),
        ("2026-10-19T08:30+02:00", 2),
        ("2026-10-24T08:10+02:00", 1),  # Saturday
        ("2026-10-26T08:09+01:00", 2),  # winter time
        ("2026-10-26T08:10+01:00", 10),
        ("2026-10-28T08:10+01:00", 1),  # break
    ],
)
def test_required_units_follow_the_calendar_and_the_clock(
    tmp_path: Path, moment: str, units: int
) -> None:
    assert units_at(season(tmp_path), moment) == units


def market(**change: object) -> dict[str, object]:
    return {"markets": [{"name": "sweden", "users": 10000, **change}]}


def test_a_period_multiplies_the_day_and_leaves_the_bell_alone(tmp_path: Path) -> None:
    path = season(
        tmp_path,
        **market(
            periods=[
                {"kind": "grading", "from": "2026-10-19", "to": "2026-10-25", "factor": 2},
                {"kind": "exam", "from": "2026-10-20", "to": "2026-10-20", "factor": 3},
            ],
            exceptions=[{"date": "2026-10-21", "kind": "weekend"}],
        ),
    )
    assert units_at(path, "2026-10-19T09:00+02:00") == 4  # 20/s
    assert units_at(path, "2026-10-19T08:10+02:00") == 12  # 20 + 50
    assert units_at(path, "2026-10-20T09:00+02:00") == 5  # the exam goes before grading
    assert units_at(path, "2026-10-21T08:10+02:00") == 1  # the exception before all
    assert units_at(path, "2026-10-24T12:00+02:00") == 1  # 2 x 0.5


def test_public_holidays_come_from_the_library(tmp_path: Path) -> None:
    path = season(
        tmp_path,
        horizon={"from": "2026-12-25", "to": "2026-12-25"},
        **market(holidays={"country": "SE"}),
    )
    assert units_at(path, "2026-12-25T08:10+01:00") == 1


def test_french_breaks_come_from_the_package_of_zone_b(tmp_path: Path) -> None:
    french = {"timezone": "Europe/Paris", "holidays": {"country": "FR", "school_zone": "B"}}
    path = season(tmp_path, **market(**french))
    assert units_at(path, "2026-10-19T09:00+02:00") == 1
    path = season(tmp_path, **market(timezone="Europe/Paris", holidays={"country": "FR"}))
    assert units_at(path, "2026-10-19T09:00+02:00") == 2


def test_a_burst_may_have_a_shape_and_be_widened(tmp_path: Path) -> None:
    burst = BURST | {"shape": [3, 1], "widen": "2m"}
    path = season(tmp_path, demand={"bursts": [burst]})
    found = [units_at(path, f"2026-10-19T08:{m:02}+02:00") for m in (7, 8, 21, 22, 31, 32)]
    assert found == [1, 13, 13, 5, 5, 1]  # 75/s and 25/s over 6/s a unit


def test_a_zone_to_lose_needs_half_as_much_again(tmp_path: Path) -> None:
    path = season(tmp_path)
    document = yaml.safe_load(path.read_text())
    document["capacity"]["web"] |= {"zone_loss": True, "zones": 3}
    path.write_text(yaml.safe_dump(document))
    assert units_at(path, "2026-10-19T08:10+02:00") == 15


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("demand", {"histories": []}),
        ("markets", [{"name": "sweden", "calendar": ["a.ics"]}]),
        ("capcity", {}),
    ],
)
def test_a_season_that_is_not_fully_understood_is_not_judged(
    tmp_path: Path, key: str, value: object
) -> None:
    with pytest.raises(NotJudgedError):
        required_units(season(tmp_path, **{key: value}))


# A plan for the season above, by hand: each raise leads by boot and lateness, six minutes.
HAND_PLAN: list[dict[str, object]] = [
    {
        "ScheduledActionName": name,
        "Recurrence": f"{minute} {hour} * * 1-5",
        "TimeZone": "Europe/Stockholm",
        "MinSize": minimum,
    }
    for name, hour, minute, minimum in [
        ("day", 6, 54, 2),
        ("bell", 8, 4, 10),
        ("after bell", 8, 30, 2),
        ("evening", 16, 0, 1),
    ]
]
START = datetime(2026, 10, 18, 22, tzinfo=UTC)


def judge(folder: Path, live: Sequence[dict[str, object]]) -> list[Gap]:
    return evaluate(season(folder), {"web": live}, since=START, initial={"web": 1})


def test_a_plan_that_holds_has_no_gap_and_breaks_no_rule(tmp_path: Path) -> None:
    assert judge(tmp_path, HAND_PLAN) == []
    until = START + timedelta(days=14)
    assert rule_violations({"web": HAND_PLAN}, since=START, until=until) == []


@pytest.mark.parametrize("removed", [0, 1])
def test_a_plan_with_one_raise_removed_is_rejected(tmp_path: Path, removed: int) -> None:
    assert judge(tmp_path, [a for n, a in enumerate(HAND_PLAN) if n != removed])


@pytest.mark.parametrize("lowered", [0, 1, 2])
def test_a_plan_with_one_minimum_lowered_by_one_is_rejected(tmp_path: Path, lowered: int) -> None:
    live = deepcopy(HAND_PLAN)
    live[lowered]["MinSize"] = int(str(live[lowered]["MinSize"])) - 1
    assert judge(tmp_path, live)


@pytest.mark.parametrize(
    ("shifted", "recurrence"),
    [
        (0, "54 7 * * 1-5"),
        (1, "5 8 * * 1-5"),
        (1, "4 9 * * 1-5"),
        (2, "29 8 * * 1-5"),
        (3, "0 15 * * 1-5"),
    ],
)
def test_a_plan_with_one_action_shifted_is_rejected(
    tmp_path: Path, shifted: int, recurrence: str
) -> None:
    live = deepcopy(HAND_PLAN)
    live[shifted]["Recurrence"] = recurrence
    assert judge(tmp_path, live)


def test_a_plan_in_a_fixed_offset_is_rejected_for_the_days_after_the_change(tmp_path: Path) -> None:
    live = [action | {"TimeZone": "Etc/GMT-2"} for action in HAND_PLAN]
    gaps = judge(tmp_path, live)
    assert {gap.start.date().isoformat() for gap in gaps} == {"2026-10-26", "2026-10-27"}
    assert str(gaps[0]) == ("web: 2026-10-26 07:10Z for 20 min: 2 in service, 10 required")
