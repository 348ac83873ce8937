"""What each state does, what must hold before it is left, and what takes it back.

One table, at the end. Actions look at the world before they change it and are safe to repeat; what
they change is an effect in the journal.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Final

import psycopg

from cli.migration import catalogue, checksums, preflight, route53, schema
from cli.migration.files import Tree
from cli.migration.machine import GoBack, Link, NeedsHumanError, Run, State, Table
from cli.migration.phases import (
    BLOCKED,
    ERROR,
)
from cli.migration.postgres import Server, ident
from cli.migration.spec import Side, Smoke
from infra.errors import FirstbellError, InputError, MismatchError

_WAL_CAP: Final = "max_slot_wal_keep_size"
_NAMED: Final = 20
_SMOKE_STEP_SECONDS: Final = 0.5


def _nothing(_run: Run) -> None:
    """A state whose action already proved what its exit check asks."""


# preflight … soak


def _preflight(run: Run) -> None:
    blockers = [finding for finding in preflight.inspect(run) if finding.blocks(run.accepted)]
    if blockers:
        raise InputError(
            f"{len(blockers)} blocker{'s' if len(blockers) > 1 else ''}: "
            + "; ".join(str(finding) for finding in blockers),
            fix="firstbell migrate preflight explains each",
        )


def _prepare(run: Run) -> None:
    for side in (run.source, run.target):
        run.effect(f"install on {side.side}", lambda s=side: s.install(run.journal.uuid, run.name))
        run.effect(f"cap retained WAL on {side.side}", lambda s=side: _cap_wal(run, s))
    run.effect("replica identities", lambda: _identities(run.source))


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


def _prepare_check(run: Run) -> None:
    left = catalogue.without_identity(run.source)
    if left:
        raise FirstbellError(f"tables without replica identity: {', '.join(t for t, _ in left)}")


def _schema(run: Run) -> None:
    if not run.rehearsing:
        run.effect("copy roles", lambda: schema.copy_roles(run.source, run.target))
    run.effect("lock the target", run.target.fence)
    program = schema.find_program("pg_dump", run.target.version)
    run.effect(
        "schema before the copy",
        lambda: schema.restore_before_copy(
            run.target, schema.dump(run.source, program, "pre-data")
        ),
    )
    run.effect(
        "keys",
        lambda: schema.restore(
            run.target,
            [e for e in schema.dump(run.source, program, "post-data") if e.needed_for_apply],
        ),
    )
    if not run.rehearsing:
        run.effect("settings", lambda: schema.copy_settings(run.source, run.target))


def _schema_check(run: Run) -> None:
    kinds = ("schema", "relation", "column", "type", "sequence", "extension")
    found = [
        difference
        for difference in catalogue.differences(
            catalogue.portable(run.source), catalogue.portable(run.target)
        )
        if difference.kind in kinds
    ]
    _refuse_differences(found, "the schema on the target is not the source's")


def _refuse_differences(found: Sequence[catalogue.Difference], what: str) -> None:
    if found:
        raise MismatchError(
            f"{what}: " + "; ".join(str(each) for each in found[:_NAMED]),
            fix="; ".join(catalogue.healing(each, "target") for each in found[:_NAMED]),
        )


def _copy(run: Run) -> None:
    link = run.forward
    run.effect(
        "let the replication role read",
        lambda: link.publisher.grant_reading(catalogue.schemas(link.publisher)),
    )
    run.effect(
        "publication",
        lambda: link.publisher.ensure_publication(link.name, catalogue.tables(link.publisher)),
    )
    # A subscription without its slot cannot be healed: rows would be missing without any error.
    if link.subscriber.subscription(link.name) and link.publisher.slot(link.name) is None:
        raise NeedsHumanError(
            "the replication slot is gone while its subscription exists",
            fix="firstbell migrate abort --discard, then start again",
        )
    run.effect("slot", lambda: link.publisher.ensure_slot(link.name))
    run.effect(
        "subscription",
        lambda: link.subscriber.ensure_subscription(
            link.name, link.publisher, link.name, link.name, copy=True
        ),
    )
    run.wait("every table's first copy", lambda: _all_ready(run, link))
    program = schema.find_program("pg_dump", run.target.version)
    run.effect(
        "indexes, foreign keys and triggers",
        lambda: schema.restore(run.target, schema.dump(run.source, program, "post-data")),
    )
    run.effect("first statistics", lambda: run.target.run("ANALYZE"))


def _all_ready(run: Run, link: Link) -> bool:
    _refuse_lost_slot(link)
    ready, total = link.subscriber.relations_ready(link.name)
    run.journal.show(tables={"ready": ready, "total": total})
    errors = link.subscriber.apply_errors(link.name)
    if errors:
        run.journal.show(trouble=f"{errors} errors while copying; the target's log names them")
    return ready == total > 0


def _refuse_lost_slot(link: Link) -> None:
    slot = link.publisher.slot(link.name)
    if slot is None or slot.lost:
        raise NeedsHumanError(
            f"the replication slot {link.name} on {link.publisher.side} is lost",
            why="it kept more WAL than retained_wal allows, or somebody dropped it",
            fix="firstbell migrate abort --discard, then start again",
        )


def _copy_check(run: Run) -> None:
    source, target = catalogue.portable(run.source), catalogue.portable(run.target)
    _refuse_differences(
        catalogue.differences(source, target), "the schema on the target is not the source's"
    )
    run.target.run("INSERT INTO firstbell.made VALUES ('copied') ON CONFLICT DO NOTHING")
    remember_baseline(run)


def remember_baseline(run: Run) -> None:
    """Keep what views, functions and the like look like on each side, to notice changes."""
    run.journal.remember(
        "baseline",
        {side.side: catalogue.to_json(catalogue.opaque(side)) for side in (run.source, run.target)},
    )


def drift(run: Run) -> list[catalogue.Difference]:
    """DDL on either side since the copy: between the sides, or against the side's own baseline."""
    found = catalogue.differences(catalogue.portable(run.source), catalogue.portable(run.target))
    baseline = run.journal.fact("baseline")
    if not isinstance(baseline, dict):
        return found
    for side in (run.source, run.target):
        before = catalogue.from_json(baseline[side.side])
        changed = catalogue.differences(before, catalogue.opaque(side))
        known = {(each.kind, each.name) for each in found}
        found += [
            catalogue.Difference(
                each.kind,
                f"{each.name} (on the {side.side}, since the copy)",
                each.source,
                each.target,
            )
            for each in changed
            if (each.kind, each.name) not in known
        ]
    return found


