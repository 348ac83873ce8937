"""One PostgreSQL database of the migration: its roles, its fence, its end of replication.

Every method that changes something looks first and is safe to repeat. Secrets reach the server as
bind parameters of a session that does not log them, so that neither the server's log nor
`pg_stat_activity` ever shows one. The catalogue, checks before the start, and row checksums have
modules of their own.
"""

from __future__ import annotations

import re
import secrets
import time
import uuid
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import conninfo

from cli.migration.side import BaseLock, BaseServer, Row
from infra.errors import FirstbellError

# Row text must be equal on servers of different versions and settings; the empty search path makes
# names complete. A fence must survive a crash, so commits are synchronous whatever the default is.
_SETTINGS: Final = {
    "TimeZone": "UTC",
    "DateStyle": "ISO,YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "search_path": "",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_read_only": "off",
    "synchronous_commit": "on",
    "row_security": "off",
}
_LOCK_TIMEOUT_MS: Final = 1000
_LOCK_TRIES: Final = 60
_SLOT_RELEASE_SECONDS: Final = 15.0
# Roles that belong to a managed service, which nobody else may alter.
_SERVICE_ROLE: Final = re.compile(r"rds.*|pg_.*|aws.*|cloudsql.*")

# Replication roles, and the roles of a rehearsal on the same server.
_OUR_ROLE: Final = re.compile(r"firstbell_.*_repl(_source|_target)?|firstbell_.*_r_.*")


