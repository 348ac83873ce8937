"""Looks at both PostgreSQL databases before anything is changed, and explains what is in the way.

Nothing here changes either side. What cannot come back later is refused, or accepted by name
(`--accept NAME`) and then named in the runbook.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg import conninfo

from cli.migration import catalogue
from cli.migration.engine import Finding
from cli.migration.postgres import Server, ident

if TYPE_CHECKING:
    from cli.migration.machine import Run

OLDEST: Final = 13
NEWEST: Final = 18
# One slot of ours, and what the first copy takes beside it by default.
_SLOTS_NEEDED: Final = 3


def inspect(run: Run, source: Server, target: Server) -> Iterator[Finding]:
    """Everything worth knowing about both databases.

    Raises:
        psycopg.OperationalError: a server cannot be reached.
    """
    yield from _sides(source, target, rehearsing=run.rehearsing)
    for server, other in ((source, target), (target, source)):
        yield from _server(server, rehearsing=run.rehearsing)
        yield from _network(server, other)
    yield from _source(source, target)
    yield from _target(run, source, target)


def _identity(server: Server) -> tuple[object, str]:
    return server.one("SELECT system_identifier FROM pg_control_system()"), server.database


def _sides(source: Server, target: Server, *, rehearsing: bool) -> Iterator[Finding]:
    one, other = _identity(source), _identity(target)
    if one == other:
        yield Finding(
            "same-database", "blocker", f"source and target are the same database, {target.address}"
        )
    elif one[0] == other[0] and not rehearsing:
        yield Finding(
            "same-server",
            "blocker",
            "source and target are databases of one server",
            "roles belong to the whole server, so one side could not be fenced without the other",
        )
    if target.version < source.version:
        yield Finding(
            "target-older",
            "blocker",
            f"the target is PostgreSQL {target.version}, the source {source.version}",
            f"take a target of version {source.version} or newer",
        )
    for server in (source, target):
        if not OLDEST <= server.version <= NEWEST:
            yield Finding(
                "version",
                "blocker",
                f"{server.side} is PostgreSQL {server.version}; {OLDEST} to {NEWEST} are known",
            )
    query = (
        "SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database"
        " WHERE datname = current_database()"
    )
    left, right = source.rows(query)[0], target.rows(query)[0]
    if left[0] != right[0]:
        yield Finding(
            "encoding",
            "blocker",
            f"the source is {left[0]}, the target {right[0]}",
            f"create the target database with ENCODING '{left[0]}'",
        )
    if left[1:] != right[1:]:
        yield Finding(
            "collation",
            "accept",
            f"the source sorts by {left[1]}, the target by {right[1]}",
            "create the target database with the same LC_COLLATE, or accept another order of texts",
        )


def _server(server: Server, *, rehearsing: bool) -> Iterator[Finding]:
    side = server.side
    level = server.one("SHOW wal_level")
    if level != "logical":
        yield Finding(
            f"wal-level-{side}",
            "blocker",
            f"wal_level of the {side} is {level}",
            "set wal_level = logical and restart (on RDS rds.logical_replication = 1 and reboot)",
        )
    for setting, used in (
        ("max_replication_slots", "SELECT count(*) FROM pg_replication_slots"),
        ("max_wal_senders", "SELECT count(*) FROM pg_stat_replication"),
        ("max_logical_replication_workers", "SELECT 0"),
    ):
        free = int(server.one(f"SHOW {setting}")) - int(server.one(used))
        if free < _SLOTS_NEEDED:
            yield Finding(
                f"{setting.replace('_', '-')}-{side}",
                "blocker",
                f"{free} of {setting} are free on the {side}, {_SLOTS_NEEDED} are needed",
                f"raise {setting} and restart",
            )
    subscriptions = server.rows(
        "SELECT subname FROM pg_subscription JOIN pg_database d ON d.oid = subdbid"
        " WHERE datname = current_database() AND subname NOT LIKE 'firstbell\\_%'"
    )
    if subscriptions:
        names = ", ".join(str(name) for (name,) in subscriptions)
        yield Finding(
            f"subscriptions-{side}",
            "blocker",
            f"the {side} subscribes to {names}: it would be written through the fence",
            "drop the subscription before the migration",
        )
    if count := server.prepared_transactions():
        yield Finding(
            f"prepared-transactions-{side}",
            "blocker",
            f"{count} prepared transactions on the {side} would commit through the fence",
            "COMMIT PREPARED or ROLLBACK PREPARED each",
        )
    if not rehearsing:
        yield from roles(server)
    if server.one("SELECT 1 FROM pg_extension WHERE extname = 'pg_cron'"):
        yield Finding(
            f"pg-cron-{side}",
            "accept",
            f"pg_cron on the {side} may write although its roles are locked",
            "unschedule its jobs before the fence",
        )


def roles(server: Server) -> Iterator[Finding]:
    """Whether our role can fence a side, and is nobody else's."""
    side = server.side
    if not server.superuser and not server.one(
        "SELECT 1 FROM pg_roles WHERE rolname = 'rds_superuser'"
        " AND pg_has_role(current_user, oid, 'member')"
    ):
        yield Finding(
            f"rights-{side}",
            "blocker",
            f"{server.user} on the {side} is no superuser (on RDS: no member of rds_superuser)",
            "use an administrator's role of the migration's own",
        )
    used = server.one(
        "SELECT string_agg(DISTINCT coalesce(nullif(application_name, ''), client_addr::text,"
        " 'a local session'), ', ') FROM pg_stat_activity WHERE usename = current_user"
        " AND datname = current_database() AND backend_type = 'client backend'"
        " AND application_name NOT LIKE 'firstbell/%'"
    )
    if used:
        yield Finding(
            f"application-role-{side}",
            "blocker",
            f"{server.user} on the {side} is used by others: {used}",
            f"CREATE ROLE migration SUPERUSER LOGIN, and name it in the {side}'s dsn; our own role"
            " is the one that the fence cannot lock",
        )
    others = server.one(
        "SELECT count(*) FROM pg_roles r WHERE rolname <> current_user AND rolcanlogin AND"
        " (rolsuper OR EXISTS (SELECT 1 FROM pg_roles s WHERE s.rolname = 'rds_superuser'"
        " AND pg_has_role(r.oid, s.oid, 'member') AND NOT r.rolsuper))"
    )
    # During the fence the others have no login; they are still there, in our own list.
    if not others and not server.installed():
        yield Finding(
            f"only-superuser-{side}",
            "blocker",
            f"{server.user} is the only superuser of the {side}",
            "create a second one, so that nobody is locked out when ours is lost",
        )
    shared = server.rows(
        "SELECT DISTINCT r.rolname, d.datname FROM pg_database d JOIN pg_roles r"
        " ON r.oid = d.datdba OR r.rolname IN"
        " (SELECT usename FROM pg_stat_activity a WHERE a.datid = d.oid)"
        " WHERE d.datname NOT IN (current_database(), 'postgres', 'rdsadmin')"
        " AND NOT d.datistemplate AND r.rolcanlogin AND r.rolname <> current_user"
        " AND NOT r.rolsuper ORDER BY 1, 2"
    )
    for role, database in shared:
        yield Finding(
            f"shared-role-{side}",
            "blocker",
            f"role {role} also serves database {database} of the {side}'s server",
            "give that database a role of its own: a fence takes the login from the whole role",
        )


