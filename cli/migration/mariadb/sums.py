"""Compares rows of both sides by sums that do not depend on their order.

A row's hash is the first 64 bits of the SHA-1 of its values' bytes, and a table's sum is the sum of
those: two rows that differ in whatever way have equal hashes once in 2^64. The hash must not be
linear. CRC-32, of a row or as the exclusive or of its columns', answers the same when two rows
swapped values or the same change was made twice, and its 32 bits are too few for some hundred
million rows. SHA-1 takes a third of MD5's time here, because processors have instructions for it.

The text of a row is unambiguous: a value that may hold any byte has its length behind all values,
and NULL is an empty number or an empty length, which no value is. Texts go as the bytes that are
stored, without a conversion. The session pins what changes the text of a time; FLOAT is read as
DOUBLE, because its own text is rounded.

A table that is larger than the others is read in ranges of its key, so that it does not leave the
other connections without work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cli.migration import rows
from cli.migration.mariadb import catalogue
from cli.migration.mariadb.server import Server
from cli.migration.mariadb.text import ident, literal
from cli.migration.rows import (
    BUCKETS,
    CONNECTIONS,
    Differing,
    Sum,
    Sums,
    TableDifference,
    differing,
    on_both,
    told,
)

# Texts of these hold no zero byte and are never empty.
_PLAIN: Final = frozenset(
    (
        *("tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double"),
        *("date", "time", "datetime", "timestamp", "year"),
    )
)
_WHOLE_NUMBERS: Final = frozenset(("tinyint", "smallint", "mediumint", "int", "bigint"))
_GEOMETRIES: Final = frozenset(
    (
        *("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring"),
        *("multipolygon", "geometrycollection"),
    )
)
# Beside a column of these CONCAT would widen every number.
_WIDE: Final = frozenset(("ucs2", "utf16", "utf16le", "utf32"))
# Longer values go by their own SHA-1: CONCAT answers NULL beyond max_allowed_packet, and SUM leaves
# NULL out. A row is at most 65,535 bytes and some hundred texts that are stored apart, which is far
# below what any dump of it needs.
_LONGEST_BYTES: Final = 1024
# A range of a key is not worth a statement of its own below this many rows.
_LEAST_ROWS: Final = 100_000
_MOST_CONNECTIONS: Final = 8


@dataclass(frozen=True)
class _Column:
    """A column by its quoted name; `longest` is None for what is no text."""

    name: str
    kind: str
    nullable: bool
    longest: int | None
    wide: bool


@dataclass(frozen=True)
class _Part:
    """A table (quoted name), or a range of its key."""

    table: str
    condition: str = ""


def _columns(server: Server, table: str) -> list[_Column]:
    return [
        _Column(
            ident(str(name)),
            str(kind).lower(),
            nullable == "YES",
            None if longest is None else int(longest),
            charset in _WIDE,
        )
        for name, kind, nullable, longest, charset in server.rows(
            "SELECT COLUMN_NAME, DATA_TYPE, IS_NULLABLE, CHARACTER_OCTET_LENGTH,"
            " CHARACTER_SET_NAME FROM information_schema.COLUMNS"
            f" WHERE TABLE_SCHEMA = %s AND TABLE_NAME = {_bare(table)} ORDER BY ORDINAL_POSITION",
            server.database,
        )
    ]


def _bare(table: str) -> str:
    return literal(table[1:-1].replace("``", "`")).replace("%", "%%")


def _row_hash(columns: Sequence[_Column]) -> str:
    values, lengths = list[str](), list[str]()
    for column in columns:
        name, told = column.name, column.kind not in _PLAIN
        value = f"CAST({name} AS BINARY)" if column.wide else name
        if column.kind == "float":
            value = f"CAST({name} AS DOUBLE)"
        elif column.kind in _GEOMETRIES:
            value, told = _geometry(name), False
        else:
            value = _shortened(value, column)
        if told:
            # A NULL value is left out by CONCAT_WS; its length says so.
            lengths.append(_or_empty(f"LENGTH({name})", column))
        else:
            value = _or_empty(value, column)
        values.append(value)
    # A text whose first part is binary is binary, so nothing is converted.
    text = f"CONCAT_WS(0x00, {', '.join([*values, *lengths])})"
    return f"CAST(CONV(LEFT(SHA1({text}), 16), 16, 10) AS UNSIGNED)"


def _geometry(name: str) -> str:
    """A geometry's text: ST_AsBinary leaves out what its numbers mean, which is its SRID."""
    return f"CONCAT(ST_SRID({name}), ':', SHA1(ST_AsBinary({name})))"


def _shortened(value: str, column: _Column) -> str:
    if column.longest is None or column.longest <= _LONGEST_BYTES:
        return value
    return f"IF(LENGTH({column.name}) > {_LONGEST_BYTES}, SHA1({column.name}), {value})"


def _or_empty(text: str, column: _Column) -> str:
    return f"IFNULL({text}, '')" if column.nullable else text


def sum_table(server: Server, table: str, condition: str = "") -> Sum:
    """Count and sum of one table (quoted name), or of a range of it, read in one statement."""
    return _summed(server, _Part(table, condition), _row_hash(_columns(server, table)))


def _summed(server: Server, part: _Part, row_hash: str) -> Sum:
    rows, total = server.rows(
        f"SELECT COUNT(*), COALESCE(SUM({row_hash}), 0) FROM {part.table} {part.condition}"
    )[0]
    return Sum(int(rows), str(total))


