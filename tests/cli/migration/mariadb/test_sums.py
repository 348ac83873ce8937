"""Sums of MariaDB's rows: equal for equal rows, different for any change, however alike."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.migration.mariadb import sums
from cli.migration.mariadb.server import Address, Server
from cli.migration.proof.mariadb import MariaDbServer
from cli.migration.proof.servers import ADMIN, ADMIN_PASSWORD

ZOO = "`zoo`"
TABLE = """
CREATE TABLE zoo (id BIGINT PRIMARY KEY, i1 TINYINT, i8 BIGINT, u8 BIGINT UNSIGNED, n DECIMAL(20,4),
  f DOUBLE, r FLOAT, d DATE, dt DATETIME(6), ts TIMESTAMP NULL, tm TIME(3), y YEAR, c CHAR(8),
  v VARCHAR(40), w VARCHAR(40), l VARCHAR(40) CHARACTER SET latin1,
  u VARCHAR(40) CHARACTER SET ucs2,
  ci VARCHAR(40) COLLATE utf8mb4_general_ci, e ENUM('fine', 'bored', ''), s SET('a', 'b'), b BIT(9),
  x VARBINARY(40), xx BINARY(4), t TEXT, lt LONGTEXT, lb LONGBLOB, j JSON, ip INET6, uu UUID,
  g POINT, `odd ``name%` INT)
"""
ROWS = """
INSERT INTO zoo VALUES (1, -1, -1, 18446744073709551615, 1.1000, 0.1, 0.1, '2026-01-02',
  '2026-01-02 03:04:05.678901', '2026-01-02 03:04:05', '03:04:05.678', 2026, 'pad', 'vär', 'w', 'å',
  'å', 'ci', 'fine', 'a', b'100000001', x'00ff', x'01', 'text', REPEAT('long', 1000),
  REPEAT(x'00', 5000), '{"a":  1}', '::1', 'f0e1d2c3-0000-4000-8000-000000000001', POINT(1, 2), 1),
  (3, 1, 2, 3, 4, 5, 6, '2026-03-01', '2026-03-01', '2026-03-01', '01:00', 2027, 'c', 'v', 'x', 'l',
  'u', 'ci', 'bored', 'b', b'1', 'x', 'y', 't', 'lt', 'lb', '{}', '::2',
  'f0e1d2c3-0000-4000-8000-000000000003', POINT(3, 4), 2);
