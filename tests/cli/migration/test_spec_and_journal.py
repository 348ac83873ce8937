"""The migration file's errors, the journal's promises, and what the package may import."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from cli.migration import durations, spec
from cli.migration.journal import Journal
from infra import paths
from infra.errors import InputError, Problems

GOOD = """
version: 1
source: {dsn: "env:A", peer_dsn: "env:A"}
target: {dsn: "file:/b", peer_dsn: "secret:arn"}
application: {kind: moodle, source: {stop: ["systemctl stop cron"]}, target: {stop: [["a", "b c"]]}}
switch: {to_target: [], to_source: []}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "school.yaml"


def test_commands_are_split_without_a_shell_and_defaults_are_safe(file: Path) -> None:
    file.write_text(GOOD)
    read = spec.load(file)
    assert read.application.source.stop == [["systemctl", "stop", "cron"]]
    assert read.application.target.stop == [["a", "b c"]]
    assert read.window == timedelta(hours=3)


def test_all_errors_of_a_file_are_reported_together_each_with_its_key(file: Path) -> None:
    file.write_text(
        GOOD.replace('"env:A", peer_dsn', '"postgresql://ME:HUNTER@h/d", peer_dsn')
        .replace("kind: moodle", "kind: moddle")
        .replace("switch:", "windw: 3h\nwindow: long\nswitch:")
    )
    with pytest.raises(Problems) as caught:
        spec.load(file)
    text = str(caught.value)
    assert "source.dsn: names no secret: write env:NAME" in text
    assert "application.kind: Input should be 'moodle'" in text
    assert "windw: unknown key (did you mean window?)" in text
    assert "window: 'long' is not a duration" in text
    assert "HUNTER" not in text


def test_two_trees_of_files_are_told_apart_by_name_and_place(file: Path) -> None:
    for one, other, wrong in (
        ("a, source: /a, target: /t/a", "a, source: /b, target: /t/b", "two trees are called a"),
        ("a, source: /a, target: /t/a", "b, source: /b, target: /t/a", "go to one place, /t/a/"),
        ("a, source: /a, target: /t/b/c", "b, source: /b, target: /t/b", "go to one place, /t/b/"),
        (
            "a, source: /a, target: {bucket: lms}",
            "b, source: /b, target: {bucket: lms, prefix: x}",
            "go to one place, s3://lms/",
        ),
    ):
        file.write_text(f"{GOOD}\nfiles: [{{name: {one}}}, {{name: {other}}}]")
        with pytest.raises(Problems, match=wrong):
            spec.load(file)
    file.write_text(f"{GOOD}\nfiles: [{{name: a, source: /a, target: /t/a}}, "
                    "{name: b, source: /b, target: /t/ab}]")  # fmt: skip
    assert len(spec.load(file).files) == 2


def test_stand_ins_of_a_rehearsal_come_with_what_takes_them_back(file: Path) -> None:
    places = '\nrehearsal: {dsn: "env:R", peer_dsn: "env:R", '
    for stand_ins, wrong in (
        ("stop: [a]}", "rehearsal: stop and start belong together"),
        ("switch: {to_target: [a]}}", "rehearsal.switch: to_target and to_source belong together"),
        ("switch: [a]}", "rehearsal.switch: "),
    ):
        file.write_text(GOOD + places + stand_ins)
        with pytest.raises(Problems, match=wrong):
            spec.load(file)
    file.write_text(GOOD + places + "stop: [a], start: [b]}")
    assert spec.load(file).rehearsal is not None


@pytest.mark.parametrize(
    ("text", "wrong"), [("", "the file is empty"), ("- a", "the file holds no keys")]
)
def test_a_file_without_keys_is_refused_with_the_command_that_writes_one(
    file: Path, text: str, wrong: str
) -> None:
    file.write_text(text)
    with pytest.raises(InputError, match=wrong) as caught:
        spec.load(file)
    assert "firstbell migrate init" in str(caught.value.fix)


@pytest.mark.parametrize("name", ["School", "1st", "a" * 32, "school-r", "sch ool"])
def test_a_name_that_cannot_name_slots_and_roles_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot name a migration"):
        spec.load(tmp_path / f"{name}.yaml")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3h", 10800), ("90m", 5400), ("1h30m", 5400), ("2.5s", 2.5), ("1d", 86400)],
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert durations.parse_duration(text).total_seconds() == seconds


def test_a_journal_keeps_intent_effect_and_where_it_stands(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "journal.db", "school")
    journal.intent("step", tables=3)
    journal.done("step", seen=["a"])
    journal.go("copy", reason="x")
    journal.close()
    again = Journal.open(tmp_path / "journal.db", "school")
    assert [(e.n, e.state, e.step, e.phase) for e in again.events()] == [
        (1, "preflight", "step", "intent"),
        (2, "preflight", "step", "done"),
        (3, "preflight", "copy", "enter"),
    ]
    assert again.current.state == "copy"
    again.close()


def test_a_journal_is_synced_on_every_write_and_for_the_owners_eyes(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    journal = Journal.create(folder / "journal.db", "school")
    modes = journal._db.execute("PRAGMA synchronous").fetchone()  # pyright: ignore[reportPrivateUsage] (the promise itself)
    assert modes == (2,)
    assert folder.stat().st_mode & 0o077 == 0
    journal.close()


@pytest.mark.parametrize("module", ["runner", "orders", "states", "rehearsal", "runbook", "demo"])
def test_the_package_needs_no_click(module: str) -> None:
    code = (
        f"import sys, cli.migration.{module}\n"
        "sys.exit('click' in sys.modules or 'pulumi' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, cwd=paths.PROJECT_ROOT, env=dict(os.environ)
    )
    assert ended.returncode == 0