# gate … hold


def _gate(run: Run) -> None:
    from cli.migration import gate

    gate.refuse(gate.evaluate(run))
    gate.open_window(run)


def _commands(run: Run, side: str) -> Side:
    if run.rehearsing and run.spec.rehearsal is not None:
        stand_in = run.spec.rehearsal
        return Side(stop=stand_in.stop, start=stand_in.start)
    return run.spec.application.source if side == "source" else run.spec.application.target


def _fence_side(run: Run, server: Server) -> None:
    commands = _commands(run, server.side)
    run.commands(f"maintenance page on {server.side}", commands.maintenance_on)
    run.commands(f"stop the application on {server.side}", commands.stop)
    run.effect(f"take logins away on {server.side}", server.fence)
    run.effect(f"end sessions on {server.side}", lambda: _expel(run, server))
    if server.prepared_transactions():
        raise GoBack(BLOCKED, f"prepared transactions on {server.side} would commit later")


def _expel(run: Run, server: Server) -> int:
    """End sessions until two looks in a row find none and no role that could sign in."""
    ended = empty_looks = 0
    while empty_looks < 2:
        run.checkpoint()
        fresh = server.fence()
        found = server.expel()
        ended += found
        empty_looks = 0 if found or fresh else empty_looks + 1
        time.sleep(0.02)
    return ended