"""
CHANGES = (
    "i1 = 0", "i1 = NULL", "i8 = 4294967295", "u8 = 0", "n = 1.1001", "f = 0.10000000000000002",
    "r = 0.10000001", "d = d + INTERVAL 1 DAY", "dt = dt + INTERVAL 1 MICROSECOND",
    "ts = ts + INTERVAL 1 SECOND", "tm = '03:04:05.679'", "y = 2025", "c = 'pax'", "v = 'vär '",
    "v = 'var'", "v = NULL", "v = ''", "l = 'a'", "u = 'Ã¥'", "ci = 'CI'", "e = 'bored'", "e = ''",
    "s = 'a,b'", "s = ''", "b = b'1'", "x = x'00fe'", "x = x'00ff00'", "xx = x'02'", "t = NULL",
    "t = REPEAT('t', 1024)", "t = REPEAT('t', 1025)", "lt = CONCAT(lt, 'x')", "lt = SHA1(lt)",
    "lb = REPEAT(x'00', 5001)", "j = '{\"a\": 1}'", "ip = '::2'",
    "uu = 'f0e1d2c3-0000-4000-8000-000000000002'", "g = POINT(2, 1)", "g = NULL",
    "g = ST_GeomFromText('POINT(1 2)', 4326)",
    "`odd ``name%` = 2", "id = 9",
)  # fmt: skip


@pytest.fixture(scope="module")
def sides(template: MariaDbServer) -> Iterator[tuple[Server, Server]]:
    """Two databases of one server."""
    server = template.copy(7)
    made: list[Server] = []
    try:
        for side in ("source", "target"):
            server.sql(f"CREATE DATABASE {side} CHARACTER SET utf8mb4", database=None)
            address = Address("127.0.0.1", server.port, ADMIN, side, ADMIN_PASSWORD)
            made.append(Server(side, address, address, "sums"))
        yield made[0], made[1]
    finally:
        for each in made:
            each.close()
        server.remove()


def make(sides: tuple[Server, Server], table: str, *statements: str) -> None:
    for side in sides:
        side.run("DROP TABLE IF EXISTS zoo")
        for statement in (table, *statements):
            side.run(statement)


def compared(sides: tuple[Server, Server]) -> tuple[bool, list[str]]:
    """Whether the sums are equal, and the keys of the rows that differ."""
    found = sums.sum_tables(*sides, [ZOO])
    return found[ZOO][0] == found[ZOO][1], list(sums.differing_rows(*sides, ZOO))


def test_equal_rows_have_equal_sums_and_any_change_is_seen(sides: tuple[Server, Server]) -> None:
    make(sides, TABLE, ROWS, "INSERT INTO zoo (id) VALUES (2)")
    assert compared(sides) == (True, [])
    target = sides[1]
    seen = {sums.sum_table(target, ZOO).hash}

    def changed(statement: str) -> None:
        target.run("START TRANSACTION")
        target.run(statement)
        found = sums.sum_table(target, ZOO)
        target.run("ROLLBACK")
        assert found.hash not in seen, statement
        seen.add(found.hash)

    for change in CHANGES:
        changed(f"UPDATE zoo SET {change} WHERE id = 1")
    # The same value in another column; NULL, nothing and a zero byte.
    for column in ("i1", "i8", "u8", "n", "f", "r", "y", "`odd ``name%`"):
        changed(f"UPDATE zoo SET {column} = 7 WHERE id = 2")
    for column in ("c", "v", "w", "l", "u", "ci", "x", "t", "lt", "lb"):
        changed(f"UPDATE zoo SET {column} = 'x' WHERE id = 2")
        changed(f"UPDATE zoo SET {column} = '' WHERE id = 2")
        changed(f"UPDATE zoo SET {column} = x'00' WHERE id = 2")
    changed("DELETE FROM zoo WHERE id = 2")
    changed("INSERT INTO zoo (id) VALUES (4)")


def test_any_change_of_columns_that_are_never_null_is_seen(sides: tuple[Server, Server]) -> None:
    """Nothing turns their numbers, times and bits into texts before they are joined."""
    make(
        sides,
        "CREATE TABLE zoo (id INT PRIMARY KEY, b BIT(9) NOT NULL, i INT NOT NULL,"
        " u BIGINT UNSIGNED NOT NULL, n DECIMAL(9,2) NOT NULL, f DOUBLE NOT NULL, r FLOAT NOT NULL,"
        " d DATE NOT NULL, dt DATETIME(3) NOT NULL, ts TIMESTAMP NOT NULL DEFAULT NOW(),"
        " tm TIME NOT NULL, y YEAR NOT NULL, bb BIT(64) NOT NULL, e ENUM('a', 'b') NOT NULL,"
        " w VARCHAR(9) CHARACTER SET utf16 NOT NULL, g POINT NOT NULL)",
        "INSERT INTO zoo VALUES (1, b'1', 1, 2, 3.25, 0.1, 0.1, '2026-01-02', '2026-01-02 03:04',"
        " '2026-01-02 03:04:05', '03:04:05', 2026, b'0', 'a', 'å', POINT(1, 2))",
    )
    target = sides[1]
    before = sums.sum_table(target, ZOO)
    seen = {before.hash}
    for change in (
        *("b = b'0'", "b = b'110001'", "b = b'100000000'", "i = 0", "i = -1", "u = 2 | 1 << 63"),
        *("n = 3.26", "n = 0", "f = 0.10000000000000002", "r = 0.10000001", "d = '2026-01-03'"),
        *("d = '0000-00-00'", "dt = '2026-01-02 03:04:00.001'", "ts = '2026-01-02 03:04:06'"),
        *("tm = '-03:04:05'", "y = 2027", "bb = ~0", "bb = 1", "e = 'b'", "w = ''", "w = 'Ã¥'"),
        *("g = POINT(2, 1)", "g = ST_GeomFromText('POINT(1 2)', 4326)", "id = 2"),
    ):
        target.run("START TRANSACTION")
        target.run(f"UPDATE zoo SET {change}")
        found, keys = sums.sum_table(target, ZOO), list(sums.differing_rows(*sides, ZOO))
        target.run("ROLLBACK")
        assert found.hash not in seen, change
        assert keys, change
        seen.add(found.hash)
    assert compared(sides) == (True, [])


def test_a_text_in_another_character_set_is_another_text_and_a_collation_alone_is_not(
    sides: tuple[Server, Server],
) -> None:
    """What differs in the catalogue only is the catalogue's to find."""
    make(sides, "CREATE TABLE zoo (id INT PRIMARY KEY, v VARCHAR(40))", "INSERT INTO zoo VALUES"
         " (1, 'å')")  # fmt: skip
    sides[1].run("ALTER TABLE zoo MODIFY v VARCHAR(40) COLLATE utf8mb4_bin")
    assert compared(sides) == (True, [])
    sides[1].run("ALTER TABLE zoo MODIFY v VARCHAR(40) CHARACTER SET latin1")
    assert compared(sides) == (False, ["(1)"])


