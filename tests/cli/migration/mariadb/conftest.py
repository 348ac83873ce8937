"""Real MariaDB servers: initialised once a session, copied and started anew for every test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.migration import supervisor
from cli.migration.machine import Run
from cli.migration.mariadb.engine import MariaDbEngine
from cli.migration.proof.mariadb import MariaDbScene, MariaDbServer, installed
from tests.cli.migration.conftest import close_runs

# Server ids, which are GTID domains as well.
SOURCE, TARGET, SCRATCH_SOURCE, SCRATCH_TARGET = 1, 2, 3, 4


@pytest.fixture(scope="session")
def template() -> Iterator[MariaDbServer]:
    """An initialised and stopped server."""
    if not installed():
        pytest.skip("no MariaDB on this machine")
    server = MariaDbServer.create(99)
    server.stop()
    yield server
    server.remove()


@pytest.fixture
def stage(home: Path, template: MariaDbServer) -> Iterator[Callable[..., MariaDbScene]]:
    """Builds a scene between two servers."""
    made: list[MariaDbScene] = []

    def build(*, rehearsal: bool = False, **fill: int) -> MariaDbScene:
        scene = MariaDbScene(home, template.copy(SOURCE), template.copy(TARGET))
        made.append(scene)
        if rehearsal:
            scene.rehearsal = template.copy(SCRATCH_SOURCE)
            scene.rehearsal_target = template.copy(SCRATCH_TARGET)
        scene.fill(**fill)
        scene.write_spec()
        return scene

    yield build
    for scene in made:
        supervisor.end(scene.name)
    close_runs()
    for scene in made:
        scene.remove()


def mariadb(run: Run) -> MariaDbEngine:
    """The run's engine, where a test is about MariaDB's own objects."""
    assert isinstance(run.engine, MariaDbEngine)
    return run.engine
