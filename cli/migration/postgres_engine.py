"""PostgreSQL as an engine of the migration: logical replication between two databases.

What the states ask, put together from one database's parts (`postgres.py`), its catalogue, its
schema, its row sums and its checks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psycopg

from cli.migration import catalogue, checksums, preflight, schema
from cli.migration.engine import (
    WAYS,
    Compared,
    Difference,
    Finding,
    Lines,
    NeedsHumanError,
    Stream,
    Way,
    differences,
)
from cli.migration.pair import Pair
from cli.migration.postgres import RunnerLock, Server, ident
from infra.errors import FirstbellError

if TYPE_CHECKING:
    from cli.migration.machine import Run
    from cli.migration.postgres_stage import PostgresStage
    from cli.migration.spec import Rehearsal

_WAL_CAP: Final = "max_slot_wal_keep_size"


@dataclass(frozen=True)
class Link:
    """One direction of replication; publication, slot and subscription share its name."""

    name: str
    publisher: Server
    subscriber: Server


class PostgresEngine(Pair[Server]):
    """Two PostgreSQL databases."""

    title = "PostgreSQL"
    away: tuple[type[Exception], ...] = (
        psycopg.OperationalError,
        psycopg.InterfaceError,
        ConnectionError,
    )
    errors: tuple[type[Exception], ...] = (psycopg.Error,)

    def clone(self) -> PostgresEngine:
        return PostgresEngine(self._source.clone(), self._target.clone())

    def lock(self) -> RunnerLock:
        return RunnerLock(self._source)

    def link(self, way: Way) -> Link:
        """One direction by its publisher, its subscriber and their objects' name."""
        return Link(self.name(way), *self.ends(way))

    def find_programs(self) -> None:
        schema.find_program("pg_dump", self._target.version)

    def inspect(self, run: Run) -> Iterator[Finding]:
        return preflight.inspect(run, self._source, self._target)

    # preflight … soak

    def prepare(self, run: Run) -> None:
        for side in self.sides():
            run.effect(
                f"install on {side.side}", lambda s=side: s.install(run.journal.uuid, run.name)
            )
            run.effect(f"cap retained WAL on {side.side}", lambda s=side: _cap_wal(run, s))
        run.effect("replica identities", lambda: _identities(self._source))

    def check_prepared(self) -> None:
        left = catalogue.without_identity(self._source)
        if left:
            raise FirstbellError(
                f"tables without replica identity: {', '.join(t for t, _ in left)}"
            )

    def carry_schema(self, run: Run) -> None:
        source, target = self._source, self._target
        if not run.rehearsing:
            run.effect("copy roles", lambda: schema.copy_roles(source, target))
        run.effect("lock the target", target.fence)
        program = schema.find_program("pg_dump", target.version)
        run.effect(
            "schema before the copy",
            lambda: schema.restore_before_copy(target, schema.dump(source, program, "pre-data")),
        )
        run.effect(
            "keys",
            lambda: schema.restore(
                target,
                [e for e in schema.dump(source, program, "post-data") if e.needed_for_apply],
            ),
        )
        if not run.rehearsing:
            run.effect("settings", lambda: schema.copy_settings(source, target))

    def check_schema(self) -> None:
        kinds = ("schema", "relation", "column", "type", "sequence", "extension")
        self.refuse_differences([each for each in self.between() if each.kind in kinds])

    def between(self) -> list[Difference]:
        return differences(catalogue.portable(self._source), catalogue.portable(self._target))

    def copy(self, run: Run) -> None:
        link = self.link("forward")
        source, target = link.publisher, link.subscriber
        run.effect(
            "let the replication role read",
            lambda: source.grant_reading(catalogue.schemas(source)),
        )
        run.effect(
            "publication", lambda: source.ensure_publication(link.name, catalogue.tables(source))
        )
        # A subscription without its slot cannot be healed: rows would be missing without any error.
        if target.subscription(link.name) and source.slot(link.name) is None:
            raise NeedsHumanError(
                "the replication slot is gone while its subscription exists",
                fix="firstbell migrate abort --discard, then start again",
            )
        run.effect("slot", lambda: source.ensure_slot(link.name))
        run.effect(
            "subscription",
            lambda: target.ensure_subscription(link.name, source, link.name, link.name, copy=True),
        )
        run.wait("every table's first copy", lambda: self._all_ready(run, link))
        program = schema.find_program("pg_dump", target.version)
        run.effect(
            "indexes, foreign keys and triggers",
            lambda: schema.restore(target, schema.dump(source, program, "post-data")),
        )
        run.effect("first statistics", lambda: target.run("ANALYZE"))

    def _all_ready(self, run: Run, link: Link) -> bool:
        self.refuse_lost("forward")
        ready, total = link.subscriber.relations_ready(link.name)
        run.journal.show(tables={"ready": ready, "total": total})
        errors = link.subscriber.apply_errors(link.name)
        if errors:
            run.journal.show(trouble=f"{errors} errors while copying; the target's log names them")
        return ready == total > 0

    def finish_copy(self) -> None:
        self.refuse_differences(self.between())
        self._target.run("INSERT INTO firstbell.made VALUES ('copied') ON CONFLICT DO NOTHING")

    def opaque(self, side: Server) -> Lines:
        return catalogue.opaque(side)

    def healing(self, difference: Difference, behind: str) -> str:
        return catalogue.healing(difference, behind)

    # Replication

    def stream(self, way: Way) -> Stream | None:
        link = self.link(way)
        slot = link.publisher.slot(link.name)
        if slot is None:
            return None
        return Stream(
            slot.active,
            slot.lost,
            slot.behind_bytes,
            slot.retained_bytes,
            link.subscriber.apply_errors(link.name),
            slot.confirmed_bytes,
        )

    def lost(self, way: Way) -> bool:
        link = self.link(way)
        slot = link.publisher.slot(link.name)
        return slot is None or slot.lost

    def subscribed(self, way: Way) -> bool:
        link = self.link(way)
        return link.subscriber.subscription(link.name) is not None

    def running(self, way: Way) -> bool:
        link = self.link(way)
        found = link.subscriber.subscription(link.name)
        return found is not None and found[1]

    def halt(self, way: Way) -> None:
        link = self.link(way)
        link.subscriber.disable_subscription(link.name)

    def go_on(self, way: Way) -> None:
        link = self.link(way)
        link.subscriber.run(f"ALTER SUBSCRIPTION {ident(link.name)} ENABLE")

    def tables_ready(self) -> tuple[int, int]:
        return self._target.relations_ready(self.link("forward").name)

    def keep_up(self, run: Run) -> None:
        """Nothing: apply workers restart by themselves."""

    # The cutover and its way back

    def drain(self, run: Run, way: Way) -> None:
        link = self.link(way)
        lsn: list[str] = []

        def token() -> str:
            name, position = link.publisher.put_token()
            lsn.append(position)
            return name

        run.journal.intent(f"token {link.name}")
        name = token()
        run.journal.done(f"token {link.name}", token=name, lsn=lsn[0])
        run.wait("the token on the other side", lambda: self._token_arrived(way, name))
        run.wait(
            "everything durable on the other side",
            lambda: link.publisher.confirmed(link.name, lsn[0]),
        )
        ready, total = link.subscriber.relations_ready(link.name)
        if ready != total:
            raise FirstbellError(f"{total - ready} tables do not follow the stream")

    def _token_arrived(self, way: Way, token: str) -> bool:
        self.refuse_lost(way)
        return self.link(way).subscriber.has_token(token)

    def refuse_lost(self, way: Way) -> None:
        if self.lost(way):
            link = self.link(way)
            raise NeedsHumanError(
                f"the replication slot {link.name} on {link.publisher.side} is lost",
                why="it kept more WAL than retained_wal allows, or somebody dropped it",
                fix="firstbell migrate abort --discard, then start again",
            )

    def finalize(self, run: Run, way: Way) -> None:
        link = self.link(way)
        a, b = link.publisher, link.subscriber
        run.effect(f"sequences to {b.side}", lambda: _sequences(a, b))
        run.effect(f"unlogged tables to {b.side}", lambda: _unlogged(a, b))
        run.effect(f"large objects to {b.side}", lambda: _large_objects(a, b))
        run.effect(f"materialised views on {b.side}", lambda: _refresh(a, b))
        run.effect(f"statistics on {b.side}", lambda: b.run("ANALYZE"))

    def compare(self, run: Run, way: Way) -> Compared:
        link = self.link(way)
        a, b = link.publisher, link.subscriber
        problems = _sequence_problems(a, b)
        tables = [*catalogue.tables(a), *catalogue.unlogged(a)]
        rows, seconds, hashed = 0, 0.0, None
        if set(tables) == {*catalogue.tables(b), *catalogue.unlogged(b)}:
            started = time.monotonic()

            def told(done: int, rows: int) -> None:
                run.journal.show(verify={"tables": done, "of": len(tables), "rows": rows})

            since = run.journal.fact("verify since")
            if isinstance(since, dict):
                marks = {str(side): int(place) for side, place in since.items()}
                sums, coverage = checksums.sum_changed(
                    a, b, tables, marks, progress=told, stop=run.checkpoint
                )
                hashed = coverage.hashed
            else:
                sums = checksums.sum_tables(a, b, tables, progress=told, stop=run.checkpoint)
            problems += [str(each) for each in checksums.explain(a, b, sums)]
            rows, seconds = sum(pair[0].rows for pair in sums.values()), time.monotonic() - started
        else:
            problems.append("the sides do not have the same tables")
        large = [side.rows(_LARGE_OBJECTS) for side in (a, b)]
        if large[0] != large[1]:
            problems.append("large objects differ")
        return Compared(
            rows, len(tables), round(seconds, 3), problems, {"large_objects": len(large[0])}, hashed
        )

    def marks(self) -> dict[str, int]:
        return {side.side: checksums.mark(side) for side in self.sides()}

    def seconds_for_changed(self, since: Mapping[str, int]) -> float:
        started = time.monotonic()
        tables = catalogue.tables(self._source)
        checksums.sum_changed(self._source, self._target, tables, since)
        return time.monotonic() - started

    def look_twice(
        self, source: Server, target: Server, settle: Callable[[], None]
    ) -> tuple[int, Sequence[object]]:
        return checksums.compare_live(source, target, settle)

    def moodle_contents(self, server: object) -> tuple[str, set[str]] | None:
        side = self.side(server)
        table = side.one(
            "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " JOIN pg_attribute t ON t.attrelid = c.oid"
            " WHERE c.relkind = 'r' AND c.relname LIKE '%\\_files' AND t.attname = 'contenthash'"
            " ORDER BY c.relname = 'mdl_files' DESC LIMIT 1"
        )
        if table is None:
            return None
        rows = side.rows(f"SELECT DISTINCT contenthash FROM {table}")
        return str(table), {str(row[0]).strip() for row in rows}

    def flip(self, run: Run, old: Way) -> None:
        before = self.link(old)
        after = self.link("back" if old == "forward" else "forward")
        a, b = before.publisher, before.subscriber
        run.effect(f"stop {before.name}", lambda: b.disable_subscription(before.name))
        run.effect(
            f"publication {after.name}",
            lambda: b.ensure_publication(after.name, catalogue.tables(b)),
        )
        run.effect(f"reading role on {b.side}", lambda: b.grant_reading(catalogue.schemas(b)))
        run.effect(f"slot {after.name}", lambda: b.ensure_slot(after.name))
        run.effect(
            f"subscription {after.name}",
            lambda: a.ensure_subscription(after.name, b, after.name, after.name, copy=False),
        )
        run.effect(f"drop subscription {before.name}", lambda: b.drop_subscription(before.name))
        run.effect(f"drop slot {before.name}", lambda: a.drop_slot(before.name))

    def before_reopening(self, run: Run, *, flipping: bool) -> bool:
        forward, source = self.link("forward"), self._source
        back = self.link("back").name
        # Nothing in flight from the target may enter a slot that is made below.
        run.effect(f"stop {back}", lambda: source.disable_subscription(back))
        if source.slot(forward.name) is not None:
            return True
        # Only flip drops it, when both sides are fenced and equal: a new one misses nothing as
        # long as the source is still closed.
        if flipping and not source.login_roles():
            run.effect(f"slot {forward.name}", lambda: source.ensure_slot(forward.name))
            return True
        return False

    def rearm(self, run: Run) -> None:
        forward, back = self.link("forward"), self.link("back").name
        source, target = self._source, self._target
        run.effect(f"drop subscription {back}", lambda: source.drop_subscription(back))
        run.effect(f"drop slot {back}", lambda: target.drop_slot(back))
        run.effect(f"drop publication {back}", lambda: target.drop_publication(back))
        run.effect(
            f"subscription {forward.name}",
            lambda: target.ensure_subscription(
                forward.name, source, forward.name, forward.name, copy=False
            ),
        )

    def remove(self, run: Run) -> None:
        source, target = self._source, self._target
        for link in map(self.link, WAYS):
            run.effect(
                f"remove subscription {link.name}", lambda li=link: _drop_with_sync_slots(li)
            )
            run.effect(f"remove slot {link.name}", lambda li=link: li.publisher.drop_slot(li.name))
            run.effect(
                f"remove publication {link.name}",
                lambda li=link: li.publisher.drop_publication(li.name),
            )
        changed: list[tuple[str, str]] = []
        if source.installed():
            changed = [
                (str(table), str(was))
                for table, was in source.rows("SELECT name, was FROM firstbell.identity")
            ]
            # Kept for a crash between the two sides: the list goes with the source's schema.
            run.journal.remember("identities", changed)
        else:
            kept = run.journal.fact("identities")
            changed = [(str(t), str(w)) for t, w in kept] if isinstance(kept, list) else []
        for server in (target, source):
            run.effect(
                f"replica identities on {server.side}",
                lambda s=server: _put_identities_back(s, changed),
            )
            if server.installed():
                run.effect(f"settings on {server.side}", lambda s=server: _uncap_wal(s))
            run.effect(f"leave {server.side}", server.uninstall)

    def leftovers(self, server: object) -> list[str]:
        return preflight.ours(self.side(server))

    def empty_target(self, run: Run) -> None:
        for link in map(self.link, WAYS):
            run.effect(
                f"drop subscription {link.name}",
                lambda li=link: li.subscriber.drop_subscription(li.name),
            )
        if self._target.installed():
            run.effect("empty the target", lambda: schema.empty(self._target))
            run.effect("give logins back on target", self._target.lift)

    # Figures

    def sizes(self) -> tuple[int, int]:
        return catalogue.row_estimates(self._source)

    def written(self) -> int:
        return int(
            self._source.one(
                "SELECT tup_inserted + tup_updated + tup_deleted FROM pg_stat_database"
                " WHERE datname = current_database()"
            )
        )

    def stage(self, run: Run, wanted: Rehearsal) -> PostgresStage:
        from cli.migration.postgres_stage import PostgresStage

        return PostgresStage(self._target, wanted, run.journal.meta["migration"])