def test_doubled_missing_and_swapped_rows_of_a_table_without_a_key_are_seen(
    sides: tuple[Server, Server],
) -> None:
    target = sides[1]
    table = (
        "CREATE TABLE zoo (a INT, b VARCHAR(40), c VARCHAR(40) CHARACTER SET latin1,"
        " d VARCHAR(40) COLLATE utf8mb4_bin)"
    )
    rows = "INSERT INTO zoo VALUES (1, 'x', 'å', 'z'), (1, 'x', 'å', 'z'), (2, 'y', NULL, '')"
    for statement in (
        "DELETE FROM zoo WHERE a = 1 LIMIT 1",
        "INSERT INTO zoo VALUES (1, 'x', 'å', 'z')",
        # As many rows, in pairs that an exclusive or would cancel.
        "UPDATE zoo SET b = 'other' WHERE a = 1",
        "UPDATE zoo SET a = 3 - a",
        "UPDATE zoo SET d = NULL WHERE a = 2",
    ):
        make(sides, table, rows)
        assert compared(sides) == (True, [])
        target.run(statement)
        equal, keys = compared(sides)
        assert not equal, statement
        assert keys, statement


def test_rows_without_a_key_that_are_longer_than_a_packet_are_told_apart(
    sides: tuple[Server, Server],
) -> None:
    """CONCAT of their values would be NULL."""
    packet = 1_048_576
    sides[0].run(f"SET GLOBAL max_allowed_packet = {packet}")
    source, target = small = sides[0].clone(), sides[1].clone()
    rows = f"INSERT INTO zoo VALUES (1, REPEAT('a', {packet // 2}), REPEAT('b', {packet // 2}), "
    try:
        make(small, "CREATE TABLE zoo (a INT, b LONGTEXT, c LONGBLOB, g POINT, ip INET6)",
             f"{rows} POINT(1, 2), '::1')", f"{rows} NULL, NULL)")  # fmt: skip
        assert source.one("SELECT COUNT(*) FROM zoo WHERE CONCAT('(', b, c) IS NULL") == 2
        assert compared(small) == (True, [])
        target.run("UPDATE zoo SET b = CONCAT('x', SUBSTR(b, 2)) WHERE g IS NOT NULL")
        equal, keys = compared(small)
        assert not equal
        assert len(keys) == 2
        assert all(len(key) < 200 for key in keys)
    finally:
        sides[0].run("SET GLOBAL max_allowed_packet = DEFAULT")
        for each in small:
            each.close()