def _fence_check(run: Run, server: Server) -> None:
    if server.strangers() or server.login_roles():
        raise FirstbellError(f"the fence on {server.side} does not hold")
    if server.probe_write():
        raise FirstbellError(f"a write as an application still works on {server.side}")


def _drain(run: Run, link: Link) -> None:
    lsn: list[str] = []

    def token() -> str:
        name, position = link.publisher.put_token()
        lsn.append(position)
        return name

    run.journal.intent(f"token {link.name}")
    name = token()
    run.journal.done(f"token {link.name}", token=name, lsn=lsn[0])
    run.wait("the token on the other side", lambda: _token_arrived(link, name))
    run.wait(
        "everything durable on the other side",
        lambda: link.publisher.confirmed(link.name, lsn[0]),
    )
    ready, total = link.subscriber.relations_ready(link.name)
    if ready != total:
        raise FirstbellError(f"{total - ready} tables do not follow the stream")


def _token_arrived(link: Link, token: str) -> bool:
    _refuse_lost_slot(link)
    return link.subscriber.has_token(token)


def _drain_check(run: Run, link: Link) -> None:
    _refuse_lost_slot(link)


def _finalize(run: Run, a: Server, b: Server) -> None:
    """Bring over what replication does not carry; B's slot does not exist yet."""
    run.effect(f"sequences to {b.side}", lambda: _sequences(a, b))
    run.effect(f"unlogged tables to {b.side}", lambda: _unlogged(a, b))
    run.effect(f"large objects to {b.side}", lambda: _large_objects(a, b))
    run.effect(f"materialised views on {b.side}", lambda: _refresh(a, b))
    run.effect(f"statistics on {b.side}", lambda: b.run("ANALYZE"))
    for tree in run.trees:
        run.effect(
            f"files {tree.name} to {b.side}",
            lambda t=tree: t.carry(to=b.side, fenced=True, stop=run.checkpoint),
        )


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


def _verify(run: Run, a: Server, b: Server) -> None:
    """Compare everything, both sides fenced.

    Raises:
        MismatchError: with every difference named.
    """
    run.journal.intent("verify")
    problems = [str(each) for each in drift(run)]
    problems += _sequence_problems(a, b)
    tables = [*catalogue.tables(a), *catalogue.unlogged(a)]
    if set(tables) == {*catalogue.tables(b), *catalogue.unlogged(b)}:
        started = time.monotonic()
        sums = checksums.sum_tables(
            a,
            b,
            tables,
            progress=lambda done, rows: run.journal.show(
                verify={"tables": done, "of": len(tables), "rows": rows}
            ),
            stop=run.checkpoint,
        )
        problems += [str(each) for each in checksums.explain(a, b, sums)]
        rows, seconds = sum(pair[0].rows for pair in sums.values()), time.monotonic() - started
    else:
        rows, seconds = 0, 0.0
        problems.append("the sides do not have the same tables")
    large = [side.rows(_LARGE_OBJECTS) for side in (a, b)]
    if large[0] != large[1]:
        problems.append("large objects differ")
    files = 0
    for tree in run.trees:
        compared, different = tree.compare(stop=run.checkpoint)
        files += compared
        problems += different
        problems += _moodle_files(run, tree, a, b)
    if problems:
        raise MismatchError(
            f"{len(problems)} difference{'s' if len(problems) > 1 else ''} between the sides: "
            + "; ".join(problems[:_NAMED]),
            fix="users are back on the source; heal what is named and verify again:"
            " firstbell migrate verify",
        )
    run.journal.done(
        "verify",
        rows=rows,
        seconds=round(seconds, 3),
        tables=len(tables),
        files=files,
        large_objects=len(large[0]),
        all_rows=True,
    )


