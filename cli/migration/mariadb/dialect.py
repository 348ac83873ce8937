"""What a server is told so that it replicates and closes: its own statements, or Amazon RDS's.

On RDS nobody has SUPER: replication is set up by stored procedures in schema `mysql`, over the one
connection without a name; a session cannot leave the binary log or change global variables. The
procedures and the master user's privileges are those of the Amazon RDS user guide ("RDS for MariaDB
stored procedures", "Master user account privileges"; checked 2026-11).

A dialect only writes statements and reads answers; `server.py` runs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from cli.migration.mariadb.gtid import Position
from cli.migration.mariadb.text import literal

# A procedure that only RDS has: who finds it is on RDS.
MARK: Final = "rds_set_external_master_gtid"
_OURS: Final = "firstbell_"


@dataclass(frozen=True)
class Statement:
    """One statement; a secret stands, quoted by who runs it, between `text` and `after`."""

    text: str
    secret: str | None = None
    after: str = ""


@dataclass(frozen=True)
class Connection:
    """How a subscriber reaches its publisher."""

    name: str
    host: str
    port: int
    user: str
    password: str
    ssl_ca: str | None = None

    def __repr__(self) -> str:
        return f"Connection({self.name}, {self.host}:{self.port}, {self.user})"


class Dialect(Protocol):
    """The statements of one kind of server."""

    # Whether somebody else keeps the server: no SUPER, no option file.
    managed: bool
    # What the migration's account must have.
    rights: frozenset[str]
    # Global variables that the fence sets on top of locked accounts.
    switches: Sequence[tuple[str, str]]
    # Whether a session of ours may leave the binary log.
    leaves_the_log: bool
    # What keeps a session's statements out of the server's text logs, and back.
    unheard: str
    heard: str

    def configure(
        self, to: Connection, start: Position | None, standing: Position
    ) -> list[Statement]:
        """Point a connection at its publisher; it does not run yet.

        It begins at `start`, or where this server stands, which is `standing`.
        """
        ...

    def start(self, name: str) -> Statement: ...

    def stop(self, name: str) -> Statement: ...

    def forget(self, name: str) -> Statement:
        """Remove a stopped connection with its relay log and password."""
        ...

    def kill(self, session: int) -> Statement: ...

    def label(self, found: Mapping[str, Any]) -> str | None:
        """Our name of a connection, as `SHOW ALL SLAVES STATUS` shows it; None for no connection.

        What is not ours is called as the server calls it.
        """
        ...


class OwnServer:
    """A server whose administrator we are."""

    managed = False
    # Session binary log, writes under read_only, KILL, CHANGE MASTER, other definers, accounts.
    rights = frozenset(
        {
            *("SUPER", "RELOAD", "PROCESS", "CREATE USER", "BINLOG ADMIN", "READ_ONLY ADMIN"),
            *("CONNECTION ADMIN", "REPLICATION SLAVE", "REPLICATION SLAVE ADMIN", "SET USER"),
        }
    )
    switches: Sequence[tuple[str, str]] = (("read_only", "1"), ("event_scheduler", "OFF"))
    leaves_the_log = True
    unheard = "SET SESSION sql_log_off = 1, slow_query_log = 0"
    heard = "SET SESSION sql_log_off = 0, slow_query_log = DEFAULT"

    def configure(
        self, to: Connection, start: Position | None, standing: Position
    ) -> list[Statement]:
        # Said either way: from 11.4 on a subscriber asks for TLS unless it is told not to.
        encrypted = ", MASTER_SSL = 0"
        if to.ssl_ca is not None:
            encrypted = f", MASTER_SSL = 1, MASTER_SSL_CA = {literal(to.ssl_ca)}"
        move = [] if start is None else [f"SET GLOBAL gtid_slave_pos = {literal(str(start))}"]
        return [
            *(Statement(text) for text in move),
            Statement(
                f"CHANGE MASTER {literal(to.name)} TO MASTER_HOST = {literal(to.host)},"
                f" MASTER_PORT = {to.port}, MASTER_USER = {literal(to.user)},"
                " MASTER_CONNECT_RETRY = 1, MASTER_HEARTBEAT_PERIOD = 2,"
                f" MASTER_USE_GTID = slave_pos{encrypted}, MASTER_PASSWORD =",
                to.password,
            ),
        ]

    def start(self, name: str) -> Statement:
        return Statement(f"START SLAVE {literal(name)}")

    def stop(self, name: str) -> Statement:
        return Statement(f"STOP SLAVE {literal(name)}")

    def forget(self, name: str) -> Statement:
        return Statement(f"RESET SLAVE {literal(name)} ALL")

    def kill(self, session: int) -> Statement:
        return Statement(f"KILL HARD CONNECTION {session}")

    def label(self, found: Mapping[str, Any]) -> str | None:
        return str(found["Connection_name"]) or "the default one"


class Rds:
    """RDS for MariaDB: one connection without a name, told apart by the account it signs in as."""

    managed = True
    # "Master user account privileges"; REPLICATION CLIENT reads BINLOG MONITOR since 10.5, and the
    # guide has the master user run SHOW REPLICA STATUS, which asks for the last one.
    rights = frozenset(
        {
            *("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "PROCESS", "REFERENCES"),
            *("INDEX", "ALTER", "LOCK TABLES", "EXECUTE", "CREATE VIEW", "CREATE ROUTINE"),
            *("CREATE USER", "EVENT", "TRIGGER", "REPLICATION SLAVE", "BINLOG MONITOR"),
            "SLAVE MONITOR",
        }
    )
    switches: Sequence[tuple[str, str]] = ()
    leaves_the_log = False
    unheard = "SET SESSION slow_query_log = 0"
    heard = "SET SESSION slow_query_log = DEFAULT"

    def configure(
        self, to: Connection, start: Position | None, standing: Position
    ) -> list[Statement]:
        encrypted = 0 if to.ssl_ca is None else 1
        return [
            Statement(
                f"CALL mysql.{MARK}({literal(to.host)}, {to.port}, {literal(to.user)},",
                to.password,
                f", {literal(str(start or standing))}, {encrypted})",
            )
        ]

    def start(self, name: str) -> Statement:
        return Statement("CALL mysql.rds_start_replication")

    def stop(self, name: str) -> Statement:
        return Statement("CALL mysql.rds_stop_replication")

    def forget(self, name: str) -> Statement:
        return Statement("CALL mysql.rds_reset_external_master")

    def kill(self, session: int) -> Statement:
        return Statement(f"CALL mysql.rds_kill({session})")

    def label(self, found: Mapping[str, Any]) -> str | None:
        name, user = str(found["Connection_name"]), str(found["Master_User"] or "")
        if not name and not found["Master_Host"]:
            return None
        if name or not user.startswith(_OURS):
            return name or "the default one"
        # RDS is only ever where forward arrives.
        return user.removesuffix("_repl") + "_fwd" if user.endswith("_repl") else user


def is_ours(label: str) -> bool:
    """Whether a connection belongs to a migration."""
    return label.startswith(_OURS)