def _network(subscriber: Server, publisher: Server) -> Iterator[Finding]:
    """Whether one server reaches the other: a subscription is tried and rolled back.

    It signs in as a role that does not exist, so that an answer of the other server, whatever it
    says about that role, proves the way; nothing but libpq's own message tells the difference.
    """
    peer = {
        key: value
        for key, value in publisher.peer.items()
        if key not in ("user", "password", "passfile")
    }
    trial = conninfo.make_conninfo(
        **peer, user=publisher.replicator, password=secrets.token_hex(8), connect_timeout="5"
    )
    name = f"{subscriber.base}_trial"
    try:
        with subscriber.conn.transaction(force_rollback=True), subscriber.quietly():
            subscriber.secretly(
                trial,
                f"CREATE SUBSCRIPTION {ident(name)} CONNECTION %L PUBLICATION {ident(name)}"
                " WITH (create_slot = false, slot_name = NONE, enabled = false, copy_data = false)",
            )
    except psycopg.Error as error:
        text = str(error).strip()
        # Before version 15 a publisher that cannot be reached has no error class of its own.
        if "could not connect to the publisher" not in text:
            yield Finding(
                f"subscribe-{subscriber.side}",
                "blocker",
                f"the {subscriber.side} cannot subscribe: {text}",
            )
        elif "pg_hba.conf" in text:
            yield Finding(
                f"hba-{publisher.side}",
                "blocker",
                f"the {publisher.side} refuses the replication role: {text}",
                f"host {publisher.database} {publisher.replicator} ADDRESS scram-sha-256"
                " in its pg_hba.conf",
            )
        elif "FATAL" not in text and "no password supplied" not in text:
            yield Finding(
                f"network-{subscriber.side}-to-{publisher.side}",
                "blocker",
                f"the {subscriber.side}'s server does not reach the {publisher.side}: {text}",
                f"open the way from the {subscriber.side}'s server to {peer['host']}:"
                f"{peer.get('port', '5432')}, or correct peer_dsn",
            )


