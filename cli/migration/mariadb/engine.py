"""MariaDB as an engine of the migration: GTID replication between two servers.

A direction is one named replication connection on its subscriber; where it stands is in the
subscriber's `gtid_slave_pos`, written in the same transaction as the rows, so that a connection can
be dropped and made again without losing or repeating anything. Each server has a GTID domain of its
own. Both directions are never enabled together; what comes back to the server that wrote it carries
its server id and is skipped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import pymysql

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
from cli.migration.engine import Server as AnyServer
from cli.migration.mariadb import catalogue, preflight, schema, sums
from cli.migration.mariadb.gtid import Position
from cli.migration.mariadb.server import RunnerLock, Server, status
from cli.migration.mariadb.text import account, ident, literal
from cli.migration.pair import Pair
from infra.errors import FirstbellError

if TYPE_CHECKING:
    from cli.migration.machine import Run
    from cli.migration.mariadb.stage import MariaDbStage
    from cli.migration.spec import Rehearsal

_STRUCTURE: Final = ("table", "column", "index", "foreign key", "check", "database", "routine")


class MariaDbEngine(Pair[Server]):
    """Two MariaDB servers."""

    title = "MariaDB"
    away: tuple[type[Exception], ...] = (
        pymysql.OperationalError,
        pymysql.InterfaceError,
        ConnectionError,
    )
    errors: tuple[type[Exception], ...] = (pymysql.Error,)

    def clone(self) -> MariaDbEngine:
        return MariaDbEngine(self._source.clone(), self._target.clone())

    def lock(self) -> RunnerLock:
        return RunnerLock(self._source)

    def find_programs(self) -> None:
        schema.find_programs()

    def inspect(self, run: Run) -> Iterator[Finding]:
        return preflight.inspect(run, self._source, self._target)

    # preflight … soak

    def prepare(self, run: Run) -> None:
        for side in self.sides():
            run.effect(
                f"install on {side.side}", lambda s=side: s.install(run.journal.uuid, run.name)
            )

    def check_prepared(self) -> None:
        for side in self.sides():
            if not side.installed():
                raise FirstbellError(f"our schema on the {side.side} is gone")

    def carry_schema(self, run: Run) -> None:
        source, target = self._source, self._target
        if not run.rehearsing:
            run.effect("copy accounts", lambda: schema.copy_accounts(source, target))
        run.effect("lock the target", target.fence)
        run.effect("structure", lambda: schema.load_structure(source, target))
        if not run.rehearsing:
            run.effect("grants", lambda: schema.copy_grants(source, target))

    def check_schema(self) -> None:
        self.refuse_differences([each for each in self.between() if each.kind in _STRUCTURE])

    def between(self) -> list[Difference]:
        """Differences between the sides; accounts that only the target has are its own.

        Those that the target's service lets nobody create stay behind.
        """
        behind = self._target.cannot_grant(self._source)
        return [
            each
            for each in differences(*catalogue.both(self._source, self._target))
            if each.kind not in ("account", "role", "grant")
            or not (
                (each.kind != "grant" and each.source is None)
                or any(_names_account(each, name) for name in behind)
            )
        ]

    def copy(self, run: Run) -> None:
        source, target = self._source, self._target
        start: list[str] = []

        def rows() -> str:
            start.append(
                schema.load_rows(
                    source,
                    target,
                    lambda moved: run.journal.show(copied_bytes=moved),
                    run.checkpoint,
                )
            )
            return start[0]

        run.effect("rows", rows)
        run.effect("digits of FLOAT columns", lambda: schema.exact_floats(source, target))
        run.effect(
            "replication",
            lambda: target.ensure_replica(self.name("forward"), source, Position.parse(start[0])),
        )
        run.effect("triggers and events", lambda: schema.load_what_fires(source, target))
        behind = source.binlog_position()
        run.wait("what was written during the copy", lambda: self._caught_up(run, behind))
        run.effect("first statistics", lambda: _analyse(target))

    def _caught_up(self, run: Run, wanted: Position) -> bool:
        self.refuse_lost("forward")
        self._refuse_stopped("forward")
        self._target.start_replica(self.name("forward"))
        stream = self.stream("forward")
        run.journal.show(behind_bytes=stream.behind_bytes if stream else None)
        return self._target.slave_position().covers(wanted.without(self._target.domain))

    def finish_copy(self) -> None:
        self.refuse_differences(self.between())
        self._target.remember("copied", "")

    def opaque(self, side: Server) -> Lines:
        return catalogue.opaque(side)

    def healing(self, difference: Difference, behind: str) -> str:
        return catalogue.healing(difference, behind)

    # Replication

    def stream(self, way: Way) -> Stream | None:
        publisher, subscriber = self.ends(way)
        found = subscriber.replica(self.name(way))
        if found is None:
            return None
        logs = [(str(row[0]), int(row[1])) for row in publisher.rows("SHOW BINARY LOGS")]
        written = _place(logs, logs[-1][0], logs[-1][1]) if logs else 0
        applied = _place(
            logs, str(found["Relay_Master_Log_File"]), status(found, "Exec_Master_Log_Pos")
        )
        return Stream(
            active=found["Slave_IO_Running"] == found["Slave_SQL_Running"] == "Yes",
            lost=self.lost(way),
            behind_bytes=max(0, written - applied),
            retained_bytes=sum(size for _, size in logs),
            errors=sum(1 for kind in ("IO", "SQL") if status(found, f"Last_{kind}_Errno")),
            applied_bytes=_growing(str(found["Relay_Master_Log_File"]), applied),
        )

    def lost(self, way: Way) -> bool:
        """Whether the publisher purged what the subscriber needs next."""
        publisher, subscriber = self.ends(way)
        if way == "back" and subscriber.replica(self.name(way)) is None:
            return True
        oldest = publisher.oldest_position().without(subscriber.domain)
        return not subscriber.slave_position().covers(oldest)

    def subscribed(self, way: Way) -> bool:
        return self.ends(way)[1].replica(self.name(way)) is not None

    def running(self, way: Way) -> bool:
        found = self.ends(way)[1].replica(self.name(way))
        return found is not None and found["Slave_SQL_Running"] == "Yes"

    def halt(self, way: Way) -> None:
        self.ends(way)[1].stop_replica(self.name(way))

    def go_on(self, way: Way) -> None:
        self.ends(way)[1].start_replica(self.name(way))

    def tables_ready(self) -> tuple[int, int]:
        total = len(catalogue.tables(self._target))
        return (total if self._target.copied() else 0), total

    def keep_up(self, run: Run) -> None:
        """Close again what a replicated CREATE USER opened; start what an error stopped.

        A statement on the open side that makes an account is replicated to the closed one.
        """
        soaking = run.journal.current.state == "soak"
        closed = self._target if soaking else self._source
        if fresh := closed.login_roles():
            run.effect(f"lock new accounts on {closed.side}", closed.fence, accounts=fresh)
            closed.expel()
        way: Way = "forward" if soaking else "back"
        publisher, subscriber = self.ends(way)
        found = subscriber.replica(self.name(way))
        if (
            found is not None
            and publisher.dialect.managed
            and not subscriber.leaves_accounts_alone(self.name(way))
        ):
            run.effect(
                f"leave accounts on {subscriber.side} alone",
                lambda: subscriber.leave_accounts_alone(self.name(way)),
            )
            self.go_on(way)
        elif found is not None and found["Slave_SQL_Running"] == "No":
            run.journal.show(trouble=str(found["Last_SQL_Error"]) or None)
            if status(found, "Last_SQL_Errno"):
                self.go_on(way)

    # The cutover and its way back

    def drain(self, run: Run, way: Way) -> None:
        publisher, subscriber = self.ends(way)
        name = self.name(way)
        seen: list[Position] = []

        def token() -> str:
            made, position = publisher.put_token()
            seen.append(position.without(subscriber.domain))
            return made

        run.journal.intent(f"token {name}")
        made = token()
        run.journal.done(f"token {name}", token=made, gtid=str(seen[0]))
        run.wait("the token on the other side", lambda: self._arrived(way, made))
        run.wait(
            "everything before it on the other side",
            lambda: subscriber.slave_position().covers(seen[0]),
        )

    def _arrived(self, way: Way, token: str) -> bool:
        self.refuse_lost(way)
        self._refuse_stopped(way)
        return self.ends(way)[1].has_token(token)

    def refuse_lost(self, way: Way) -> None:
        if self.lost(way):
            publisher, subscriber = self.ends(way)
            raise NeedsHumanError(
                f"the {publisher.side} no longer has the binary log that the {subscriber.side}"
                " needs next",
                why="it was purged, or the retention is shorter than replication stood still",
                fix="firstbell migrate abort --discard, then start again",
            )

    def _refuse_stopped(self, way: Way) -> None:
        """An error of the applier stops it for good."""
        found = self.ends(way)[1].replica(self.name(way))
        if found is not None and status(found, "Last_SQL_Errno"):
            raise FirstbellError(
                f"replication to the {self.ends(way)[1].side} stopped",
                why=str(found["Last_SQL_Error"]),
                fix="heal what it names; replication then goes on by itself",
            )

    def finalize(self, run: Run, way: Way) -> None:
        a, b = self.ends(way)
        run.effect(f"automatic ids to {b.side}", lambda: _counters(a, b))
        run.effect(f"sequences to {b.side}", lambda: _sequences(a, b))
        run.effect(f"events to {b.side}", lambda: _events(a, b))
        run.effect(f"statistics on {b.side}", lambda: _analyse(b))

    def compare(self, run: Run, way: Way) -> Compared:
        a, b = self.ends(way)
        problems = _counter_problems(a, b) + _sequence_problems(a, b)
        tables = catalogue.tables(a)
        rows, seconds = 0, 0.0
        if set(tables) == set(catalogue.tables(b)):
            started = time.monotonic()
            found = sums.sum_tables(
                a,
                b,
                tables,
                connections=max(sums.connections(side) for side in (a, b)),
                progress=lambda done, rows: run.journal.show(
                    verify={"tables": done, "of": len(tables), "rows": rows}
                ),
                stop=run.checkpoint,
            )
            problems += [str(each) for each in sums.explain(a, b, found)]
            rows, seconds = sum(pair[0].rows for pair in found.values()), time.monotonic() - started
        else:
            problems.append("the sides do not have the same tables")
        return Compared(rows, len(tables), round(seconds, 3), problems, {"large_objects": 0})

    def look_twice(
        self, source: Server, target: Server, settle: Callable[[], None]
    ) -> tuple[int, Sequence[object]]:
        return sums.compare_live(source, target, settle)

    def moodle_contents(self, server: AnyServer) -> tuple[str, set[str]] | None:
        side = self.side(server)
        table = side.one(
            "SELECT TABLE_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s"
            " AND TABLE_NAME LIKE '%%\\_files' AND COLUMN_NAME = 'contenthash'"
            " ORDER BY TABLE_NAME = 'mdl_files' DESC LIMIT 1",
            side.database,
        )
        if table is None:
            return None
        rows = side.rows(f"SELECT DISTINCT contenthash FROM {ident(str(table))}")
        return str(table), {str(row[0]).strip() for row in rows}

    def flip(self, run: Run, old: Way) -> None:
        new: Way = "back" if old == "forward" else "forward"
        a, b = self.ends(old)
        if a.domain == b.domain:
            raise FirstbellError(
                f"gtid_domain_id is {a.domain} on both sides",
                why="a restart brought the option file's value back",
                fix="set another one on the target, in its option file too",
            )
        run.effect(f"stop {self.name(old)}", lambda: b.stop_replica(self.name(old)))
        # Both sides are closed and equal: whatever stands in B's log is on A already.
        run.effect(
            f"replication {self.name(new)}",
            lambda: a.ensure_replica(self.name(new), b, b.binlog_position()),
        )
        run.effect(f"drop {self.name(old)}", lambda: b.drop_replica(self.name(old)))

    def before_reopening(self, run: Run, *, flipping: bool) -> bool:
        back = self.name("back")
        run.effect(f"stop {back}", lambda: self._source.stop_replica(back))
        return not self.lost("forward") and self._target.is_itself()

    def rearm(self, run: Run) -> None:
        back, forward = self.name("back"), self.name("forward")
        run.effect(f"drop {back}", lambda: self._source.drop_replica(back))
        run.effect(
            f"replication {forward}",
            lambda: self._target.ensure_replica(forward, self._source, None),
        )

    def remove(self, run: Run) -> None:
        self._drop_both(run)
        for server in (self._target, self._source):
            run.effect(f"leave {server.side}", server.uninstall)

    def _drop_both(self, run: Run) -> None:
        for way in WAYS:
            name, subscriber = self.name(way), self.ends(way)[1]
            run.effect(f"drop {name}", lambda s=subscriber, n=name: s.drop_replica(n))

    def leftovers(self, server: AnyServer) -> list[str]:
        return preflight.ours(self.side(server))

    def empty_target(self, run: Run) -> None:
        self._drop_both(run)
        if self._target.installed():
            run.effect("empty the target", lambda: schema.empty(self._target))
            run.effect("give logins back on target", self._target.lift)

    # Figures

    def sizes(self) -> tuple[int, int]:
        return catalogue.row_estimates(self._source)

    def written(self) -> int:
        return sum(
            int(value)
            for _, value in self._source.rows(
                "SHOW GLOBAL STATUS WHERE Variable_name IN"
                " ('Innodb_rows_inserted', 'Innodb_rows_updated', 'Innodb_rows_deleted')"
            )
        )

    def stage(self, run: Run, wanted: Rehearsal) -> MariaDbStage:
        from cli.migration.mariadb.stage import MariaDbStage

        return MariaDbStage(self._target, wanted, run.journal.meta["migration"])


def _names_account(difference: Difference, name: str) -> bool:
    """Whether a difference is about an account, or about a grant of its."""
    if difference.kind == "grant":
        return difference.name == name or difference.name.startswith(f"{name} on ")
    user, _, host = difference.name.rpartition("@")
    return account(user, host) == name


def _place(logs: Sequence[tuple[str, int]], name: str, position: int) -> int:
    """Bytes from the oldest log that is kept to a position in one of them."""
    before = 0
    for log, size in logs:
        if log == name:
            return before + position
        before += size
    return 0


def _growing(name: str, place: int) -> int | None:
    """A place that purging does not move back: nothing before the first log is counted."""
    return place if name and place else None


def _analyse(server: Server) -> int:
    names = catalogue.tables(server)
    for name in names:
        server.run(f"ANALYZE NO_WRITE_TO_BINLOG TABLE {name}")
    return len(names)


def _counters(a: Server, b: Server) -> int:
    """Carry the next automatic ids, never backwards; how many were moved."""
    theirs = catalogue.counters(b)
    moved = 0
    for name, value in catalogue.counters(a).items():
        if theirs.get(name, 0) < value:
            b.run(f"ALTER TABLE {name} AUTO_INCREMENT = {value}")
            moved += 1
    return moved


def _counter_problems(a: Server, b: Server) -> list[str]:
    theirs = catalogue.counters(b)
    return [
        f"automatic id of {name[1:-1]} is behind: {theirs.get(name, 0)}, not {value}"
        for name, value in catalogue.counters(a).items()
        if theirs.get(name, 0) < value
    ]


def _sequences(a: Server, b: Server) -> int:
    theirs = catalogue.sequence_values(b)
    moved = 0
    for name, (value, step) in catalogue.sequence_values(a).items():
        if (value - theirs[name][0]) * step > 0:
            b.one(f"SELECT SETVAL({name}, {value}, 0)")
            moved += 1
    return moved


def _sequence_problems(a: Server, b: Server) -> list[str]:
    theirs = catalogue.sequence_values(b)
    return [
        f"sequence {name[1:-1]} is behind"
        for name, (value, step) in catalogue.sequence_values(a).items()
        if name not in theirs or (value - theirs[name][0]) * step > 0
    ]


def _events(a: Server, b: Server) -> list[str]:
    """Let those events run on B, once it opens, that ran on A before it was closed."""
    names = [str(name) for (name,) in a.rows("SELECT name FROM firstbell.event ORDER BY 1")]
    b.run("DELETE FROM firstbell.event")
    for name in names:
        b.run(f"INSERT IGNORE INTO firstbell.event VALUES ({literal(name)})")
    return names
