"""A writer that acknowledges outside the database, and probes that try both sides all the time.

`python -m cli.migration.proof.writer FOLDER` reads `FIRSTBELL_PROOF_SOURCE`, `…_TARGET` (the
application's connection strings) and `…_SUPER_SOURCE`, `…_SUPER_TARGET` (a superuser's) from the
environment and runs until FOLDER/stop appears. Every acknowledged write is a line that was synced
before the next write began. A write whose answer never came is in doubt: it counts as 0 or 1.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, Protocol
from urllib.parse import unquote, urlsplit

import psycopg
import pymysql

# The ids stand in a column without a unique constraint, so that a row applied twice is seen.
TABLES: Final = """
CREATE TABLE proof_row (pk uuid PRIMARY KEY DEFAULT gen_random_uuid(), id bigint NOT NULL,
  version int NOT NULL);
CREATE TABLE proof_probe (pk uuid PRIMARY KEY DEFAULT gen_random_uuid(), who text NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp());
"""
PROBE_SECONDS: Final = 0.05
# A refused sign-in costs the server a process and a password check.
_REFUSED_SECONDS: Final = 0.05
_SUPERUSER_SECONDS: Final = 0.25
_STATEMENT_TIMEOUT: Final = "-c statement_timeout=5000"

Side = Literal["source", "target"]
Op = Literal["insert", "update", "delete"]


class _Log:
    """One file of lines, each on disk before `write` returns."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")

    def write(self, **line: object) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


class Connection(Protocol):
    """What the writer needs of a driver's connection."""

    def cursor(self) -> Cursor: ...

    def commit(self) -> None: ...

    def rollback(self) -> None: ...

    def close(self) -> None: ...


class Cursor(Protocol):
    """What the writer needs of a driver's cursor."""

    def execute(self, query: Any, args: Any = None, /) -> object: ...

    def close(self) -> None: ...


_ERRORS: Final = (psycopg.Error, pymysql.Error, OSError)


def connect(dsn: str, *, autocommit: bool = True) -> Connection:
    """A connection of the kind that the string names; no statement may take longer than 5 s."""
    if not dsn.startswith("mariadb://"):
        return psycopg.connect(
            dsn, autocommit=autocommit, connect_timeout=3, options=_STATEMENT_TIMEOUT
        )
    parts = urlsplit(dsn)
    return pymysql.connect(
        host=parts.hostname or "",
        port=parts.port or 3306,
        user=parts.username,
        password=unquote(parts.password or ""),
        database=parts.path.lstrip("/"),
        autocommit=autocommit,
        connect_timeout=3,
        read_timeout=5,
    )


