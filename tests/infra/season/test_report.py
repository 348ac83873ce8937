"""What a report says is what the plan and the forecast say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from infra.season.plan import build_plan, read_season
from infra.season.report import Report, report

Season = dict[str, Any]
Write = Callable[[Season], Path]


def reported(season: Season, write: Write) -> Report:
    read = read_season(write(season))
    return report(read, build_plan(read), bounds={}, progress=lambda _: None)


def test_each_day_stands_with_its_kind_and_its_highest_floor(small: Season, write: Write) -> None:
    target = reported(small, write).targets[0]
    assert len(target.days) == 14
    monday, saturday = target.days[0], target.days[5]
    assert (monday.day, dict(monday.kinds)) == (date(2026, 9, 7), {"sweden": "school"})
    # 200 requests/s of the profile, 83.3 of the bell; a unit bears 25 at the floor's utilisation.
    assert monday.highest_demand == pytest.approx(200 + 10_000 * 10 / 1200)
    assert monday.highest_floor == 12
    assert dict(saturday.kinds) == {"sweden": "weekend"}
    assert saturday.highest_floor == 2


def test_the_riskiest_days_are_the_tightest_and_none_stands_twice(
    small: Season, write: Write
) -> None:
    small["markets"][0]["periods"] = [
        {"name": "exam", "kind": "exam", "from": "2026-09-16", "to": "2026-09-16", "factor": 2}
    ]
    risks = reported(small, write).risks
    assert len(risks) == len({risk.day for risk in risks}) == 5
    assert [risk.used for risk in risks] == sorted((risk.used for risk in risks), reverse=True)
    assert all(risk.used <= 0.75 for risk in risks)
    exam = next(risk for risk in risks if risk.day == date(2026, 9, 16))
    assert dict(exam.kinds) == {"sweden": "exam"}
    assert exam.used == pytest.approx(exam.demand / (exam.in_service * 20 / 0.6))


def test_the_plan_beats_the_static_peak_and_target_tracking_in_the_table(
    small: Season, write: Write
) -> None:
    rows = {row.name: row for row in reported(small, write).targets[0].rows}
    assert list(rows) == [
        "firstbell",
        "target tracking alone",
        "fixed weekly hours",
        "static peak",
    ]
    assert rows["firstbell"].violation_minutes == 0
    assert rows["target tracking alone"].violation_minutes > 0
    assert rows["firstbell"].instance_hours < rows["static peak"].instance_hours


def test_an_assumption_is_what_has_no_source_and_a_stated_one_is_not(
    small: Season, write: Write
) -> None:
    small["markets"][0]["source"] = "the municipality's school calendar"
    small["demand"]["bursts"][0]["source"] = "assumed"
    facts = {fact.what: fact for fact in reported(small, write).facts}
    assert not facts["market sweden"].assumed
    assert facts["burst first bell"].assumed
    assert (facts["requests per login"].value, facts["requests per login"].source) == (
        "10",
        "default",
    )


def test_a_median_is_drawn_only_where_something_was_learnt(small: Season, write: Write) -> None:
    found = reported(small, write)
    assert not found.learnt
    assert all(curve.median is None for curve in found.targets[0].curves)


def test_a_learnt_median_lies_below_the_forecast(
    small: Season, write: Write, tmp_path: Path
) -> None:
    rows = ["timestamp,requests_per_second"]
    for day in range(28):
        for hour in range(24):
            stamp = f"{date(2026, 8, 17 + day) if day < 15 else date(2026, 9, day - 14)}"
            busy = 50 + 5 * day if 6 <= hour < 14 else 5
            rows.append(f"{stamp}T{hour:02}:00:00Z,{busy}")
    (tmp_path / "load.csv").write_text("\n".join(rows) + "\n")
    small["demand"] = {"history": [{"file": "load.csv", "market": "sweden"}]}
    found = reported(small, write)
    assert found.learnt
    curve = found.targets[0].curves[0]
    assert curve.median is not None
    assert (curve.median <= curve.demand).all()
    assert curve.median.max() < curve.demand.max()
