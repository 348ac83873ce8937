"""One entry of a file tree, and what every place that keeps a tree must be able to do.

A place is a mounted folder (`folder.py`) or an S3 prefix (`bucket.py`). `files.py` carries a tree
between two of them and knows neither.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager
from os import stat_result
from typing import Final, Literal, NamedTuple, Protocol

from cli.migration.engine import Finding

BLOCK: Final = 1 << 20
# A mode, an owner or a time that the place cannot tell.
UNKNOWN: Final = -1

Kind = Literal["file", "dir", "link"]


class Entry(NamedTuple):
    """One entry of a tree, by its path relative to the root."""

    path: str
    kind: Kind
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    mode: int
    uid: int
    gid: int
    link: str = ""
    # What S3 tells of an object's version; empty on a file system.
    etag: str = ""

    @property
    def stamp(self) -> str:
        """What tells that a file is untouched."""
        if self.etag:
            return f"{self.size} {self.etag}"
        return f"{self.size} {self.mtime_ns} {self.ctime_ns} {self.inode}"


Opened = tuple[Entry, Generator[bytes]]


class Place(Protocol):
    """Where one side's tree lies."""

    # Whether owners can be set and are compared.
    owners: bool

    def __str__(self) -> str:
        """The place, for people."""
        ...

    def preflight(self, name: str, *, writes: bool) -> list[Finding]:
        """What stands in the way of using it; changes nothing."""
        ...

    def free_bytes(self) -> int | None:
        """Free space, or None where there is no such limit."""
        ...

    def refuse_missing(self, *, known: bool, receives: bool) -> None:
        """Raises FirstbellError when it cannot be what it was.

        One that is read must be there, and must not be empty when files of it are `known`.
        """
        ...

    def begin(self) -> None:
        """Make the root, when it is missing."""
        ...

    def end(self, *, durable: bool) -> None:
        """A pass is over; when `durable`, what it wrote survives a crash from here on."""
        ...

    def scan(self, left_out: Callable[[str, str], bool]) -> dict[str, Entry]:
        """Every entry by path, those apart for which `left_out(path, name)` holds."""
        ...

    def look(self, path: str) -> Entry | None:
        """One entry as it is now, or None."""
        ...

    def read(self, entry: Entry) -> AbstractContextManager[Opened]:
        """The file's entry at opening, and its content; FileNotFoundError when it is gone."""
        ...

    def write(self, entry: Entry, blocks: Iterable[bytes]) -> Entry:
        """Put a file there, whole or not at all, with the entry's attributes."""
        ...

    def folder(self, entry: Entry) -> None:
        """Make a folder, when it is missing."""
        ...

    def link(self, entry: Entry) -> None:
        """Make a symbolic link."""
        ...

    def adjust(self, entry: Entry, there: Entry | None) -> Entry | None:
        """Make mode, owner and mtime those of `entry`; as it is now, or None if nothing changed."""
        ...

    def remove(self, path: str) -> bool:
        """Remove an entry with all below it; whether there was one."""
        ...


def owners_differ(entry: Entry, there: Entry) -> bool:
    """Whether the owner is known and not the entry's."""
    return entry.uid != UNKNOWN and (there.uid, there.gid) != (entry.uid, entry.gid)


def mode_differs(entry: Entry, there: Entry) -> bool:
    """Whether the mode is known and not the entry's."""
    return entry.mode not in (UNKNOWN, there.mode)


def mtime_differs(entry: Entry, there: Entry) -> bool:
    """Whether the time is known and not the entry's."""
    return entry.mtime_ns not in (UNKNOWN, there.mtime_ns)


def of_stat(found: stat_result, path: str, kind: Kind, link: str = "") -> Entry:
    """An entry from what a file system tells."""
    return Entry(
        path,
        kind,
        found.st_size if kind == "file" else 0,
        found.st_mtime_ns,
        found.st_ctime_ns,
        found.st_ino,
        stat.S_IMODE(found.st_mode),
        found.st_uid,
        found.st_gid,
        link,
    )