def test_the_ranges_of_a_large_table_hold_each_row_once(sides: tuple[Server, Server]) -> None:
    """Also rows beyond the keys that the source has, and of a table that statistics overrate."""
    source, target = sides
    tables = (
        ("CREATE TABLE zoo (id INT UNSIGNED, sub INT, v INT, PRIMARY KEY (id, sub))", 0, 10**9),
        ("CREATE TABLE zoo (id BIGINT, sub INT, v INT, PRIMARY KEY (id)) PARTITION BY HASH (id)"
         " PARTITIONS 3", -(2**63), 2**63 - 1),
    )  # fmt: skip
    for table, low, high in tables:
        make(sides, table, "INSERT INTO zoo SELECT seq, seq, seq FROM seq_10_to_1009")
        for wanted in (1, 2, 7, 5000):
            ranges = sums.ranges(source, ZOO, wanted)
            assert len(ranges) == wanted
            parts = [sums.sum_table(source, ZOO, each) for each in ranges[:20]]
            if wanted < 20:
                whole = sums.sum_table(source, ZOO)
                assert sum(parts[1:], parts[0]) == whole
        for key in (low, high):
            target.run(f"INSERT INTO zoo VALUES ({key}, 1, 1)")
            seen = [sums.sum_table(target, ZOO, each) for each in sums.ranges(source, ZOO, 7)]
            assert sum(each.rows for each in seen) == 1001
            target.run(f"DELETE FROM zoo WHERE id = {key}")
    # What is not shared out is not looked up.
    nowhere = Address("127.0.0.1", 1, ADMIN, "source", ADMIN_PASSWORD)
    assert sums.ranges(Server("source", nowhere, nowhere, "sums"), ZOO, 1) == [""]
    make(sides, "CREATE TABLE zoo (id INT PRIMARY KEY)")
    assert sums.ranges(source, ZOO, 7) == [""]
    make(sides, "CREATE TABLE zoo (id VARCHAR(9) PRIMARY KEY)", "INSERT INTO zoo VALUES ('a')")
    assert sums.ranges(source, ZOO, 7) == [""]


# Values that a weak hash confuses: with zero bytes, digits, and what stands for a length.
VALUE = st.none() | st.text(alphabet="\0a1,", max_size=3)
ROW = st.tuples(st.none() | st.integers(0, 3), VALUE, VALUE, st.none() | st.integers(0, 3))


@settings(max_examples=40)
@given(st.lists(ROW, min_size=1, max_size=6), st.data())
def test_no_rearrangement_of_values_keeps_the_sum(
    sides: tuple[Server, Server], table: list[tuple[object, ...]], data: st.DataObject
) -> None:
    """Values swapped between rows or columns, text shifted between columns, rows doubled."""
    source = sides[0]
    source.run(
        "CREATE TABLE IF NOT EXISTS mixed (n INT, v VARCHAR(9), t TEXT, m INT) CHARSET utf8mb4"
    )

    def summed(rows: list[tuple[object, ...]]) -> sums.Sum:
        source.run("DELETE FROM mixed")
        for row in rows:
            source.run("INSERT INTO mixed VALUES (%s, %s, %s, %s)", *row)
        return sums.sum_table(source, "`mixed`")

    def rearranged(rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
        changed = [list(row) for row in rows]
        a, b = (data.draw(st.sampled_from(changed)) for _ in range(2))
        match data.draw(st.sampled_from(("swap rows", "swap columns", "shift", "double"))):
            case "swap rows":
                at = data.draw(st.integers(0, 3))
                a[at], b[at] = b[at], a[at]
            case "swap columns":
                one, other = data.draw(st.sampled_from([(0, 3), (1, 2)]))
                a[one], a[other] = a[other], a[one]
            case "shift":
                text = f"{a[1] or ''}{a[2] or ''}"
                at = data.draw(st.integers(0, len(text)))
                a[1], a[2] = text[:at], text[at:]
            case _:
                a[:] = b
        return [tuple(row) for row in changed]

    other = rearranged(table)
    same = sorted(map(repr, table)) == sorted(map(repr, other))
    assert (summed(table) == summed(other)) == same
