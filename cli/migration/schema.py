"""Carries roles and the schema from the source to the target, in steps that survive a crash.

pg_dump writes the schema; it is split at pg_dump's own headings, and each entry runs in one
transaction with a mark in `firstbell.made`, so that whoever resumes knows what was made.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from cli.migration import catalogue
from cli.migration.postgres import Server, ident
from infra.errors import FirstbellError, InputError

_HEADING: Final = re.compile(
    r"^--\n-- Name: (?P<name>.*); Type: (?P<type>[A-Z ]+); Schema: (?P<schema>.*);"
    r" Owner: (?P<owner>.*)\n--\n",
    re.MULTILINE,
)
# Newer pg_dump frames its output for psql alone.
_PSQL_ONLY: Final = re.compile(r"^\\(un)?restrict .*$", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """One object of a dump."""

    name: str
    type: str
    sql: str

    @property
    def key(self) -> str:
        return f"{self.type} {self.name}"

    @property
    def needed_for_apply(self) -> bool:
        """Whether updates cannot be applied without it: a key, or the identity's index."""
        return " PRIMARY KEY " in self.sql or " REPLICA IDENTITY " in self.sql


def find_program(program: str, version: int) -> Path:
    """PostgreSQL's client program of this major version.

    Raises:
        InputError: none is on this runner.
    """
    candidates = [Path(f"/usr/lib/postgresql/{version}/bin/{program}")]
    if found := shutil.which(program):
        candidates.append(Path(found))
    from cli.migration.proof.servers import binaries

    if folder := binaries(version):
        candidates.append(folder / program)
    for path in candidates:
        if not path.exists():
            continue
        told = subprocess.run([str(path), "--version"], capture_output=True, text=True, check=False)
        if re.search(rf" {version}(\.|beta|rc|\s|$)", told.stdout):
            return path
    raise InputError(
        f"no {program} of PostgreSQL {version} on this runner",
        fix=f"apt-get install postgresql-client-{version}",
    )


def dump(source: Server, program: Path, section: str) -> list[Entry]:
    """The schema's entries of a section (`pre-data` or `post-data`), in order.

    Raises:
        FirstbellError: pg_dump failed.
    """
    command = [
        str(program),
        *("--schema-only", f"--section={section}", "--exclude-schema=firstbell"),
        *("--no-publications", "--no-subscriptions", "--lock-wait-timeout=10s"),
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ.get("PATH", ""), **source.child_environment()},
    )
    if done.returncode:
        raise FirstbellError("pg_dump failed", where=source.address, why=done.stderr.strip())
    text = _PSQL_ONLY.sub("", done.stdout)
    found = list(_HEADING.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)]
    entries = [
        Entry(f"{m['schema']}.{m['name']}", m["type"], text[m.end() : end].strip())
        for m, end in zip(found, ends, strict=True)
    ]
    ours = f"{source.base}_"
    return [
        entry
        for entry in entries
        if entry.sql and not (entry.type.endswith("ACL") and ours in entry.sql)
    ]


def restore_before_copy(target: Server, entries: list[Entry]) -> None:
    """Everything that rows need, in one transaction: all or nothing survives a crash."""
    if target.one("SELECT 1 FROM firstbell.made WHERE what = 'pre-data'"):
        return
    with target.conn.transaction():
        target.run("SET LOCAL check_function_bodies = off")
        for entry in entries:
            if entry.key == "SCHEMA -.public":
                continue
            _apply(target, entry)
        target.run("INSERT INTO firstbell.made VALUES ('pre-data')")


def restore(target: Server, entries: list[Entry]) -> int:
    """Entries one by one, those already made left out; how many were made now."""
    made = {str(what) for (what,) in target.rows("SELECT what FROM firstbell.made")}
    count = 0
    for entry in entries:
        if entry.key in made:
            continue
        with target.conn.transaction():
            target.run("SET LOCAL check_function_bodies = off")
            _apply(target, entry)
            target.run("INSERT INTO firstbell.made VALUES (%s)", entry.key)
        count += 1
    return count


def _apply(target: Server, entry: Entry) -> None:
    try:
        target.run(entry.sql)
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise FirstbellError(
            f"the target refuses {entry.type.lower()} {entry.name}",
            where=target.address,
            why=str(error).strip(),
        ) from error


