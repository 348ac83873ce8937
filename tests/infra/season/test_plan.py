"""The plan: it holds, it is the same each time, and it refuses to be stale or edited."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.errors import InputError, Problems
from infra.paths import PROJECT_ROOT
from infra.season.plan import Bounds, build_plan, check_plan, read_plan, read_season
from tests.evaluator import evaluate, rule_violations

Season = dict[str, Any]
Write = Callable[[Season], Path]
DEMO = PROJECT_ROOT / "stacks" / "seasons" / "demo.yaml"
AUGUST = datetime(2026, 8, 1, tzinfo=UTC)


def judged(season: Path, *, since: datetime, until: datetime) -> tuple[list[str], list[str]]:
    """Gaps and broken rules of the season's plan, by the independent evaluator."""
    targets = build_plan(read_season(season)).targets
    live = {name: list(target.actions) for name, target in targets.items()}
    start = {name: target.start for name, target in targets.items()}
    gaps = evaluate(season, live, since=since, initial=start)
    return [str(gap) for gap in gaps], rule_violations(live, since=since, until=until)


def test_the_demo_holds_in_every_minute_by_an_independent_evaluator() -> None:
    gaps, broken = judged(
        DEMO,
        since=datetime(2026, 8, 9, 22, tzinfo=UTC),
        until=datetime(2027, 6, 21, 12, tzinfo=UTC),
    )
    assert gaps == []
    assert broken == []


def test_the_committed_plan_of_the_demo_is_current() -> None:
    season = read_season(DEMO)
    plan = read_plan(DEMO.with_name("demo.plan.json"))
    assert check_plan(plan, season, bounds={}, now=AUGUST) == []
    assert plan.to_json() == build_plan(season).to_json()
    assert len(plan.targets["web"].actions) <= 125


def test_equal_inputs_give_equal_bytes_in_another_process() -> None:
    program = (
        "from pathlib import Path; from infra.season.plan import *;"
        f"print(build_plan(read_season(Path({str(DEMO)!r}))).to_json(), end='')"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "TZ": zone},
            capture_output=True,
            check=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    ]
    assert printed[0] == printed[1]


def test_a_plan_edited_by_hand_is_refused(small: Season, write: Write, tmp_path: Path) -> None:
    text = build_plan(read_season(write(small))).to_json()
    path = tmp_path / "small.plan.json"
    path.write_text(text)
    assert read_plan(path).to_json() == text
    plan = json.loads(text)
    plan["targets"]["web"]["actions"][0]["MinSize"] -= 1
    path.write_text(json.dumps(plan))
    with pytest.raises(InputError, match="the plan was edited by hand") as caught:
        read_plan(path)
    assert caught.value.exit_code == 2
    assert "firstbell season plan" in str(caught.value.fix)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1}', '{"schema": 99}', "\x00"])
def test_a_file_that_is_no_plan_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "small.plan.json"
    path.write_text(text)
    with pytest.raises(InputError):
        read_plan(path)


def test_a_missing_plan_is_refused_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_plan(tmp_path / "small.plan.json")
    assert "firstbell season plan" in str(caught.value.fix)


def test_a_plan_is_stale_when_the_season_or_the_stack_has_changed(
    small: Season, write: Write
) -> None:
    del small["capacity"]["web"]["min"]
    season = read_season(write(small))
    plan = build_plan(season, bounds={"web": Bounds(2, 60)})
    assert check_plan(plan, season, bounds={"web": Bounds(2, 60)}, now=AUGUST) == []
    with pytest.raises(InputError, match="is stale"):
        check_plan(plan, season, bounds={"web": Bounds(1, 60)}, now=AUGUST)
    small["demand"]["bursts"][0]["logins"] = 10_001
    with pytest.raises(InputError, match="is stale"):
        check_plan(plan, read_season(write(small)), bounds={"web": Bounds(2, 60)}, now=AUGUST)


def test_a_stack_wider_than_the_season_leaves_the_plan_as_it_is(
    small: Season, write: Write
) -> None:
    season = read_season(write(small))
    plan = build_plan(season)
    assert check_plan(plan, season, bounds={"web": Bounds(1, 90)}, now=AUGUST) == []
    with pytest.raises(Problems):
        check_plan(plan, season, bounds={"web": Bounds(1, 59)}, now=AUGUST)


def test_a_changed_calendar_file_makes_the_plan_stale(
    small: Season, write: Write, tmp_path: Path
) -> None:
    small["markets"][0]["calendars"] = ["sweden.ics"]
    calendar = tmp_path / "sweden.ics"
    calendar.write_text("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//x//EN\r\nEND:VCALENDAR\r\n")
    season = read_season(write(small))
    plan = build_plan(season)
    calendar.write_text(calendar.read_text() + "\r\n")
    with pytest.raises(InputError, match="is stale"):
        check_plan(plan, season, bounds={}, now=AUGUST)


def test_the_end_of_a_plan_warns_and_then_refuses(small: Season, write: Write) -> None:
    season = read_season(write(small))
    plan = build_plan(season)

    def check(day: date) -> list[str]:
        return check_plan(
            plan, season, bounds={}, now=datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        )

    assert check(date(2026, 8, 1)) == []
    assert check(date(2026, 9, 20)) == ["the plan of season small ends in 0 days, on 2026-09-20"]
    with pytest.raises(InputError, match="ended on 2026-09-20"):
        check(date(2026, 9, 21))


def test_the_season_needs_no_pulumi_boto3_or_click() -> None:
    program = (
        "import importlib, pkgutil, sys, infra.season as season\n"
        "for module in pkgutil.iter_modules(season.__path__):\n"
        "    importlib.import_module('infra.season.' + module.name)\n"
        "sys.exit(bool({'pulumi', 'boto3', 'botocore', 'click', 'moto'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
