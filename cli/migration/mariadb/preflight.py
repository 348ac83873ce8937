"""Looks at both MariaDB servers before anything is changed, and explains what is in the way.

One thing is done and undone: each server opens a replication connection to the other under an
account that does not exist, because only the server itself can tell whether it reaches its peer.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pymysql

from cli.migration.engine import Finding, Severity
from cli.migration.mariadb import catalogue
from cli.migration.mariadb.dialect import is_ours
from cli.migration.mariadb.server import Server, new_password, status
from cli.migration.mariadb.text import literal

if TYPE_CHECKING:
    from cli.migration.machine import Run

OLDEST: Final = (10, 6)
# A copy and a weekend must fit into what the binary log keeps.
_RETENTION_HOURS: Final = 24
_TRIAL_SECONDS: Final = 8.0
_ACCESS_DENIED: Final = 1045
_HOST_REFUSED: Final = (1129, 1130)
_SYSTEM_SCHEMAS: Final = "('mysql', 'information_schema', 'performance_schema', 'sys', 'firstbell')"


def inspect(run: Run, source: Server, target: Server) -> Iterator[Finding]:
    """Everything worth knowing about both servers.

    Raises:
        pymysql.OperationalError: a server cannot be reached.
    """
    if source.dialect.managed:
        yield Finding(
            "source-managed",
            "blocker",
            f"the source {source.address} is on RDS",
            "it cannot leave a statement out of its binary log, which the way back needs: RDS is"
            " only ever the target",
        )
        return
    yield from _sides(source, target)
    for server, other in ((source, target), (target, source)):
        yield from _server(server)
        if not run.rehearsing:
            yield from unencrypted(server)
            yield from _accounts(server)
        yield from _network(server, other)
    yield from _source(source)
    yield from _target(run, source, target)
    if target.dialect.managed:
        yield from _managed(source, target)


def same_server(one: Server, other: Server) -> bool:
    """Whether two addresses lead to one server: named locks belong to the whole server."""
    name = literal(f"firstbell same {new_password()[:16]}")
    one.one(f"SELECT GET_LOCK({name}, 0)")
    try:
        return other.one(f"SELECT IS_USED_LOCK({name})") is not None
    finally:
        one.one(f"SELECT RELEASE_LOCK({name})")


def _sides(source: Server, target: Server) -> Iterator[Finding]:
    if same_server(source, target):
        if source.database == target.database:
            yield Finding(
                "same-database",
                "blocker",
                f"source and target are the same database, {target.address}",
            )
        else:
            yield Finding(
                "same-server",
                "blocker",
                "source and target are databases of one server",
                "accounts and the binary log belong to the whole server",
            )
        return
    if target.version[:2] < source.version[:2]:
        yield Finding(
            "target-older",
            "blocker",
            f"the target is MariaDB {_version(target)}, the source {_version(source)}",
            f"take a target of version {_version(source)} or newer",
        )
    if source.database != target.database:
        yield Finding(
            "database-name",
            "blocker",
            f"the source's database is {source.database}, the target's {target.database}",
            "GTID replication carries names: give both the same one",
        )
    # The numbers of a managed server are the service's.
    side = "source" if target.dialect.managed else "target"
    for name, variable in (("server-id", "server_id"), ("gtid-domain", "gtid_domain_id")):
        values = [server.one(f"SELECT @@GLOBAL.{variable}") for server in (source, target)]
        if values[0] == values[1]:
            yield Finding(
                name,
                "blocker",
                f"{variable} is {values[0]} on both sides: neither could tell its own writes",
                f"on the {side}: SET GLOBAL {variable} = another number, and the same in its option"
                " file, or a restart undoes it",
            )
    settings: tuple[tuple[str, Severity, str], ...] = (
        ("lower_case_table_names", "blocker", "table names would not be found"),
        ("sql_mode", "accept", "statements may be refused that were not"),
        ("time_zone", "accept", "NOW() may answer another time"),
        ("character_set_server", "note", "new tables without a character set of their own differ"),
    )
    for variable, severity, why in settings:
        left, right = (str(each.one(f"SELECT @@GLOBAL.{variable}")) for each in (source, target))
        if left != right:
            yield Finding(
                variable.replace("_", "-"),
                severity,
                f"{variable} is {left!r} on the source, {right!r} on the target: {why}",
                "set it alike on both, in the option files too",
            )


def _version(server: Server) -> str:
    return ".".join(map(str, server.version))


def _server(server: Server) -> Iterator[Finding]:
    side = server.side
    if server.version[:2] < OLDEST:
        yield Finding(
            f"version-{side}",
            "blocker",
            f"the {side} is MariaDB {_version(server)}; 10.6 or newer is needed",
        )
    if not server.one("SELECT @@GLOBAL.log_bin"):
        yield Finding(
            f"log-bin-{side}",
            "blocker",
            f"the {side} writes no binary log",
            "log_bin in its option file, and restart (on RDS: turn automated backups on)",
        )
        return
    for variable, wanted, why in (
        ("binlog_format", "ROW", "statements may do something else on the other side"),
        ("binlog_row_image", "FULL", "rows without a key are not found"),
    ):
        value = str(server.one(f"SELECT @@GLOBAL.{variable}"))
        if value != wanted:
            yield Finding(
                f"{variable.replace('_', '-')}-{side}",
                "blocker",
                f"{variable} of the {side} is {value}: {why}",
                f"SET GLOBAL {variable} = {wanted}, in the option file too, then let every session"
                " connect anew: an open one keeps the old format",
            )
    yield from _retention(server)
    loose = [
        f"{variable} = {value}"
        for variable in ("sync_binlog", "innodb_flush_log_at_trx_commit")
        if (value := int(server.one(f"SELECT @@GLOBAL.{variable}"))) != 1
    ]
    if loose:
        yield Finding(
            f"durability-{side}",
            "accept",
            f"{' and '.join(loose)} on the {side}: a power failure may lose what was acknowledged,"
            " or let rows and binary log differ",
            "SET GLOBAL sync_binlog = 1, innodb_flush_log_at_trx_commit = 1 until commit",
        )
    others = [name for name in server.replica_names() if not is_ours(name)]
    if others:
        yield Finding(
            f"replicates-{side}",
            "blocker",
            f"the {side} itself replicates ({', '.join(others)}): it would be written through the"
            " fence",
            "migrate from the primary, or STOP SLAVE and RESET SLAVE ALL first",
        )
    if count := server.prepared_transactions():
        yield Finding(
            f"xa-{side}",
            "blocker",
            f"{count} prepared XA transactions on the {side} would commit through the fence",
            "XA COMMIT or XA ROLLBACK each (XA RECOVER lists them)",
        )
    databases = [
        str(name)
        for (name,) in server.rows(
            "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN"
            f" {_SYSTEM_SCHEMAS} AND SCHEMA_NAME <> %s ORDER BY 1",
            server.database,
        )
    ]
    if databases:
        yield Finding(
            f"other-databases-{side}",
            "blocker",
            f"the {side}'s server also holds {', '.join(databases)}",
            "GTID replication and the fence take the whole server: move them to one of their own",
        )


def _retention(server: Server) -> Iterator[Finding]:
    if server.dialect.managed:
        return  # its variables say nothing about it: `_managed`
    found = dict(server.rows("SHOW GLOBAL VARIABLES LIKE '%expire_logs%'"))
    days = float(found.get("expire_logs_days", 0))
    hours = float(found.get("binlog_expire_logs_seconds", 0)) / 3600 or days * 24
    if hours and hours < _RETENTION_HOURS:
        yield Finding(
            f"binlog-retention-{server.side}",
            "blocker",
            f"the {server.side} keeps its binary log for {hours:g} hours",
            "SET GLOBAL binlog_expire_logs_seconds = 604800, longer than the copy and every pause",
        )


def _accounts(server: Server) -> Iterator[Finding]:
    side = server.side
    missing = server.dialect.rights - server.rights()
    if missing:
        yield Finding(
            f"rights-{side}",
            "blocker",
            f"{server.user} on the {side} lacks {', '.join(sorted(missing))}",
            "sign in as the instance's master user"
            if server.dialect.managed
            else "GRANT ALL PRIVILEGES ON *.* TO … WITH GRANT OPTION, for an account of the"
            " migration's own",
        )
    used = sorted(
        {f"session {number}" for number, user in server.strangers() if user == server.user}
    )
    if used:
        yield Finding(
            f"application-role-{side}",
            "blocker",
            f"{server.user} on the {side} is used by others: {', '.join(used)}",
            f"CREATE USER migration, and name it in the {side}'s dsn; our own account is the one"
            " that the fence cannot lock",
        )
    if server.dialect.managed:
        return  # AWS can give the master user another password
    others = server.one(
        "SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'SUPER'"
        " AND GRANTEE NOT LIKE CONCAT('''', %s, '''@%%') AND GRANTEE NOT LIKE '''mariadb.sys''@%%'",
        server.user,
    )
    if not others:
        yield Finding(
            f"only-superuser-{side}",
            "blocker",
            f"{server.user} is the only account with SUPER on the {side}",
            "create a second one, so that nobody is locked out when ours is lost",
        )


def unencrypted(server: Server) -> Iterator[Finding]:
    """Ways to a server over public addresses that no ssl_ca protects."""
    ways = {
        f"{of} ({address.host})": key
        for key, of, address in (
            ("dsn", "from this runner", server.dsn),
            ("peer_dsn", "from the other side", server.peer),
        )
        if address.ssl_ca is None and _is_public(address.host)
    }
    if ways:
        yield Finding(
            f"unencrypted-{server.side}",
            "accept",
            f"the {server.side} is reached without TLS over public addresses,"
            f" {' and '.join(ways)}: rows can be read and changed on the way",
            f"add ?ssl_ca=FILE to {' and '.join(ways.values())} of the {server.side}, or go through"
            " a VPN or a tunnel",
        )


def _is_public(host: str) -> bool:
    """Whether a host has an address of the public internet, as this runner resolves it."""
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return False  # a name that this runner does not know is no public one
    return any(ipaddress.ip_address(str(address[0])).is_global for *_, address in found)


def _network(subscriber: Server, publisher: Server) -> Iterator[Finding]:
    """Whether one server reaches the other, by a connection of its own that is refused."""
    if subscriber.dialect.managed and subscriber.replica_names():
        return  # its only connection is in use: by another, which is a finding, or by us
    name = f"{subscriber.base}_nobody"
    side, other = subscriber.side, publisher.side
    try:
        subscriber.drop_replica(name)
        subscriber.change_master(name, publisher, name, new_password())
        subscriber.start_replica(name)
        number, text = _first_answer(subscriber, name)
    except (pymysql.ProgrammingError, pymysql.InternalError) as error:
        yield Finding(
            f"subscribe-{side}", "blocker", f"the {side} cannot replicate: {error.args[-1]}"
        )
        return
    finally:
        subscriber.drop_replica(name)
    where = f"{publisher.peer.host}:{publisher.peer.port}"
    if number in _HOST_REFUSED:
        yield Finding(
            f"host-{other}",
            "blocker",
            f"the {other} refuses the {side}'s server: {text}",
            "let its address in (bind_address, firewall, FLUSH HOSTS)",
        )
    elif number != _ACCESS_DENIED:
        yield Finding(
            f"network-{side}-to-{other}",
            "blocker",
            f"the {side}'s server does not reach the {other} at {where}: {text or 'no answer'}",
            f"open the way from the {side}'s server to {where}, or correct peer_dsn",
        )


def _first_answer(server: Server, name: str) -> tuple[int, str]:
    deadline = time.monotonic() + _TRIAL_SECONDS
    while time.monotonic() < deadline:
        found = server.replica(name)
        if found is not None and (number := status(found, "Last_IO_Errno")):
            return number, str(found["Last_IO_Error"])
        time.sleep(0.05)
    return 0, ""


def _source(source: Server) -> Iterator[Finding]:
    engines = source.rows(
        "SELECT TABLE_NAME, ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s"
        " AND TABLE_TYPE = 'BASE TABLE' AND ENGINE <> 'InnoDB' ORDER BY 1",
        source.database,
    )
    if engines:
        yield Finding(
            "not-innodb",
            "blocker",
            "no transactions in " + ", ".join(f"{table} ({engine})" for table, engine in engines),
            "; ".join(f"ALTER TABLE {table} ENGINE = InnoDB" for table, _ in engines),
        )
    keyless = catalogue.without_key(source)
    if keyless:
        yield Finding(
            "tables-without-key",
            "note",
            f"each change scans the whole table on the other side: {', '.join(keyless)}",
            "add a key to large ones first",
        )
    floats = [f"{t}.{c}" for t, c in catalogue.float_columns(source) if t in keyless]
    if floats:
        yield Finding(
            "float-without-key",
            "blocker",
            f"FLOAT in tables without key: {', '.join(floats)}; a dump rounds it to six digits, and"
            " rows are then not found again",
            "ALTER TABLE … ADD PRIMARY KEY, or MODIFY the column to DOUBLE",
        )
    events = source.rows(
        "SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s"
        " AND STATUS = 'ENABLED'",
        source.database,
    )
    if events:
        yield Finding(
            "events",
            "note",
            "events are silent on the side that is fenced: "
            + ", ".join(str(name) for (name,) in events),
        )
    have = {f"{user}@{host}" for user, host, *_ in source.accounts()}
    orphans = sorted(
        f"{kind} {name} ({definer})"
        for kind, name, definer in _definers(source)
        if definer not in have
    )
    if orphans:
        yield Finding(
            "definers",
            "accept",
            f"definers that do not exist: {', '.join(orphans)}",
            "create the account, or recreate the object with another DEFINER; it fails when used",
        )


def _definers(server: Server) -> list[tuple[str, str, str]]:
    parts = (
        ("view", "TABLE_NAME", "VIEWS", "TABLE_SCHEMA"),
        ("trigger", "TRIGGER_NAME", "TRIGGERS", "TRIGGER_SCHEMA"),
        ("routine", "ROUTINE_NAME", "ROUTINES", "ROUTINE_SCHEMA"),
        ("event", "EVENT_NAME", "EVENTS", "EVENT_SCHEMA"),
    )
    return [
        (kind, str(name), str(definer))
        for kind, column, table, schema in parts
        for name, definer in server.rows(
            f"SELECT {column}, DEFINER FROM information_schema.{table} WHERE {schema} = %s",
            server.database,
        )
    ]


def _target(run: Run, source: Server, target: Server) -> Iterator[Finding]:
    if target.installed():
        return
    there = catalogue.relations(target)
    if there:
        yield Finding(
            "target-not-empty",
            "blocker",
            f"the target has {', '.join(there[:5])}",
            "name an empty database; nothing is ever overwritten",
        )
    packets = [int(s.one("SELECT @@GLOBAL.max_allowed_packet")) for s in (source, target)]
    if packets[1] < packets[0]:
        yield Finding(
            "max-allowed-packet",
            "blocker",
            f"max_allowed_packet is {packets[0]} on the source, {packets[1]} on the target",
            f"SET GLOBAL max_allowed_packet = {packets[0]} on the target",
        )
    _, size = catalogue.row_estimates(source)
    free = run.spec.target.free_bytes
    if free is not None and free < size * 1.3:
        yield Finding(
            "target-disk",
            "blocker",
            f"the target has {free / 1e9:.1f} GB, the tables alone take {size / 1e9:.1f} GB",
            "take at least 1.3 times the source's size",
        )


def _managed(source: Server, target: Server) -> Iterator[Finding]:
    """What a service keeps from its customers, so that it must be asked or worked around."""
    kept = {
        str(name): value for name, value, *_ in target.rows("CALL mysql.rds_show_configuration")
    }
    hours = int(kept.get("binlog retention hours") or 0)
    if hours < _RETENTION_HOURS:
        yield Finding(
            "binlog-retention-target",
            "blocker",
            f"RDS keeps the target's binary log for {hours} hours",
            "CALL mysql.rds_set_configuration('binlog retention hours', 168)",
        )
    loud = [
        str(name)
        for name, value in target.rows(
            "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('general_log', 'server_audit_logging')"
        )
        if value == "ON"
    ]
    if loud:
        yield Finding(
            "statement-log-target",
            "blocker",
            f"{' and '.join(loud)} of the target would keep the replication password",
            "turn it off until commit: general_log in the parameter group, the audit plugin in the"
            " option group",
        )
    objects = _definers(source)
    code = sorted(f"{kind} {name}" for kind, name, _ in objects if kind in ("routine", "trigger"))
    if code and not target.one("SELECT @@GLOBAL.log_bin_trust_function_creators"):
        yield Finding(
            "function-creators-target",
            "blocker",
            f"without SUPER the target lets nobody create {', '.join(code)}",
            "set log_bin_trust_function_creators to 1 in the parameter group",
        )
    definers = sorted(
        f"{kind} {name} ({definer})"
        for kind, name, definer in objects
        if definer.rpartition("@")[0] != target.user
    )
    if definers:
        yield Finding(
            "definers-target",
            "blocker",
            f"RDS's master user may not create objects for others: {', '.join(definers)}",
            f"recreate them on the source with the definer {target.user}, whom both sides have, or"
            " drop them",
        )
    if behind := target.cannot_grant(source):
        yield Finding(
            "grants-target",
            "accept",
            "RDS's master user cannot give "
            + "; ".join(f"{who} {', '.join(what)}" for who, what in behind.items()),
            "REVOKE what they do not need; accepted, these accounts stay behind",
        )


def ours(server: Server) -> list[str]:
    """Everything on a server that a migration of ours left."""
    left = [f"account {user}" for user, *_ in server.accounts() if user.startswith(server.base)]
    left += [
        f"replication {name}" for name in server.replica_names() if name.startswith(server.base)
    ]
    if server.one("SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'firstbell'"):
        left.append("schema firstbell")
    return left
