"""Locks of the state that dead engines left behind."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import psutil

from cli.recovery.searches.base import Clients
from infra.errors import FirstbellError

PROJECT: Final = "firstbell"
# An engine whose firstbell was killed finishes what it has begun; RDS can take its time.
ORPHAN_SECONDS: Final = 120.0

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Lock:
    """A lock of the back end, with the way to remove just this one."""

    pid: int
    host: str
    user: str
    since: str
    remove: Callable[[], object]

    def __str__(self) -> str:
        return f"process {self.pid} of {self.user} on {self.host}, since {self.since}"


def release_locks(back_end: str, stack: str, client: Clients, progress: Progress) -> Iterator[str]:
    """Remove the locks of dead engines of this host; wait for one whose firstbell is dead.

    Raises:
        FirstbellError: a lock is of a live run, or of another host.
    """
    for lock in _locks(back_end, stack, client):
        if lock.host == socket.gethostname():
            _wait_for_orphan(lock, progress)
            if _engine(lock.pid) is None:
                lock.remove()
                progress(f"removed the lock of {lock}, which is dead")
                yield str(lock)
                continue
        raise FirstbellError(
            "somebody else is working on this stack",
            where=f"stack {stack}",
            why=str(lock),
            fix="wait until they are done; when that process is dead and its host gone, "
            f"pulumi cancel -s {stack}",
        )


def _locks(back_end: str, stack: str, client: Clients) -> Iterator[Lock]:
    url = urlsplit(back_end)
    folder = f".pulumi/locks/organization/{PROJECT}/{stack}/"
    if url.scheme == "file":
        locks = Path(unquote(url.path)) / folder
        for path in sorted(locks.glob("*.json")):
            yield _lock(path.read_text(), path.unlink)
        for path in locks.glob("*.tmp"):
            # A lock that was half written when its engine was killed. It holds nothing, but the
            # engine would stumble over it. A living engine renames its own within the second.
            if time.time() - path.stat().st_mtime > 1:
                path.unlink(missing_ok=True)
    elif url.scheme == "s3":
        bucket, prefix = url.netloc, f"{url.path.strip('/')}/{folder}".lstrip("/")
        s3 = client("s3")
        for entry in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
            at = {"Bucket": bucket, "Key": entry["Key"]}
            text = s3.get_object(**at)["Body"].read().decode()
            yield _lock(text, lambda at=at: s3.delete_object(**at))


def _lock(text: str, remove: Callable[[], object]) -> Lock:
    record = json.loads(text)
    return Lock(
        pid=int(record["pid"]),
        host=str(record["hostname"]),
        user=str(record["username"]),
        since=str(record["timestamp"]),
        remove=remove,
    )


def _engine(pid: int) -> psutil.Process | None:
    """The engine with this process number, if it lives; numbers are given out again."""
    try:
        process = psutil.Process(pid)
        alive = process.status() != psutil.STATUS_ZOMBIE and "pulumi" in process.name()
    except psutil.NoSuchProcess:
        return None
    return process if alive else None


def _wait_for_orphan(lock: Lock, progress: Progress) -> None:
    """Let an engine finish whose firstbell was killed: it is recognised by its parent's absence."""
    deadline = time.monotonic() + ORPHAN_SECONDS
    while (engine := _engine(lock.pid)) is not None and _program_is_gone(engine):
        if time.monotonic() > deadline:
            return
        progress(f"waiting for the engine of a killed run to finish ({lock})")
        time.sleep(0.5)


def _program_is_gone(engine: psutil.Process) -> bool:
    """Whether nobody listens where the engine was told to find its program."""
    try:
        told = [word for word in engine.cmdline() if word.startswith("--client=")]
    except psutil.NoSuchProcess:
        return True
    for word in told:
        host, _, port = word.removeprefix("--client=").rpartition(":")
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((host, int(port))) != 0
    return False