def _cap_wal(run: Run, server: Server) -> str:
    value, origin = server.rows(
        "SELECT current_setting(%s), source FROM pg_settings WHERE name = %s", _WAL_CAP, _WAL_CAP
    )[0]
    if run.rehearsing or not server.superuser or (origin, str(value)) != ("default", "-1"):
        return f"left at {value}"
    server.run("INSERT INTO firstbell.made VALUES (%s) ON CONFLICT DO NOTHING", _WAL_CAP)
    server.run(f"ALTER SYSTEM SET {_WAL_CAP} = '{run.spec.retained_wal}'")
    server.run("SELECT pg_reload_conf()")
    return run.spec.retained_wal


def _uncap_wal(server: Server) -> None:
    if server.one("SELECT 1 FROM firstbell.made WHERE what = %s", _WAL_CAP):
        server.run(f"ALTER SYSTEM RESET {_WAL_CAP}")
        server.run("SELECT pg_reload_conf()")


def _identities(source: Server) -> list[str]:
    """Give every table without a key an identity, remembering what it had."""
    changed: list[str] = []
    for table, index in catalogue.without_identity(source):
        source.run(
            "INSERT INTO firstbell.identity SELECT %s, relreplident::text FROM pg_class"
            " WHERE oid = %s::regclass ON CONFLICT DO NOTHING",
            table,
            table,
        )
        identity = f"USING INDEX {index}" if index else "FULL"
        source.patiently(f"ALTER TABLE {table} REPLICA IDENTITY {identity}")
        changed.append(f"{table} {identity}")
    return changed


