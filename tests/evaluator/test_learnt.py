"""Seasons with histories, classes, weights and iCalendar files: judged as the planner plans them.

The same season is read by both, who share no code; then plans are judged, good ones and bad twins.
"""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import yaml

from infra.season.plan import build_plan, prepare, read_season
from tests.evaluator import required_units, rule_violations
from tests.evaluator.ical import days_of_file
from tests.evaluator.replay import find_gaps

CALENDAR = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//firstbell//tests//EN
BEGIN:VEVENT
UID:exam@example.org
SUMMARY:Exam Thursdays
CATEGORIES:exam
DTSTART;VALUE=DATE:20260903
DTEND;VALUE=DATE:20260904
RRULE:FREQ=WEEKLY;COUNT=9
EXDATE;VALUE=DATE:20260917
END:VEVENT
BEGIN:VEVENT
UID:exam@example.org
RECURRENCE-ID;VALUE=DATE:20260924
SUMMARY:Exam on a Friday for once
CATEGORIES:exam
DTSTART;VALUE=DATE:20260925
DTEND;VALUE=DATE:20260926
END:VEVENT
BEGIN:VEVENT
UID:day-off@example.org
SUMMARY:Teachers'
  day
CATEGORIES:break
DTSTART:20261012T080000Z
DURATION:PT8H
END:VEVENT
BEGIN:VEVENT
UID:saturday@example.org
SUMMARY:Working Saturday
CATEGORIES:school
DTSTART;TZID=Europe/Stockholm:20261010T080000
DTEND;TZID=Europe/Stockholm:20261010T160000
END:VEVENT
END:VCALENDAR
"""

SEASON: dict[str, object] = {
    "version": 1,
    "timezone": "Europe/Stockholm",
    "horizon": {"from": "2026-10-05", "to": "2026-11-01"},
    "markets": [
        {
            "name": "sweden",
            "users": 30000,
            "terms": [{"from": "2026-08-17", "to": "2026-12-18"}],
            "breaks": [{"from": "2026-10-26", "to": "2026-10-30"}],
            "periods": [
                {"kind": "grading", "factor": 2, "from": "2026-09-21", "to": "2026-09-23"},
                {"kind": "grading", "factor": 2.5, "from": "2026-10-19", "to": "2026-10-21"},
            ],
            "exceptions": [{"date": "2026-10-23", "kind": "weekend"}],
            "calendars": ["sweden.ics"],
        },
        {
            "name": "iceland",
            "users": 10000,
            "timezone": "Atlantic/Reykjavik",
            "weekend": ["sat", "sun"],
            "periods": [{"kind": "exam", "from": "2026-10-12", "to": "2026-10-13"}],
        },
    ],
    "demand": {
        "history": [{"file": "load.csv", "market": "sweden", "timezone": "Europe/Stockholm"}],
        "growth": 1.1,
        "surge_factor": 1.05,
        "quantile": 0.9,
        "weights": {"login": 3, "static": 0.1},
        "profiles": {"school": {"08:00": 2.0, "16:00": 0.2}, "weekend": {"00:00": 0.1}},
        "bursts": [{"name": "bell", "at": "08:10", "over": "10m", "logins": 900, "widen": "90s"}],
    },
    "capacity": {
        "web": {"kind": "autoscaling-group", "requests_per_second": 5, "min": 2, "max": 400},
        "database": {
            "kind": "autoscaling-group",
            "requests_per_second": 5,
            "classes": ["dynamic", "login"],
            "markets": ["sweden"],
            "boot": "15m",
            "min": 1,
            "max": 400,
        },
        "balancer": {
            "kind": "load-balancer-capacity",
            "requests_per_second": 0.2,
            "boot": "3h",
            "min": 0,
            "max": 1500,
        },
    },
}


def write_history(path: Path, *, weeks: int = 7) -> None:
    """5-minute rows in local time without an offset: a bell, exams, an outage, an attack, a gap."""
    rng = np.random.default_rng(3)
    lines = ["timestamp,requests_per_second,static_requests_per_second,login_requests_per_second"]
    for n in range(weeks * 7):
        day = date(2026, 8, 17) + timedelta(days=n)
        level = 8.0 if day.weekday() < 5 else 2.0
        level *= 2 if day.weekday() == 3 else 1
        for slot in range(288):
            hour = slot / 12
            rate = 1 + level * np.exp(-(((hour - 11) / 3) ** 2)) * rng.normal(1, 0.08)
            login = 6.0 if day.weekday() < 5 and 97 <= slot + int(rng.integers(0, 2)) < 100 else 0.1
            if day == date(2026, 9, 8) and 120 <= slot < 126:
                rate, login = 0.001, 0.0
            if day == date(2026, 9, 16) and slot == 150:
                rate = 500.0
            if day == date(2026, 9, 2) and 30 < slot < 50:
                continue
            stamp = f"{day}T{slot // 12:02}:{slot % 12 * 5:02}"
            lines.append(f"{stamp},{rate + login:.4f},{rate * 0.4:.4f},{login:.4f}")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("learnt")
    write_history(folder / "load.csv")
    (folder / "sweden.ics").write_text(CALENDAR)
    return folder


def season(folder: Path, name: str, **demand: object) -> Path:
    document = deepcopy(SEASON)
    merged = {**SEASON["demand"], **demand}  # pyright: ignore[reportGeneralTypeIssues]  # a mapping
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({**document, "demand": merged}))
    return path


SITE = {"file": "load.csv", "timezone": "Europe/Stockholm"}


@pytest.mark.parametrize(
    ("name", "demand"), [("market", {}), ("site", {"quantile": 1.0, "history": [SITE, SITE]})]
)
def test_both_readers_need_the_same_units_in_every_minute(
    files: Path, name: str, demand: dict[str, object]
) -> None:
    path = season(files, name, **demand)
    planner = prepare(read_season(path))
    start = datetime.fromtimestamp(planner.grid.start * 60, UTC)
    found = {each.name: each for each in required_units(path)}
    assert set(found) == {"web", "database", "balancer"}
    for need in planner.needs:
        units = need.units[: planner.grid.count]
        assert found[need.name].start == start
        differ = np.flatnonzero(found[need.name].units != units)
        assert [str(start + timedelta(minutes=int(at))) for at in differ[:3]] == [], need.name


def test_a_plan_from_a_history_holds_and_one_lower_minimum_or_a_missing_raise_does_not(
    files: Path,
) -> None:
    path = season(files, "judged")
    plan = build_plan(read_season(path))
    since, until = datetime(2026, 10, 4, 22, tzinfo=UTC), datetime(2026, 11, 1, 23, tzinfo=UTC)
    initial = {name: target.start for name, target in plan.targets.items()}
    judged = {name: [dict(a) for a in target.actions] for name, target in plan.targets.items()}
    assert all(judged.values())
    required = required_units(path)
    gaps = find_gaps(required, judged, since=since, initial=initial)
    assert [str(gap) for gap in gaps] == []
    assert rule_violations(judged, since=since, until=until) == []
    highest = max(range(len(judged["web"])), key=lambda n: int(str(judged["web"][n]["MinSize"])))
    lower = deepcopy(judged)
    lower["web"][highest]["MinSize"] = int(str(lower["web"][highest]["MinSize"])) - 1
    without = {**judged, "web": [a for n, a in enumerate(judged["web"]) if n != highest]}
    for name, twin in (("web", lower), ("web", without), ("balancer", {**judged, "balancer": []})):
        found = find_gaps(required, twin, since=since, initial=initial)
        assert {gap.target for gap in found} == {name}


def test_an_icalendar_file_is_read_with_its_exceptions(files: Path) -> None:
    found = sorted(
        (first.isoformat(), last.isoformat(), kind)
        for kind, first, last in days_of_file(
            files / "sweden.ics",
            ZoneInfo("Europe/Stockholm"),
            date(2026, 9, 10),
            date(2026, 10, 12),
        )
    )
    assert found == [
        ("2026-09-10", "2026-09-10", "exam"),
        ("2026-09-25", "2026-09-25", "exam"),
        ("2026-10-01", "2026-10-01", "exam"),
        ("2026-10-08", "2026-10-08", "exam"),
        ("2026-10-10", "2026-10-10", "school"),
        ("2026-10-12", "2026-10-12", "break"),
    ]
