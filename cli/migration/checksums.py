"""Compares rows of both sides by sums that do not depend on their order.

A row's hash is `hashtextextended` of its text. PostgreSQL keeps that function's results across
major versions, because hash partitions would break otherwise, and the session pins everything that
changes a value's text (time zone, date style, float digits, bytea output).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cli.migration import catalogue
from cli.migration.postgres import Server, ident

BUCKETS: Final = 1024
# Differing rows named in a report; a person needs the first few.
_NAMED_ROWS: Final = 10
_HASH: Final = "hashtextextended(t::text, 0)"


@dataclass(frozen=True)
class Sum:
    """A table's row count and sum of row hashes."""

    rows: int
    hash: str


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


def sum_table(server: Server, table: str) -> Sum:
    """Count and sum of one table (quoted name), read in one statement."""
    rows, total = server.rows(f"SELECT count(*), coalesce(sum({_HASH}), 0)::text FROM {table} t")[0]
    return Sum(int(rows), str(total))


def sum_tables(
    source: Server,
    target: Server,
    tables: Sequence[str],
    *,
    progress: Callable[[int, int], None] = lambda _done, _rows: None,
    stop: Callable[[], None] = lambda: None,
) -> dict[str, tuple[Sum, Sum]]:
    """Sum every table on both sides at the same time.

    `stop` is called between tables and may raise to give up.
    """
    results: dict[str, dict[str, Sum]] = {table: {} for table in tables}
    failures: list[BaseException] = []
    ended = threading.Event()

    def work(server: Server) -> None:
        own = server.clone()
        try:
            for table in tables:
                if ended.is_set():
                    return
                results[table][server.side] = sum_table(own, table)
        except Exception as error:
            failures.append(error)
            ended.set()
        finally:
            own.close()

    threads = [
        threading.Thread(target=work, args=(side,), daemon=True) for side in (source, target)
    ]
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(0.05)
            done = [pair[source.side] for pair in results.values() if len(pair) == 2]
            progress(len(done), sum(each.rows for each in done))
            stop()
    finally:
        ended.set()
    if failures:
        raise failures[0]
    return {table: (pair[source.side], pair[target.side]) for table, pair in results.items()}


def key_columns(server: Server, table: str) -> list[str]:
    """The quoted columns of the primary key, or all columns when there is none."""
    found = server.rows(
        "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid"
        " AND a.attnum = ANY (i.indkey::int2[]) WHERE i.indrelid = %s::regclass AND i.indisprimary"
        " ORDER BY array_position(i.indkey::int2[], a.attnum)",
        table,
    ) or server.rows(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
        " AND NOT attisdropped ORDER BY attnum",
        table,
    )
    return [ident(str(name)) for (name,) in found]


def differing_rows(source: Server, target: Server, table: str) -> dict[str, tuple[Any, Any]]:
    """Rows that are not equal: key text -> (hash on the source, hash on the target)."""
    key = f"ROW({', '.join(key_columns(source, table))})::text"
    bucket = f"abs(hashtextextended({key}, 1) %% {BUCKETS})".replace("%%", "%")
    sums = [
        {
            int(number): (int(count), str(total))
            for number, count, total in side.rows(
                f"SELECT {bucket}, count(*), sum({_HASH})::text FROM {table} t GROUP BY 1"
            )
        }
        for side in (source, target)
    ]
    unequal = [n for n in sums[0].keys() | sums[1].keys() if sums[0].get(n) != sums[1].get(n)]
    if not unequal:
        return {}
    wanted = ", ".join(str(number) for number in sorted(unequal))
    found: list[dict[str, str]] = []
    for side in (source, target):
        rows: dict[str, str] = {}
        for text, row_hash in side.rows(
            f"SELECT {key}, {_HASH}::text FROM {table} t WHERE {bucket} IN ({wanted}) ORDER BY 1, 2"
        ):
            rows[str(text)] = rows.get(str(text), "") + str(row_hash)
        found.append(rows)
    return {
        text: (found[0].get(text), found[1].get(text))
        for text in sorted(found[0].keys() | found[1].keys())
        if found[0].get(text) != found[1].get(text)
    }


def explain(
    source: Server, target: Server, sums: dict[str, tuple[Sum, Sum]]
) -> list[TableDifference]:
    """The tables that differ, each with its first differing rows."""
    found: list[TableDifference] = []
    for table, (one, other) in sums.items():
        if one == other:
            continue
        rows: list[str] = []
        for key, (left, right) in list(differing_rows(source, target, table).items())[:_NAMED_ROWS]:
            how = "missing on the source" if left is None else "missing on the target"
            rows.append(f"{key} {'differs' if left and right else how}")
        found.append(TableDifference(table, one, other, tuple(rows)))
    return found


def compare_live(
    source: Server, target: Server, settle: Callable[[], None]
) -> tuple[int, list[TableDifference]]:
    """Compare while users write: rows that differ are looked at again once replay has caught up.

    A row whose two hashes are unchanged after `settle` was not merely on its way. Returns the rows
    compared and the tables that truly differ.
    """
    compared, found = 0, list[TableDifference]()
    for table in catalogue.tables(source):
        one, other = sum_table(source, table), sum_table(target, table)
        compared += one.rows
        if one == other:
            continue
        suspects = differing_rows(source, target, table)
        for _ in range(3):
            if not suspects:
                break
            settle()
            again = differing_rows(source, target, table)
            suspects = {key: pair for key, pair in suspects.items() if again.get(key) == pair}
        if suspects:
            rows = tuple(list(suspects)[:_NAMED_ROWS])
            found.append(TableDifference(table, one, other, rows))
    return compared, found
