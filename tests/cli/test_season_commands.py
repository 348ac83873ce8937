"""The verbs of `season`, as their users run them."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import main
from infra.season.plan import read_plan
from tests.e2e.conftest import SEASON


@dataclass
class Season:
    """A season file of its own, and the command line in this process."""

    path: Path
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    def __call__(self, verb: str, *arguments: str, code: int = 0) -> str:
        """Run a verb on the season; returns standard output, or standard error of a failure."""
        line = ["firstbell", "season", verb, "--season", str(self.path), *arguments]
        return self.run(*line[1:], code=code)

    def run(self, *arguments: str, code: int = 0) -> str:
        self.monkeypatch.setattr(sys, "argv", ["firstbell", *arguments])
        self.capsys.readouterr()
        ended = main.run()
        out, err = self.capsys.readouterr()
        assert ended == code, f"{out[-2000:]}\n{err[-2000:]}"
        assert "Traceback" not in err
        return err if code else out

    def json(self, verb: str, *arguments: str) -> dict[str, Any]:
        return json.loads(self(verb, *arguments, "--json"))

    def change(self, change: Callable[[dict[str, Any]], None]) -> None:
        data = yaml.safe_load(self.path.read_text())
        change(data)
        self.path.write_text(yaml.safe_dump(data))

    @property
    def plan_path(self) -> Path:
        return self.path.with_suffix(".plan.json")


@pytest.fixture
def season(
    tmp_path: Path,
    stacks: Path,
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Season:
    """Two school weeks and a weekend of a small season, planned without a stack."""
    del stacks, home
    path = tmp_path / "autumn.yaml"
    path.write_text(SEASON)
    monkeypatch.setenv("FIRSTBELL_NOW", "2026-08-01T00:00Z")
    found = Season(path, capsys, monkeypatch)

    def shorter(data: dict[str, Any]) -> None:
        data["horizon"] = {"from": "2026-11-23", "to": "2026-12-13"}
        data["capacity"]["web"] |= {"min": 2, "max": 60}
        data["capacity"]["database"] |= {"min": 1, "max": 8}

    found.change(shorter)
    return found


def test_a_season_file_that_is_not_there_is_named_with_what_to_do(season: Season) -> None:
    said = season.run("season", "plan", "--season", "winter.yaml", code=2)
    assert "winter.yaml does not exist" in said
    assert "write it, or correct the name" in said


# --- calendar -------------------------------------------------------------------------------------


def test_the_calendar_names_kind_and_rule_of_each_day(season: Season) -> None:
    days = season.json("calendar", "--from", "2026-12-05", "--to", "2026-12-07")["markets"]
    assert days == {
        "sweden": [
            {
                "date": "2026-12-05",
                "kind": "weekend",
                "without_period": "weekend",
                "factor": None,
                "rule": "weekend",
            },
            {
                "date": "2026-12-06",
                "kind": "weekend",
                "without_period": "weekend",
                "factor": None,
                "rule": "weekend",
            },
            {
                "date": "2026-12-07",
                "kind": "grading",
                "without_period": "school",
                "factor": 2.0,
                "rule": "period grades",
            },
        ]
    }


def test_the_calendar_covers_the_horizon_unless_told(season: Season) -> None:
    text = season("calendar")
    lines = text.splitlines()
    assert lines[2].split() == ["Mon", "2026-11-23", "school", "term", "autumn"]
    assert len(lines) == 2 + 21


def test_the_calendar_refuses_an_unknown_market_and_days_in_the_wrong_order(season: Season) -> None:
    assert "did you mean sweden?" in season("calendar", "--market", "swedn", code=2)
    wrong = season("calendar", "--from", "2026-12-05", "--to", "2026-12-04", code=2)
    assert "--to: 2026-12-04 lies before 2026-12-05" in wrong


# --- plan -----------------------------------------------------------------------------------------


def test_a_plan_hands_over_to_the_next_and_planning_again_changes_nothing(season: Season) -> None:
    season("plan", "--to", "2026-12-02")
    first = read_plan(season.plan_path)
    season.monkeypatch.setenv("FIRSTBELL_NOW", "2026-12-01T12:00Z")
    text = season("plan", "--from", "2026-12-03")
    second = read_plan(season.plan_path)
    assert second.covers_from == first.covers_to + timedelta(days=1) == date(2026, 12, 3)
    carried = second.targets["web"].carried
    assert carried > 0
    assert f"web: {carried} actions of the earlier plan stay" in text
    assert all(
        action in first.targets["web"].actions for action in second.targets["web"].actions[:carried]
    )
    assert "unchanged:" in season("plan", "--from", "2026-12-03")


def test_a_plan_printed_as_json_reads_no_old_plan_and_writes_nothing(season: Season) -> None:
    season("plan", "--to", "2026-12-02")
    before = season.plan_path.read_bytes()
    printed = season.json("plan", "--from", "2026-12-03")
    assert printed["targets"]["web"]["carried"] == 0
    assert season.plan_path.read_bytes() == before


def test_a_plan_does_not_hand_over_from_one_that_was_edited(season: Season) -> None:
    season("plan", "--to", "2026-12-02")
    edited = season.plan_path.read_text().replace('"MinSize": ', '"MinSize": 1', 1)
    season.plan_path.write_text(edited)
    told = season("plan", "--from", "2026-12-03", code=2)
    assert "edited by hand" in told
    assert "restore it from git" in told
    assert season.plan_path.read_text() == edited


def test_strict_refuses_a_plan_with_warnings_and_writes_nothing(season: Season) -> None:
    write_history(season.path.parent / "load.csv", days=14)

    def learnt(data: dict[str, Any]) -> None:
        data["markets"][0]["terms"] = [{"from": "2026-08-17", "to": "2026-12-18"}]
        data["demand"] = {"history": [{"file": "load.csv", "market": "sweden"}]}

    season.change(learnt)
    told = season("plan", "--strict", code=2)
    assert "borrowed from" in told
    assert not season.plan_path.exists()
    season("plan")
    assert season.plan_path.exists()


def test_strict_lets_a_plan_without_warnings_pass(season: Season) -> None:
    season("plan", "--strict")
    assert season.plan_path.exists()


def write_history(path: Path, *, days: int, first: date = date(2026, 8, 31)) -> None:
    """Fifteen-minute load of school days: 10 requests/s at night, 200 from 08:00 to 16:00 UTC."""
    rows = ["timestamp,requests_per_second"]
    for number in range(days):
        day = first + timedelta(days=number)
        for quarter in range(96):
            busy = 32 <= quarter < 64 and day.weekday() < 5
            rows.append(f"{day}T{quarter // 4:02}:{quarter % 4 * 15:02}:00Z,{200 if busy else 10}")
    path.write_text("\n".join(rows) + "\n")


# --- learn ----------------------------------------------------------------------------------------


def write_log(path: Path, *, days: int) -> None:
    """An nginx log: a page each quarter of an hour, a login and a picture at 08:00; UTC+2."""
    lines: list[str] = []
    for number in range(days):
        day = date(2026, 8, 31) + timedelta(days=number)
        for quarter in range(96):
            stamp = f"{day:%d/%b/%Y}:{quarter // 4:02}:{quarter % 4 * 15:02}:07 +0200"
            wanted = ["GET /course/view.php?id=3"]
            if quarter == 32:
                wanted += ["POST /login/index.php", "GET /theme/logo.png"]
            lines += [
                f'192.0.2.7 - - [{stamp}] "{request} HTTP/1.1" 200 512 "-" "Mozilla/5.0"'
                for request in wanted
            ]
    path.write_text("\n".join(lines) + "\n")


def test_logs_become_a_history_that_a_season_can_learn_from(season: Season, tmp_path: Path) -> None:
    log, output = tmp_path / "access.log", tmp_path / "load.csv"
    write_log(log, days=14)
    with log.open("a") as stream:
        stream.write("what is this\n")
    text = season.run("season", "learn", str(log), "--output", str(output))
    assert f"malformed: {log}:1373: what is this" in text
    rows = output.read_text().splitlines()
    assert rows[0] == (
        "timestamp,requests_per_second,dynamic_requests_per_second,static_requests_per_second,"
        "login_requests_per_second"
    )
    bell = next(row for row in rows if row.startswith("2026-08-31T06:00:00Z"))
    assert bell.split(",")[1:] == ["0.05", "0.0166667", "0.0166667", "0.0166667"]

    def learnt(data: dict[str, Any]) -> None:
        data["demand"] = {"history": [{"file": "load.csv", "market": "sweden"}]}

    season.change(learnt)
    found = season.json("learn")["histories"][0]
    assert found["market"] == "sweden"
    assert found["growth"] is None
    school = next(kind for kind in found["kinds"] if kind["kind"] == "school/mon")
    assert school == {
        "kind": "school/mon",
        "days": 10,
        "borrowed_from": "school",
        "peak_requests_per_second": 0.05,
        "peak_minute": 8 * 60 - 4,  # few days: widened by 4 minutes
    }
    listed = season("learn")
    assert "school/mon" in listed
    assert "growth over the year before: not known" in listed


def test_learning_reports_lines_and_malformed_ones_as_json(season: Season, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    write_log(log, days=8)
    output = tmp_path / "load.csv.gz"
    report = json.loads(season.run("season", "learn", str(log), "--output", str(output), "--json"))
    assert report["kind"] == "season-learn"
    assert report["files"] == [
        {
            "file": str(log),
            "format": "nginx or Apache",
            "lines": 784,
            "malformed": 0,
            "samples": [],
        }
    ]
    assert output.read_bytes()[:2] == b"\x1f\x8b"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is empty"),
        ("a,b,c\n1,2,3\n", "is no access log that firstbell knows"),
        ("timestamp,requests_per_second\n2026-08-31T00:00:00,1\n", "has no time zone"),
        ("timestamp,requests_per_second\n2026-08-31T00:00:00Z,-1\n", "is -1"),
    ],
)
def test_what_is_no_log_is_refused_and_nothing_is_written(
    season: Season, tmp_path: Path, content: str, told: str
) -> None:
    wrong, output = tmp_path / "wrong.log", tmp_path / "load.csv"
    wrong.write_text(content)
    output.write_text("precious")
    assert told in season.run("season", "learn", str(wrong), "--output", str(output), code=2)
    assert output.read_text() == "precious"


def test_a_short_log_a_wrong_pattern_and_a_missing_folder_are_refused(
    season: Season, tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    write_log(log, days=3)
    to = ("--output", str(tmp_path / "load.csv"))
    assert "shorter history than a week" in season.run("season", "learn", str(log), *to, code=2)
    assert "is no regular expression" in season.run(
        "season", "learn", str(log), *to, "--login", "(", code=2
    )
    nowhere = ("--output", str(tmp_path / "missing" / "load.csv"))
    assert "does not exist" in season.run("season", "learn", str(log), *nowhere, code=2)
    assert "it is not said where" in season.run("season", "learn", str(log), code=2)


# --- report ---------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Tags, the attributes that could fetch something, and what a reader reads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """`<path/>` opens nothing."""
        del attrs
        self.tags.append(tag)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag != "meta":
            self.open.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "xlink")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_report_is_one_file_without_script_and_network(season: Season, tmp_path: Path) -> None:
    season("plan")
    output = tmp_path / "report.html"
    found = season.json("report", "--output", str(output))
    text = output.read_text()
    page = Page(text)
    assert not page.open
    assert "script" not in page.tags
    assert page.fetched == []
    assert "@import" not in text
    assert "url(" not in text
    words = " ".join(" ".join(page.words).split())
    assert "Season autumn" in words
    assert "December 2026" in words
    for way in found["targets"][0]["ways"]:
        assert f"{way['instance_hours']:,.0f}" in words
    assert len(found["riskiest_days"]) == 5
    season("report", "--output", str(output))
    assert output.read_text() == text


def test_names_in_the_report_are_escaped(season: Season, tmp_path: Path) -> None:
    def named(data: dict[str, Any]) -> None:
        data["demand"]["bursts"][0]["name"] = "<b onclick=x>bell</b>"

    season.change(named)
    season("plan")
    season("report", "--output", str(tmp_path / "report.html"))
    assert "<b onclick" not in (tmp_path / "report.html").read_text()


def test_a_report_needs_a_plan_that_belongs_to_the_season(season: Season, tmp_path: Path) -> None:
    output = tmp_path / "report.html"
    assert "there is no plan" in season("report", "--output", str(output), code=2)
    season("plan")
    season.change(lambda data: data["demand"].update(growth=1.3))
    assert "is stale" in season("report", "--output", str(output), code=2)
    assert not output.exists()


def test_a_report_that_cannot_be_written_is_bad_input(season: Season, tmp_path: Path) -> None:
    season("plan")
    nowhere = str(tmp_path / "missing" / "report.html")
    assert "cannot be written" in season("report", "--output", nowhere, code=2)


# --- stagger, what-if, diff, export ---------------------------------------------------------------


def test_staggering_lowers_the_peak_and_gives_every_school_a_slot(
    season: Season, tmp_path: Path
) -> None:
    schools = tmp_path / "schools.csv"
    schools.write_text(
        "name,pupils,market,bell\nNorth,900,sweden,08:10\nSouth,600,sweden,08:10\n"
        "East,500,sweden,08:10\n"
    )
    found = season.json("stagger", "--over", "40", "--schools", str(schools))
    web = {item["minutes"]: item for item in found["spreads"] if item["target"] == "web"}
    assert web[40]["peak"] < web[None]["peak"]
    assert {slot["school"] for slot in found["slots"]} == {"North", "South", "East"}
    assert found["busiest_slot_pupils"] == 900
    text = season("stagger", "--over", "40", "--schools", str(schools))
    assert "at most 900 pupils" in text


def test_wrong_schools_are_named_line_by_line(season: Season, tmp_path: Path) -> None:
    schools = tmp_path / "schools.csv"
    schools.write_text("name,pupils,market,bell\nNorth,many,sweden,08:10\nSouth,5,norway,8.10\n")
    told = season("stagger", "--schools", str(schools), code=2)
    assert "line 2" in told
    assert "line 3" in told


def test_what_if_says_what_breaks_first(season: Season) -> None:
    found = season.json("what-if", "--factor", "4")
    first = found["limits"][0]
    assert first["broken"]
    assert first["needed"] > first["limit"]
    assert first["breaks_at"] < 4
    assert "breaks" in season("what-if", "--factor", "4")
    calm = season.json("what-if", "--factor", "0.5")
    assert not any(limit["broken"] for limit in calm["limits"])
    season("what-if", "--factor", "-1", code=2)


def test_a_break_more_shows_as_actions_and_hours_in_the_diff(
    season: Season, tmp_path: Path
) -> None:
    old = tmp_path / "old.yaml"
    old.write_text(season.path.read_text())

    def longer(data: dict[str, Any]) -> None:
        data["markets"][0]["breaks"] = [{"from": "2026-11-30", "to": "2026-12-02"}]

    season.change(longer)
    season("plan")
    found = json.loads(season.run("season", "diff", str(old), str(season.plan_path), "--json"))
    web = next(item for item in found["targets"] if item["target"] == "web")
    assert found["changed"]
    assert web["added"]
    assert web["instance_hours"]["after"] < web["instance_hours"]["before"]
    text = season.run("season", "diff", str(old), str(season.plan_path))
    assert f"+ web: {web['added'][0]['Recurrence']}" in text
    same = json.loads(
        season.run("season", "diff", str(season.path), str(season.plan_path), "--json")
    )
    assert not same["changed"]
    assert "there is no such file" in season.run(
        "season", "diff", str(tmp_path / "none.yaml"), str(season.path), code=2
    )


def test_each_form_of_the_export_carries_the_same_actions(season: Season) -> None:
    season("plan")
    ahead = len(read_plan(season.plan_path).targets["web"].actions)
    calls = json.loads(season("export", "--group", "lms-web"))
    assert len(calls) == ahead
    assert {call["AutoScalingGroupName"] for call in calls} == {"lms-web"}
    lines = season("export", "--group", "lms-web", "--format", "cli").splitlines()
    assert [json.loads(shlex.split(line)[-1]) for line in lines] == calls
    hcl = season("export", "--group", "lms-web", "--format", "terraform")
    assert hcl.count('resource "aws_autoscaling_schedule"') == ahead
    assert season.json("export", "--group", "lms-web")["target"] == "web"


def test_an_export_without_a_plan_of_an_unknown_target_or_of_the_past_is_refused(
    season: Season,
) -> None:
    assert "there is no plan" in season("export", "--group", "g", code=2)
    season("plan")
    assert "did you mean web?" in season("export", "--group", "g", "--target", "wbe", code=2)
    season.monkeypatch.setenv("FIRSTBELL_NOW", "2027-08-01T00:00Z")
    assert "ended on 2026-12-13" in season("export", "--group", "g", code=2)


# --- simulate, backtest ---------------------------------------------------------------------------


def test_the_simulation_sets_the_plan_beside_the_others(season: Season, tmp_path: Path) -> None:
    season("plan")
    found = season.json("simulate", "--chart", str(tmp_path / "day.svg"))
    rows = {row["name"]: row for row in found["targets"][0]["rows"]}
    assert len(rows) == 6
    assert rows["firstbell"]["violation_minutes"] == 0
    assert rows["target tracking alone"]["violation_minutes"] > 0
    assert found["charts"] == [str(tmp_path / f"day-{name}.svg") for name in ("database", "web")]
    for path in found["charts"]:
        assert Path(path).read_text().startswith("<svg ")
    worse = season.json("simulate", "--factor", "3")
    assert worse["targets"][0]["rows"][0]["violation_minutes"] > 0
    assert "firstbell" in season("simulate")
    season.change(lambda data: data["demand"].update(growth=1.3))
    assert "is stale" in season("simulate", code=2)


def test_a_plan_of_one_day_is_simulated_and_reported(season: Season, tmp_path: Path) -> None:
    season("plan", "--from", "2026-12-07", "--to", "2026-12-07")
    found = season.json("simulate")
    assert {row["name"]: row for row in found["targets"][1]["rows"]}["firstbell"][
        "violation_minutes"
    ] == 0
    season("report", "--output", str(tmp_path / "report.html"))
    assert "December 2026" in (tmp_path / "report.html").read_text()


def test_the_backtest_learns_before_and_judges_after(season: Season, tmp_path: Path) -> None:
    write_history(tmp_path / "load.csv", days=42)

    def learnt(data: dict[str, Any]) -> None:
        data["demand"] = {"history": [{"file": "load.csv", "market": "sweden"}]}
        data["markets"][0]["breaks"] = []

    season.change(learnt)
    days = ("--from", "2026-09-28", "--to", "2026-10-04")
    found = season.json("backtest", *days)
    assert found["learnt_to"] == "2026-09-27"
    assert found["judged"] == {"from": "2026-09-28", "to": "2026-10-04"}
    assert found["targets"][0]["rows"][0]["violation_minutes"] == 0
    given = season.json("backtest", *days, "--demand", f"sweden={tmp_path / 'load.csv'}")
    assert given["targets"] == found["targets"]
    assert "learnt to 2026-09-27" in season("backtest", *days)


def test_a_backtest_without_days_history_or_market_is_refused(
    season: Season, tmp_path: Path
) -> None:
    days = ("--from", "2026-09-28", "--to", "2026-10-04")
    assert "which days are judged" in season("backtest", code=2)
    assert "no history to learn from" in season("backtest", *days, code=2)
    write_history(tmp_path / "load.csv", days=42)
    told = season("backtest", *days, "--demand", f"norway={tmp_path / 'load.csv'}", code=2)
    assert "there is no market 'norway'" in told
    season("plan")
    assert "end it in .svg" in season("simulate", "--chart", str(tmp_path / "day.png"), code=2)
    twice = ("--demand", "a.csv", "--demand", "b.csv")
    assert "is given twice" in season("simulate", *twice, code=2)


# --- show -----------------------------------------------------------------------------------------


def test_year_and_week_fit_80_columns_and_need_no_colour(season: Season) -> None:
    def four_more(data: dict[str, Any]) -> None:
        data["markets"] += [data["markets"][0] | {"name": f"another market {n}"} for n in range(4)]
        for target in data["capacity"].values():
            target["max"] = 500 if target["kind"] == "autoscaling-group" else 15

    season.change(four_more)
    season("plan")
    for text in (season("show"), season("show", "--week", "2026-12-07")):
        assert "\x1b" not in text
        assert max(len(line) for line in text.splitlines()) <= 80
    assert "lies outside the plan" in season("show", "--week", "2027-12-07", code=2)


def test_the_week_shows_no_workers_within_core_hours(season: Season) -> None:
    """The hour that daylight saving skips is filled from the one before; a floor of 0 is not."""

    def imports(data: dict[str, Any]) -> None:
        data["markets"][0]["core_hours"] = {"from": "07:30", "to": "16:00"}
        data["capacity"]["imports"] = {
            "kind": "worker-hours", "units": 4, "core_units": 0, "min": 0, "max": 4, "boot": "4m",
        }  # fmt: skip

    season.change(imports)
    season("plan")
    shown = season.json("show", "--week", "2026-12-07")["floors_by_minute"]["imports"]
    monday, saturday = shown["2026-12-07"], shown["2026-12-12"]
    assert (set(monday[: 7 * 60]), set(monday[7 * 60 + 30 : 16 * 60])) == ({4}, {0})
    assert set(saturday) == {4}
