"""The journal: what was meant, what was done, what was seen. SQLite, synced on every write.

An effect is one idempotent change of the world. Its intent is written before and its evidence
after; a process that dies in between leaves an intent alone, and whoever resumes looks at the
world again. `current` is where the migration stands, written in the same transaction as the event
that put it there. Orders from other terminals arrive as rows. No secret is ever written here.
"""

from __future__ import annotations

import getpass
import json
import os
import signal
import sqlite3
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, Literal, cast

from infra import paths
from infra.errors import InputError

FORMAT: Final = 1
Phase = Literal["enter", "intent", "done", "leave", "order", "note", "fail", "outcome"]

_SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE current (
  one INTEGER PRIMARY KEY CHECK (one = 1), state TEXT NOT NULL, goal TEXT NOT NULL,
  direction TEXT NOT NULL CHECK (direction IN ('forward', 'back')), attempt INTEGER NOT NULL
) STRICT;
CREATE TABLE event (
  n INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, attempt INTEGER NOT NULL,
  direction TEXT NOT NULL, state TEXT NOT NULL, step TEXT NOT NULL, phase TEXT NOT NULL,
  by TEXT NOT NULL, data TEXT NOT NULL
) STRICT;
CREATE TABLE fact (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE progress (key TEXT PRIMARY KEY, at TEXT NOT NULL, value TEXT NOT NULL) STRICT;
"""


@dataclass(frozen=True)
class Current:
    """Where the migration stands and where it is going."""

    state: str
    goal: str
    direction: str
    attempt: int


@dataclass(frozen=True)
class Event:
    """One line of the journal."""

    n: int
    at: datetime
    attempt: int
    direction: str
    state: str
    step: str
    phase: str
    by: str
    data: dict[str, object]


def root(name: str) -> Path:
    """The folder that belongs to one migration on this runner."""
    return paths.home() / "migrations" / name


def _now() -> datetime:
    return datetime.now(UTC)


class Journal:
    """One migration's journal. Threads may share it."""

    def __init__(self, path: Path, *, now: Callable[[], datetime] = _now) -> None:
        self.path = path
        self.now = now
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, timeout=30, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._by = getpass.getuser()
        self._kill = _Kill.from_environment()

    @classmethod
    def create(cls, path: Path, migration: str, *, identity: str | None = None) -> Journal:
        """A new journal, in state `preflight`; `identity` is a lost one's, to be adopted.

        Raises:
            InputError: there is one already.
        """
        if path.exists():
            raise InputError(
                f"migration {migration} was started before",
                where=str(path),
                fix=f"look at it: firstbell migrate status --migration {migration}",
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        # A crash between the file's creation and its first rows must not leave half a journal.
        fresh = path.with_suffix(f".{os.getpid()}.new")
        fresh.unlink(missing_ok=True)
        db = sqlite3.connect(fresh, isolation_level=None)
        _fill(db, migration, identity or str(uuid.uuid4()))
        db.close()
        fresh.rename(path)
        return cls.open(path, migration)

    @classmethod
    def open(cls, path: Path, migration: str) -> Journal:
        """The journal of a migration that was started.

        Raises:
            InputError: there is none, it is another migration's, or a newer firstbell wrote it.
        """
        if not path.exists():
            raise InputError(
                f"migration {migration} was not started on this runner",
                where=str(path),
                fix=f"firstbell migrate start --migration {migration}",
            )
        journal = cls(path)
        try:
            meta = dict(
                cast(
                    "list[tuple[str, str]]",
                    journal._db.execute("SELECT key, value FROM meta").fetchall(),
                )
            )
        except sqlite3.DatabaseError as error:
            raise InputError("not a journal", where=str(path), why=str(error)) from error
        if int(meta["format"]) > FORMAT:
            raise InputError(
                f"a newer firstbell wrote this journal (format {meta['format']}, known: {FORMAT})",
                where=str(path),
                fix="use that version of firstbell on this runner",
            )
        if meta["migration"] != migration:
            raise InputError(
                f"this is the journal of migration {meta['migration']!r}, not of {migration!r}",
                where=str(path),
                fix=f"put it back under {root(meta['migration'])}",
            )
        journal.meta = meta
        return journal

    @classmethod
    def nowhere(cls, migration: str) -> Journal:
        """A journal in memory, for looking at a migration that was not started."""
        journal = cls(Path(":memory:"))
        _fill(journal._db, migration, str(uuid.uuid4()))
        journal.meta = {"migration": migration, "uuid": str(uuid.uuid4())}
        return journal

    @classmethod
    def of(cls, migration: str) -> Journal:
        """The journal at its place on this runner; raises InputError like `open`."""
        return cls.open(root(migration) / "journal.db", migration)

    meta: Mapping[str, str] = {}

    @property
    def uuid(self) -> str:
        """What tells this journal from every other; stands in the owner row."""
        return self.meta["uuid"]

    def close(self) -> None:
        self._db.close()

    # Reading

    @property
    def current(self) -> Current:
        with self._lock:
            row = self._db.execute("SELECT state, goal, direction, attempt FROM current").fetchone()
        return Current(*cast("tuple[str, str, str, int]", row))

    def events(self, since: int = 0) -> list[Event]:
        """All events after number `since`, oldest first."""
        with self._lock:
            rows = cast(
                "list[tuple[int, str, int, str, str, str, str, str, str]]",
                self._db.execute("SELECT * FROM event WHERE n > ? ORDER BY n", (since,)).fetchall(),
            )
        return [
            Event(r[0], datetime.fromisoformat(r[1]), *r[2:8], data=json.loads(r[8])) for r in rows
        ]

    def last(self, phase: Phase) -> Event | None:
        """The newest event of a phase."""
        with self._lock:
            row = self._db.execute("SELECT max(n) FROM event WHERE phase = ?", (phase,)).fetchone()
        if row[0] is None:
            return None
        return self.events(since=row[0] - 1)[0]

    def fact(self, key: str) -> object:
        """A remembered value, or None."""
        with self._lock:
            row = self._db.execute("SELECT value FROM fact WHERE key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    def progress(self) -> dict[str, tuple[datetime, object]]:
        """What the runner last saw, with the time it saw it."""
        with self._lock:
            rows = self._db.execute("SELECT key, at, value FROM progress").fetchall()
        return {
            key: (datetime.fromisoformat(at), json.loads(value))
            for key, at, value in cast("list[tuple[str, str, str]]", rows)
        }

    # Writing

    def intent(self, step: str, **data: object) -> None:
        """An effect is about to be made."""
        self._write(step, "intent", data)

    def done(self, step: str, **data: object) -> None:
        """An effect was made; the data is what was seen."""
        self._write(step, "done", data)

    def note(self, step: str, **data: object) -> None:
        """Something seen that changes nothing."""
        self._write(step, "note", data)

    def fail(self, step: str, **data: object) -> None:
        """Something went wrong."""
        self._write(step, "fail", data)

    def outcome(self, code: int, text: str) -> None:
        """An order was carried out, or ended otherwise; `code` is the process's exit code."""
        self._write("outcome", "outcome", {"code": code, "text": text})

    def order(self, goal: str, **data: object) -> None:
        """Tell the runner, from any terminal, where to go."""
        self._write(goal, "order", data, change={"goal": goal})

    def go(
        self,
        state: str,
        *,
        goal: str | None = None,
        direction: str | None = None,
        attempt: int | None = None,
        outcome: tuple[int, str] | None = None,
        **data: object,
    ) -> None:
        """Leave the state for another one; an order's outcome is written with it, or not at all."""
        change: dict[str, object] = {"state": state}
        change |= {"goal": goal} if goal else {}
        change |= {"direction": direction} if direction else {}
        change |= {"attempt": attempt} if attempt else {}
        self._write(state, "enter", data, change=change, outcome=outcome)

    def remember(self, key: str, value: object) -> None:
        """Keep a value; it is evidence of the step that wrote it, so it needs no event."""
        with self._lock:
            self._db.execute("REPLACE INTO fact VALUES (?, ?)", (key, json.dumps(value)))

    def show(self, **values: object) -> None:
        """Publish what was seen just now for `status`."""
        at = self.now().isoformat()
        with self._lock:
            self._db.executemany(
                "REPLACE INTO progress VALUES (?, ?, ?)",
                [(key, at, json.dumps(value, default=str)) for key, value in values.items()],
            )

    def _write(
        self,
        step: str,
        phase: Phase,
        data: Mapping[str, object],
        *,
        change: Mapping[str, object] | None = None,
        outcome: tuple[int, str] | None = None,
    ) -> None:
        with self._lock:
            now = self.current
            point = f"{now.attempt}/{now.direction}/{now.state}/{step}/{phase}"
            self._kill.before(point, phase)
            self._db.execute("BEGIN IMMEDIATE")
            try:
                if outcome is not None:
                    told = {"code": outcome[0], "text": outcome[1]}
                    self._insert(now, "outcome", "outcome", told)
                number = self._insert(now, step, phase, data)
                for column, value in (change or {}).items():
                    # The column's name comes from the keywords of this module's own methods.
                    self._db.execute(f"UPDATE current SET {column} = ?", (value,))
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise
            self._kill.after(point, phase, number)

    def _insert(self, now: Current, step: str, phase: Phase, data: Mapping[str, object]) -> int:
        cursor = self._db.execute(
            "INSERT INTO event (at, attempt, direction, state, step, phase, by, data)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self.now().isoformat(),
                now.attempt,
                now.direction,
                now.state,
                step,
                phase,
                self._by,
                json.dumps(data, default=str),
            ),
        )
        return cursor.lastrowid or 0


def _fill(db: sqlite3.Connection, migration: str, identity: str) -> None:
    db.executescript(_SCHEMA)
    db.executemany(
        "INSERT INTO meta VALUES (?, ?)",
        [
            ("format", str(FORMAT)),
            ("migration", migration),
            ("uuid", identity),
            ("created", _now().isoformat()),
            ("user", getpass.getuser()),
        ],
    )
    db.execute("INSERT INTO current VALUES (1, 'preflight', 'soak', 'forward', 1)")


class _Kill:
    """Kills this process at a journal write, for the kill matrix; does nothing unless told.

    `FIRSTBELL_KILL_AT=N` dies right after write N. `FIRSTBELL_KILL_AT=each:FILE` dies once at every
    write not yet listed in FILE: after an intent (before the effect), and before the evidence
    (after the effect); the list is synced first, so that the next process gets one step further.
    `FIRSTBELL_KILL_AT=at:PATTERN` dies at every such write that the shell pattern matches.
    """

    def __init__(
        self, number: int | None = None, listing: Path | None = None, pattern: str | None = None
    ) -> None:
        self._number = number
        self._listing = listing
        self._pattern = pattern
        self._seen = (
            set(listing.read_text().splitlines()) if listing and listing.exists() else set()
        )

    @classmethod
    def from_environment(cls) -> _Kill:
        text = os.environ.get("FIRSTBELL_KILL_AT", "")
        if text.startswith("each:"):
            return cls(listing=Path(text.removeprefix("each:")))
        if text.startswith("at:"):
            return cls(pattern=text.removeprefix("at:"))
        return cls(number=int(text)) if text else cls()

    def before(self, point: str, phase: Phase) -> None:
        if phase == "done":
            self._once(f"before {point}")

    def after(self, point: str, phase: Phase, number: int) -> None:
        if number == self._number:
            os.kill(os.getpid(), signal.SIGKILL)
        if phase in ("intent", "enter"):
            self._once(f"after {point}")

    def _once(self, point: str) -> None:
        if self._pattern is not None and fnmatchcase(point, self._pattern):
            os.kill(os.getpid(), signal.SIGKILL)
        if self._listing is None or point in self._seen:
            return
        with self._listing.open("a") as listing:
            listing.write(point + "\n")
            listing.flush()
            os.fsync(listing.fileno())
        os.kill(os.getpid(), signal.SIGKILL)
