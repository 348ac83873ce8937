"""The local cloud's clock. It stands still except for `advance`, and never goes back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from cli.localcloud import files
from infra import paths
from infra.clock import parse
from infra.errors import FirstbellError, InputError

if TYPE_CHECKING:
    from cli.localcloud.play import Played
    from cli.localcloud.server import LocalCloud


def path() -> Path:
    """Where the clock is kept."""
    return paths.local_cloud() / "clock.json"


def text(moment: datetime) -> str:
    """A time as it is written everywhere: UTC with Z, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stands_at() -> datetime | None:
    """The clock's time, or None before the first start."""
    record = files.read_json(path())
    if record is None:
        return None
    if "now" not in record:
        raise files.SpoiltError(path())
    return parse(str(record["now"]), str(path()))


def read() -> datetime:
    """The clock's time in UTC.

    Raises:
        InputError: the local cloud was never started.
    """
    now = stands_at()
    if now is None:
        raise InputError(
            "the local cloud has no clock yet", where=str(path()), fix="firstbell local start"
        )
    return now


def write(now: datetime, generation: str) -> None:
    """Set the clock."""
    files.write_json(path(), {"now": text(now), "generation": generation})


def start_time(at: datetime | None) -> datetime:
    """What a server that starts takes the time to be.

    `at`, else where the clock stood, else the system's time.

    Raises:
        InputError: the clock is already past `at`.
    """
    stood = stands_at()
    if at is None:
        return stood or datetime.now(UTC).replace(microsecond=0)
    if stood is not None and at < stood:
        raise InputError(
            f"the local cloud's clock stands at {text(stood)} and never goes back",
            where=text(at),
            fix="firstbell local reset forgets the clock and all local resources",
        )
    return at


def advance(cloud: LocalCloud, to: datetime, progress: Callable[[str], None]) -> Played:
    """Move the clock, playing on the way every scheduled action that falls due.

    Raises:
        InputError: `to` lies before the clock's time.
        FirstbellError: the local cloud refused something, or another process moves the clock.
    """
    from cli.localcloud import play

    lock = filelock.FileLock(path().with_suffix(".lock"), blocking=False)
    try:
        with lock:
            now = read()
            if to < now:
                raise InputError(
                    f"the local cloud's clock stands at {text(now)} and never goes back",
                    where=text(to),
                    fix="firstbell local reset forgets the clock and all local resources",
                )
            played = play.play(cloud, now, to, progress)
            write(to, cloud.generation)
            play.tidy(cloud, to)
            return played
    except filelock.Timeout as error:
        raise FirstbellError(
            "another firstbell process is moving the local cloud's clock",
            fix="wait for it, then run the command again",
        ) from error
