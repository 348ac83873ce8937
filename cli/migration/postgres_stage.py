"""The scratch databases of a PostgreSQL rehearsal, and the writer that plays the application.

Both are made on the rehearsal server from the soaking target by dump and restore, never by a
physical copy: a copy of a subscriber would take the source's slot.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import psycopg

from cli.migration import references, schema, spec
from cli.migration.load import BaseLoad
from cli.migration.postgres import Server, ident
from cli.migration.postgres_engine import PostgresEngine
from cli.migration.side import Row
from infra.errors import FirstbellError


class PostgresStage:
    """Two scratch databases on the rehearsal server."""

    left_out: tuple[str, ...] = ("roles but one", "grants", "retained WAL")
    accepted = frozenset(
        {"collation", "always-triggers", "event-triggers", "foreign-tables"}
        | {f"pg-cron-{side}" for side in ("source", "target")}
    )

    def __init__(self, target: Server, wanted: spec.Rehearsal, migration: str) -> None:
        self._target = target
        self._dsn = references.connection(wanted.dsn, "rehearsal.dsn")
        self._peer = references.connection(wanted.peer_dsn, "rehearsal.peer_dsn")
        self._name = f"{migration}-r"
        self._admin = Server("rehearsal", self._dsn, self._peer, self._name)
        self._sides = [self._side("source"), self._side("target")]

    @property
    def engine(self) -> PostgresEngine:
        return PostgresEngine(self._sides[0], self._sides[1])

    def load(self, writes_per_second: float) -> _Load:
        return _Load(self._sides[0], self._sides[1], writes_per_second)

    def _side(self, side: str) -> Server:
        base = f"firstbell_{self._name.replace('-', '_')}"
        database = f"{base}_{side}"
        return Server(
            side,
            {**self._dsn, "dbname": database},
            {**self._peer, "dbname": database},
            self._name,
            roles=[f"{base}_load_{side}"],
        )

    def clear(self) -> None:
        """Drop both databases, whatever state they are in, and their roles."""
        for server in self._sides:
            with suppress(psycopg.OperationalError):
                for name in (f"{server.base}_fwd", f"{server.base}_back"):
                    server.drop_subscription(name)
            server.close()
        for server in self._sides:
            for name in (f"{server.base}_fwd", f"{server.base}_back"):
                self._admin.drop_slot(name)
        for server in self._sides:
            self._admin.run(f"DROP DATABASE IF EXISTS {ident(server.database)} WITH (FORCE)")
        pattern = self._admin.base.replace("_", "\\_") + "\\_%"
        for (role,) in self._admin.rows(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE %s", pattern
        ):
            self._admin.run(f"DROP OWNED BY {ident(str(role))}")
            self._admin.run(f"DROP ROLE {ident(str(role))}")
        self._admin.close()

    def build(self) -> None:
        """Make both databases, and fill the first from the soaking target."""
        target, source = self._target, self._sides[0]
        self.clear()
        encoding, collate, ctype = target.rows(
            "SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database"
            " WHERE datname = current_database()"
        )[0]
        for server in self._sides:
            self._admin.run(
                f"CREATE DATABASE {ident(server.database)} TEMPLATE template0"
                f" ENCODING '{encoding}' LC_COLLATE '{collate}' LC_CTYPE '{ctype}'"
            )
        version = max(target.version, source.version)
        with tempfile.TemporaryDirectory(prefix="firstbell-rehearsal-") as folder:
            dump = str(Path(folder) / "dump")
            _tool(
                target,
                [
                    str(schema.find_program("pg_dump", version)),
                    *("-Fd", "-j2", "-f", dump, "--no-owner", "--no-acl"),
                    *("--no-subscriptions", "--no-publications", "--exclude-schema=firstbell"),
                ],
            )
            _tool(
                source,
                [
                    str(schema.find_program("pg_restore", version)),
                    *("-j2", "--no-owner", "--no-acl", "-d", source.database, dump),
                ],
            )
        for server in self._sides:
            self._admin.run(f"CREATE ROLE {ident(_load_role(server))} LOGIN")
        source.run("ANALYZE")


def _tool(server: Server, command: list[str]) -> None:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ.get("PATH", ""), **server.child_environment()},
    )
    if done.returncode:
        raise FirstbellError(f"{Path(command[0]).name} failed", why=done.stderr.strip()[-2000:])


def _load_role(server: Server) -> str:
    """The role that stands for the application on a scratch side."""
    return f"{server.base}_load_{server.side}"


class _Load(BaseLoad[Server, "psycopg.Connection[Row]"]):
    """A role of its own on each side."""

    def __init__(self, source: Server, target: Server, rate: float) -> None:
        super().__init__(source.clone(), target.clone(), rate, psycopg.Error)
        self._passwords: dict[str, str] = {}
        for server in self._sides:
            role = _load_role(server)
            self._passwords[server.side] = server.new_password(role)
            server.run(
                f"GRANT USAGE ON SCHEMA firstbell TO {ident(role)};"
                f"GRANT INSERT, UPDATE, SELECT ON firstbell.load TO {ident(role)}"
            )

    def _sign_in(self, server: Server) -> psycopg.Connection[Row]:
        return server.connect(user=_load_role(server), password=self._passwords[server.side])

    def _write(self, conn: psycopg.Connection[Row], row: int) -> None:
        conn.execute(
            "INSERT INTO firstbell.load VALUES (%s, 'load') ON CONFLICT (id)"
            " DO UPDATE SET body = firstbell.load.body || '.'",
            (row,),
        )
