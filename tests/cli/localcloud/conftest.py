"""A local cloud of its own for tests, in a folder that goes away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cli.localcloud import server
from cli.localcloud.server import LocalCloud


def server_processes(home: Path) -> list[psutil.Process]:
    """The server processes that belong to a folder, recorded or not."""
    record = str(home / "local" / "cloud.json")
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if record in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def local_home(home: Path) -> Iterator[Path]:
    """An empty home; no server of it outlives the test."""
    yield home
    server.stop()
    assert server_processes(home) == []


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A running server for the tests of a module, which leave it as they found it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRSTBELL_HOME", str(tmp_path_factory.mktemp("home")))
        yield server.ensure_started()
        server.stop()
