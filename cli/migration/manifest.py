"""The manifest of one file tree on the runner: checksums, deletions that wait, what S3 cannot keep.

SQLite. A row of checksums is safe to lose: the file is then read again.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, cast

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sum (side TEXT, path TEXT, stamp TEXT, sha256 TEXT, sha1 TEXT,
  PRIMARY KEY (side, path)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deferred (side TEXT, path TEXT, stamp TEXT,
  PRIMARY KEY (side, path)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept (path TEXT PRIMARY KEY, kind TEXT, stamp TEXT, mode INTEGER,
  uid INTEGER, gid INTEGER, mtime_ns INTEGER, link TEXT) WITHOUT ROWID;
"""


class Sum(NamedTuple):
    """A file's checksums, and the stamp under which they were taken."""

    stamp: str
    sha256: str
    # Only where names are made of it (Moodle's filedir), else empty.
    sha1: str


# Side, path, stamp, SHA-256, SHA-1.
SumRow = tuple[str, str, str, str, str]


class Kept(NamedTuple):
    """What S3 cannot keep of an entry."""

    path: str
    kind: str
    stamp: str
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    link: str


class Manifest:
    """One tree's manifest. Threads may share it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self.path, check_same_thread=False, timeout=30)
            db.execute("PRAGMA journal_mode = WAL")
            # A row that a crash took is made again; only the order of rows must hold.
            db.execute("PRAGMA synchronous = NORMAL")
            db.executescript(_SCHEMA)
            self._db = db
        return self._db

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def known(self, side: str) -> dict[str, Sum]:
        """Checksums of one side by path."""
        with self._lock:
            rows = self._open().execute(
                "SELECT path, stamp, sha256, sha1 FROM sum WHERE side = ?", (side,)
            )
            return {path: Sum(stamp, sha256, sha1) for path, stamp, sha256, sha1 in rows}

    def equal(self, a: str, b: str) -> dict[str, tuple[str, str]]:
        """Both sides' stamps of the files whose contents were equal, by path."""
        with self._lock:
            rows = self._open().execute(
                "SELECT a.path, a.stamp, b.stamp FROM sum a JOIN sum b ON b.side = ?"
                " AND b.path = a.path WHERE a.side = ? AND a.sha256 = b.sha256",
                (b, a),
            )
            return {row[0]: row[1:] for row in rows}

    def one(self, side: str, path: str) -> Sum | None:
        """One file's checksums."""
        with self._lock:
            row = (
                self._open()
                .execute(
                    "SELECT stamp, sha256, sha1 FROM sum WHERE side = ? AND path = ?", (side, path)
                )
                .fetchone()
            )
            return None if row is None else Sum(*row)

    def knows(self, side: str) -> bool:
        """Whether anything was ever seen on a side."""
        with self._lock:
            query = "SELECT 1 FROM sum WHERE side = ? LIMIT 1"
            return self._open().execute(query, (side,)).fetchone() is not None

    def save(self, sums: list[SumRow]) -> None:
        """Write checksums, and empty the list."""
        if not sums:
            return
        with self._lock:
            db = self._open()
            db.executemany("REPLACE INTO sum VALUES (?, ?, ?, ?, ?)", sums)
            db.commit()
        sums.clear()

    def deferred(self, side: str) -> dict[str, str]:
        """Deletions on a side that wait for commit: path -> stamp."""
        with self._lock:
            rows = self._open().execute("SELECT path, stamp FROM deferred WHERE side = ?", (side,))
            return dict(cast("list[tuple[str, str]]", rows.fetchall()))

    def defer(self, side: str, stamps: Mapping[str, str]) -> None:
        """Replace a side's list of deletions that wait."""
        with self._lock:
            db = self._open()
            db.execute("DELETE FROM deferred WHERE side = ?", (side,))
            db.executemany(
                "INSERT INTO deferred VALUES (?, ?, ?)",
                [(side, path, stamp) for path, stamp in stamps.items()],
            )
            db.commit()

    def forget_deferred(self) -> None:
        """No deletion waits any more."""
        with self._lock:
            db = self._open()
            db.execute("DELETE FROM deferred")
            db.commit()

    def kept(self) -> dict[str, Kept]:
        """What S3 cannot keep, by path."""
        with self._lock:
            rows = self._open().execute("SELECT * FROM kept").fetchall()
            return {row[0]: Kept(*row) for row in rows}

    def keep(self, rows: Iterable[Kept]) -> None:
        """Remember what S3 cannot keep."""
        with self._lock:
            db = self._open()
            db.executemany("REPLACE INTO kept VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            db.commit()

    def unkeep(self, paths: Iterable[str]) -> None:
        """Forget entries that are no more."""
        with self._lock:
            db = self._open()
            db.executemany("DELETE FROM kept WHERE path = ?", [(path,) for path in paths])
            db.commit()
