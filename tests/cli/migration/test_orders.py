"""The command line on real servers: what it refuses, what a detached runner does by itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.migration import locks, orders, runner
from cli.migration.journal import Journal, root
from cli.migration.phases import (
    LATE,
)
from cli.migration.postgres import RunnerLock
from cli.migration.proof.scene import DATABASE, Scene, SceneOf
from cli.migration.spec import NOBODY
from infra import paths
from infra.errors import InputError
from tests.cli.migration.conftest import Outcome, begin, closing, order, postgres, rehearsed

Firstbell = Callable[..., Outcome]


def refused(outcome: Outcome, *texts: str) -> None:
    """A clear error with a way on, exit code 2, no traceback."""
    assert outcome.code == 2, outcome.err
    assert "Traceback" not in outcome.err
    for text in texts:
        assert text in outcome.err


def change(scene: SceneOf[Any], **changes: object) -> None:
    """Change the migration's file."""
    path = paths.stacks() / "migrations" / f"{scene.name}.yaml"
    document = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(document | changes))


def test_bad_input_before_the_start_is_refused_and_changes_nothing(
    stage: Callable[..., Scene], firstbell: Firstbell, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = stage(16, 18, logs=20_000)
    source, target = os.environ["SCENE_SOURCE"], os.environ["SCENE_TARGET"]

    monkeypatch.setenv("SCENE_SOURCE", source.replace(str(scene.source.port), "1"))
    refused(firstbell("start"), "school.yaml: source.dsn", "does not let us in", "refused")
    monkeypatch.setenv("SCENE_SOURCE", source.replace("adm1n", "wrong"))
    refused(firstbell("start"), "password authentication failed")
    monkeypatch.setenv("SCENE_SOURCE", "no connection string with hunter2")
    wrong = firstbell("start")
    refused(wrong, "no usable connection string")
    assert "hunter2" not in wrong.err + wrong.out
    monkeypatch.delenv("SCENE_SOURCE")
    refused(firstbell("start"), "SCENE_SOURCE is not set")
    monkeypatch.setenv("SCENE_SOURCE", source)

    monkeypatch.setenv("SCENE_TARGET", source.replace("127.0.0.1", "localhost"))
    refused(firstbell("start"), "source and target are the same database")
    monkeypatch.setenv("SCENE_TARGET", target)
    monkeypatch.setenv("SCENE_SOURCE", target)
    monkeypatch.setenv("SCENE_TARGET", source)
    refused(firstbell("start"), "the target is PostgreSQL 16, the source 18", "has tables")
    monkeypatch.setenv("SCENE_SOURCE", source)
    monkeypatch.setenv("SCENE_TARGET", target)

    files = {"name": "data", "source": "/nowhere/at/all", "target": str(scene.folder / "t")}
    change(scene, files=[files])
    refused(firstbell("start"), "/nowhere/at/all is missing or not readable")
    change(
        scene,
        files=[],
        target={"dsn": "env:SCENE_TARGET", "peer_dsn": "env:SCENE_TARGET", "free_space": "1MB"},
    )
    refused(firstbell("start"), "at least 1.3 times")
    scene.write_spec(application={"kind": "generic", "source": {}, "target": {}})
    refused(firstbell("start", "--accept", "collation"), "source.stop is missing")
    scene.write_spec()
    refused(firstbell("status"), "was not started", "firstbell migrate start")
    for what in ("cutover", "verify", "rehearse", "report"):
        refused(firstbell(what), "was not started", "firstbell migrate start")
    refused(firstbell("status", "-m", "schol"), "did you mean school?")

    assert not root(scene.name).joinpath("journal.db").exists()
    with scene.target.connect(DATABASE) as conn:
        found = conn.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'firstbell'")
        assert found.fetchone() == (0,)


def test_bad_orders_are_refused_with_the_next_command(
    stage: Callable[..., Scene], firstbell: Firstbell
) -> None:
    scene = stage(16, 18)
    run = begin(scene)
    journal = root(scene.name) / "journal.db"

    refused(firstbell("start"), "was started before", "firstbell migrate status")
    refused(firstbell("cutover"), "no rehearsal: firstbell migrate rehearse")
    rehearsed(run)
    refused(firstbell("cutover", "--window", "10s"), "window: P90", "of at most")
    refused(firstbell("revert"), "revert is not possible in soak")
    refused(firstbell("commit"), "say the migration's name", "commit --confirm school")
    refused(firstbell("commit", "--confirm", "other"), "'other' is not this migration's name")
    refused(firstbell("commit", "--confirm", scene.name), "commit is not possible in soak")
    refused(firstbell("abort"), "abort is not possible in soak")
    refused(firstbell("cutover", "--window", "soon"), "is not a duration")
    change(scene, gate=[])
    refused(firstbell("cutover", "--dry-run"), "the cutover would not start")
    change(scene, gate=[{"name": "backup restored", "attested": NOBODY}])
    refused(firstbell("cutover"), "backup restored: nobody attests it yet", "dns ttl lowered")
    scene.write_spec(switch={"to_target": ["./no-switch on"], "to_source": ["./no-switch off"]})
    refused(firstbell("cutover"), "programs: not on this runner: ./no-switch (switch.to_target)")
    scene.write_spec()
    assert firstbell("cutover", "--dry-run").code == 0
    assert run.journal.current.state == "soak"

    assert order(run, "cutover") == 0
    refused(firstbell("pause"), "pause is not possible in hold")
    refused(firstbell("abort"), "fix: firstbell migrate revert")
    assert order(run, "commit") == 0
    refused(firstbell("revert"), "there is no way back after commit")
    over = firstbell("status").out
    assert "users can write on the target" in over
    assert "replication" not in over, "nothing replicates any more"

    other = root("other") / "journal.db"
    other.parent.mkdir(parents=True)
    shutil.copy(journal, other)
    shutil.copy(
        paths.stacks() / "migrations" / "school.yaml", paths.stacks() / "migrations" / "other.yaml"
    )
    refused(firstbell("status", "-m", "other"), "this is the journal of migration 'school'")
    with sqlite3.connect(journal) as db:
        db.execute("UPDATE meta SET value = '2' WHERE key = 'format'")
    db.close()
    refused(firstbell("status", "-m", "school"), "a newer firstbell wrote this journal")


def test_a_start_shows_its_runner_at_work_and_a_resume_after_a_pause_what_came_of_it(
    stage: Callable[..., Scene], firstbell: Firstbell
) -> None:
    scene = stage(16, 18)
    shown = firstbell("start")
    assert shown.code == 0
    assert "no runner is alive" not in shown.out
    until(orders.opened(scene.name), "soak")
    assert firstbell("pause").code == 0
    refused(firstbell("cutover"), "replication is paused", "firstbell migrate resume")
    resumed = firstbell("resume")
    assert (resumed.code, "replicating again" in resumed.out) == (0, True)


def test_a_second_runner_is_refused_here_and_on_another_machine(
    stage: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch, firstbell: Firstbell
) -> None:
    scene = stage(16, 18)
    run = begin(scene)
    with locks.file_lock(scene.name):
        ended = subprocess.run(
            [sys.executable, "-c", SECOND, scene.name],
            capture_output=True,
            text=True,
            check=False,
            cwd=paths.PROJECT_ROOT,
        )
    assert ended.returncode == 2
    assert "another runner works on migration school on this machine" in ended.stderr

    lock = RunnerLock(postgres(run).source)
    lock.take()
    second = RunnerLock(postgres(run).source)
    with pytest.raises(InputError, match="another runner works on migration school"):
        second.take(seconds=0.5)
    lock.close()
    second.close()

    # Another machine has the file and the secrets, but not the journal.
    monkeypatch.setenv("FIRSTBELL_HOME", str(scene.folder / "elsewhere"))
    refused(firstbell("start"), "belongs to migration 'school'", "firstbell migrate adopt")


SECOND = """
import sys
from cli.migration import runner
from infra.errors import FirstbellError
runner._LOCK_SECONDS = 0.2
try:
    runner.main([sys.argv[1]])
except FirstbellError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def until(journal: Journal, state: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while journal.current.state != state:
        assert time.monotonic() < deadline, journal.current
        time.sleep(0.05)


def runner_pid(scene: Scene) -> int:
    return int((root(scene.name) / "runner.pid").read_text().split()[0])


def test_a_late_cutover_whose_process_was_killed_is_back_in_time_without_a_keystroke(
    stage: Callable[..., Scene],
) -> None:
    scene = stage(16, 18)
    slow = [[sys.executable, "-c", "import time; time.sleep(300)"]]
    quick = [[sys.executable, "-c", "pass"]]
    change(
        scene,
        application={
            "kind": "generic",
            "source": {"stop": slow, "start": quick},
            "target": {"stop": quick, "start": quick},
        },
    )
    orders.start(scene.name)
    journal = orders.opened(scene.name)
    until(journal, "soak")
    run = closing(runner.build(scene.name, journal))
    rehearsed(run, 1.0)
    started = time.monotonic()
    since = orders.cutover(scene.name, timedelta(seconds=20))
    until(journal, "fence")
    os.kill(runner_pid(scene), signal.SIGKILL)
    code, text = orders.follow(scene.name, since)
    assert code == LATE
    assert "its latest finish" in text
    assert time.monotonic() - started < 20
    assert run.source.open_to_applications()
    assert not run.target.open_to_applications()
    assert journal.current.state == "soak"


def test_runner_and_supervisor_restart_one_another_and_notice_ddl_within_five_seconds(
    stage: Callable[..., Scene], firstbell: Firstbell
) -> None:
    scene = stage(16, 18)
    orders.start(scene.name)
    journal = orders.opened(scene.name)
    until(journal, "soak")
    first = runner_pid(scene)
    folder = root(scene.name)
    guard = int((folder / "supervisor.pid").read_text().split()[0])
    os.kill(guard, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while int((folder / "supervisor.pid").read_text().split()[0]) == guard:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(first, signal.SIGKILL)
    while runner_pid(scene) == first:
        assert time.monotonic() < deadline
        time.sleep(0.1)

    while "drift" not in journal.progress():
        time.sleep(0.1)
    changed = time.time()
    with scene.source.connect(DATABASE) as conn:
        conn.execute("ALTER TABLE moodle.mdl_files ADD COLUMN license text")
    while not any(event.step == "ddl" for event in journal.events()):
        assert time.time() - changed < 5
        time.sleep(0.1)
    alarm = next(event for event in journal.events() if event.step == "ddl")
    heal = str(alarm.data["heal"])
    assert heal == "on the target: ALTER TABLE moodle.mdl_files ADD COLUMN license text;"
    with scene.target.connect(DATABASE) as conn:
        conn.execute(heal.removeprefix("on the target: ").encode())
    deadline = time.monotonic() + 15
    while journal.progress()["drift"][1] != []:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    seen = json.loads(firstbell("status", "--json").out)
    assert seen["first_line"].startswith("users can write on the source · no deadline")
    assert (seen["state"], seen["runner_alive"]) == ("soak", True)


def test_a_lost_journal_is_rebuilt_from_both_databases(
    stage: Callable[..., Scene], firstbell: Firstbell, home: Path
) -> None:
    scene = stage(16, 18)
    run = begin(scene)
    rehearsed(run)
    assert order(run, "cutover") == 0
    run.journal.close()
    shutil.rmtree(root(scene.name))
    assert orders.adopt(scene.name) == "hold"
    code, text = orders.follow(scene.name, orders.revert(scene.name))
    assert (code, text) == (0, "back on the source: ordered")
    journal = orders.opened(scene.name)
    assert journal.current.state == "soak"
    code, _ = orders.follow(scene.name, orders.abort(scene.name, discard=True))
    assert code == 0
    assert journal.current.state == "discarded"
    with scene.target.connect(DATABASE) as conn:
        found = conn.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'moodle'")
        assert found.fetchone() == (0,)
    assert run.source.open_to_applications()
    journal.close()