def _moodle_files(run: Run, tree: Tree, a: Server, b: Server) -> list[str]:
    """Hold a Moodle filedir against the table that names its contents.

    A content that A lacks as well was lost before we came: it is noted and blocks nothing.
    """
    if tree.spec.layout != "moodle":
        return []
    table = b.one(
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute t ON t.attrelid = c.oid"
        " WHERE c.relkind = 'r' AND c.relname LIKE '%\\_files' AND t.attname = 'contenthash'"
        " ORDER BY c.relname = 'mdl_files' DESC LIMIT 1"
    )
    if table is None:
        return []
    named = {str(row[0]).strip() for row in b.rows(f"SELECT DISTINCT contenthash FROM {table}")}
    lacking = named - tree.content_hashes("target" if b.side == "target" else "source")
    before = lacking - tree.content_hashes("target" if a.side == "target" else "source")
    if before:
        run.journal.note("contents that neither side has", count=len(before))
    return [f"content {name} of {table} is missing on the {b.side}" for name in lacking - before]


def _flip(run: Run, old: Link, new: Link) -> None:
    """Turn replication round. Both sides are fenced, and the old direction is drained."""
    a, b = old.publisher, old.subscriber
    run.effect(f"stop {old.name}", lambda: b.disable_subscription(old.name))
    run.effect(
        f"publication {new.name}", lambda: b.ensure_publication(new.name, catalogue.tables(b))
    )
    run.effect(f"reading role on {b.side}", lambda: b.grant_reading(catalogue.schemas(b)))
    run.effect(f"slot {new.name}", lambda: b.ensure_slot(new.name))
    run.effect(
        f"subscription {new.name}",
        lambda: a.ensure_subscription(new.name, b, new.name, new.name, copy=False),
    )
    run.effect(f"drop subscription {old.name}", lambda: b.drop_subscription(old.name))
    run.effect(f"drop slot {old.name}", lambda: a.drop_slot(old.name))


def _flip_check(run: Run, new: Link) -> None:
    """A token comes back before the other side may open."""
    for server in (run.source, run.target):
        if server.login_roles():
            raise FirstbellError(f"{server.side} is not fenced while replication turns")
    _drain(run, new)


def _open_side(run: Run, server: Server) -> None:
    """Let users in: roles, application, maintenance page off."""
    commands = _commands(run, server.side)
    run.effect(f"give logins back on {server.side}", server.lift)
    run.commands(f"start the application on {server.side}", commands.start)
    run.commands(f"maintenance page off on {server.side}", commands.maintenance_off)


def _switch(run: Run) -> None:
    for tree in run.trees:
        run.effect(f"marks of {tree.name}", lambda t=tree: t.clear_maintenance())
    _open_side(run, run.target)
    _smoke_tests(run, "before")
    switch = run.spec.switch.to_target
    if run.rehearsing and run.spec.rehearsal is not None:
        switch = run.spec.rehearsal.switch
    run.commands("switch to the target", switch)
    _send_users(run, "target")


def _smoke_tests(run: Run, when: str) -> None:
    tests = run.spec.application.smoke
    if run.rehearsing and run.spec.rehearsal is not None:
        tests = run.spec.rehearsal.smoke
    for test in tests:
        if test.when != when:
            continue
        run.journal.intent(f"smoke {test.name}")
        problem = run_smoke(run, test)
        if problem is not None:
            raise GoBack(ERROR, f"smoke test {test.name!r} fails: {problem}")
        run.journal.done(f"smoke {test.name}")


def run_smoke(run: Run, test: Smoke) -> str | None:
    """Run one smoke test until it passes or its time is over; None, or what is wrong."""
    deadline = time.monotonic() + test.timeout.total_seconds()
    while True:
        problem = _try_smoke(run, test)
        if problem is None or time.monotonic() >= deadline:
            return problem
        run.checkpoint()
        time.sleep(_SMOKE_STEP_SECONDS)


