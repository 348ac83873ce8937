"""One side's MariaDB: its accounts, its fence, its end of replication.

Every method that changes something looks first and is safe to repeat. GTID replication carries the
whole binary log of a server, accounts and grants included, so whatever is ours or belongs to one
side only is written in sessions that do not log (`sql_log_bin = 0`); tokens alone are logged.

Secrets stand in a statement only behind more text than `SHOW PROCESSLIST` shows, in a session that
neither the general nor the slow log sees (`secretly`).
"""

from __future__ import annotations

import json
import re
import secrets
import ssl
import threading
import time
import uuid
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, cast

import pymysql
from pymysql.cursors import Cursor, DictCursor

from cli.migration.mariadb.gtid import Position
from infra.errors import InputError

_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 24 * 3600
# What makes the text of values, and so row sums, equal on servers with different settings. Nothing
# of ours may wait for a lock for long, because users would queue behind it.
_SETTINGS: Final = (
    "SET SESSION time_zone = '+00:00', sql_mode = 'NO_AUTO_VALUE_ON_ZERO', autocommit = 1,"
    " max_statement_time = 0, wait_timeout = 28800, net_read_timeout = 600,"
    " net_write_timeout = 600, group_concat_max_len = 1048576, lock_wait_timeout = 60,"
    " foreign_key_checks = 1, unique_checks = 1, sql_log_bin = 0"
)
# `SHOW FULL PROCESSLIST` and information_schema.PROCESSLIST show this many bytes of a statement
# (PROCESS_LIST_INFO_WIDTH in the server's sql_show.h); a secret behind them is never shown.
_SHOWN_BYTES: Final = 65_535
_PADDING: Final = "/*" + " " * (_SHOWN_BYTES + 1) + "*/"
_STOP_SECONDS: Final = 15.0
# Accounts of a managed service or of the server itself, which nobody else may alter.
_SERVICE_USERS: Final = re.compile(r"mariadb\.sys|mysql\.(sys|session|infoschema)|rds.*|PUBLIC")
# Errors after which the same statement may work a moment later: no connection, one that broke or
# was killed, a server that is full, starting or stopping, a lock, a statement that we interrupted.
# PyMySQL calls nearly every error of the server operational.
_AWAY_NUMBERS: Final = {
    *(0, 1040, 1042, 1043, 1045, 1053, 1077, 1129, 1130, 1152, 1158, 1159, 1160, 1161, 1184),
    *(1205, 1213, 1317, 1927, 2002, 2003, 2005, 2006, 2013, 2014, 2055, 4151),
}

EVENT_STATES: Final = ("ENABLED", "DISABLED", "SLAVESIDE_DISABLED")

Row = tuple[Any, ...]


def ident(name: str) -> str:
    """A name, quoted for SQL."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """A text, quoted for SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def account(user: str, host: str) -> str:
    """An account's name as statements take it; the percent sign is no placeholder in it."""
    return f"{literal(user)}@{literal(host)}"


@dataclass(frozen=True)
class Address:
    """A connection string in parts; the password never stands in its `repr`."""

    host: str
    port: int
    user: str
    database: str
    password: str
    ssl_ca: str | None = None

    def __repr__(self) -> str:
        return f"Address({self.host}:{self.port}/{self.database})"


