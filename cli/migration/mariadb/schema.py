"""Carries accounts, schema and rows from the source to the target with mariadb-dump.

mariadb-dump reads one consistent snapshot without locking anybody out and says which GTID it ends
at; replication goes on from there. Everything is loaded in sessions without a binary log. A copy
that was interrupted starts again: its tables are emptied first.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Final

import pymysql

from cli.migration.mariadb import catalogue, sums
from cli.migration.mariadb.gtid import Position
from cli.migration.mariadb.server import EVENT_STATES, Server
from cli.migration.mariadb.text import account, ident
from infra.errors import FirstbellError, InputError

_PROGRAMS: Final = ("mariadb-dump", "mariadb")
_BLOCK: Final = 1 << 20
_GTID: Final = re.compile(rb"^-- SET GLOBAL gtid_slave_pos='([^']*)';", re.MULTILINE)
_LOAD_SETTINGS: Final = "SET SESSION foreign_key_checks=0, unique_checks=0, max_statement_time=0"
_EXPEL_SECONDS: Final = 60.0


def find_programs() -> None:
    """Raises InputError when MariaDB's client programs are not on this runner."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        raise InputError(
            f"no {' and no '.join(missing)} on this runner", fix="apt-get install mariadb-client"
        )


def copy_accounts(source: Server, target: Server) -> list[str]:
    """Create the accounts and roles that the target lacks, with the hashes of their passwords."""
    have = {(user, host) for user, host, *_ in target.accounts()}
    made: list[str] = []
    for user, host, role in _wanted(source, target):
        if (user, host) in have:
            continue
        name = ident(user) if role else account(user, host)
        target.remember(f"{'ROLE' if role else 'USER'} {name}", "")
        if role:
            target.run(f"CREATE ROLE {name}")
        else:
            target.hidden(str(source.one(f"SHOW CREATE USER {name}")))
        made.append(name)
    return made


def _wanted(source: Server, target: Server) -> list[tuple[str, str, bool]]:
    """User, host and whether it is a role, roles first."""
    behind = target.cannot_grant(source)
    found = [
        (user, host, role)
        for user, host, _, role in source.accounts()
        if source.is_applications(user) and account(user, host) not in behind
    ]
    return sorted(found, key=lambda each: not each[2])


def copy_grants(source: Server, target: Server) -> int:
    """Give the accounts that we made all their grants, the others those on this database."""
    here = f" ON {ident(source.database)}."
    given = 0
    for user, host, role in _wanted(source, target):
        name = ident(user) if role else account(user, host)
        fresh = target.remembered(f"{'ROLE' if role else 'USER'} {name}") is not None
        for (grant,) in source.rows(f"SHOW GRANTS FOR {name}"):
            if fresh or here in str(grant):
                _grant(target, str(grant))
                given += 1
    return given


def _grant(target: Server, statement: str) -> None:
    # The hash is there already; SHOW GRANTS repeats it.
    plain = re.sub(r" IDENTIFIED (BY|VIA) .*?(?= WITH | REQUIRE |$)", "", statement)
    try:
        target.run(plain)
    except pymysql.ProgrammingError as error:
        raise FirstbellError(
            "the target refuses a grant", where=target.address, why=f"{plain}: {error}"
        ) from error


def load_structure(source: Server, target: Server) -> None:
    """Tables, sequences, routines and views; nothing that fires."""
    if target.remembered("structure") is not None:
        return
    expel(target)
    _empty(target)
    character_set, collation = source.rows(
        "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA"
        " WHERE SCHEMA_NAME = %s",
        source.database,
    )[0]
    target.run(
        f"ALTER DATABASE {ident(target.database)} CHARACTER SET {character_set} COLLATE {collation}"
    )
    _pipe(source, target, ["--no-data", "--routines", "--skip-triggers"])
    target.remember("structure", "")


def load_rows(
    source: Server,
    target: Server,
    progress: Callable[[int], None] = lambda _bytes: None,
    stop: Callable[[], None] = lambda: None,
) -> str:
    """Every row of one snapshot; the GTID position at which it was taken."""
    kept = target.remembered("rows")
    if kept is not None:
        return kept
    # A dump that a killed runner left may still be writing.
    expel(target)
    target.run("SET SESSION foreign_key_checks = 0")
    try:
        for table in catalogue.tables(target):
            target.run(f"TRUNCATE TABLE {table}")
    finally:
        target.run("SET SESSION foreign_key_checks = 1")
    options = ["--no-create-info", "--skip-triggers", "--gtid", "--master-data=2"]
    tail = _pipe(source, target, options, progress, stop)
    found = _GTID.findall(tail)
    if not found:
        raise FirstbellError("mariadb-dump did not say at which GTID its snapshot was taken")
    position = str(Position.parse(found[-1].decode()))
    target.remember("rows", position)
    return position


def exact_floats(source: Server, target: Server) -> int:
    """Put back the digits of FLOAT columns that every dump as text rounds away; how many rows.

    Only where the target holds the rounded value of what the source holds now, so that a row that
    has changed meanwhile is left to replication, which carries it exactly.
    """
    if target.remembered("floats") is not None:
        return 0
    mended = 0
    for table, column in catalogue.float_columns(source):
        keys = sums.key_columns(source, table)
        rounded = f"CAST(CONCAT({column}) AS FLOAT)"
        where = " AND ".join([*(f"{key} <=> %s" for key in keys), f"{column} = CAST(%s AS FLOAT)"])
        rows = source.rows(
            f"SELECT CAST({column} AS DOUBLE), {', '.join(keys)}, CONCAT({column}) FROM {table}"
            f" WHERE {rounded} <> {column}"
        )
        target.run("START TRANSACTION")
        for row in rows:
            target.run(f"UPDATE {table} SET {column} = %s WHERE {where}", *row)
        target.run("COMMIT")
        mended += len(rows)
    target.remember("floats", "")
    return mended