def copy_roles(source: Server, target: Server) -> list[str]:
    """Create the source's roles that the target lacks, without login, and their memberships.

    A role that may sign in on the source is remembered on the target as one to be let in at
    `switch`. Password verifiers are carried where the source lets us read them.
    """
    flags = "rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls"
    secret = "(SELECT rolpassword FROM pg_authid a WHERE a.oid = r.oid)"  # noqa: S105 (SQL)
    readable = source.superuser
    have = {str(name) for (name,) in target.rows("SELECT rolname FROM pg_roles")}
    made: list[str] = []
    words = ("SUPERUSER", "INHERIT", "CREATEROLE", "CREATEDB", "REPLICATION", "BYPASSRLS")
    for name, login, verifier, *values in source.rows(
        f"SELECT rolname, rolcanlogin, {secret if readable else 'NULL'}, {flags} FROM pg_roles r"
        " WHERE rolname NOT LIKE 'pg\\_%' AND rolname NOT LIKE 'rds%'"
        " AND rolname NOT LIKE 'firstbell\\_%' AND rolname <> current_user ORDER BY 1"
    ):
        if name in have:
            continue
        options = [w if v else f"NO{w}" for w, v in zip(words, values, strict=True)]
        if not target.superuser:
            options = [o for o in options if o.removeprefix("NO") in ("INHERIT", "CREATEDB")]
        with target.conn.transaction():
            target.run(f"CREATE ROLE {ident(name)} NOLOGIN {' '.join(options)}")
            if verifier:
                target.secretly(verifier, f"ALTER ROLE {ident(name)} PASSWORD %L")
            target.run("INSERT INTO firstbell.made VALUES (%s)", f"ROLE {name}")
            if login:
                target.run("INSERT INTO firstbell.role VALUES (%s) ON CONFLICT DO NOTHING", name)
        made.append(str(name))
    for member, group in source.rows(
        "SELECT m.rolname, g.rolname FROM pg_auth_members x JOIN pg_roles m ON m.oid = x.member"
        " JOIN pg_roles g ON g.oid = x.roleid WHERE m.rolname NOT LIKE 'pg\\_%'"
        " AND m.rolname NOT LIKE 'firstbell\\_%' AND m.rolname <> current_user"
    ):
        here = target.one("SELECT count(*) FROM pg_roles WHERE rolname IN (%s, %s)", member, group)
        if here == 2 and not target.one("SELECT pg_has_role(%s, %s, 'member')", member, group):
            target.run(f"GRANT {ident(group)} TO {ident(member)}")
    return made


def copy_settings(source: Server, target: Server) -> None:
    """Carry what `ALTER DATABASE … SET` and `ALTER ROLE … SET` say; the dump leaves it out."""
    for role, settings in source.rows(
        "SELECT r.rolname, s.setconfig FROM pg_db_role_setting s"
        " LEFT JOIN pg_roles r ON r.oid = s.setrole"
        " WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database"
        " WHERE datname = current_database())) AND (s.setdatabase <> 0 OR s.setrole <> 0)"
        " AND (r.rolname IS NULL OR (r.rolname <> current_user AND r.rolname NOT LIKE 'rds%'))"
    ):
        whom = f"DATABASE {ident(target.database)}" if role is None else f"ROLE {ident(role)}"
        for setting in settings:
            name, _, value = str(setting).partition("=")
            target.run(f"ALTER {whom} SET {name} = {_setting(name, value)}")


def _setting(name: str, value: str) -> str:
    if name in ("search_path", "temp_tablespaces", "session_preload_libraries"):
        return value or "''"
    return "'" + value.replace("'", "''") + "'"


def empty(target: Server) -> None:
    """Drop everything in the target database that is not the system's, and the roles we made."""
    roles = [
        str(what).removeprefix("ROLE ")
        for (what,) in target.rows("SELECT what FROM firstbell.made WHERE what LIKE 'ROLE %'")
    ]
    for name in target.rows("SELECT extname FROM pg_extension WHERE extname <> 'plpgsql'"):
        target.run(f"DROP EXTENSION {ident(str(name[0]))} CASCADE")
    for schema in catalogue.schemas(target):
        target.run(f"DROP SCHEMA {ident(schema)} CASCADE")
    # As initdb makes it.
    if target.version >= 15:
        target.run("CREATE SCHEMA public AUTHORIZATION pg_database_owner")
        target.run("GRANT USAGE ON SCHEMA public TO PUBLIC")
    else:
        target.run("CREATE SCHEMA public; GRANT ALL ON SCHEMA public TO PUBLIC")
    target.run("SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
    for role in roles:
        if target.one("SELECT 1 FROM pg_roles WHERE rolname = %s", role):
            target.run(f"DROP OWNED BY {ident(role)}")
            target.run(f"DROP ROLE {ident(role)}")