def ident(name: str) -> str:
    """A name, quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text, quoted for SQL (standard_conforming_strings is on)."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True)
class Slot:
    """A replication slot as the publisher sees it."""

    active: bool
    status: str | None
    behind_bytes: int
    retained_bytes: int
    confirmed_bytes: int

    @property
    def lost(self) -> bool:
        return self.status in ("lost", "unreserved") and not self.active


class Server(BaseServer):
    """A side's database, and a connection to it that is renewed when it broke.

    `roles` limits the fence to the named roles: two rehearsal databases share one server, and there
    a role of one must not be locked for the other. `renew` fetches the connection string again when
    the server refuses the password: AWS rotates those that it manages.
    """

    def __init__(
        self,
        side: str,
        dsn: dict[str, str],
        peer: dict[str, str],
        migration: str,
        *,
        roles: Sequence[str] | None = None,
        renew: Callable[[], dict[str, str]] | None = None,
    ) -> None:
        super().__init__(side, migration, roles)
        self._dsn = dsn
        self._peer = peer
        self._renew = renew
        self._conn: psycopg.Connection[Row] | None = None

    def clone(self) -> Server:
        """The same database with a connection of its own, for another thread."""
        return Server(
            self.side,
            self._dsn,
            self._peer,
            self.migration,
            roles=self.roles,
            renew=self._renew,
        )

    # Connections

    def connect(
        self, *, user: str | None = None, password: str | None = None
    ) -> psycopg.Connection[Row]:
        """A new autocommit connection with the settings that make results comparable."""
        parts: dict[str, Any] = {
            "connect_timeout": str(self.connect_seconds),
            "keepalives_idle": "5",
            "keepalives_interval": "2",
            "keepalives_count": "3",
            "tcp_user_timeout": "10000",
            **self._dsn,
            "application_name": f"firstbell/{self.migration}",
        }
        if user is not None:
            # A role of its own must not inherit the administrator's other ways to sign in.
            parts |= {"user": user, "password": password, "passfile": "/dev/null"}
        try:
            conn = psycopg.connect(conninfo.make_conninfo(**parts), autocommit=True)
        except psycopg.OperationalError as error:
            if user is not None or not self._renewed(error):
                raise
            parts |= {key: self._dsn[key] for key in ("user", "password")}
            conn = psycopg.connect(conninfo.make_conninfo(**parts), autocommit=True)
        if user is None:
            changes = ", ".join(f"set_config('{k}', '{v}', false)" for k, v in _SETTINGS.items())
            conn.execute(f"SELECT {changes}".encode())
        return conn

    def _renewed(self, error: psycopg.OperationalError) -> bool:
        """Whether the password was refused, and there is another one by now."""
        if self._renew is None or "authentication failed" not in str(error):
            return False
        fresh = self._renew()
        if fresh.get("password") == self._dsn.get("password"):
            return False
        # In place: clones of this server share it.
        self._dsn |= fresh
        return True

    @property
    def conn(self) -> psycopg.Connection[Row]:
        if self._conn is None or self._conn.closed or self._conn.broken:
            self._conn = self.connect()
        return self._conn

    def close(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def cancel(self) -> None:
        """End the statement that runs, from another thread; there may be none."""
        if self._conn is not None and not self._conn.closed:
            self._conn.cancel_safe(timeout=5)

    def run(self, query: str, *values: object) -> None:
        """Run statements that answer nothing; names in the text are quoted by the caller."""
        self.conn.execute(query.encode(), values or None)

    def rows(self, query: str, *values: object) -> list[Row]:
        return self.conn.execute(query.encode(), values or None).fetchall()

    @contextmanager
    def quietly(self) -> Generator[None]:
        """A transaction whose statements, parameters and errors reach no server log.

        Only a superuser may say so; on RDS `log_statement` and its like are in a parameter group,
        which preflight looks at.
        """
        with self.conn.transaction():
            if self.superuser:
                for setting, value in (
                    ("log_statement", "none"),
                    ("log_min_duration_statement", "-1"),
                    ("log_min_error_statement", "panic"),
                    # An error's context would quote the statement with the secret in it.
                    ("log_min_messages", "panic"),
                    ("log_parameter_max_length", "0"),
                    ("log_parameter_max_length_on_error", "0"),
                ):
                    self.run(f"SET LOCAL {setting} = '{value}'")
            yield

    def secretly(self, secret: str, statement: str) -> None:
        """Run a statement with a secret in the place of `%L`; only a bind parameter carries it.

        Raises:
            psycopg.Error: of the kind that the server reports, with its first line alone.
        """
        try:
            with self.quietly():
                self.run("SELECT set_config('firstbell.secret', %s, true)", secret)
                self.run(
                    f"DO $firstbell$ BEGIN EXECUTE format({literal(statement)},"
                    " current_setting('firstbell.secret')); END $firstbell$"
                )
        except psycopg.Error as error:
            # The context below the first line quotes the statement as it ran.
            raise type(error)(error.diag.message_primary or type(error).__name__) from None

    # What it is

    @property
    def version(self) -> int:
        """The major version."""
        return self.conn.info.server_version // 10000

    @property
    def database(self) -> str:
        return self._dsn["dbname"]

    @property
    def user(self) -> str:
        return self._dsn["user"]

    @property
    def address(self) -> str:
        """Host, port and database, for people; no secret."""
        return f"{self._dsn['host']}:{self._dsn.get('port', '5432')}/{self.database}"

    @property
    def peer(self) -> dict[str, str]:
        """How the other server reaches this one."""
        return self._peer

    @property
    def superuser(self) -> bool:
        return self.conn.info.parameter_status("is_superuser") == "on"

    def child_environment(self) -> dict[str, str]:
        """What a child process such as pg_dump needs to connect; its arguments hold no secret."""
        keys = {
            "host": "PGHOST",
            "port": "PGPORT",
            "dbname": "PGDATABASE",
            "user": "PGUSER",
            "password": "PGPASSWORD",
            "sslmode": "PGSSLMODE",
            "sslrootcert": "PGSSLROOTCERT",
            "passfile": "PGPASSFILE",
        }
        given = {variable: self._dsn[key] for key, variable in keys.items() if key in self._dsn}
        return given | {"PGAPPNAME": f"firstbell/{self.migration}"}

    # Ours in the database

    @property
    def replicator(self) -> str:
        return self._role("repl")

    @property
    def prober(self) -> str:
        return self._role("probe")

    def _role(self, purpose: str) -> str:
        # Two rehearsal databases share one server, and so its roles.
        apart = "" if self.roles is None else f"_{self.side}"
        return f"{self.base}_{purpose}{apart}"

    def install(self, journal: str, runner: str) -> None:
        """Create our schema and sign it.

        Raises:
            InputError: another journal owns this database.
        """
        with self.conn.transaction():
            self.run("SELECT pg_advisory_xact_lock(hashtext('firstbell install'))")
            if self.one("SELECT to_regclass('firstbell.owner')::text") is None:
                self.run(
                    "CREATE SCHEMA IF NOT EXISTS firstbell;"
                    "CREATE TABLE firstbell.owner (migration text PRIMARY KEY, journal uuid,"
                    " runner text, since timestamptz DEFAULT now());"
                    "CREATE TABLE firstbell.token (id uuid PRIMARY KEY,"
                    " at timestamptz DEFAULT clock_timestamp());"
                    "CREATE TABLE firstbell.load (id bigint PRIMARY KEY, body text);"
                    "CREATE TABLE firstbell.probe (at timestamptz DEFAULT clock_timestamp());"
                    "CREATE TABLE firstbell.role (name text PRIMARY KEY);"
                    "CREATE TABLE firstbell.made (what text PRIMARY KEY);"
                    "CREATE TABLE firstbell.identity (name text PRIMARY KEY, was text);"
                )
            self.refuse_other_owner(journal)
            self.run(
                "INSERT INTO firstbell.owner VALUES (%s, %s, %s)"
                " ON CONFLICT (migration) DO UPDATE SET runner = excluded.runner",
                self.migration,
                journal,
                runner,
            )
        for role, options in ((self.replicator, "LOGIN REPLICATION"), (self.prober, "LOGIN")):
            if not self.one("SELECT 1 FROM pg_roles WHERE rolname = %s", role):
                self.run(f"CREATE ROLE {ident(role)} {options}")
        if self.superuser:
            self.run(f"ALTER ROLE {ident(self.replicator)} BYPASSRLS")
        self.run(
            f"GRANT USAGE ON SCHEMA firstbell TO {ident(self.prober)}, {ident(self.replicator)};"
            f"GRANT INSERT ON firstbell.probe TO {ident(self.prober)};"
            f"GRANT SELECT ON firstbell.token, firstbell.load TO {ident(self.replicator)}"
        )

    def copied(self) -> bool:
        """Whether the first copy into this database was complete."""
        return bool(self.one("SELECT 1 FROM firstbell.made WHERE what = 'copied'"))

    def installed(self) -> bool:
        return self.one("SELECT to_regclass('firstbell.owner')::text") is not None

    def uninstall(self) -> None:
        """Remove our schema and roles; publications, slots and subscriptions must be gone."""
        self.run("DROP SCHEMA IF EXISTS firstbell CASCADE")
        for role in (self.replicator, self.prober):
            if self.one("SELECT 1 FROM pg_roles WHERE rolname = %s", role):
                self.run(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s",
                    role,
                )
                self.run(f"DROP OWNED BY {ident(role)}")
                self.run(f"DROP ROLE {ident(role)}")

    def grant_reading(self, schemas: Sequence[str]) -> None:
        """Let the replication role read every table for the first copy."""
        role = ident(self.replicator)
        if self.version >= 14:
            self.run(f"GRANT pg_read_all_data TO {role}")
            return
        for schema in schemas:
            self.run(
                f"GRANT USAGE ON SCHEMA {ident(schema)} TO {role};"
                f"GRANT SELECT ON ALL TABLES IN SCHEMA {ident(schema)} TO {role}"
            )

    def patiently(self, statement: str) -> None:
        """Run DDL without ever making the application queue behind it for more than a second."""
        for attempt in range(_LOCK_TRIES):
            try:
                with self.conn.transaction():
                    self.run(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}")
                    self.run(statement)
            except psycopg.errors.LockNotAvailable:
                if attempt == _LOCK_TRIES - 1:
                    raise
                time.sleep(0.2 + 0.1 * attempt)
            else:
                return

    # The fence

    def login_roles(self) -> list[str]:
        """Roles that may sign in, our own and the service's apart."""
        found = [
            str(name)
            for (name,) in self.rows(
                "SELECT rolname FROM pg_roles WHERE rolcanlogin"
                " AND rolname NOT IN (current_user, %s) ORDER BY 1",
                self.replicator,
            )
        ]
        if self.roles is not None:
            return [name for name in found if name in (*self.roles, self.prober)]
        return [
            name
            for name in found
            if not _SERVICE_ROLE.fullmatch(name) and not _OUR_ROLE.fullmatch(name)
        ]

    def fence(self) -> list[str]:
        """Take the login away from every role but ours, remembering which had it."""
        roles = self.login_roles()
        for role in roles:
            with self.conn.transaction():
                self.run("INSERT INTO firstbell.role VALUES (%s) ON CONFLICT DO NOTHING", role)
                self.run(f"ALTER ROLE {ident(role)} NOLOGIN")
        return roles

    def lift(self) -> list[str]:
        """Give the login back to those who had it."""
        roles = self.fenced_roles()
        for role in roles:
            with self.conn.transaction():
                if self.one("SELECT 1 FROM pg_roles WHERE rolname = %s", role):
                    self.run(f"ALTER ROLE {ident(role)} LOGIN")
                self.run("DELETE FROM firstbell.role WHERE name = %s", role)
        return roles

    def strangers(self) -> list[tuple[int, str]]:
        """Sessions in this database that are not ours: process and role."""
        return [
            (int(pid), str(user))
            for pid, user in self.rows(
                "SELECT pid, usename FROM pg_stat_activity WHERE datname = current_database()"
                " AND backend_type = 'client backend'"
                " AND NOT (usename = current_user AND application_name LIKE 'firstbell/%%')"
                " ORDER BY 1"
            )
        ]

    def expel(self) -> int:
        """End every session that is not ours; how many there were."""
        found = self.strangers()
        for pid, _ in found:
            self.run("SELECT pg_terminate_backend(%s)", pid)
        return len(found)

    def prepared_transactions(self) -> int:
        """Transactions that would commit through the fence."""
        return int(
            self.one("SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()")
        )

    def probe_write(self) -> bool:
        """Write as an application would; True when it worked."""
        password = self.new_password(self.prober)
        try:
            with self.connect(user=self.prober, password=password) as conn:
                conn.execute("INSERT INTO firstbell.probe DEFAULT VALUES")
        except psycopg.OperationalError:
            return False
        return True

    def new_password(self, role: str) -> str:
        """Give one of our roles a password that nobody else has; it is kept nowhere."""
        password = secrets.token_urlsafe(32)
        self.set_password(role, password)
        return password

    def set_password(self, role: str, password: str) -> None:
        """Only its verifier, computed here, is sent."""
        method = self.one("SHOW password_encryption")
        verifier = self.conn.pgconn.encrypt_password(
            password.encode(), role.encode(), str(method).encode()
        )
        self.secretly(verifier.decode(), f"ALTER ROLE {ident(role)} PASSWORD %L")

    # Replication: this server as publisher

    def ensure_publication(self, name: str, tables: Sequence[str]) -> None:
        """A publication of exactly these tables (quoted names) and our own two."""
        wanted = sorted({*tables, "firstbell.token", "firstbell.load"})
        if not self.one("SELECT 1 FROM pg_publication WHERE pubname = %s", name):
            self.run(f"CREATE PUBLICATION {ident(name)} FOR TABLE {', '.join(wanted)}")
            return
        have = {
            str(table)
            for (table,) in self.rows(
                "SELECT format('%%I.%%I', schemaname, tablename) FROM pg_publication_tables"
                " WHERE pubname = %s",
                name,
            )
        }
        if have != set(wanted):
            self.run(f"ALTER PUBLICATION {ident(name)} SET TABLE {', '.join(wanted)}")

    def drop_publication(self, name: str) -> None:
        self.run(f"DROP PUBLICATION IF EXISTS {ident(name)}")

    def slot(self, name: str) -> Slot | None:
        """The slot, or None when there is none."""
        found = self.rows(
            "SELECT active, wal_status,"
            " greatest(0, pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn))::bigint,"
            " greatest(0, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn))::bigint,"
            " pg_wal_lsn_diff(confirmed_flush_lsn, '0/0')::bigint"
            " FROM pg_replication_slots WHERE slot_name = %s",
            name,
        )
        if not found:
            return None
        active, status, *sizes = found[0]
        behind, retained, confirmed = (int(size or 0) for size in sizes)
        return Slot(bool(active), status, behind, retained, confirmed)

    def ensure_slot(self, name: str) -> None:
        """A logical slot; waits for transactions that are running."""
        if self.slot(name) is None:
            self.run("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", name)

    def drop_slot(self, name: str) -> None:
        """Drop a slot, ending whoever reads from it."""
        deadline = time.monotonic() + _SLOT_RELEASE_SECONDS
        while self.slot(name) is not None:
            self.run(
                "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
                " WHERE slot_name = %s AND active_pid IS NOT NULL",
                name,
            )
            try:
                self.run("SELECT pg_drop_replication_slot(%s)", name)
            except (psycopg.errors.ObjectInUse, psycopg.errors.UndefinedObject):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def drop_sync_slots(self, subscription: int) -> None:
        """Drop what the first copy of a subscription (its OID) left behind."""
        for (name,) in self.rows(
            "SELECT slot_name FROM pg_replication_slots WHERE slot_name LIKE %s",
            f"pg\\_{subscription}\\_sync\\_%",
        ):
            self.drop_slot(str(name))

    def put_token(self) -> tuple[str, str]:
        """Write a token; its id, and an LSN by which it is durable here."""
        token = str(uuid.uuid4())
        self.run("INSERT INTO firstbell.token (id) VALUES (%s)", token)
        return token, str(self.one("SELECT pg_current_wal_flush_lsn()"))

    def confirmed(self, slot: str, lsn: str) -> bool:
        """Whether the subscriber has made everything up to the LSN durable."""
        return bool(
            self.one(
                "SELECT confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots"
                " WHERE slot_name = %s",
                lsn,
                slot,
            )
        )

    # Replication: this server as subscriber

    def subscription(self, name: str) -> tuple[int, bool] | None:
        """OID and whether it is enabled, or None."""
        found = self.rows(
            "SELECT s.oid::bigint, subenabled FROM pg_subscription s JOIN pg_database d"
            " ON d.oid = subdbid WHERE subname = %s AND datname = current_database()",
            name,
        )
        return (int(found[0][0]), bool(found[0][1])) if found else None

    def ensure_subscription(
        self, name: str, publisher: Server, publication: str, slot: str, *, copy: bool
    ) -> None:
        """Subscribe over an existing slot and enable; the throwaway role gets a new password."""
        if self.subscription(name) is None:
            password = publisher.new_password(publisher.replicator)
            address = {
                key: value
                for key, value in publisher.peer.items()
                if key not in ("user", "password", "passfile")
            }
            secret = conninfo.make_conninfo(
                **address,
                user=publisher.replicator,
                password=password,
                application_name=name,
                connect_timeout="5",
                keepalives_idle="5",
                keepalives_interval="2",
                keepalives_count="3",
            )
            options = f"create_slot = false, slot_name = {slot}, enabled = false"
            options += f", copy_data = {str(copy).lower()}"
            if self.version >= 16 and not self.superuser:
                # Applying as the table's owner would need membership in every owner.
                options += ", run_as_owner = true"
            self.secretly(
                secret,
                f"CREATE SUBSCRIPTION {ident(name)} CONNECTION %L"
                f" PUBLICATION {ident(publication)} WITH ({options})",
            )
        self.run(f"ALTER SUBSCRIPTION {ident(name)} ENABLE")

    def disable_subscription(self, name: str) -> None:
        """Stop applying, and wait until the worker is gone."""
        if self.subscription(name) is None:
            return
        self.run(f"ALTER SUBSCRIPTION {ident(name)} DISABLE")
        deadline = time.monotonic() + _SLOT_RELEASE_SECONDS
        while self.one(
            "SELECT count(*) FROM pg_stat_subscription WHERE subname = %s AND pid IS NOT NULL", name
        ):
            if time.monotonic() > deadline:
                raise FirstbellError(f"the apply worker of {name} on {self.side} does not stop")
            time.sleep(0.02)

    def drop_subscription(self, name: str) -> int | None:
        """Drop it without touching the publisher, which may be gone; its OID."""
        found = self.subscription(name)
        if found is None:
            return None
        self.disable_subscription(name)
        self.run(f"ALTER SUBSCRIPTION {ident(name)} SET (slot_name = NONE)")
        self.run(f"DROP SUBSCRIPTION {ident(name)}")
        return found[0]

    def relations_ready(self, name: str) -> tuple[int, int]:
        """Tables that follow the stream, and all tables of the subscription."""
        ready, total = self.rows(
            "SELECT count(*) FILTER (WHERE srsubstate = 'r'), count(*) FROM pg_subscription_rel"
            " JOIN pg_subscription s ON s.oid = srsubid WHERE subname = %s",
            name,
        )[0]
        return int(ready), int(total)

    def apply_errors(self, name: str) -> int:
        """Errors of apply and first copy since the subscription began; 0 before version 15."""
        if self.version < 15:
            return 0
        return int(
            self.one(
                "SELECT apply_error_count + sync_error_count FROM pg_stat_subscription_stats"
                " WHERE subname = %s",
                name,
            )
            or 0
        )


class RunnerLock(BaseLock[Server]):
    """An advisory lock on the source."""

    def __init__(self, server: Server) -> None:
        super().__init__(server.clone())

    def _try(self) -> bool:
        key = f"firstbell {self._server.migration}"
        return bool(self._server.one("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", key))

    def _has(self) -> bool:
        return bool(
            self._server.one(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
                " AND pid = pg_backend_pid()"
            )
        )