def load_what_fires(source: Server, target: Server) -> None:
    """Triggers and events, once the rows are there; events are silenced at once."""
    if target.remembered("fires") is not None:
        return
    for name in _triggers(target):
        target.run(f"DROP TRIGGER IF EXISTS {ident(target.database)}.{ident(name)}")
    for schema, name, _ in target.events(status=EVENT_STATES):
        target.run(f"DROP EVENT {ident(schema)}.{ident(name)}")
    _pipe(source, target, ["--no-data", "--no-create-info", "--triggers"])
    _pipe(source, target, ["--no-data", "--no-create-info", "--skip-triggers", "--events"])
    target.fence()
    target.remember("fires", "")


def _triggers(server: Server) -> list[str]:
    return [
        str(name)
        for (name,) in server.rows(
            "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s",
            server.database,
        )
    ]


def expel(server: Server) -> None:
    """End whatever else is signed in, and wait until it is gone."""
    deadline = time.monotonic() + _EXPEL_SECONDS
    while server.expel():
        if time.monotonic() > deadline:
            raise FirstbellError(f"sessions on the {server.side} do not end")
        time.sleep(0.05)


def _empty(server: Server) -> None:
    """Drop everything in the database."""
    name = ident(server.database)
    character_set, collation = server.rows(
        "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA"
        " WHERE SCHEMA_NAME = %s",
        server.database,
    )[0]
    server.remember("database", f"CHARACTER SET {character_set} COLLATE {collation}")
    kept = server.remembered("database")
    server.run(f"DROP DATABASE {name}")
    server.run(f"CREATE DATABASE {name} {kept}")
    server.run(f"USE {name}")


def empty(target: Server) -> None:
    """Make the target database as it was found, and drop the accounts that we made."""
    expel(target)
    _empty(target)
    for (what,) in target.rows(
        "SELECT what FROM firstbell.made WHERE what LIKE 'USER %' OR what LIKE 'ROLE %'"
    ):
        kind, _, name = str(what).partition(" ")
        target.run(f"DROP {kind} IF EXISTS {name}")
        target.run("DELETE FROM firstbell.role WHERE name = %s", name)
    target.run("DELETE FROM firstbell.event")


def _pipe(
    source: Server,
    target: Server,
    options: list[str],
    progress: Callable[[int], None] = lambda _bytes: None,
    stop: Callable[[], None] = lambda: None,
) -> bytes:
    """Dump from one side into the other; the dump's last bytes.

    Raises:
        FirstbellError: one of the two programs failed; with what it said.
    """
    dump = ["mariadb-dump", *source.child_arguments(), "--single-transaction", "--quick"]
    dump += ["--skip-lock-tables", "--skip-add-locks", "--hex-blob", "--skip-dump-date"]
    dump += ["--max-allowed-packet=1G", *options, source.database]
    load = ["mariadb", *target.child_arguments(), "--max-allowed-packet=1G", "--binary-mode"]
    settings = _LOAD_SETTINGS + (", sql_log_bin=0" if target.dialect.leaves_the_log else "")
    load += [f"--init-command={settings}", target.database]
    with tempfile.TemporaryFile() as dump_said, tempfile.TemporaryFile() as load_said:
        with (
            subprocess.Popen(
                dump,
                env=_environment(source),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=dump_said,
            ) as reader,
            subprocess.Popen(
                load,
                env=_environment(target),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=load_said,
            ) as writer,
        ):
            try:
                tail = _pump(reader.stdout, writer.stdin, progress, stop)
            except BaseException:
                reader.kill()
                writer.kill()
                raise
        for name, process, said in (
            ("mariadb", writer, load_said),
            ("mariadb-dump", reader, dump_said),
        ):
            if process.returncode:
                said.seek(0)
                why = said.read().decode(errors="replace").strip()[-2000:]
                if _lost_connection(why):
                    raise ConnectionError(f"{name}: {why}")
                raise FirstbellError(f"{name} failed", why=why)
    return tail


def _lost_connection(text: str) -> bool:
    """Whether a server went away, which is waited for."""
    return any(f" {number} " in f" {text.replace('(', ' ').replace(':', ' ')} " for number in _GONE)


# 2002, 2003: no connection; 2006, 2013, 2026: it broke; 1053: the server stops; 1927: killed.
_GONE: Final = (1053, 1927, 2002, 2003, 2006, 2013, 2026)


def _environment(server: Server) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), **server.child_environment()}


def _pump(
    reader: IO[bytes] | None,
    writer: IO[bytes] | None,
    progress: Callable[[int], None],
    stop: Callable[[], None],
) -> bytes:
    """Move everything; the last two blocks, which hold what the dump says at its end."""
    if reader is None or writer is None:
        raise FirstbellError("a child process has no pipe")
    moved, tail = 0, b""
    try:
        while block := reader.read(_BLOCK):
            stop()
            writer.write(block)
            moved += len(block)
            progress(moved)
            tail = (tail + block)[-2 * _BLOCK :]
    except BrokenPipeError:
        reader.close()
    finally:
        with suppress(BrokenPipeError):
            writer.close()
    return tail


def scratch_copy(source: Server, target: Server) -> None:
    """Everything but accounts and events, for a rehearsal; definers become ours."""
    _empty(target)
    _pipe(source, target, ["--no-data", "--routines", "--skip-triggers"])
    _pipe(source, target, ["--no-create-info", "--skip-triggers"])
    _pipe(source, target, ["--no-data", "--no-create-info", "--triggers"])
