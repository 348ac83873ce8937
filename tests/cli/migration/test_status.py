"""`status` without a runner: both databases are asked at once, and little is loaded for it."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from cli.migration import references, status
from cli.migration.journal import Journal, root
from infra import paths


@pytest.fixture
def file(home: Path) -> Path:
    """A migration's file whose databases are where SOURCE and TARGET say."""
    del home
    path = paths.stacks() / "migrations" / "school.yaml"
    path.parent.mkdir(parents=True)
    sides = {side: {"dsn": f"env:{side.upper()}", "peer_dsn": "env:PEER"} for side in
             ("source", "target")}  # fmt: skip
    path.write_text(yaml.safe_dump(sides))
    return path


def dsn(port: int, scheme: str = "postgresql") -> str:
    return f"{scheme}://admin:secret@127.0.0.1:{port}/lms"


@pytest.mark.parametrize("scheme", ["postgresql", "mariadb"])
def test_both_databases_are_asked_at_once_and_who_can_write_is_unknown_when_neither_answers(
    file: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    del file
    journal = Journal.create(root("school") / "journal.db", "school")
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        for name, listener in (("SOURCE", one), ("TARGET", other)):
            monkeypatch.setenv(name, dsn(listener.getsockname()[1], scheme))
            listener.settimeout(30)
        at_once: list[bool] = []

        def hang_up() -> None:
            """Say nothing to the first until the second has come, too."""
            first, _ = one.accept()
            second, _ = other.accept()
            first.settimeout(0.05)
            try:
                while first.recv(1024):
                    pass
                at_once.append(False)
            except TimeoutError:
                at_once.append(True)
            first.close()
            second.close()

        silent = threading.Thread(target=hang_up)
        silent.start()
        seen = status.read("school", journal)
        silent.join()
    journal.close()
    assert at_once == [True]
    assert seen.writable is None
    assert seen.first_line.startswith("unknown who can write")


def test_status_loads_one_driver_and_not_what_reads_whole_files(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del file
    for scheme, driver in (("postgresql", "psycopg"), ("mariadb", "pymysql")):
        for name in ("SOURCE", "TARGET"):
            monkeypatch.setenv(name, dsn(1, scheme))
        done = subprocess.run(
            [sys.executable, "-c", LOOK],
            capture_output=True,
            text=True,
            check=True,
            cwd=paths.PROJECT_ROOT,
        )
        assert done.stdout.split() == [driver]


LOOK = """
import sys
from cli.migration import engines, status
engines.sides("school")
print(*[name for name in ("pydantic", "boto3", "psycopg", "pymysql") if name in sys.modules])
"""


def test_what_a_glance_cannot_tell_is_left_to_the_whole_file(file: Path) -> None:
    assert references.glance(file) == {"source": "env:SOURCE", "target": "env:TARGET"}
    stack = {"stack": "school", "endpoint": "tunnel:1"}
    file.write_text(yaml.safe_dump({"source": {"dsn": "env:A"}, "target": stack}))
    assert references.glance(file) == {"source": "env:A", "target": "stack:school@tunnel:1"}
    for text in (
        "",
        "[",
        "source: {dsn: env:A}",
        "{source: env:A, target: env:B}",
        "{source: {dsn: postgresql://u@h/d}, target: {dsn: env:B}}",
        "{dms: {}, target: {dsn: env:B}}",
    ):
        file.write_text(text)
        assert references.glance(file) is None, text
    file.unlink()
    assert references.glance(file) is None
