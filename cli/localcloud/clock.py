"""The local cloud's clock. It stands still except for `advance`, and never goes back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cli.localcloud import files
from infra import paths
from infra.clock import parse
from infra.errors import InputError


def path() -> Path:
    """Where the clock is kept."""
    return paths.local_cloud() / "clock.json"


def text(moment: datetime) -> str:
    """A time as it is written everywhere: UTC with Z, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stands_at() -> datetime | None:
    """The clock's time, or None before the first start."""
    record = files.read_json(path())
    return None if record is None else parse(str(record["now"]), str(path()))


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