def _put_identities_back(server: Server, changed: Sequence[tuple[str, str]]) -> None:
    for table, was in changed:
        if server.one("SELECT to_regclass(%s)::text", table):
            kind = "NOTHING" if was == "n" else "DEFAULT"
            server.patiently(f"ALTER TABLE {table} REPLICA IDENTITY {kind}")


def _next_value(value: tuple[int, bool, int, int]) -> int:
    """What the next call would return; with a cache, sessions may have taken values ahead."""
    last, called, step, cache = value
    ahead = cache if cache > 1 else 0
    return last + step * (ahead + (1 if called else 0))


def _sequences(a: Server, b: Server) -> int:
    """Carry values as they are, never backwards; how many were moved."""
    moved = 0
    theirs = catalogue.sequences(b)
    for name, (last, called, step, cache) in catalogue.sequences(a).items():
        mine = (last, called, step, cache)
        there = theirs[name]
        # Where B is further along (in the sequence's own direction), it stays.
        if (_next_value(mine) - _next_value((*there[:2], step, 1))) * step <= 0:
            continue
        value = last + (step * cache if cache > 1 and called else 0)
        b.run("SELECT setval(%s::regclass, %s, %s)", name, value, called)
        moved += 1
    return moved


def _sequence_problems(a: Server, b: Server) -> list[str]:
    theirs = catalogue.sequences(b)
    return [
        f"sequence {name} is behind"
        for name, mine in catalogue.sequences(a).items()
        if (_next_value((*mine[:3], 1)) - _next_value((*theirs[name][:3], 1))) * mine[2] > 0
    ]


