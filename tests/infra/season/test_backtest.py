"""Learning before a day, planning from it on, and judging by what really came."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import yaml

from infra.errors import InputError
from infra.season.backtest import PLANNED, Backtest, backtest, busiest_day, chart
from infra.season.history import History, utc_offsets, write_history
from infra.season.season_file import Season, read_season

STOCKHOLM = ZoneInfo("Europe/Stockholm")
FIRST = datetime(2026, 8, 16, 22, tzinfo=UTC)
DAYS = 70


def measured(days: int = DAYS, *, bell: float = 300.0, first: datetime = FIRST) -> History:
    """20 requests/s, on weekdays 60 from 08:00 to 15:00 and a bell from 08:10 to 08:30."""
    minutes = int(first.timestamp()) // 60 + np.arange(days * 1440)
    local = minutes + utc_offsets(minutes, STOCKHOLM)
    minute, weekday = local % 1440, (local // 1440 + 3) % 7
    rates = np.full(len(minutes), 20.0)
    school = weekday < 5
    rates[school & (minute >= 480) & (minute < 900)] = 60.0
    rates[school & (minute >= 490) & (minute < 510)] = bell
    rates *= 1 + 0.03 * np.sin(np.arange(len(minutes)))
    return History("measured", minutes, rates, {"login": rates / 10}, 1)


def season(folder: Path, history: History, **demand: object) -> Season:
    write_history(history, folder / "load.csv.gz")
    document = {
        "version": 1,
        "timezone": "Europe/Stockholm",
        "horizon": {"from": "2026-08-17", "to": "2026-12-18"},
        "markets": [
            {"name": "sweden", "terms": [{"from": "2026-08-17", "to": "2026-12-18"}]},
        ],
        "demand": {"history": [{"file": "load.csv.gz", "market": "sweden"}], **demand},
        "capacity": {
            "web": {
                "kind": "autoscaling-group",
                "requests_per_second": 20,
                "boot": "4m",
                "min": 2,
                "max": 60,
            }
        },
    }
    path = folder / "season.yaml"
    path.write_text(yaml.safe_dump(document))
    return read_season(path)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Backtest:
    folder = tmp_path_factory.mktemp("season")
    return backtest(
        season(folder, measured()), start=date(2026, 10, 5), end=date(2026, 10, 18), cache=folder
    )


def test_the_plan_beats_target_tracking_and_costs_less_than_the_static_peak(
    result: Backtest,
) -> None:
    (web,) = result.targets
    rows = {row.name: row for row in web.rows}
    assert list(rows) == [
        "firstbell",
        "target tracking alone",
        "steps of one",
        "hourly predictive",
        "fixed weekly hours",
        "static peak",
    ]
    assert rows[PLANNED].violation_minutes == 0
    assert rows["target tracking alone"].violation_minutes >= 10 * 5
    assert rows["steps of one"].violation_minutes > rows["target tracking alone"].violation_minutes
    assert rows["static peak"].violation_minutes == 0
    assert rows[PLANNED].instance_hours < rows["static peak"].instance_hours / 2
    assert rows[PLANNED].instance_hours < rows["fixed weekly hours"].instance_hours
    assert (result.learnt_to, result.judged_from) == (date(2026, 10, 4), date(2026, 10, 5))
    assert result.warnings == ()


def test_the_load_that_judges_is_not_learnt_from(tmp_path: Path) -> None:
    """From the judged day on the bell is five times as high: a plan that knew would hold."""
    history = measured()
    later = history.minutes >= int(datetime(2026, 10, 4, 22, tzinfo=UTC).timestamp()) // 60
    rates = history.requests_per_second.copy()
    rates[later & (rates > 200)] *= 5
    surprised = History("measured", history.minutes, rates, {}, 1)
    found = backtest(season(tmp_path, surprised), start=date(2026, 10, 5), end=date(2026, 10, 11))
    assert found.targets[0].rows[0].violation_minutes > 0
    assert int(found.targets[0].floor.max()) < 20


def test_the_load_that_came_may_be_given(tmp_path: Path, result: Backtest) -> None:
    planned = season(tmp_path, measured(49))
    start, end = date(2026, 10, 5), date(2026, 10, 18)
    with pytest.raises(InputError, match="ends on 2026-10-04, before 2026-10-05"):
        backtest(planned, start=start, end=end)
    came = measured(14, first=datetime(2026, 10, 4, 22, tzinfo=UTC))
    found = backtest(planned, start=start, end=end, actual={None: came})
    assert found.targets[0].rows[0].violation_minutes == 0
    assert found.plan.targets["web"].actions == result.plan.targets["web"].actions


def test_growth_lies_between_what_was_learnt_and_what_came(tmp_path: Path) -> None:
    planned = season(tmp_path, measured(49), growth=2.0)
    came = measured(14, bell=600.0, first=datetime(2026, 10, 4, 22, tzinfo=UTC))
    found = backtest(
        planned, start=date(2026, 10, 5), end=date(2026, 10, 18), actual={"sweden": came}
    )
    assert found.targets[0].rows[0].violation_minutes == 0


def test_without_history_or_before_it_there_is_nothing_to_learn(tmp_path: Path) -> None:
    planned = season(tmp_path, measured())
    with pytest.raises(InputError, match="not before 2026-08-17"):
        backtest(planned, start=date(2026, 8, 17), end=date(2026, 8, 30))
    planned = planned.model_copy(
        update={"demand": planned.demand.model_copy(update={"history": ()})}
    )
    with pytest.raises(InputError, match="no history to learn from"):
        backtest(planned, start=date(2026, 10, 5), end=date(2026, 10, 18))


def test_days_that_were_not_measured_are_refused_and_minutes_are_said(tmp_path: Path) -> None:
    planned = season(tmp_path, measured())
    with pytest.raises(InputError, match="lacks 50 % of the minutes"):
        backtest(planned, start=date(2026, 10, 19), end=date(2026, 11, 1))
    gappy = measured()
    keep = np.ones(len(gappy.minutes), dtype=bool)
    keep[-3000:-2990] = False
    holed = History("measured", gappy.minutes[keep], gappy.requests_per_second[keep], {}, 1)
    found = backtest(season(tmp_path, holed), start=date(2026, 10, 5), end=date(2026, 10, 24))
    assert found.warnings[-1] == ("load.csv.gz: 10 minutes that were not measured are filled in")


def test_its_json_is_plain_and_versioned(result: Backtest) -> None:
    shown = json.loads(json.dumps(result.to_json()))
    assert (shown["schema"], shown["season"]) == (1, "season")
    assert shown["judged"] == {"from": "2026-10-05", "to": "2026-10-18"}
    assert shown["targets"][0]["rows"][0]["violation_minutes"] == 0


def test_the_chart_shows_the_busiest_day_and_is_one_plain_picture(result: Backtest) -> None:
    (web,) = result.targets
    at = busiest_day(web)
    assert web.demand[at : at + 1440].max() == web.demand[: 14 * 1440].max()
    picture = ET.fromstring(chart(web))  # noqa: S314 (our own text)
    shown = " ".join(picture.itertext())
    assert "web: units in service, 24 hours from 2026-10-" in shown
    for word in ("needed", "floor", PLANNED, "target tracking alone"):
        assert word in shown
    assert "http" not in "".join(picture.itertext())
    assert chart(web) == chart(web, at) != chart(web, at + 1440 * (-1 if at else 1))


def test_a_day_in_another_zone_begins_where_the_plan_does(result: Backtest) -> None:
    start = datetime.fromtimestamp(result.targets[0].start * 60, UTC)
    assert start == datetime(2026, 10, 4, 22, tzinfo=UTC)
    assert len(result.targets[0].demand) == timedelta(days=14) // timedelta(minutes=1)