class _Session:
    """One connection to one side, opened again after it broke."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._conn: Connection | None = None

    def open(self) -> bool:
        if self._conn is None:
            with suppress(*_ERRORS):
                self._conn = connect(self._dsn)
        return self._conn is not None

    def write(self, statement: str, *values: object) -> bool:
        """True when acknowledged; False leaves it in doubt and closes the session."""
        if self._conn is None:
            return False
        try:
            cursor = self._conn.cursor()
            cursor.execute(statement, values)
            cursor.close()
        except _ERRORS:
            with suppress(*_ERRORS):
                self._conn.close()
            self._conn = None
            return False
        return True


class Writer(threading.Thread):
    """Inserts, updates and deletes on whichever side takes it, as fast as `pause` lets it."""

    def __init__(self, folder: Path, dsns: Mapping[Side, str], pause: float) -> None:
        super().__init__(daemon=True)
        self._folder = folder
        self._sessions = {side: _Session(dsn) for side, dsn in dsns.items()}
        self._pause = pause

    def run(self) -> None:
        log_path = self._folder / "writer.jsonl"
        log = _Log(log_path)
        pick = random.Random(7)  # noqa: S311 (which row, not a secret)
        alive: dict[int, int] = {}
        # Whoever goes on with a folder must not take a number again.
        number = max((_int(line["row"]) for line in _lines(log_path)), default=0)
        side: Side = "source"
        while not (self._folder / "stop").exists():
            session = self._sessions[side]
            if not session.open():
                side = "target" if side == "source" else "source"
                time.sleep(_REFUSED_SECONDS)
                continue
            op: Op = "insert"
            if alive and pick.random() < 0.4:
                op = "update" if pick.random() < 0.7 else "delete"
            if op == "insert":
                number += 1
                row, version = number, 0
                statement = "INSERT INTO proof_row (id, version) VALUES (%s, %s)"
                values: tuple[object, ...] = (row, version)
            else:
                row = pick.choice(list(alive)[-200:])
                version = alive[row] + 1
                statement = "UPDATE proof_row SET version = %s WHERE id = %s"
                values = (version, row)
                if op == "delete":
                    statement, values = "DELETE FROM proof_row WHERE id = %s", (row,)
            log.write(op=op, row=row, version=version, phase="sent")
            began = time.time()
            acknowledged = session.write(statement, *values)
            log.write(
                op=op,
                row=row,
                version=version,
                phase="acknowledged" if acknowledged else "doubt",
                side=side,
                began=began,
                ended=time.time(),
            )
            if op == "delete" or not acknowledged:
                alive.pop(row, None)
            else:
                alive[row] = version
            time.sleep(self._pause)


class Probe(threading.Thread):
    """Writes to one side as one role, over a session that stays open."""

    def __init__(self, folder: Path, side: Side, who: str, dsn: str, every: float) -> None:
        super().__init__(daemon=True)
        self._folder, self._side, self._who, self._every = folder, side, who, every
        self._session = _Session(dsn)

    def run(self) -> None:
        log = _Log(self._folder / f"probe-{self._side}-{self._who}.jsonl")
        while not (self._folder / "stop").exists():
            began = time.time()
            if self._session.open() and self._session.write(
                "INSERT INTO proof_probe (who) VALUES (%s)", f"{self._who} on {self._side}"
            ):
                log.write(side=self._side, who=self._who, began=began, ended=time.time())
            time.sleep(max(0.0, self._every - (time.time() - began)))


class IdleInTransaction(threading.Thread):
    """Holds an uncommitted write for as long as it can, then tries to commit it."""

    def __init__(self, folder: Path, dsn: str) -> None:
        super().__init__(daemon=True)
        self._folder, self._dsn = folder, dsn

    def run(self) -> None:
        stop = self._folder / "stop"
        while not stop.exists():
            with suppress(*_ERRORS):
                conn = connect(self._dsn, autocommit=False)
                conn.cursor().execute(
                    "INSERT INTO proof_probe (who) VALUES ('idle in transaction')"
                )
                until = time.monotonic() + 2
                while time.monotonic() < until and not stop.exists():
                    time.sleep(0.05)
                conn.rollback()
                conn.close()
            time.sleep(0.2)


@dataclass(frozen=True)
class Evidence:
    """What the writer and the probes saw, against what the database holds at the end."""

    acknowledged: int
    in_doubt: int
    lost: tuple[int, ...]
    doubled: tuple[int, ...]
    # Times at which the side that takes writes changed, and for how long none did.
    changes: tuple[tuple[Side, Side, float], ...]
    overlaps: int
    longest_gaps: tuple[float, ...]

    @property
    def clean(self) -> bool:
        return not self.lost and not self.doubled and not self.overlaps

    def to_json(self) -> dict[str, object]:
        return {
            "acknowledged": self.acknowledged,
            "in_doubt": self.in_doubt,
            "lost": len(self.lost),
            "doubled": len(self.doubled),
            "overlapping": self.overlaps,
            "outages_seconds": [round(seconds, 3) for *_, seconds in self.changes],
            "longest_gaps_seconds": [round(seconds, 3) for seconds in self.longest_gaps],
        }


def _lines(path: Path) -> Iterator[dict[str, object]]:
    if path.exists():
        for line in path.read_text().splitlines():
            with suppress(json.JSONDecodeError):
                yield json.loads(line)


def examine(folder: Path, rows: Sequence[tuple[int, int]]) -> Evidence:
    """Hold the acknowledgements against the final rows (id, version)."""
    expected: dict[int, set[int | None]] = {}
    open_write: dict[str, object] | None = None
    acknowledged = in_doubt = 0
    writes: list[tuple[float, float, Side]] = []

    def doubt(line: dict[str, object]) -> None:
        row = _int(line["row"])
        outcome = None if line["op"] == "delete" else _int(line["version"])
        expected.setdefault(row, {None}).add(outcome)

    for line in _lines(folder / "writer.jsonl"):
        if line["phase"] == "sent":
            open_write = line
            continue
        open_write = None
        if line["phase"] == "doubt":
            in_doubt += 1
            doubt(line)
            continue
        acknowledged += 1
        outcome = None if line["op"] == "delete" else _int(line["version"])
        expected[_int(line["row"])] = {outcome}
        writes.append(_interval(line))
    if open_write is not None:  # the writer itself was stopped in the middle
        in_doubt += 1
        doubt(open_write)
    have = Counter(row for row, _ in rows)
    versions = dict(rows)
    lost = tuple(row for row, allowed in expected.items() if versions.get(row) not in allowed)
    doubled = tuple(row for row, count in have.items() if count > 1)
    for path in folder.glob("probe-*.jsonl"):
        writes += [_interval(line) for line in _lines(path)]
    changes, overlaps = _sides(writes)
    return Evidence(acknowledged, in_doubt, lost, doubled, changes, overlaps, _gaps(writes))


def _int(value: object) -> int:
    return int(str(value))


def _interval(line: dict[str, object]) -> tuple[float, float, Side]:
    side: Side = "source" if line["side"] == "source" else "target"
    return float(str(line["began"])), float(str(line["ended"])), side


def _sides(
    writes: list[tuple[float, float, Side]],
) -> tuple[tuple[tuple[Side, Side, float], ...], int]:
    """Changes of the side that acknowledges, and acknowledgements that overlap the other side's.

    A write of one side that was sent after another side's was answered, and answered before that
    side's next, would be an interleaving: the caller compares the number of changes with the number
    of switches that were made.
    """
    changes: list[tuple[Side, Side, float]] = []
    overlaps = 0
    last: tuple[float, float, Side] | None = None
    latest: dict[Side, float] = {}
    for began, ended, side in sorted(writes, key=lambda write: write[1]):
        other: Side = "target" if side == "source" else "source"
        if began < latest.get(other, 0.0):
            overlaps += 1
        if last is not None and last[2] != side:
            changes.append((last[2], side, ended - last[1]))
        last = (began, ended, side)
        latest[side] = ended
    return tuple(changes), overlaps


def _gaps(writes: list[tuple[float, float, Side]]) -> tuple[float, ...]:
    """The five longest times without any acknowledgement, in seconds."""
    ends = sorted(ended for _, ended, _ in writes)
    gaps = sorted((b - a for a, b in pairwise(ends)), reverse=True)
    return tuple(gaps[:5])


def main(folder: Path, pause: float) -> None:
    """Run until FOLDER/stop appears."""
    dsns: dict[Side, str] = {
        "source": os.environ["FIRSTBELL_PROOF_SOURCE"],
        "target": os.environ["FIRSTBELL_PROOF_TARGET"],
    }
    threads: list[threading.Thread] = [Writer(folder, dsns, pause)]
    threads += [
        Probe(folder, side, "application", dsn, PROBE_SECONDS) for side, dsn in dsns.items()
    ]
    for side in dsns:
        if superuser := os.environ.get(f"FIRSTBELL_PROOF_SUPER_{side.upper()}"):
            threads.append(Probe(folder, side, "superuser", superuser, _SUPERUSER_SECONDS))
    threads.append(IdleInTransaction(folder, dsns["source"]))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.005)
