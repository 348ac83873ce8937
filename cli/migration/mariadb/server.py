"""One side's MariaDB: its accounts, its fence, its end of replication.

Every method that changes something looks first and is safe to repeat. GTID replication carries the
whole binary log of a server, accounts and grants included, so whatever is ours or belongs to one
side only is written in sessions that do not log (`sql_log_bin = 0`); tokens alone are logged.

Secrets stand in a statement only behind more text than `SHOW PROCESSLIST` shows, in a session that
neither the general nor the slow log sees (`secretly`).
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import ssl
import uuid
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, cast

import pymysql
from pymysql.cursors import Cursor, DictCursor

from cli.migration.mariadb.dialect import (
    MARK,
    Connection,
    Dialect,
    OwnServer,
    Rds,
    Statement,
)
from cli.migration.mariadb.gtid import Position
from cli.migration.mariadb.text import account, ident, literal
from cli.migration.side import BaseLock, BaseServer, Row
from infra.errors import FirstbellError, InputError

_READ_SECONDS: Final = 24 * 3600
# What makes the text of values, and so row sums, equal on servers with different settings. Nothing
# of ours may wait for a lock for long, because users would queue behind it.
_SETTINGS: Final = (
    "SET SESSION time_zone = '+00:00', sql_mode = 'NO_AUTO_VALUE_ON_ZERO', autocommit = 1,"
    " max_statement_time = 0, wait_timeout = 28800, net_read_timeout = 600,"
    " net_write_timeout = 600, group_concat_max_len = 1048576, lock_wait_timeout = 60,"
    " foreign_key_checks = 1, unique_checks = 1"
)
_NO_RIGHT: Final = 1227
# `SHOW FULL PROCESSLIST` and information_schema.PROCESSLIST show this many bytes of a statement
# (PROCESS_LIST_INFO_WIDTH in the server's sql_show.h); a secret behind them is never shown.
_SHOWN_BYTES: Final = 65_535
_PADDING: Final = "/*" + " " * (_SHOWN_BYTES + 1) + "*/"
_STOP_SECONDS: Final = 15.0
# Accounts of a managed service or of the server itself, which nobody else may alter.
_SERVICE_USERS: Final = re.compile(
    r"mariadb\.sys|mysql\.(sys|session|infoschema)|rds(admin|repladmin|_.*)|PUBLIC"
)
# Errors after which the same statement may work a moment later: no connection, one that broke or
# was killed, a server that is full, starting or stopping, a lock, a statement that we interrupted.
# PyMySQL calls nearly every error of the server operational.
_AWAY_NUMBERS: Final = {
    *(0, 1040, 1042, 1043, 1045, 1053, 1077, 1129, 1130, 1152, 1158, 1159, 1160, 1161, 1184),
    *(1205, 1213, 1317, 1927, 2002, 2003, 2005, 2006, 2013, 2014, 2055, 4151),
}

# What a publisher that cannot leave its binary log may not change here: accounts and our own marks;
# tokens and a rehearsal's rows pass.
_LEFT_ALONE: Final = ",".join(
    ("mysql.%", *(f"firstbell.{name}" for name in ("event", "made", "owner", "probe", "role")))
)

EVENT_STATES: Final = ("ENABLED", "DISABLED", "SLAVESIDE_DISABLED")


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


class Server(BaseServer):
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
        dialect: Dialect | None = None,
    ) -> None:
        super().__init__(side, migration, roles)
        self.dsn = dsn
        self.peer = peer
        self._dialect = dialect
        self._conn: pymysql.Connection[Cursor] | None = None

    def clone(self) -> Server:
        """The same database with a connection of its own, for another thread."""
        return Server(
            self.side,
            self.dsn,
            self.peer,
            self.migration,
            roles=self.roles,
            dialect=self._dialect,
        )

    # Connections

    def connect(
        self, *, user: str | None = None, password: str | None = None
    ) -> pymysql.Connection[Cursor]:
        """A new autocommit connection; as ourselves with pinned settings and a mark of ours."""
        ours = user is None
        conn = pymysql.connect(
            host=self.dsn.host,
            port=self.dsn.port,
            user=self.dsn.user if user is None else user,
            password=self.dsn.password if password is None else password,
            database=self.dsn.database if ours else None,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=self.connect_seconds,
            read_timeout=_READ_SECONDS if ours else self.connect_seconds,
            ssl=self._trusted(),
        )
        if ours:
            # MySQL would refuse our settings with a riddle.
            if "mariadb" not in str(conn.get_server_info()).lower():
                conn.close()
                raise InputError(
                    f"the {self.side} is MySQL {conn.get_server_info()}, not MariaDB",
                    where=self.address,
                    why="MySQL's GTIDs are different, and firstbell does not carry them",
                    fix="go to MariaDB first",
                )
            with conn.cursor() as cursor:
                cursor.execute(_SETTINGS)
                self._leave_the_log(cursor)
                # How our own sessions are told from others of the same account.
                cursor.execute("SELECT GET_LOCK(CONCAT('firstbell ', CONNECTION_ID()), 0)")
        return conn

    def _trusted(self) -> ssl.SSLContext | None:
        """Whose certificates are trusted; None without TLS."""
        if self.dsn.ssl_ca is None:
            return None
        try:
            return ssl.create_default_context(cafile=self.dsn.ssl_ca)
        except OSError as error:
            raise InputError(
                f"ssl_ca={self.dsn.ssl_ca} of the {self.side} cannot be used",
                where=self.address,
                why=str(error),
                fix="name a readable file of PEM certificates",
            ) from error

    def _leave_the_log(self, cursor: Cursor) -> None:
        """Find out what kind of server it is, once, and keep the session off the binary log."""
        if self._dialect is None:
            cursor.execute(
                "SELECT 1 FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'mysql'"
                " AND ROUTINE_NAME = %s",
                (MARK,),
            )
            self._dialect = Rds() if cursor.fetchone() else OwnServer()
        try:
            if self._dialect.leaves_the_log:
                cursor.execute("SET SESSION sql_log_bin = 0")
        except pymysql.OperationalError as error:
            if error.args[0] != _NO_RIGHT:
                raise
            raise InputError(
                f"{self.user} on the {self.side} may not leave its statements out of the binary"
                " log",
                where=self.address,
                why=str(error.args[-1]),
                fix="GRANT ALL PRIVILEGES ON *.* TO … WITH GRANT OPTION, for an account of the"
                " migration's own",
            ) from error

    @property
    def dialect(self) -> Dialect:
        """How this server is told what to do."""
        if self._dialect is None:
            self.ping()
        assert self._dialect is not None  # noqa: S101 (every connection finds it out)
        return self._dialect

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

    def named(self, query: str) -> list[dict[str, Any]]:
        """Rows by column name, for statements whose columns differ between versions."""
        with self.conn.cursor(DictCursor) as cursor:
            _execute(cursor, query, ())
            return list(cast("Sequence[dict[str, Any]]", cursor.fetchall()))

    @contextmanager
    def logged(self) -> Generator[None]:
        """Statements in it are replicated."""
        if not self.dialect.leaves_the_log:
            yield
            return
        self.run("SET SESSION sql_log_bin = 1")
        try:
            yield
        finally:
            self.run("SET SESSION sql_log_bin = 0")

    def tell(self, statement: Statement) -> None:
        """Run a statement of the dialect's."""
        if statement.secret is None:
            self.run(statement.text)
        else:
            self.secretly(statement.text, statement.secret, statement.after)

    def set_password(self, statement: str, password: str) -> None:
        """Run `CREATE USER …` or `ALTER USER …` with a password, of which only a hash is sent."""
        self.secretly(f"{statement} IDENTIFIED BY PASSWORD", native_hash(password))

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
        self.run(self.dialect.unheard)
        try:
            self.run(f"{_PADDING} {statement}")
        except pymysql.Error as error:
            # A syntax error quotes what stands near it.
            number, text = (*error.args, "", "")[:2]
            raise type(error)(number, str(text).partition(" near ")[0]) from None
        with suppress(pymysql.Error):
            self.run(self.dialect.heard)

    # What it is

    @property
    def version(self) -> tuple[int, int, int]:
        found = re.search(r"(\d+)\.(\d+)\.(\d+)", str(self.one("SELECT VERSION()")))
        return (int(found[1]), int(found[2]), int(found[3])) if found else (0, 0, 0)

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
            return [*given, f"--ssl-ca={self.dsn.ssl_ca}", "--ssl-verify-server-cert"]
        # From 11.4 on a client asks for TLS unless it is told not to.
        return [*given, "--skip-ssl"]

    def rights(self) -> set[str]:
        """What our account may do on the whole server."""
        return {
            str(privilege)
            for (privilege,) in self.rows(
                "SELECT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES"
                " WHERE GRANTEE = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')"
            )
        }

    def cannot_grant(self, other: Server) -> dict[str, list[str]]:
        """The other server's accounts with more rights than a managed one lets us give."""
        if not self.dialect.managed:
            return {}
        can = self.rights()
        found: dict[str, list[str]] = {}
        for user, host, privilege in other.rows(
            "SELECT p.User, p.Host, u.PRIVILEGE_TYPE FROM mysql.global_priv p"
            " JOIN information_schema.USER_PRIVILEGES u"
            " ON u.GRANTEE = CONCAT('''', p.User, '''@''', p.Host, '''')"
            " WHERE u.PRIVILEGE_TYPE <> 'USAGE' ORDER BY 1, 2, 3"
        ):
            if self.is_applications(str(user)) and str(privilege) not in can:
                found.setdefault(account(str(user), str(host)), []).append(str(privilege))
        return found

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
            self.set_password(f"CREATE USER IF NOT EXISTS {account(user, '%')}", new_password())
        self.run(f"GRANT REPLICATION SLAVE ON *.* TO {account(self.replicator, '%')}")
        self.run(f"GRANT INSERT ON firstbell.probe TO {account(self.prober, '%')}")
        for variable in ("gtid_slave_pos", "server_id"):
            self.remember(variable, str(self.one(f"SELECT @@GLOBAL.{variable}")))

    def is_itself(self) -> bool:
        """Whether it still has the server id that its own writes carry.

        RDS gives another one when it fails over; what comes back would then be applied again.
        """
        return self.remembered("server_id") == str(self.one("SELECT @@GLOBAL.server_id"))

    def remember(self, what: str, value: str) -> None:
        """Keep how something was, unless that is known already."""
        self.run("INSERT IGNORE INTO firstbell.made VALUES (%s, %s)", what, value)

    def remembered(self, what: str) -> str | None:
        found = self.one("SELECT value FROM firstbell.made WHERE what = %s", what)
        return None if found is None else str(found)

    def copied(self) -> bool:
        """Whether the first copy into it was complete."""
        return self.remembered("copied") is not None

    def uninstall(self) -> None:
        """Remove our schema and accounts; replication of ours must be gone."""
        if self.installed():
            was = self.remembered("gtid_slave_pos")
            if was is not None and not self.dialect.managed and not self.replicas():
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

    def fence(self) -> list[str]:
        """Lock every account but ours, silence events, and set read_only on top.

        Accounts and events stay locked over a crash; `read_only` and the scheduler's switch do not.
        """
        for variable, _ in self.dialect.switches:
            self.remember(variable, str(self.one(f"SELECT @@GLOBAL.{variable}")))
        roles = self.login_roles()
        for role in roles:
            self.run("INSERT IGNORE INTO firstbell.role VALUES (%s)", role)
            self.run(f"ALTER USER {role} ACCOUNT LOCK")
        for schema, name, definer in self.events():
            self.run("INSERT IGNORE INTO firstbell.event VALUES (%s)", name)
            self._alter_event(schema, name, definer, "DISABLE")
        for variable, value in self.dialect.switches:
            if str(self.one(f"SELECT @@GLOBAL.{variable}")) != "DISABLED":
                self.run(f"SET GLOBAL {variable} = {value}")
        return roles

    def lift(self) -> list[str]:
        """Unlock those who were not locked before, and let events run again."""
        for variable, _ in self.dialect.switches:
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
                " AND USER NOT REGEXP '^rds(admin|repladmin|_)'"
                " AND NOT (USER = %s AND IS_USED_LOCK(CONCAT('firstbell ', ID)) <=> ID)"
                " ORDER BY ID",
                self.user,
            )
        ]

    def expel(self) -> int:
        """End every session that is not ours; how many there were."""
        found = self.strangers()
        for number, _ in found:
            self._end(number)
        return len(found)

    def _kill(self, where: str, *values: object) -> None:
        for (number,) in self.rows(
            f"SELECT ID FROM information_schema.PROCESSLIST WHERE {where}", *values
        ):
            self._end(int(number))

    def _end(self, session: int) -> None:
        # It may have gone by itself.
        with suppress(pymysql.ProgrammingError, pymysql.InternalError):
            self.tell(self.dialect.kill(session))

    def prepared_transactions(self) -> int:
        """XA transactions that would commit through the fence."""
        return len(self.rows("XA RECOVER"))

    def probe_write(self) -> bool:
        """Write as an application would; True when it worked."""
        password = new_password()
        self.set_password(f"ALTER USER {account(self.prober, '%')}", password)
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
        found = self.named("SHOW ALL SLAVES STATUS")
        return [each for each in found if self.dialect.label(each) is not None]

    def replica_names(self) -> list[str]:
        """The connections by name: ours as we call them, others as the server does."""
        return [str(self.dialect.label(each)) for each in self.replicas()]

    def replica(self, name: str) -> dict[str, Any] | None:
        """One connection's state by our name of it, or None when there is none."""
        return next((each for each in self.replicas() if self.dialect.label(each) == name), None)

    def ensure_replica(self, name: str, publisher: Server, start: Position | None) -> None:
        """Replicate from the publisher; from `start`, or from where this server stands.

        The throwaway account gets a new password, which only `master.info` on this server keeps.
        """
        if self.replica(name) is None:
            password = new_password()
            publisher.set_password(f"ALTER USER {account(publisher.replicator, '%')}", password)
            self.change_master(name, publisher, publisher.replicator, password, start)
        if publisher.dialect.managed:
            self.leave_accounts_alone(name)
        self.start_replica(name)

    def change_master(
        self,
        name: str,
        publisher: Server,
        user: str,
        password: str,
        start: Position | None = None,
    ) -> None:
        """Point a connection at the publisher.

        Raises:
            FirstbellError: the server has one connection only, and others use it.
        """
        if self.dialect.managed and (others := self.replica_names()):
            raise FirstbellError(
                f"the {self.side} replicates already ({', '.join(others)})",
                where=self.address,
                fix="CALL mysql.rds_stop_replication, then CALL mysql.rds_reset_external_master",
            )
        peer = publisher.peer
        to = Connection(name, peer.host, peer.port, user, password, peer.ssl_ca)
        for statement in self.dialect.configure(to, start, self.slave_position()):
            self.tell(statement)

    def leave_accounts_alone(self, name: str) -> None:
        """Take over neither accounts nor marks of ours from a publisher that logs everything.

        RDS cannot leave a statement out of its binary log: when it opens its accounts, ours must
        not open with them. A restart of this server undoes it; `keep_up` looks.
        """
        if self.leaves_accounts_alone(name):
            return
        self.stop_replica(name)
        self.run(f"SET SESSION default_master_connection = {literal(name)}")
        try:
            self.run(f"SET GLOBAL replicate_wild_ignore_table = {literal(_LEFT_ALONE)}")
        finally:
            self.run("SET SESSION default_master_connection = ''")

    def leaves_accounts_alone(self, name: str) -> bool:
        found = self.replica(name)
        return found is not None and found["Replicate_Wild_Ignore_Table"] == _LEFT_ALONE

    def start_replica(self, name: str) -> None:
        found = self.replica(name)
        if found is None:
            return
        if found["Slave_IO_Running"] == "No" or found["Slave_SQL_Running"] == "No":
            self.tell(self.dialect.start(name))

    def stop_replica(self, name: str) -> None:
        """Stop fetching and applying; a transaction that is being applied ends first."""
        found = self.replica(name)
        if found is not None and not (
            found["Slave_IO_Running"] == found["Slave_SQL_Running"] == "No"
        ):
            self.tell(self.dialect.stop(name))

    def drop_replica(self, name: str) -> None:
        """Forget a connection with its relay log and password."""
        if self.replica(name) is not None:
            self.stop_replica(name)
            self.tell(self.dialect.forget(name))


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


def native_hash(password: str) -> str:
    """What `mysql_native_password` stores of a password."""
    once = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(once, usedforsecurity=False).hexdigest().upper()


def status(found: Mapping[str, Any], key: str) -> int:
    """A number of a replica's state; 0 where the server says NULL."""
    return int(found[key] or 0)


class RunnerLock(BaseLock[Server]):
    """A named lock on the source."""

    def __init__(self, server: Server) -> None:
        super().__init__(server.clone())
        self._name = literal(f"firstbell runner {server.migration}")

    def _try(self) -> bool:
        return bool(self._server.one(f"SELECT GET_LOCK({self._name}, 0)"))

    def _has(self) -> bool:
        return bool(self._server.one(f"SELECT IS_USED_LOCK({self._name}) <=> CONNECTION_ID()"))