def _parts(server: Server, tables: Sequence[str], connections: int) -> list[_Part]:
    """What is summed by one statement each, the largest tables first.

    The ranges of a table cover every key there can be, so both sides may be asked for the same.
    Reading by ranges takes a tenth longer, so only what would keep one connection busy longer than
    the others is shared out.
    """
    guessed = {
        ident(str(name)): int(count or 0)
        for name, count in server.rows(
            "SELECT TABLE_NAME, TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s",
            server.database,
        )
    }
    sizes = sorted(((guessed.get(table, 0), table) for table in tables), reverse=True)
    share = max(_LEAST_ROWS, sum(size for size, _ in sizes) // (2 * connections))
    return [
        _Part(table, condition)
        for size, table in sizes
        for condition in ranges(server, table, max(1, round(size / share)))
    ]


def ranges(server: Server, table: str, wanted: int) -> list[str]:
    """Conditions that share a table out by its primary key, when that begins with a number."""
    if wanted == 1:
        return [""]
    keys = key_columns(server, table, primary=True)
    numbers = {each.name for each in _columns(server, table) if each.kind in _WHOLE_NUMBERS}
    if not keys or (key := keys[0]) not in numbers:
        return [""]
    low, high = server.rows(f"SELECT MIN({key}), MAX({key}) FROM {table}")[0]
    if low is None:
        return [""]
    bounds = [low + (high - low) * number // wanted for number in range(1, wanted)]
    # Statistics that are old must not make every range a scan of the whole table.
    by_key = "FORCE INDEX (PRIMARY) WHERE "
    return [
        by_key + " AND ".join(filter(None, (over, below)))
        for over, below in zip(
            ["", *(f"{key} >= {bound}" for bound in bounds)],
            [*(f"{key} < {bound}" for bound in bounds), ""],
            strict=True,
        )
    ]


def connections(server: Server) -> int:
    """Connections that keep a server's processors at work: its thread pool has a group for each."""
    return max(CONNECTIONS, min(int(server.one("SELECT @@thread_pool_size")), _MOST_CONNECTIONS))


def sum_tables(
    source: Server,
    target: Server,
    tables: Sequence[str],
    *,
    connections: int = CONNECTIONS,
    progress: Callable[[int, int], None] = lambda _done, _rows: None,
    stop: Callable[[], None] = lambda: None,
) -> dict[str, tuple[Sum, Sum]]:
    """Sum every table on both sides at the same time; `stop` is called meanwhile and may raise."""
    # Asked once a table and side, not for every range, and not before its turn: DDL goes on.
    hashes = dict[tuple[str, str], str]()

    def sum_part(server: Server, part: _Part) -> Sum:
        asked = (server.side, part.table)
        if asked not in hashes:
            hashes[asked] = _row_hash(_columns(server, part.table))
        return _summed(server, part, hashes[asked])

    found = on_both(
        (source, target),
        _parts(source, tables, connections),
        sum_part,
        clone=Server.clone,
        connections=connections,
        progress=told(source.side, progress, lambda part: part.table),
        stop=stop,
    )
    sums = dict.fromkeys(tables, (Sum(0, "0"), Sum(0, "0")))
    for part, (one, other) in found.items():
        sums[part.table] = (sums[part.table][0] + one, sums[part.table][1] + other)
    return sums


def key_columns(server: Server, table: str, *, primary: bool = False) -> list[str]:
    """The quoted columns of the primary key, or all columns when there is none and any will do."""
    found = server.rows(
        "SELECT COLUMN_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %s"
        f" AND TABLE_NAME = {_bare(table)} AND INDEX_NAME = 'PRIMARY' ORDER BY SEQ_IN_INDEX",
        server.database,
    )
    names = [ident(str(name)) for (name,) in found]
    if primary:
        return names
    return names or [column.name for column in _columns(server, table)]


def _key_part(column: _Column) -> str:
    """A column in the text that tells rows apart, where any may stand when there is no key."""
    geometry = column.kind in _GEOMETRIES
    text = _geometry(column.name) if geometry else _shortened(column.name, column)
    return f"IFNULL({text}, 'NULL')"


def differing_rows(source: Server, target: Server, table: str) -> Differing:
    """Rows that are not equal: key text -> (hash on the source, hash on the target)."""
    columns = {column.name: column for column in _columns(source, table)}
    row_hash = _row_hash(list(columns.values()))
    parts = ", ".join(_key_part(columns[name]) for name in key_columns(source, table))
    key = f"CONCAT('(', CONCAT_WS(',', {parts}), ')')"
    # CONCAT answers NULL beyond max_allowed_packet.
    bucket = f"IFNULL(CRC32({key}) MOD {BUCKETS}, 0)"

    def buckets(side: Server) -> list[Any]:
        return side.rows(f"SELECT {bucket}, COUNT(*), SUM({row_hash}) FROM {table} GROUP BY 1")

    def rows(side: Server, wanted: Sequence[int]) -> list[Any]:
        return side.rows(
            f"SELECT {key}, {row_hash} FROM {table}"
            f" WHERE {bucket} IN ({', '.join(map(str, wanted))}) ORDER BY 1, 2"
        )

    return differing((source, target), buckets, rows)


def _plain(table: str) -> str:
    return table[1:-1]


def explain(source: Server, target: Server, sums: Sums) -> list[TableDifference]:
    """The tables that differ, each with its first differing rows."""
    return rows.explain(sums, lambda table: differing_rows(source, target, table), _plain)


def compare_live(
    source: Server, target: Server, settle: Callable[[], None]
) -> tuple[int, list[TableDifference]]:
    """Compare while users write, and look again at what differs once replay has caught up."""
    sums = sum_tables(source, target, catalogue.tables(source))
    return rows.compare_live(
        sums, lambda table: differing_rows(source, target, table), settle, _plain
    )
