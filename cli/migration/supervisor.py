"""Keeps a runner alive, detached from any terminal; runner and supervisor restart one another.

`python -m cli.migration.supervisor NAME`. Each holds a file lock that dies with it, and each starts
the other when that lock is free. When both die at once, the machine's own service manager must
start this module again; `firstbell migrate runbook` prints the systemd-run line.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil
from filelock import FileLock, Timeout

from cli.migration import locks
from cli.migration.journal import Journal, root
from cli.migration.phases import (
    FINAL,
    START,
)
from infra.errors import FirstbellError

_LOOK_SECONDS: Final = 0.3
_RESTART_SECONDS: Final = 1.0


def _lock(migration: str) -> FileLock:
    folder = root(migration)
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "supervisor.lock")


def watching(migration: str) -> bool:
    """Whether a supervisor of this migration lives on this machine."""
    try:
        with _lock(migration).acquire(blocking=False):
            return False
    except Timeout:
        return True


def ensure(migration: str) -> None:
    """Start a supervisor in a session of its own unless there is one."""
    if watching(migration) or _ended(migration).exists():
        return
    output = os.open(log(migration), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "cli.migration.supervisor", migration],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
            ],
            setsid=True,
        )
    finally:
        os.close(output)


def _start_runner(migration: str) -> subprocess.Popen[bytes]:
    """A runner in a session of its own: it outlives us."""
    return subprocess.Popen(
        [sys.executable, "-m", "cli.migration.runner", migration],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def log(migration: str) -> Path:
    """Where a detached runner writes what nobody is there to read."""
    return root(migration) / "runner.log"


def over(journal: Journal) -> bool:
    """Whether no runner is needed: all is done, or the start failed and waits for a person."""
    now = journal.current
    if now.state in FINAL:
        return True
    if now.state not in START or now.state == "soak":
        return False
    # A start that failed: its outcome is newer than the last order to go on.
    ended, ordered = journal.last("outcome"), journal.last("order")
    return ended is not None and (ordered is None or ended.n > ordered.n)


def main(migration: str) -> None:
    """Start the runner whenever none is alive, until none is needed."""
    lock = _lock(migration)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return
    with lock:
        note_process(migration, "supervisor")
        journal = Journal.open(root(migration) / "journal.db", migration)
        child: subprocess.Popen[bytes] | None = None
        while journal.path.exists() and not over(journal) and not _ended(migration).exists():
            if child is not None and child.poll() is not None:
                child = None
                time.sleep(_RESTART_SECONDS)
            elif child is None and not locks.alive(migration):
                child = _start_runner(migration)
            time.sleep(_LOOK_SECONDS)
        if child is not None:
            child.wait()


def end(migration: str) -> None:
    """End this machine's supervisor and runner for good, wherever the migration stands."""
    if not root(migration).exists():
        return
    _ended(migration).touch()
    deadline = time.monotonic() + 30
    while watching(migration) or locks.alive(migration):
        for name in ("supervisor", "runner"):
            _end(migration, name)
        if time.monotonic() > deadline:
            raise FirstbellError(f"the processes of migration {migration} do not end")
        time.sleep(0.05)


def _ended(migration: str) -> Path:
    """A mark that keeps the two from starting one another while both are ended."""
    return root(migration) / "ended"


def _end(migration: str, name: str) -> None:
    path = root(migration) / f"{name}.pid"
    if not path.exists():
        return
    number, started = path.read_text().split()
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(int(number))
        # A number is used again; with the time it was started it is one process only.
        if process.create_time() == float(started):
            process.kill()
            process.wait(timeout=10)


def note_process(migration: str, name: str) -> None:
    """Write down who this process is, for `end`."""
    me = psutil.Process()
    (root(migration) / f"{name}.pid").write_text(f"{me.pid} {me.create_time()!r}")


if __name__ == "__main__":
    os.umask(0o077)
    main(sys.argv[1])