class Server:
    """A side's database, and a connection to its server that is renewed when it broke.

    `roles` limits the fence to the named users, for rehearsals on scratch servers.
    """

    def __init__(
        self,
        side: str,
        dsn: Address,
        peer: Address,
        migration: str,
        *,
        roles: Sequence[str] | None = None,
    ) -> None:
        self.side = side
        self.migration = migration
        self.base = "firstbell_" + migration.replace("-", "_")
        self.roles = roles
        self.dsn = dsn
        self.peer = peer
        self._conn: pymysql.Connection[Cursor] | None = None

    def clone(self) -> Server:
        """The same database with a connection of its own, for another thread."""
        return Server(self.side, self.dsn, self.peer, self.migration, roles=self.roles)

    # Connections

    def connect(
        self, *, user: str | None = None, password: str | None = None
    ) -> pymysql.Connection[Cursor]:
        """A new autocommit connection; as ourselves with pinned settings and a mark of ours."""
        context = None
        if self.dsn.ssl_ca is not None:
            context = ssl.create_default_context(cafile=self.dsn.ssl_ca)
        ours = user is None
        conn = pymysql.connect(
            host=self.dsn.host,
            port=self.dsn.port,
            user=self.dsn.user if user is None else user,
            password=self.dsn.password if password is None else password,
            database=self.dsn.database if ours else None,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS if ours else _CONNECT_SECONDS,
            ssl=context,
        )
        if ours:
            with conn.cursor() as cursor:
                cursor.execute(_SETTINGS)
                # How our own sessions are told from others of the same account.
                cursor.execute("SELECT GET_LOCK(CONCAT('firstbell ', CONNECTION_ID()), 0)")
        return conn

    @property
    def conn(self) -> pymysql.Connection[Cursor]:
        if self._conn is None or not self._conn.open:
            self._conn = self.connect()
        return self._conn

    def close(self) -> None:
        if self._conn is not None:
            with suppress(pymysql.Error, OSError):
                self._conn.close()
            self._conn = None

    def cancel(self) -> None:
        """End the statement that runs, from another thread; there may be none."""
        if self._conn is not None and self._conn.open:
            number = self._conn.thread_id()
            with self.connect() as conn, conn.cursor() as cursor:
                cursor.execute(f"KILL QUERY {number}")

    def run(self, query: str, *values: object) -> None:
        """Run a statement that answers nothing; names in the text are quoted by the caller."""
        self.rows(query, *values)

    def rows(self, query: str, *values: object) -> list[Row]:
        with self.conn.cursor() as cursor:
            _execute(cursor, query, values)
            return list(cursor.fetchall())

    def one(self, query: str, *values: object) -> Any:
        """The first column of the first row, or None."""
        found = self.rows(query, *values)
        return found[0][0] if found else None

    def named(self, query: str) -> list[dict[str, Any]]:
        """Rows by column name, for statements whose columns differ between versions."""
        with self.conn.cursor(DictCursor) as cursor:
            _execute(cursor, query, ())
            return list(cast("Sequence[dict[str, Any]]", cursor.fetchall()))

    def ping(self) -> None:
        self.one("SELECT 1")

    @contextmanager
    def logged(self) -> Generator[None]:
        """Statements in it are replicated."""
        self.run("SET SESSION sql_log_bin = 1")
        try:
            yield
        finally:
            self.run("SET SESSION sql_log_bin = 0")

    def secretly(self, before: str, secret: str, after: str = "") -> None:
        """Run a statement with a secret (quoted here) in its middle.

        Raises:
            pymysql.Error: of the kind that the server reports, without the statement's text.
        """
        self.hidden(f"{before} {literal(secret)} {after}")

    def hidden(self, statement: str) -> None:
        """Run a statement that no log and no process list shows.

        Raises:
            pymysql.Error: of the kind that the server reports, without the statement's text.
        """
        self.run("SET SESSION sql_log_off = 1, slow_query_log = 0")
        try:
            self.run(f"{_PADDING} {statement}")
        except pymysql.Error as error:
            # A syntax error quotes what stands near it.
            number, text = (*error.args, "", "")[:2]
            raise type(error)(number, str(text).partition(" near ")[0]) from None
        with suppress(pymysql.Error):
            self.run("SET SESSION sql_log_off = 0, slow_query_log = DEFAULT")

    # What it is

    @property
    def version(self) -> tuple[int, int, int]:
        found = re.search(r"(\d+)\.(\d+)\.(\d+)", str(self.one("SELECT VERSION()")))
        return (int(found[1]), int(found[2]), int(found[3])) if found else (0, 0, 0)

    @property
    def is_mariadb(self) -> bool:
        return "mariadb" in str(self.one("SELECT VERSION()")).lower()

    @property
    def database(self) -> str:
        return self.dsn.database

    @property
    def user(self) -> str:
        return self.dsn.user

    @property
    def address(self) -> str:
        return f"{self.dsn.host}:{self.dsn.port}/{self.database}"

    def child_environment(self) -> dict[str, str]:
        """What a client program needs beside its arguments, which hold no secret."""
        return {"MYSQL_PWD": self.dsn.password}

    def child_arguments(self) -> list[str]:
        """How a client program reaches this server; no option file of the runner is read."""
        given = ["--no-defaults", f"--host={self.dsn.host}", f"--port={self.dsn.port}"]
        given += [f"--user={self.dsn.user}", "--protocol=TCP", "--default-character-set=utf8mb4"]
        if self.dsn.ssl_ca is not None:
            given += [f"--ssl-ca={self.dsn.ssl_ca}", "--ssl-verify-server-cert"]
        return given

    # Ours in it

    @property
    def replicator(self) -> str:
        return f"{self.base}_repl"

    @property
    def prober(self) -> str:
        return f"{self.base}_probe"

    def installed(self) -> bool:
        return bool(
            self.one(
                "SELECT 1 FROM information_schema.TABLES"
                " WHERE TABLE_SCHEMA = 'firstbell' AND TABLE_NAME = 'owner'"
            )
        )

    def install(self, journal: str, runner: str) -> None:
        """Create our schema and sign it.

        Raises:
            InputError: another journal owns this database.
        """
        self.run("CREATE DATABASE IF NOT EXISTS firstbell CHARACTER SET utf8mb4")
        for table in (
            "token (id CHAR(36) PRIMARY KEY, at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6))",
            "`load` (id BIGINT PRIMARY KEY, body LONGTEXT)",
            "probe (id BIGINT AUTO_INCREMENT PRIMARY KEY,"
            " at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6))",
            "role (name VARCHAR(400) PRIMARY KEY)",
            "event (name VARCHAR(400) PRIMARY KEY)",
            "made (what VARCHAR(400) PRIMARY KEY, value LONGTEXT)",
            "owner (migration VARCHAR(64) PRIMARY KEY, journal CHAR(36), runner VARCHAR(255),"
            " since TIMESTAMP DEFAULT CURRENT_TIMESTAMP)",
        ):
            self.run(f"CREATE TABLE IF NOT EXISTS firstbell.{table} ENGINE=InnoDB")
        self.refuse_other_owner(journal)
        self.run(
            "INSERT INTO firstbell.owner (migration, journal, runner) VALUES (%s, %s, %s)"
            " ON DUPLICATE KEY UPDATE runner = VALUES(runner)",
            self.migration,
            journal,
            runner,
        )
        for user in (self.replicator, self.prober):
            self.secretly(
                f"CREATE USER IF NOT EXISTS {account(user, '%')} IDENTIFIED BY", new_password()
            )
        self.run(f"GRANT REPLICATION SLAVE ON *.* TO {account(self.replicator, '%')}")
        self.run(f"GRANT INSERT ON firstbell.probe TO {account(self.prober, '%')}")
        self.remember("gtid_slave_pos", str(self.one("SELECT @@GLOBAL.gtid_slave_pos")))

    def remember(self, what: str, value: str) -> None:
        """Keep how something was, unless that is known already."""
        self.run("INSERT IGNORE INTO firstbell.made VALUES (%s, %s)", what, value)

    def remembered(self, what: str) -> str | None:
        found = self.one("SELECT value FROM firstbell.made WHERE what = %s", what)
        return None if found is None else str(found)

    def refuse_other_owner(self, journal: str) -> None:
        """Raises InputError when another migration, or another runner's journal, is at work."""
        if not self.installed():
            return
        for migration, other, runner in self.rows(
            "SELECT migration, journal, runner FROM firstbell.owner"
        ):
            if (migration, other) != (self.migration, journal):
                raise InputError(
                    f"the {self.side} {self.address} belongs to migration {migration!r}",
                    why=f"started by {runner}, with a journal that is not this runner's",
                    fix="go on there, or `firstbell migrate adopt` when that journal is lost",
                )

    def owner(self) -> tuple[str, str] | None:
        """Migration and journal that signed it."""
        found = self.rows("SELECT migration, journal FROM firstbell.owner")
        return (str(found[0][0]), str(found[0][1])) if found else None

    def copied(self) -> bool:
        """Whether the first copy into it was complete."""
        return self.remembered("copied") is not None

    def uninstall(self) -> None:
        """Remove our schema and accounts; replication of ours must be gone."""
        if self.installed():
            was = self.remembered("gtid_slave_pos")
            if was is not None and not self.replicas():
                self.run("SET GLOBAL gtid_slave_pos = %s", was)
        self.run("DROP DATABASE IF EXISTS firstbell")
        for user in (self.replicator, self.prober):
            self._kill("USER = %s", user)
            self.run(f"DROP USER IF EXISTS {account(user, '%')}")

    # Accounts and the fence

    def accounts(self) -> list[tuple[str, str, bool, bool]]:
        """User, host, whether it is locked, and whether it is a role, which nobody signs in as."""
        found: list[tuple[str, str, bool, bool]] = []
        for user, host, text in self.rows("SELECT User, Host, Priv FROM mysql.global_priv"):
            privileges = cast("dict[str, object]", json.loads(text))
            found.append(
                (
                    str(user),
                    str(host),
                    bool(privileges.get("account_locked")),
                    bool(privileges.get("is_role")),
                )
            )
        return sorted(found)

    def _fenceable(self) -> list[tuple[str, str, bool]]:
        """Accounts of others: user, host, and whether the account is locked."""
        return [
            (user, host, locked)
            for user, host, locked, role in self.accounts()
            if not role and (user == self.prober or self.is_applications(user))
        ]

    def is_applications(self, user: str) -> bool:
        """Whether an account is neither ours nor the service's."""
        if self.roles is not None:
            return user in self.roles
        return not (
            user == self.user or user.startswith("firstbell_") or _SERVICE_USERS.fullmatch(user)
        )

    def login_roles(self) -> list[str]:
        return [account(user, host) for user, host, locked in self._fenceable() if not locked]

    def open_to_applications(self) -> bool:
        return bool(self.login_roles())

    def fence(self) -> list[str]:
        """Lock every account but ours, silence events, and set read_only on top.

        Accounts and events stay locked over a crash; `read_only` and the scheduler's switch do not.
        """
        for variable in ("read_only", "event_scheduler"):
            self.remember(variable, str(self.one(f"SELECT @@GLOBAL.{variable}")))
        roles = self.login_roles()
        for role in roles:
            self.run("INSERT IGNORE INTO firstbell.role VALUES (%s)", role)
            self.run(f"ALTER USER {role} ACCOUNT LOCK")
        for schema, name, definer in self.events():
            self.run("INSERT IGNORE INTO firstbell.event VALUES (%s)", name)
            self._alter_event(schema, name, definer, "DISABLE")
        self.run("SET GLOBAL read_only = 1")
        if str(self.one("SELECT @@GLOBAL.event_scheduler")) != "DISABLED":
            self.run("SET GLOBAL event_scheduler = OFF")
        return roles

    def fenced_roles(self) -> list[str]:
        return [str(name) for (name,) in self.rows("SELECT name FROM firstbell.role ORDER BY 1")]

    def lift(self) -> list[str]:
        """Unlock those who were not locked before, and let events run again."""
        for variable in ("read_only", "event_scheduler"):
            was = self.remembered(variable)
            if was is not None and was != str(self.one(f"SELECT @@GLOBAL.{variable}")):
                self.run(f"SET GLOBAL {variable} = {was}")
            self.run("DELETE FROM firstbell.made WHERE what = %s", variable)
        kept = {str(name) for (name,) in self.rows("SELECT name FROM firstbell.event")}
        for schema, name, definer in self.events(status=("DISABLED", "SLAVESIDE_DISABLED")):
            if name in kept:
                self._alter_event(schema, name, definer, "ENABLE")
        self.run("DELETE FROM firstbell.event")
        roles = self.fenced_roles()
        have = {account(user, host) for user, host, *_ in self.accounts()}
        for role in roles:
            if role in have:
                self.run(f"ALTER USER {role} ACCOUNT UNLOCK")
            self.run("DELETE FROM firstbell.role WHERE name = %s", role)
        return roles

    def events(self, status: Sequence[str] = ("ENABLED",)) -> list[tuple[str, str, str]]:
        """Schema, name and definer of the events in these states."""
        return [
            (str(schema), str(name), str(definer))
            for schema, name, definer in self.rows(
                "SELECT EVENT_SCHEMA, EVENT_NAME, DEFINER FROM information_schema.EVENTS"
                f" WHERE EVENT_SCHEMA = %s AND STATUS IN ({', '.join(['%s'] * len(status))})",
                self.database,
                *status,
            )
        ]

    def _alter_event(self, schema: str, name: str, definer: str, how: str) -> None:
        # Without DEFINER the event would become ours.
        user, _, host = definer.rpartition("@")
        self.run(f"ALTER DEFINER = {account(user, host)} EVENT {ident(schema)}.{ident(name)} {how}")

    def strangers(self) -> list[tuple[int, str]]:
        """Sessions that are not ours: number and user. Those still signing in do not count."""
        return [
            (int(number), str(user))
            for number, user in self.rows(
                "SELECT ID, USER FROM information_schema.PROCESSLIST WHERE USER NOT IN"
                " ('system user', 'event_scheduler', 'unauthenticated user')"
                " AND USER NOT LIKE 'firstbell\\_%%\\_repl' AND COMMAND <> 'Daemon'"
                " AND NOT (USER = %s AND IS_USED_LOCK(CONCAT('firstbell ', ID)) <=> ID)"
                " ORDER BY ID",
                self.user,
            )
        ]

    def expel(self) -> int:
        """End every session that is not ours; how many there were."""
        found = self.strangers()
        for number, _ in found:
            # It may have gone by itself.
            with suppress(pymysql.ProgrammingError):
                self.run(f"KILL HARD CONNECTION {number}")
        return len(found)

    def _kill(self, where: str, *values: object) -> None:
        for (number,) in self.rows(
            f"SELECT ID FROM information_schema.PROCESSLIST WHERE {where}", *values
        ):
            with suppress(pymysql.ProgrammingError):
                self.run(f"KILL HARD CONNECTION {number}")

    def prepared_transactions(self) -> int:
        """XA transactions that would commit through the fence."""
        return len(self.rows("XA RECOVER"))

    def probe_write(self) -> bool:
        """Write as an application would; True when it worked."""
        password = new_password()
        self.secretly(f"ALTER USER {account(self.prober, '%')} IDENTIFIED BY", password)
        try:
            with self.connect(user=self.prober, password=password) as conn, conn.cursor() as cursor:
                cursor.execute("SET SESSION autocommit = 1")
                cursor.execute("INSERT INTO firstbell.probe () VALUES ()")
        except pymysql.OperationalError:
            return False
        return True

    # Replication: this server as publisher

    def binlog_position(self) -> Position:
        """The GTID of the last transaction in the binary log, per domain."""
        return Position.parse(str(self.one("SELECT @@GLOBAL.gtid_binlog_pos") or ""))

    def oldest_position(self) -> Position:
        """The position at which the oldest binary log that is kept begins."""
        logs = self.rows("SHOW BINARY LOGS")
        if not logs:
            return Position()
        events = self.rows(f"SHOW BINLOG EVENTS IN {literal(str(logs[0][0]))} LIMIT 3")
        for *_, kind, _server, _end, info in events:
            if kind == "Gtid_list":
                return Position.parse(str(info).strip("[]"))
        return Position()

    def put_token(self) -> tuple[str, Position]:
        """Write a token; its id, and a position by which it is in the binary log."""
        token = str(uuid.uuid4())
        with self.logged():
            self.run("INSERT INTO firstbell.token (id) VALUES (%s)", token)
        return token, self.binlog_position()

    def has_token(self, token: str) -> bool:
        return bool(self.one("SELECT 1 FROM firstbell.token WHERE id = %s", token))

    # Replication: this server as subscriber

    @property
    def domain(self) -> int:
        """The GTID domain of what is written here first."""
        return int(self.one("SELECT @@GLOBAL.gtid_domain_id"))

    def slave_position(self) -> Position:
        """What was applied here, per domain; kept in the same transaction as the rows."""
        return Position.parse(str(self.one("SELECT @@GLOBAL.gtid_slave_pos") or ""))

    def replicas(self) -> list[dict[str, Any]]:
        """Everything this server replicates, as `SHOW ALL SLAVES STATUS` tells it."""
        return self.named("SHOW ALL SLAVES STATUS")

    def replica(self, name: str) -> dict[str, Any] | None:
        """One named connection's state, or None when there is none."""
        return next((each for each in self.replicas() if each["Connection_name"] == name), None)

    def ensure_replica(self, name: str, publisher: Server, start: Position | None) -> None:
        """Replicate from the publisher; from `start`, or from where this server stands.

        The throwaway account gets a new password, which only `master.info` on this server keeps.
        """
        if self.replica(name) is None:
            if start is not None:
                self.run("SET GLOBAL gtid_slave_pos = %s", str(start))
            password = new_password()
            publisher.secretly(
                f"ALTER USER {account(publisher.replicator, '%')} IDENTIFIED BY", password
            )
            self.change_master(name, publisher, publisher.replicator, password)
        self.start_replica(name)

    def change_master(self, name: str, publisher: Server, user: str, password: str) -> None:
        peer = publisher.peer
        encrypted = ""
        if peer.ssl_ca is not None:
            encrypted = f", MASTER_SSL = 1, MASTER_SSL_CA = {literal(peer.ssl_ca)}"
        self.secretly(
            f"CHANGE MASTER {literal(name)} TO MASTER_HOST = {literal(peer.host)},"
            f" MASTER_PORT = {peer.port}, MASTER_USER = {literal(user)}, MASTER_CONNECT_RETRY = 1,"
            f" MASTER_HEARTBEAT_PERIOD = 2, MASTER_USE_GTID = slave_pos{encrypted},"
            " MASTER_PASSWORD =",
            password,
        )

    def start_replica(self, name: str) -> None:
        found = self.replica(name)
        if found is None:
            return
        if found["Slave_IO_Running"] == "No" or found["Slave_SQL_Running"] == "No":
            self.run(f"START SLAVE {literal(name)}")

    def stop_replica(self, name: str) -> None:
        """Stop fetching and applying; a transaction that is being applied ends first."""
        if self.replica(name) is not None:
            self.run(f"STOP SLAVE {literal(name)}")

    def drop_replica(self, name: str) -> None:
        """Forget a connection with its relay log and password."""
        if self.replica(name) is not None:
            self.run(f"STOP SLAVE {literal(name)}")
            self.run(f"RESET SLAVE {literal(name)} ALL")


