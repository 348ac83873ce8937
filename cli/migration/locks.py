"""The lock that one runner of a migration holds on this machine."""

from __future__ import annotations

from filelock import FileLock, Timeout

from cli.migration.journal import root


def file_lock(migration: str) -> FileLock:
    """The lock that this runner's process holds, and that dies with it."""
    folder = root(migration)
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "runner.lock")


def alive(migration: str) -> bool:
    """Whether a runner of this migration works on this machine."""
    lock = file_lock(migration)
    try:
        with lock.acquire(blocking=False):
            return False
    except Timeout:
        return True
