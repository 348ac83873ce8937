"""The demo: the main job, the same on every date, and nothing left in the work tree."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.localcloud import server
from infra.paths import PROJECT_ROOT
from tests.e2e.conftest import Firstbell
from tests.e2e.test_stack_life import live_actions
from tests.evaluator import evaluate, rule_violations

DOCUMENT = (PROJECT_ROOT / "docs" / "stacks" / "demo.md").read_text()
SEASON = PROJECT_ROOT / "stacks" / "seasons" / "demo.yaml"
# Every Python process of the run takes it to be 2030; gRPC alone goes on by the machine's clock,
# since its C core does.
ANOTHER_YEAR = """
import freezegun
freezegun.freeze_time("2030-07-01 12:00", tick=True, ignore=["grpc"]).start()
"""


@pytest.fixture
def demo(home: Path, tmp_path: Path) -> Generator[Firstbell]:
    """The committed stacks, a home of its own, and a system clock that says 2030."""
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(ANOTHER_YEAR)
    environment = {"PYTHONPATH": str(tmp_path / "clock")}
    yield Firstbell(PROJECT_ROOT / "stacks", home, environment, checkpoints=True)
    server.stop()


def changed_files() -> str:
    return subprocess.run(
        ["git", "status", "--porcelain", "stacks", "Pulumi.yaml"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def rows(output: str, pattern: str) -> list[tuple[str, ...]]:
    return [match.groups() for match in re.finditer(pattern, output, re.MULTILINE)]


def test_the_demo_is_the_same_in_2030_and_leaves_the_work_tree_alone(demo: Firstbell) -> None:
    before = changed_files()
    first, *shown, last = re.findall(r"^firstbell (.*)$", DOCUMENT, re.MULTILINE)
    said = demo(*first.split()).stdout
    assert changed_files() == before

    # What was broken behind its back is named, property by property, and gone after `up`.
    drifted = rows(said, r"^(demo-web\S*)\t(the resource|minSize)\t(\S+)\t(\S+)$")
    assert [property for _, property, _, _ in drifted].count("the resource") == 1
    assert [(expected, found) for name, _, expected, found in drifted if name == "demo-web"] == [
        ("2", "0")
    ]
    assert len(drifted) == 3
    assert said.count("No drift: the cloud is as demo left it.") == 1

    # The grading Monday: in service is what is required, at the bell and at night.
    readings = rows(said, r"^Mon (\d\d:\d\d)\t(web|database)\t(\d+)\t(\d+)\t(\d+)$")
    assert [time for time, *_ in readings] == [
        time for time in ("07:00", "07:55", "09:30", "20:00") for _ in range(2)
    ]
    assert all(int(in_service) >= int(required) for *_, in_service, required in readings)
    at_half_past_nine = {target: int(floor) for _, target, floor, *_ in readings[4:6]}
    assert at_half_past_nine["web"] >= 20

    # It is still up, at the demo's own time, and the second evaluator finds no gap from there on.
    status = demo.json("status", "-s", "demo")
    assert status["now"] == "2026-12-07T19:00:00+00:00"
    live = live_actions(demo)
    since = datetime(2026, 12, 7, 19, tzinfo=UTC)
    initial = {entry["target"]: entry["scheduled_floor"] for entry in status["targets"]}
    assert evaluate(SEASON, live, since=since, initial=initial) == []
    until = datetime(2027, 6, 21, tzinfo=UTC)
    assert rule_violations(live, since=since, until=until) == []

    # As its document goes on.
    assert [command.split()[:2] for command in shown] == [
        ["season", "show"],
        ["status", "-s"],
        ["season", "verify"],
        ["season", "calendar"],
    ]
    for command in shown:
        demo(*command.split())
    demo(*last.split())
    assert live_actions(demo) == {"web": [], "database": []}


def test_every_minute_of_the_year_holds_by_the_actions_that_are_live_in_august(
    home: Path,
) -> None:
    """The whole horizon, replayed from what AWS would return, by an evaluator of its own."""
    firstbell = Firstbell(PROJECT_ROOT / "stacks", home)
    try:
        firstbell("local", "start", "--at", "2026-08-01T00:00Z")
        firstbell("up", "-s", "demo")
        live = live_actions(firstbell)
    finally:
        server.stop()
    since = datetime(2026, 8, 1, tzinfo=UTC)
    initial = {"web": 2, "database": 1}
    assert evaluate(SEASON, live, since=since, initial=initial) == []
    busiest = max(live["web"], key=lambda action: (action["MinSize"], str(action["StartTime"])))
    index = live["web"].index(busiest)
    for broken in (
        [*live["web"][:index], *live["web"][index + 1 :]],
        [
            *live["web"][:index],
            busiest | {"MinSize": busiest["MinSize"] - 1},
            *live["web"][index + 1 :],
        ],
        [
            *live["web"][:index],
            busiest | {"Recurrence": _an_hour_later(busiest["Recurrence"])},
            *live["web"][index + 1 :],
        ],
    ):
        changed = {**live, "web": broken}
        assert evaluate(SEASON, changed, since=since, initial=initial) != []


def _an_hour_later(recurrence: str) -> str:
    minute, hour, rest = recurrence.split(" ", 2)
    return f"{minute} {int(hour) + 1} {rest}"


def test_the_environment_for_plain_tools_reaches_the_local_cloud_only(home: Path) -> None:
    firstbell = Firstbell(PROJECT_ROOT / "stacks", home)
    try:
        exports = firstbell("local", "env", "-s", "demo").stdout
        shown = subprocess.run(
            ["sh", "-c", f"{exports}\nenv"],
            env={"PATH": os.environ["PATH"], "AWS_PROFILE": "production"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    finally:
        server.stop()
    assert re.search(r"^AWS_ENDPOINT_URL=http://127\.0\.0\.1:\d+$", shown, re.MULTILINE)
    assert "AWS_PROFILE=production" not in shown