def _execute(cursor: Cursor, query: str, values: tuple[object, ...]) -> None:
    """Run a statement; an error that waiting does not mend is no operational one."""
    try:
        cursor.execute(query, values or None)
    except pymysql.OperationalError as error:
        if error.args and error.args[0] not in _AWAY_NUMBERS:
            raise pymysql.ProgrammingError(*error.args) from error
        raise


def new_password() -> str:
    """A password that nobody else has; it is kept nowhere."""
    return secrets.token_urlsafe(32)


def status(found: Mapping[str, Any], key: str) -> int:
    """A number of a replica's state; 0 where the server says NULL."""
    return int(found[key] or 0)


class RunnerLock:
    """A named lock on the source, held by a session of its own, so that a second runner waits."""

    def __init__(self, server: Server) -> None:
        self._server = server.clone()
        self._guard = threading.Lock()

    @property
    def _name(self) -> str:
        return literal(f"firstbell runner {self._server.migration}")

    def take(self, seconds: float = 20.0) -> None:
        """Raises InputError when another runner holds it for longer than a dead one could."""
        deadline = time.monotonic() + seconds
        with self._guard:
            while not self._server.one(f"SELECT GET_LOCK({self._name}, 0)"):
                if time.monotonic() > deadline:
                    raise InputError(
                        f"another runner works on migration {self._server.migration}",
                        where=self._server.address,
                        fix="look there: firstbell migrate status",
                    )
                time.sleep(0.1)

    def hold(self) -> None:
        """Take it again when its session broke."""
        if not self._server.one(f"SELECT IS_USED_LOCK({self._name}) <=> CONNECTION_ID()"):
            self.take()

    def close(self) -> None:
        self._server.close()
