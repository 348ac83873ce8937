"""The two scratch servers of a MariaDB rehearsal, and the writer that plays the application.

GTID replication joins servers, not databases, so a rehearsal needs two of them: `rehearsal.dsn`
plays the source, `rehearsal.target_dsn` the target. The first is loaded from the soaking target by
mariadb-dump; neither the source nor the target replicates to or from them.
"""

from __future__ import annotations

from contextlib import suppress

import pymysql
from pymysql.cursors import Cursor

from cli.migration import spec
from cli.migration.load import BaseLoad
from cli.migration.mariadb import dsn, schema
from cli.migration.mariadb.engine import MariaDbEngine
from cli.migration.mariadb.preflight import same_server
from cli.migration.mariadb.server import Address, Server, new_password
from cli.migration.mariadb.text import account, ident
from infra.errors import InputError


class MariaDbStage:
    """Two scratch servers."""

    left_out = ("accounts but one", "grants", "events", "definers", "binary log retention")
    accepted = frozenset(
        {"sql-mode", "time-zone", "definers", "durability-source", "durability-target"}
    )

    def __init__(self, target: Server, wanted: spec.Rehearsal, migration: str) -> None:
        self._target = target
        self._name = f"{migration}-r"
        if wanted.target_dsn is None or wanted.target_peer_dsn is None:
            raise InputError(
                "a MariaDB rehearsal needs two scratch servers",
                where=f"{migration}.yaml: rehearsal.target_dsn",
                why="GTID replication joins servers, not databases of one",
                fix="add target_dsn and target_peer_dsn: a second scratch server",
            )
        self._sides = [
            self._side("source", wanted.dsn, wanted.peer_dsn),
            self._side("target", wanted.target_dsn, wanted.target_peer_dsn),
        ]

    def _side(self, side: str, reference: str, peer: str) -> Server:
        where = "rehearsal.dsn" if side == "source" else "rehearsal.target_dsn"
        found = [
            Address(a.host, a.port, a.user, self._target.database, a.password, a.ssl_ca)
            for a in (dsn.address(reference, where), dsn.address(peer, where))
        ]
        base = f"firstbell_{self._name.replace('-', '_')}"
        return Server(side, found[0], found[1], self._name, roles=[f"{base}_load"])

    @property
    def engine(self) -> MariaDbEngine:
        return MariaDbEngine(self._sides[0], self._sides[1])

    def load(self, writes_per_second: float) -> _Load:
        return _Load(self._sides[0], self._sides[1], writes_per_second)

    def clear(self) -> None:
        """Drop both databases, whatever state they are in, and what else is ours."""
        for server in self._sides:
            with suppress(pymysql.Error):
                server.close()
                plain = server.clone()
                plain.dsn = _nowhere(server.dsn)
                for name in plain.replica_names():
                    if name.startswith(server.base):
                        plain.drop_replica(name)
                marked = plain.installed() and plain.remembered("scratch") is not None
                if marked or not _databases(plain):
                    if plain.installed():
                        plain.lift()
                    plain.run(f"DROP DATABASE IF EXISTS {ident(server.database)}")
                    plain.uninstall()
                    plain.run(f"DROP USER IF EXISTS {account(_load_user(server), '%')}")
                plain.close()

    def build(self) -> None:
        """Make both databases, and fill the first from the soaking target.

        Raises:
            InputError: a scratch server holds something, or is one of the migration's.
        """
        self.clear()
        for server in self._sides:
            plain = server.clone()
            plain.dsn = _nowhere(server.dsn)
            if same_server(plain, self._target):
                raise InputError(
                    f"the scratch {server.side} is the migration's own target",
                    where="rehearsal",
                    fix="name a server of its own",
                )
            if there := _databases(plain):
                raise InputError(
                    f"the scratch server {server.dsn.host}:{server.dsn.port} holds"
                    f" {', '.join(there)}",
                    where="rehearsal",
                    fix="name an empty server; nothing is ever overwritten",
                )
            plain.run(f"CREATE DATABASE {ident(server.database)}")
            plain.run("CREATE DATABASE firstbell CHARACTER SET utf8mb4")
            plain.close()
            server.install("00000000-0000-0000-0000-000000000000", "rehearsal")
            server.remember("scratch", "")
            server.run("DELETE FROM firstbell.owner")
            server.run(f"CREATE USER {account(_load_user(server), '%')}")
        schema.scratch_copy(self._target, self._sides[0])


def _nowhere(address: Address) -> Address:
    """The server without a database, for when the database does not exist."""
    return Address(
        address.host, address.port, address.user, "mysql", address.password, address.ssl_ca
    )


def _databases(server: Server) -> list[str]:
    return [
        str(name)
        for (name,) in server.rows(
            "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN"
            " ('mysql', 'information_schema', 'performance_schema', 'sys')"
        )
    ]


def _load_user(server: Server) -> str:
    """The account that stands for the application on a scratch side."""
    return f"{server.base}_load"


class _Load(BaseLoad[Server, "pymysql.Connection[Cursor]"]):
    """An account of one name and password on both sides."""

    def __init__(self, source: Server, target: Server, rate: float) -> None:
        super().__init__(source.clone(), target.clone(), rate, pymysql.Error)
        self._password = new_password()
        for server in self._sides:
            user = account(_load_user(server), "%")
            server.set_password(f"ALTER USER {user}", self._password)
            server.run(f"GRANT SELECT, INSERT, UPDATE ON firstbell.`load` TO {user}")

    def _sign_in(self, server: Server) -> pymysql.Connection[Cursor]:
        return server.connect(user=_load_user(server), password=self._password)

    def _write(self, conn: pymysql.Connection[Cursor], row: int) -> None:
        with conn.cursor() as cursor:
            cursor.execute(
                "INSERT INTO firstbell.`load` VALUES (%s, 'load')"
                " ON DUPLICATE KEY UPDATE body = CONCAT(body, '.')",
                (row,),
            )