def _try_smoke(run: Run, test: Smoke) -> str | None:
    if test.command is not None:
        try:
            run.command(f"smoke {test.name}", test.command, run.checkpoint)
        except FirstbellError as error:
            return str(error)
        return None
    try:
        with urllib.request.urlopen(test.url or "", timeout=5) as answer:  # noqa: S310 (the file's own)
            body = answer.read(1_000_000).decode(errors="replace")
            if answer.status != test.status:
                return f"{test.url} answered {answer.status}, not {test.status}"
            if test.contains is not None and test.contains not in body:
                return f"{test.url} does not contain {test.contains!r}"
    except (urllib.error.URLError, OSError) as error:
        return f"{test.url}: {error}"
    return None


def _commit(run: Run) -> None:
    """The point of no return: the source stays fenced, everything of ours goes."""
    if run.source.installed():
        run.journal.remember(
            "fenced for good",
            [str(name) for (name,) in run.source.rows("SELECT name FROM firstbell.role")],
        )
    for tree in run.trees:
        run.effect(f"deferred deletions of {tree.name}", lambda t=tree: t.delete_deferred())
    _remove(run)


def _remove(run: Run) -> None:
    """Remove both directions and whatever else is ours; what is already gone stays gone."""
    for link in (run.forward, run.back):
        run.effect(
            f"remove subscription {link.name}",
            lambda li=link: _drop_with_sync_slots(li),
        )
        run.effect(f"remove slot {link.name}", lambda li=link: li.publisher.drop_slot(li.name))
        run.effect(
            f"remove publication {link.name}",
            lambda li=link: li.publisher.drop_publication(li.name),
        )
    changed: list[tuple[str, str]] = []
    if run.source.installed():
        changed = [
            (str(table), str(was))
            for table, was in run.source.rows("SELECT name, was FROM firstbell.identity")
        ]
        # Kept for a crash between the two sides: the list goes with the source's schema.
        run.journal.remember("identities", changed)
    else:
        kept = run.journal.fact("identities")
        changed = [(str(t), str(w)) for t, w in kept] if isinstance(kept, list) else []
    for server in (run.target, run.source):
        run.effect(
            f"replica identities on {server.side}",
            lambda s=server: _put_identities_back(s, changed),
        )
        if server.installed():
            run.effect(f"settings on {server.side}", lambda s=server: _uncap_wal(s))
        run.effect(f"leave {server.side}", server.uninstall)


def _drop_with_sync_slots(link: Link) -> int | None:
    found = link.subscriber.subscription(link.name)
    if found is None:
        return None
    link.subscriber.disable_subscription(link.name)
    link.publisher.drop_sync_slots(found[0])
    return link.subscriber.drop_subscription(link.name)


def _removed_check(run: Run) -> None:
    for server in (run.source, run.target):
        left = preflight.ours(server)
        if left:
            raise FirstbellError(f"left on {server.side}: {', '.join(left)}")


def _discard(run: Run) -> None:
    """Give up: the source as it was, the target empty."""
    if run.source.installed():
        run.effect("give logins back on source", run.source.lift)
    for link in (run.forward, run.back):
        run.effect(
            f"drop subscription {link.name}",
            lambda li=link: li.subscriber.drop_subscription(li.name),
        )
    if run.target.installed():
        run.effect("empty the target", lambda: schema.empty(run.target))
        run.effect("give logins back on target", run.target.lift)
    _remove(run)


# The ways back


def _abort(run: Run) -> None:
    """From before switch's intent: users go on where they were, replication is armed again."""
    forward, back = run.forward, run.back
    source, target = run.source, run.target
    # Nothing in flight from the target may enter a slot that is made below.
    run.effect(f"stop {back.name}", lambda: source.disable_subscription(back.name))
    turned = run.journal.fact("turned")
    came_from = turned.get("from") if isinstance(turned, dict) else None
    if source.slot(forward.name) is None:
        # Only flip drops it, when both sides are fenced and equal: a new one misses nothing as
        # long as the source is still closed.
        if came_from == "flip" and not source.login_roles():
            run.effect(f"slot {forward.name}", lambda: source.ensure_slot(forward.name))
        else:
            run.journal.remember("slot lost", value=True)
    _open_side(run, source)
    for tree in run.trees:
        run.effect(f"marks of {tree.name}", lambda t=tree: t.clear_maintenance())
    if run.journal.fact("slot lost"):
        raise NeedsHumanError(
            "users are on the source, but the replication slot was lost",
            fix="firstbell migrate abort --discard, then start again",
        )
    run.effect(f"drop subscription {back.name}", lambda: source.drop_subscription(back.name))
    run.effect(f"drop slot {back.name}", lambda: target.drop_slot(back.name))
    run.effect(f"drop publication {back.name}", lambda: target.drop_publication(back.name))
    run.effect(
        f"subscription {forward.name}",
        lambda: target.ensure_subscription(
            forward.name, source, forward.name, forward.name, copy=False
        ),
    )