def _source(source: Server, target: Server) -> Iterator[Finding]:
    keyless = catalogue.without_identity(source)
    full = [table for table, index in keyless if index is None]
    if keyless:
        yield Finding(
            "tables-without-key",
            "note",
            f"{len(keyless)} tables get a replica identity in prepare: "
            + ", ".join(f"{t} ({'index ' + i if i else 'all columns'})" for t, i in keyless),
        )
    if full and min(source.version, target.version) < 16:
        yield Finding(
            "slow-updates",
            "note",
            f"a subscriber before PostgreSQL 16 scans the table for each change of {full}",
            "add a key to large ones first",
        )
    inside = (
        (catalogue.unlogged(source), "unlogged tables are carried inside the fence"),
        ([n for n, _ in catalogue.materialised(source)], "materialised views are refreshed"),
        (
            [str(source.one("SELECT count(*) FROM pg_largeobject_metadata"))]
            if source.one("SELECT count(*) FROM pg_largeobject_metadata")
            else [],
            "large objects are carried inside the fence",
        ),
    )
    for names, what in inside:
        if names:
            yield Finding("in-the-fence", "note", f"{what}: {', '.join(names)}")
    triggers = source.rows(
        "SELECT t.tgrelid::regclass::text || '.' || t.tgname FROM pg_trigger t"
        " WHERE t.tgenabled IN ('A', 'R') AND NOT t.tgisinternal ORDER BY 1"
    )
    if triggers:
        yield Finding(
            "always-triggers",
            "accept",
            "triggers fire a second time when a row is applied: "
            + ", ".join(str(name) for (name,) in triggers),
            "ALTER TABLE … ENABLE TRIGGER (without ALWAYS) during the migration",
        )
    events = source.rows("SELECT evtname FROM pg_event_trigger WHERE evtenabled <> 'D'")
    if events:
        yield Finding(
            "event-triggers",
            "accept",
            f"event triggers run on our own DDL: {', '.join(str(n) for (n,) in events)}",
        )
    foreign = source.rows("SELECT ftrelid::regclass::text FROM pg_foreign_table")
    if foreign:
        yield Finding(
            "foreign-tables",
            "accept",
            f"the target must reach what is behind {', '.join(str(n) for (n,) in foreign)}",
        )
    for name, version in source.rows(
        "SELECT extname, extversion FROM pg_extension WHERE extname <> 'plpgsql'"
    ):
        if not target.one("SELECT 1 FROM pg_available_extensions WHERE name = %s", name):
            yield Finding(
                "extension",
                "blocker",
                f"extension {name} {version} is not available on the target",
                "install it on the target's server, or drop it on the source",
            )


def _target(run: Run, source: Server, target: Server) -> Iterator[Finding]:
    if target.installed():
        return
    relations = [*catalogue.tables(target), *catalogue.unlogged(target)]
    if relations:
        yield Finding(
            "target-not-empty",
            "blocker",
            f"the target has tables: {', '.join(relations[:5])}",
            "name an empty database; nothing is ever overwritten",
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


def ours(server: Server) -> list[str]:
    """Everything in the database, and on its server, that a migration of ours left."""
    pattern = server.base.replace("_", "\\_") + "\\_%"
    return [
        f"{kind} {name}"
        for kind, name in server.rows(
            "SELECT 'publication', pubname FROM pg_publication WHERE pubname LIKE %s"
            " UNION ALL SELECT 'slot', slot_name FROM pg_replication_slots"
            " WHERE slot_name LIKE %s AND database = current_database()"
            " UNION ALL SELECT 'subscription', subname FROM pg_subscription"
            " JOIN pg_database d ON d.oid = subdbid WHERE subname LIKE %s"
            " AND datname = current_database()"
            " UNION ALL SELECT 'role', rolname FROM pg_roles WHERE rolname LIKE %s"
            " UNION ALL SELECT 'schema', nspname FROM pg_namespace WHERE nspname = 'firstbell'",
            *(pattern,) * 4,
        )
    ]