def _unlogged(a: Server, b: Server) -> list[str]:
    names = catalogue.unlogged(a)
    for name in names:
        columns = ", ".join(
            ident(str(column))
            for (column,) in a.rows(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
                " AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
                name,
            )
        )
        with b.conn.transaction():
            b.run("SET LOCAL session_replication_role = replica")
            b.run(f"DELETE FROM {name}")
            with (
                a.conn.cursor().copy(f"COPY {name} ({columns}) TO STDOUT".encode()) as reader,
                b.conn.cursor().copy(f"COPY {name} ({columns}) FROM STDIN".encode()) as writer,
            ):
                for block in reader:
                    writer.write(block)
    return names


_LARGE_OBJECTS: Final = (
    "SELECT m.oid::bigint, md5(lo_get(m.oid)), pg_get_userbyid(m.lomowner),"
    " coalesce(m.lomacl::text, '') FROM pg_largeobject_metadata m ORDER BY 1"
)


def _large_objects(a: Server, b: Server) -> int:
    """Make B's large objects A's, with their owners; how many were moved."""
    mine = {row[0]: row[1:] for row in a.rows(_LARGE_OBJECTS)}
    theirs = {row[0]: row[1:] for row in b.rows(_LARGE_OBJECTS)}
    changed = [oid for oid in mine if mine[oid] != theirs.get(oid)]
    for oid in theirs.keys() - mine.keys():
        b.run("SELECT lo_unlink(%s::oid)", oid)
    for oid in changed:
        content = a.one("SELECT lo_get(%s::oid)", oid)
        with b.conn.transaction():
            if oid in theirs:
                b.run("SELECT lo_unlink(%s::oid)", oid)
            b.run("SELECT lo_from_bytea(%s::oid, %s)", oid, content)
            b.run(f"ALTER LARGE OBJECT {oid} OWNER TO {ident(str(mine[oid][1]))}")
            for grantee, privilege in a.rows(
                "SELECT coalesce(quote_ident(r.rolname), 'PUBLIC'), x.privilege_type"
                " FROM pg_largeobject_metadata m, aclexplode(m.lomacl) x"
                " LEFT JOIN pg_roles r ON r.oid = x.grantee WHERE m.oid = %s",
                oid,
            ):
                b.run(f"GRANT {privilege} ON LARGE OBJECT {oid} TO {grantee}")
    return len(changed)


def _refresh(a: Server, b: Server) -> list[str]:
    filled = [name for name, populated in catalogue.materialised(a) if populated]
    for name in filled:
        b.run(f"REFRESH MATERIALIZED VIEW {name}")
    return filled


def _drop_with_sync_slots(link: Link) -> int | None:
    found = link.subscriber.subscription(link.name)
    if found is None:
        return None
    link.subscriber.disable_subscription(link.name)
    link.publisher.drop_sync_slots(found[0])
    return link.subscriber.drop_subscription(link.name)