def _armed_check(run: Run) -> None:
    if run.target.login_roles():
        raise FirstbellError("the target is open while the source is")
    _drain(run, run.forward)


def _back_switch(run: Run) -> None:
    for tree in run.trees:
        run.effect(f"marks of {tree.name}", lambda t=tree: t.clear_maintenance())
    _open_side(run, run.source)
    commands = run.spec.switch.to_source
    if run.rehearsing and run.spec.rehearsal is not None:
        commands = run.spec.rehearsal.switch
    run.commands("switch back to the source", commands)
    _send_users(run, "source")


def _send_users(run: Run, side: str) -> None:
    records = run.spec.switch.route53
    if records is not None and not run.rehearsing:
        run.effect(f"Route 53 to the {side}", lambda: route53.send_to(records, side))


def closed(server: Server) -> bool:
    """Whether no application can write on this side; an unreachable side cannot be asked."""
    try:
        return not server.login_roles()
    except psycopg.OperationalError as error:
        raise NeedsHumanError(f"{server.side} cannot be asked", where=server.address) from error


_ROWS: Final = (
    State("preflight", _preflight, _nothing, undo="none"),
    State("prepare", _prepare, _prepare_check, undo="discard"),
    State("schema", _schema, _schema_check, undo="discard"),
    State("copy", _copy, _copy_check, undo="discard"),
    State("gate", _gate, _nothing, undo="cancel"),
    State(
        "fence",
        lambda run: _fence_side(run, run.source),
        lambda run: _fence_check(run, run.source),
        undo="abort",
    ),
    State(
        "drain",
        lambda run: _drain(run, run.forward),
        lambda run: _drain_check(run, run.forward),
        undo="abort",
    ),
    State("finalize", lambda run: _finalize(run, run.source, run.target), _nothing, undo="abort"),
    State("verify", lambda run: _verify(run, run.source, run.target), _nothing, undo="abort"),
    State(
        "flip",
        lambda run: _flip(run, run.forward, run.back),
        lambda run: _flip_check(run, run.back),
        undo="abort",
    ),
    State("switch", _switch, _nothing, undo="revert"),
    State("smoke", lambda run: _smoke_tests(run, "after"), _nothing, undo="revert"),
    State("commit", _commit, _removed_check, undo="none"),
    State("discard", _discard, _removed_check, undo="none"),
    State("abort", _abort, _armed_check, undo="none"),
    State(
        "back_fence",
        lambda run: _fence_side(run, run.target),
        lambda run: _fence_check(run, run.target),
        undo="none",
    ),
    State(
        "back_drain",
        lambda run: _drain(run, run.back),
        lambda run: _drain_check(run, run.back),
        undo="none",
    ),
    State(
        "back_finalize", lambda run: _finalize(run, run.target, run.source), _nothing, undo="none"
    ),
    State("back_verify", lambda run: _verify(run, run.target, run.source), _nothing, undo="none"),
    State(
        "back_flip",
        lambda run: _flip(run, run.back, run.forward),
        lambda run: _flip_check(run, run.forward),
        undo="none",
    ),
    State("back_switch", _back_switch, _nothing, undo="none"),
)

STATES: Final[Table] = {state.name: state for state in _ROWS}
