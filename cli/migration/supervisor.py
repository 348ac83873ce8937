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

from cli.migration import runner
from cli.migration.journal import Journal, root
from cli.migration.machine import FINAL, START
from infra import paths

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
    if not watching(migration):
        _spawn("cli.migration.supervisor", migration)


def _spawn(module: str, migration: str) -> subprocess.Popen[bytes]:
    with log(migration).open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", module, migration],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=paths.PROJECT_ROOT,
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
        while not over(journal):
            if child is not None and child.poll() is not None:
                child = None
                time.sleep(_RESTART_SECONDS)
            elif child is None and not runner.alive(migration):
                child = _spawn("cli.migration.runner", migration)
            time.sleep(_LOOK_SECONDS)
        if child is not None:
            child.wait()


def end(migration: str) -> None:
    """End this machine's supervisor and runner of a migration, which leaves it where it is."""
    for name in ("supervisor", "runner"):
        path = root(migration) / f"{name}.pid"
        if not path.exists():
            continue
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
