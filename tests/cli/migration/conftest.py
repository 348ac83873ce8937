"""Real servers: initialised once a session, copied and started anew for every test."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli import main
from cli.migration import runner, supervisor
from cli.migration.journal import Journal, root
from cli.migration.machine import Run
from cli.migration.postgres_engine import PostgresEngine
from cli.migration.proof.scene import Scene, SceneOf
from cli.migration.proof.servers import PostgresServer, binaries


@pytest.fixture(scope="session")
def templates() -> Iterator[Callable[[int], PostgresServer]]:
    """Initialised and stopped servers by version."""
    made: dict[int, PostgresServer] = {}

    def get(version: int) -> PostgresServer:
        if binaries(version) is None:
            pytest.skip(f"no PostgreSQL {version} on this machine")
        if version not in made:
            made[version] = PostgresServer.create(version, fsync=False)
            made[version].stop()
        return made[version]

    yield get
    for server in made.values():
        server.remove()


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that the servers' user may enter, with firstbell's own folders in it."""
    folder = Path(tempfile.mkdtemp(prefix="firstbell-test-"))
    folder.chmod(0o755)
    monkeypatch.setenv("FIRSTBELL_HOME", str(folder / "home"))
    monkeypatch.setenv("FIRSTBELL_STACKS", str(folder / "stacks"))
    before = dict(os.environ)
    yield folder
    for key in os.environ.keys() - before.keys():
        del os.environ[key]
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def stage(home: Path, templates: Callable[[int], PostgresServer]) -> Iterator[Callable[..., Scene]]:
    """Builds a scene between two versions."""
    made: list[Scene] = []

    def build(
        source: int = 16, target: int = 18, *, rehearsal: int | None = None, **fill: int
    ) -> Scene:
        scene = Scene(
            home,
            templates(source).copy(),
            templates(target).copy(),
            rehearsal=templates(rehearsal).copy() if rehearsal else None,
        )
        made.append(scene)
        scene.fill(**fill)
        scene.write_spec()
        return scene

    yield build
    for scene in made:
        supervisor.end(scene.name)
    close_runs()
    for scene in made:
        scene.remove()


# The runs of the test at hand, to be closed with it.
_runs: list[Run] = []


def close_runs() -> None:
    """Close what `closing` was handed."""
    for run in _runs:
        run.close()
        for tree in run.trees:
            tree.close()
        run.journal.close()
    _runs.clear()


def closing(run: Run) -> Run:
    """Close the run's connections with the test."""
    _runs.append(run)
    return run


def begin(scene: SceneOf[Any], accept: Iterable[str] = ()) -> Run:
    """Start the scene's migration and carry it to `soak`."""
    journal = Journal.create(root(scene.name) / "journal.db", scene.name)
    journal.remember("accepted", sorted(accept))
    run = closing(runner.build(scene.name, journal))
    assert runner.carry(run, watch=False) == 0
    assert journal.current.state == "soak"
    return run


def rehearsed(run: Run, seconds: float = 2.0) -> None:
    """Write a rehearsal into the journal, where a test is about something else."""
    steps = ("fence", "drain", "finalize", "verify", "flip", "switch", "smoke")
    run.journal.remember(
        "rehearsals",
        [
            {
                "at": "2026-08-01T00:00:00+00:00",
                "steps": dict.fromkeys(steps, seconds),
                "revert": seconds * 4,
                "rows": 1000,
                "bytes": 100000,
            }
        ],
    )


def postgres(run: Run) -> PostgresEngine:
    """The run's engine, where a test is about PostgreSQL's own objects."""
    assert isinstance(run.engine, PostgresEngine)
    return run.engine


def leftovers(run: Run) -> list[str]:
    """What of ours is left on either side."""
    return [what for side in (run.source, run.target) for what in run.engine.leftovers(side)]


def order(run: Run, goal: str) -> int:
    """Give an order and carry it out in this process; its exit code."""
    run.journal.order(goal)
    if code := runner.carry(run, watch=False):
        # pytest shows it where a test had expected another ending.
        for event in run.journal.events()[-12:]:
            sys.stdout.write(f"{event}\n")
    return code


@dataclass(frozen=True)
class Outcome:
    """How a command line ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def firstbell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """Runs a command line in this process."""

    def run(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["firstbell", "migrate", *arguments])
        capsys.readouterr()
        code = main.run()
        seen = capsys.readouterr()
        return Outcome(code, seen.out, seen.err)

    return run
