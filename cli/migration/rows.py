"""What comparing rows is, whatever the database: sums by table, rows by key, a second look.

How a row is hashed and which rows stand in a bucket is the engines' own SQL (`checksums.py`,
`mariadb/sums.py`).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

# Buckets into which a table that differs is split to find the rows.
BUCKETS: Final = 1024
# Differing rows named in a report; a person needs the first few.
_NAMED: Final = 10
# Connections a side, where nothing else is said: users may be at work.
CONNECTIONS: Final = 2
_LOOKS: Final = 3


@dataclass(frozen=True)
class Sum:
    """A table's row count and sum of row hashes."""

    rows: int
    hash: str

    def __add__(self, other: Sum) -> Sum:
        """Of two parts of a table."""
        return Sum(self.rows + other.rows, str(int(self.hash) + int(other.hash)))


@dataclass(frozen=True)
class TableDifference:
    """A table whose rows are not the same, with the keys of the first rows that differ."""

    table: str
    source: Sum | None
    target: Sum | None
    rows: tuple[str, ...]

    def __str__(self) -> str:
        counts = ", ".join(
            f"{side} {found.rows if found else 'no'} rows"
            for side, found in (("source", self.source), ("target", self.target))
        )
        return f"{self.table}: {counts}; differing rows: {'; '.join(self.rows) or 'none by key'}"


# Key text -> the row's hash on the source and on the target.
Differing = Mapping[str, tuple[str | None, str | None]]
Sums = Mapping[str, tuple[Sum, Sum]]


class Side(Protocol):
    """A server, as far as threads need it."""

    side: str

    def close(self) -> None: ...


S = TypeVar("S", bound=Side)
# A table's name, or a part of a table.
P = TypeVar("P", bound=Hashable)
R = TypeVar("R")


def on_both(
    sides: tuple[S, S],
    order: Sequence[P],
    do: Callable[[S, P], R],
    *,
    clone: Callable[[S], S],
    connections: int = CONNECTIONS,
    progress: Callable[[Mapping[P, Mapping[str, R]]], None] = lambda _results: None,
    stop: Callable[[], None] = lambda: None,
) -> dict[P, tuple[R, R]]:
    """Do something for every table (or part) on both sides, over several connections of each.

    `clone` makes a connection; `stop` is called while it goes on and may raise to give up.
    """
    results: dict[P, dict[str, R]] = {each: {} for each in order}
    failures: list[Exception] = []
    ended = threading.Event()

    def work(server: S, todo: queue.SimpleQueue[P]) -> None:
        own = clone(server)
        try:
            while not ended.is_set():
                each = todo.get_nowait()
                results[each][server.side] = do(own, each)
        except queue.Empty:
            pass
        except Exception as error:
            failures.append(error)
            ended.set()
        finally:
            own.close()

    threads: list[threading.Thread] = []
    for server in sides:
        todo: queue.SimpleQueue[P] = queue.SimpleQueue()
        for each in order:
            todo.put(each)
        threads += [
            threading.Thread(target=work, args=(server, todo), daemon=True)
            for _ in range(min(connections, len(order)))
        ]
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(0.05)
            progress(results)
            stop()
    finally:
        ended.set()
    if failures:
        raise failures[0]
    one, other = (each.side for each in sides)
    return {each: (pair[one], pair[other]) for each, pair in results.items()}


def told(
    side: str, progress: Callable[[int, int], None], table: Callable[[P], str]
) -> Callable[[Mapping[P, Mapping[str, Sum]]], None]:
    """Turns results into tables done and rows."""

    def tell(results: Mapping[P, Mapping[str, Sum]]) -> None:
        found = [(table(each), dict(pair)) for each, pair in list(results.items())]
        begun = {name for name, pair in found if len(pair) < 2}
        done = [pair[side].rows for _, pair in found if len(pair) == 2]
        progress(len({name for name, _ in found} - begun), sum(done))

    return tell


def differing(
    sides: tuple[S, S],
    buckets: Callable[[S], Iterable[tuple[object, object, object]]],
    rows: Callable[[S, Sequence[int]], Iterable[tuple[object, object]]],
) -> Differing:
    """Rows that are not equal, found by the sums of buckets first.

    `buckets` gives number, count and sum of each, `rows` key and hash of every row in some.
    """
    sums = [
        {int(str(number)): (int(str(count)), str(total)) for number, count, total in buckets(side)}
        for side in sides
    ]
    unequal = sorted(n for n in sums[0].keys() | sums[1].keys() if sums[0].get(n) != sums[1].get(n))
    if not unequal:
        return {}
    found: list[dict[str, str]] = []
    for side in sides:
        seen: dict[str, str] = {}
        for key, value in rows(side, unequal):
            seen[str(key)] = seen.get(str(key), "") + str(value)
        found.append(seen)
    return {
        key: (found[0].get(key), found[1].get(key))
        for key in sorted(found[0].keys() | found[1].keys())
        if found[0].get(key) != found[1].get(key)
    }


def explain(
    sums: Sums, look: Callable[[str], Differing], name: Callable[[str], str] = str
) -> list[TableDifference]:
    """The tables that differ, each with its first differing rows."""
    found: list[TableDifference] = []
    for table, (one, other) in sums.items():
        if one == other:
            continue
        rows: list[str] = []
        for key, (left, right) in list(look(table).items())[:_NAMED]:
            how = "missing on the source" if left is None else "missing on the target"
            rows.append(f"{key} {'differs' if left and right else how}")
        found.append(TableDifference(name(table), one, other, tuple(rows)))
    return found


def compare_live(
    sums: Sums,
    look: Callable[[str], Differing],
    settle: Callable[[], None],
    name: Callable[[str], str] = str,
) -> tuple[int, list[TableDifference]]:
    """Compare while users write: rows that differ are looked at again once replay has caught up.

    A row whose two hashes are unchanged after `settle` was not merely on its way. Returns the rows
    compared and the tables that truly differ.
    """
    compared, found = 0, list[TableDifference]()
    for table, (one, other) in sums.items():
        compared += one.rows
        if one == other:
            continue
        suspects = look(table)
        for _ in range(_LOOKS):
            if not suspects:
                break
            settle()
            again = look(table)
            suspects = {key: pair for key, pair in suspects.items() if again.get(key) == pair}
        if suspects:
            rows = tuple(list(suspects)[:_NAMED])
            found.append(TableDifference(name(table), one, other, rows))
    return compared, found
