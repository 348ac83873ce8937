"""Compares rows of both sides by sums that do not depend on their order.

A row's hash is the first 64 bits of the MD5 of its values' bytes. Which value is NULL, and how long
each text is, stand behind the values, so that no two rows share a text. The session pins what
changes a value's text (time zone, character set); FLOAT is read as DOUBLE, because its own text is
rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from cli.migration import rows
from cli.migration.mariadb import catalogue
from cli.migration.mariadb.server import Server
from cli.migration.mariadb.text import ident, literal
from cli.migration.rows import (
    BUCKETS,
    Differing,
    Sum,
    Sums,
    TableDifference,
    differing,
    on_both,
    told,
)

_TEXTS: Final = frozenset(("char", "varchar", "tinytext", "text", "enum", "set", "inet6", "uuid"))
_BINARIES: Final = frozenset(("binary", "varbinary", "tinyblob", "blob", "bit"))
# Whole values of these would outgrow max_allowed_packet, beyond which CONCAT answers NULL.
_LARGE: Final = frozenset(("mediumtext", "longtext", "mediumblob", "longblob", "json"))
_GEOMETRIES: Final = {
    *("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring"),
    *("multipolygon", "geometrycollection"),
}


def _value(name: str, kind: str) -> tuple[str, bool]:
    """A column's bytes as an expression, and whether their length must be told."""
    if kind in _LARGE:
        return f"MD5({name})", False
    if kind in _GEOMETRIES:
        return f"MD5(ST_AsBinary({name}))", False
    if kind == "float":
        return f"CAST({name} AS DOUBLE)", False
    if kind in _TEXTS or kind in _BINARIES:
        return f"CAST({name} AS BINARY)", True
    return name, False


def _columns(server: Server, table: str) -> list[tuple[str, str, bool]]:
    """Quoted name, kind, and whether it may be NULL."""
    return [
        (ident(str(name)), str(kind).lower(), nullable == "YES")
        for name, kind, nullable in server.rows(
            "SELECT COLUMN_NAME, DATA_TYPE, IS_NULLABLE FROM information_schema.COLUMNS"
            f" WHERE TABLE_SCHEMA = %s AND TABLE_NAME = {_bare(table)} ORDER BY ORDINAL_POSITION",
            server.database,
        )
    ]


def _bare(table: str) -> str:
    return literal(table[1:-1].replace("``", "`")).replace("%", "%%")


def _row_hash(columns: Sequence[tuple[str, str, bool]]) -> str:
    values, lengths, nulls = list[str](), list[str](), list[str]()
    for name, kind, nullable in columns:
        value, told = _value(name, kind)
        values.append(value)
        if told:
            lengths.append(f"LENGTH({name})")
        if nullable:
            nulls.append(f"ISNULL({name})")
    text = ", ".join([*values, *lengths, *([f"CONCAT({', '.join(nulls)})"] if nulls else [])])
    return f"CAST(CONV(LEFT(MD5(CONCAT_WS(0x00, {text})), 16), 16, 10) AS UNSIGNED)"


def sum_table(server: Server, table: str) -> Sum:
    """Count and sum of one table (quoted name), read in one statement."""
    row_hash = _row_hash(_columns(server, table))
    rows, total = server.rows(f"SELECT COUNT(*), COALESCE(SUM({row_hash}), 0) FROM {table}")[0]
    return Sum(int(rows), str(total))


def sum_tables(
    source: Server,
    target: Server,
    tables: Sequence[str],
    *,
    progress: Callable[[int, int], None] = lambda _done, _rows: None,
    stop: Callable[[], None] = lambda: None,
) -> dict[str, tuple[Sum, Sum]]:
    """Sum every table on both sides at the same time; `stop` is called meanwhile and may raise."""
    return on_both(
        (source, target),
        tables,
        sum_table,
        clone=Server.clone,
        progress=told(source.side, progress),
        stop=stop,
    )


def key_columns(server: Server, table: str) -> list[str]:
    """The quoted columns of the primary key, or all columns when there is none."""
    found = server.rows(
        "SELECT COLUMN_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %s"
        f" AND TABLE_NAME = {_bare(table)} AND INDEX_NAME = 'PRIMARY' ORDER BY SEQ_IN_INDEX",
        server.database,
    )
    names = [ident(str(name)) for (name,) in found]
    return names or [name for name, *_ in _columns(server, table)]


def differing_rows(source: Server, target: Server, table: str) -> Differing:
    """Rows that are not equal: key text -> (hash on the source, hash on the target)."""
    row_hash = _row_hash(_columns(source, table))
    parts = ", ".join(f"IFNULL({name}, 'NULL')" for name in key_columns(source, table))
    key = f"CONCAT('(', CONCAT_WS(',', {parts}), ')')"
    bucket = f"CRC32({key}) MOD {BUCKETS}"

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
