"""AWS DMS as an engine of the migration: Oracle or SQL Server to PostgreSQL, one way.

DMS loads, follows and validates; the states, the journal, the fence of the target and the budget
are those of every migration. There is no stream back, so from `switch` on users stay.
"""

from __future__ import annotations

import dataclasses
import math
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from cli.migration import catalogue, postgres, preflight
from cli.migration.dms import task
from cli.migration.dms.service import PASSING, Service
from cli.migration.dms.source import CommandSource
from cli.migration.engine import (
    Compared,
    Difference,
    Finding,
    Lines,
    NeedsHumanError,
    Stream,
    Way,
    since_copy,
)
from cli.migration.postgres import RunnerLock, ident
from cli.migration.postgres_engine import PostgresEngine
from infra.errors import FirstbellError, MismatchError

if TYPE_CHECKING:
    from cli.migration.machine import Run
    from cli.migration.postgres_stage import PostgresStage
    from cli.migration.spec import Dms, DmsSecret, Rehearsal

_DDL: Final = "ddl of the source"
# DMS publishes its metrics every minute; two may be missing.
_LATENCY_WINDOW: Final = timedelta(minutes=5)
# DMS renews its statistics every few seconds; asking more often only meets the API's rate limit.
STATISTICS_SECONDS: Final = 5.0
_RATE_SECONDS: Final = 10.0


class DmsEngine:
    """A source behind commands, a PostgreSQL target, and one DMS task between them.

    `service` calls DMS; `metrics` is a boto3 client of `cloudwatch`; `pause` is how long to wait
    between two looks at the statistics, in seconds.
    """

    title = "AWS DMS"
    reversible = False
    away: tuple[type[Exception], ...] = (*PostgresEngine.away, BotoCoreError)
    errors: tuple[type[Exception], ...] = (*PostgresEngine.errors, BotoCoreError, ClientError)

    def __init__(
        self,
        spec: Dms,
        target: postgres.Server,
        service: Service,
        metrics: Any,
        *,
        pause: float = STATISTICS_SECONDS,
    ) -> None:
        self._spec = spec
        self._target = target
        self._source = CommandSource(spec.source, target)
        self._service = service
        self._metrics = metrics
        self.pause = pause
        self._seen: tuple[float, list[task.TableStatistics]] | None = None

    @property
    def source(self) -> CommandSource:
        return self._source

    @property
    def target(self) -> postgres.Server:
        return self._target

    def clone(self) -> DmsEngine:
        return DmsEngine(
            self._spec, self._target.clone(), self._service, self._metrics, pause=self.pause
        )

    def lock(self) -> RunnerLock:
        """On the target: nothing of ours can be held on the source."""
        return RunnerLock(self._target)

    def find_programs(self) -> None:
        source = self._spec.source
        commands = [*source.lock, *source.unlock, source.probe, source.token]
        commands += [source.sequences] if source.sequences else []
        missing = sorted({each[0] for each in commands if shutil.which(each[0]) is None})
        if missing:
            raise FirstbellError(
                f"not on this runner: {', '.join(missing)}",
                where="dms.source",
                fix="install them, or correct the commands",
            )

    # preflight … soak

    def inspect(self, run: Run) -> Iterator[Finding]:
        yield from self._inspect_service()
        if not self._source.installed() and not self._source.probe_write():
            yield Finding(
                "source-probe",
                "blocker",
                "the probe cannot write to the open source: it would prove nothing later",
                "run dms.source.probe by hand and mend it",
            )
        yield from preflight.roles(self._target)
        yield from self._inspect_target()
        yield Finding(
            "no-way-back",
            "accept",
            "DMS runs one way: after switch, writes on the target cannot be carried back",
            "--accept no-way-back, and have a backup of the source at hand",
        )

    def _inspect_service(self) -> Iterator[Finding]:
        instance = self._service.instance()
        if instance.status != "available":
            yield Finding(
                "replication-instance",
                "blocker",
                f"the replication instance is {instance.status}",
                "wait until it is available",
            )
        yield Finding("dms-version", "note", f"DMS {instance.version or 'of an unknown version'}")

    def _inspect_target(self) -> Iterator[Finding]:
        tables = self._tables()
        if not tables:
            yield Finding(
                "target-schema",
                "blocker",
                f"no tables in {', '.join(sorted(self._spec.schemas.values()))} on the target",
                "create the schema first: DMS Schema Conversion, or the application's installer",
            )
        if self._spec.token_table not in tables:
            yield Finding(
                "token-table",
                "blocker",
                f"the target has no table {self._spec.token_table}",
                "create it on both sides, with a primary key column `token` of text",
            )
        without_key = self._names(
            "SELECT format('%%I.%%I', n.nspname, c.relname) FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind = 'r' AND n.nspname = ANY(%s) AND NOT EXISTS"
            " (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary) ORDER BY 1"
        )
        if without_key:
            yield Finding(
                "no-primary-key",
                "blocker",
                f"DMS cannot validate tables without a primary key: {', '.join(without_key)}",
                "give them one on both sides",
            )
        filled = [table for table in tables if self._target.one(f"SELECT 1 FROM {table} LIMIT 1")]
        if filled and not self._target.installed():
            yield Finding(
                "target-not-empty",
                "blocker",
                f"rows stand in {', '.join(filled)} on the target",
                "empty them: DMS would load beside them",
            )

    def _tables(self) -> list[str]:
        return self._names(
            "SELECT format('%%I.%%I', n.nspname, c.relname) FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind = 'r' AND n.nspname = ANY(%s) ORDER BY 1"
        )

    def _names(self, query: str) -> list[str]:
        return [
            str(name) for (name,) in self._target.rows(query, sorted(self._spec.schemas.values()))
        ]

    def prepare(self, run: Run) -> None:
        target = self._target
        run.effect("install on target", lambda: target.install(run.journal.uuid, run.name))
        source, to = self._spec.source, self._spec.target
        block = "OracleSettings" if source.engine == "oracle" else "MicrosoftSQLServerSettings"
        run.effect(
            "DMS endpoint of the source",
            lambda: self._service.ensure_endpoint(
                "source",
                source.engine,
                {block: _secret(source) | {"DatabaseName": source.database}},
            ),
        )
        run.effect(
            "DMS endpoint of the target",
            lambda: self._service.ensure_endpoint(
                "target",
                "postgres",
                {
                    "PostgreSQLSettings": _secret(to)
                    | {
                        "DatabaseName": target.database,
                        # Tables load in parallel, children before parents: foreign keys and
                        # triggers must not fire in DMS's own sessions.
                        "AfterConnectScript": "SET session_replication_role = replica",
                    }
                },
            ),
        )
        for side in ("source", "target"):
            run.effect(f"test DMS to {side}", lambda s=side: self._service.test_connection(s))
            run.wait(f"DMS to reach the {side}", lambda s=side: self._reached(s))

    def _reached(self, side: str) -> bool:
        status, reason = self._service.connection(side)
        if status in ("failed", "deleting"):
            raise FirstbellError(
                f"DMS cannot reach the {side}",
                where=f"dms.{side}",
                why=reason,
                fix="check the secret, the role that reads it, and the way from the instance",
            )
        return status == "successful"

    def check_prepared(self) -> None:
        """`prepare` waited for both connections."""

    def carry_schema(self, run: Run) -> None:
        """The schema stands already; the target's users are locked out from here to `switch`."""
        run.effect("lock the target", self._target.fence)

    def check_schema(self) -> None:
        """Preflight looked at what DMS needs of it."""

    def copy(self, run: Run) -> None:
        run.effect("DMS task", lambda: self._service.ensure_task(self._spec.schemas))
        run.wait("the DMS task", lambda: self._service.progress().status not in PASSING)
        run.effect("start the DMS task", self._service.go_on)
        run.wait("the full load", lambda: self._loaded(run))

    def _loaded(self, run: Run) -> bool:
        self.refuse_lost("forward")
        progress, tables = self._service.progress(), self._statistics()
        loaded = sum(each.loaded for each in tables)
        run.journal.show(
            tables={"ready": loaded, "total": len(tables)},
            full_load={
                "percent": progress.percent,
                "rows": sum(each.full_load_rows for each in tables),
            },
        )
        return progress.full_load_done and bool(tables) and loaded == len(tables)

    def finish_copy(self) -> None:
        known = {each.name for each in self._statistics()}
        lacking = [table for table in self._tables() if table.replace('"', "") not in known]
        if lacking:
            raise MismatchError(
                f"DMS carries no such tables: {', '.join(lacking)}",
                fix="drop them on the target, or correct dms.schemas",
            )
        self._target.run("INSERT INTO firstbell.made VALUES ('copied') ON CONFLICT DO NOTHING")

    def baseline(self) -> dict[str, Lines]:
        return {
            "target": catalogue.portable(self._target) | catalogue.opaque(self._target),
            "source": self._source_ddl(),
        }

    def _source_ddl(self) -> Lines:
        """How many statements of DDL DMS has seen on each table of the source."""
        return {(_DDL, each.name): str(each.ddls) for each in self._statistics()}

    def drift(self, baseline: Mapping[str, Lines] | None) -> list[Difference]:
        if baseline is None:
            return []
        now = self.baseline()
        return [
            difference
            for side in ("source", "target")
            for difference in since_copy(side, baseline[side], now[side])
        ]

    def healing(self, difference: Difference, behind: str) -> str:
        if difference.kind == _DDL:
            return "compare the table's definition on both sides, then abort --discard and start"
        return f"put {difference.kind} {difference.name} back on the target"

    # Replication

    def stream(self, way: Way) -> Stream | None:
        if way == "back" or self._service.task() is None:
            return None
        progress = self._service.progress()
        return Stream(
            active=progress.status == "running",
            lost=progress.failed,
            behind_bytes=0,
            retained_bytes=0,
            errors=progress.tables_errored,
            behind_seconds=self._latency_seconds(),
        )

    def _latency_seconds(self) -> float:
        """CDCLatencyTarget of the last minutes, as DMS tells CloudWatch; infinite without one."""
        there = self._service.task()
        if there is None:
            return math.inf
        now = datetime.now(UTC)
        answer = self._metrics.get_metric_statistics(
            Namespace="AWS/DMS",
            MetricName="CDCLatencyTarget",
            Dimensions=[
                {
                    "Name": "ReplicationInstanceIdentifier",
                    "Value": self._service.instance().name,
                },
                {
                    "Name": "ReplicationTaskIdentifier",
                    "Value": str(there["ReplicationTaskArn"]).rpartition(":")[2],
                },
            ],
            StartTime=now - _LATENCY_WINDOW,
            EndTime=now,
            Period=60,
            Statistics=["Maximum"],
        )
        points = sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])
        return float(points[-1]["Maximum"]) if points else math.inf

    def lost(self, way: Way) -> bool:
        if way == "back":
            return True
        return self._service.task() is None or self._service.progress().failed

    def subscribed(self, way: Way) -> bool:
        return way == "forward" and self._service.task() is not None

    def running(self, way: Way) -> bool:
        return self.subscribed(way) and self._service.progress().status == "running"

    def halt(self, way: Way) -> None:
        if way == "forward":
            self._service.halt()

    def go_on(self, way: Way) -> None:
        if way == "forward":
            self._service.go_on()

    def tables_ready(self) -> tuple[int, int]:
        tables = self._statistics(fresh=True)
        return sum(each.loaded for each in tables), len(tables)

    def keep_up(self, run: Run) -> None:
        """What DMS says of the tables, for `status`."""
        if self._service.task() is None:
            return
        tables = self._statistics()
        run.journal.show(
            validation={
                "validated": sum(each.validation == task.VALIDATED for each in tables),
                "of": len(tables),
                "pending_rows": sum(each.validation_pending for each in tables),
                "problems": task.problems(tables)[:5],
            }
        )

    def _statistics(self, *, fresh: bool = False) -> list[task.TableStatistics]:
        """The tables' statistics, asked for no more often than DMS renews them."""
        now = time.monotonic()
        if fresh or self._seen is None or now - self._seen[0] >= self.pause:
            self._seen = (now, [self._named(each) for each in self._service.tables()])
        return self._seen[1]

    def _named(self, found: task.TableStatistics) -> task.TableStatistics:
        """The statistics by the target's names, whichever side's DMS tells them by."""
        schema = self._spec.schemas.get(found.schema, found.schema)
        return dataclasses.replace(found, schema=schema, table=found.table.lower())

    # The cutover

    def drain(self, run: Run, way: Way) -> None:
        if way == "back":
            return
        self._go_on_when_stopped(run)
        run.journal.intent("token forward")
        token = f"{run.journal.uuid}-{secrets.token_hex(8)}"
        self._source.put_token(token)
        run.journal.done("token forward", token=token)
        # Changes are applied in the order of their commits (no batches): what was acknowledged
        # before the token has arrived when the token has.
        run.wait("the token on the target", lambda: self._has_token(token))

    def _go_on_when_stopped(self, run: Run) -> None:
        if self._service.progress().status == "stopped":
            run.effect("resume the DMS task", self._service.go_on)

    def _has_token(self, token: str) -> bool:
        self.refuse_lost("forward")
        where = ".".join(map(ident, self._spec.token_table.split(".")))
        return bool(self._target.one(f"SELECT 1 FROM {where} WHERE token = %s", token))

    def refuse_lost(self, way: Way) -> None:
        if way == "forward" and self.lost("forward"):
            there = self._service.task()
            raise NeedsHumanError(
                "the DMS task cannot go on" if there else "the DMS task is gone",
                why=self._service.progress().reason if there else None,
                fix="firstbell migrate abort --discard, then start again",
            )

    def finalize(self, run: Run, way: Way) -> None:
        run.effect("sequences to target", lambda: self._sequences(run))
        run.effect(
            "materialised views on target",
            lambda: [
                self._target.run(f"REFRESH MATERIALIZED VIEW {name}")
                for name, populated in catalogue.materialised(self._target)
                if populated
            ],
        )
        run.effect("statistics on target", lambda: self._target.run("ANALYZE"))

    def _sequences(self, run: Run) -> dict[str, int]:
        """Set what the source's command prints, and never below a sequence's own column."""
        told = self._source.sequences()
        known = set(self._target_sequences())
        unknown = sorted(told.keys() - known)
        if unknown:
            raise FirstbellError(
                f"the target has no sequence {', '.join(unknown)}",
                where="dms.source.sequences",
                fix=f"print names of the target: {', '.join(sorted(known)) or 'there are none'}",
            )
        moved: dict[str, int] = {}
        for name, (table, column) in self._target_sequences().items():
            floor = self._target.one(f"SELECT max({ident(column)}) FROM {table}") if table else None
            wanted = max((int(v) for v in (floor, told.get(name)) if v is not None), default=None)
            if wanted is None or wanted < 1:
                continue
            self._target.run(
                "SELECT setval(%s::regclass, greatest(%s, (SELECT coalesce(last_value, 1) FROM"
                " pg_sequences WHERE format('%%I.%%I', schemaname, sequencename) = %s)))",
                name,
                wanted,
                name,
            )
            moved[name] = wanted
        return moved

    def _target_sequences(self) -> dict[str, tuple[str, str]]:
        """Every sequence of the schemas, with the table and column that own it ("" without)."""
        rows = self._target.rows(
            "SELECT format('%%I.%%I', n.nspname, s.relname),"
            " coalesce(d.refobjid::regclass::text, ''), coalesce(a.attname, '')"
            " FROM pg_class s JOIN pg_namespace n ON n.oid = s.relnamespace"
            " LEFT JOIN pg_depend d ON d.objid = s.oid AND d.deptype IN ('a', 'i')"
            " AND d.refclassid = 'pg_class'::regclass AND d.classid = 'pg_class'::regclass"
            " LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid"
            " WHERE s.relkind = 'S' AND n.nspname = ANY(%s) ORDER BY 1",
            sorted(self._spec.schemas.values()),
        )
        return {str(name): (str(table), str(column)) for name, table, column in rows}

    def compare(self, run: Run, way: Way) -> Compared:
        """DMS's own validation of every row, waited for until no verdict is outstanding."""
        started = time.monotonic()

        def settled() -> bool:
            self.refuse_lost("forward")
            tables = self._statistics()
            run.journal.show(
                verify={
                    "tables": sum(not each.validating for each in tables),
                    "of": len(tables),
                    "pending_rows": sum(each.validation_pending for each in tables),
                }
            )
            return not any(each.validating for each in tables)

        self._seen = None
        run.wait("DMS to validate every row", settled)
        tables = self._statistics()
        problems = task.problems(tables)
        problems += [f"{each.name}: {each.state}" for each in tables if not each.loaded]
        counts = {
            each.name: int(self._target.one(f"SELECT count(*) FROM {each.name}"))
            for each in tables
            if each.loaded and f"{each.schema}.{each.table}" != self._spec.token_table
        }
        problems += [
            f"{each.name}: DMS brought {each.rows} rows, the target has {counts[each.name]}"
            for each in tables
            if each.name in counts and counts[each.name] != each.rows
        ]
        return Compared(
            sum(counts.values()), len(tables), round(time.monotonic() - started, 3), problems
        )

    def compare_live(self) -> tuple[int, list[str]]:
        tables = self._statistics(fresh=True)
        return sum(each.rows for each in tables), task.problems(tables)

    def moodle_contents(self, server: object) -> tuple[str, set[str]] | None:
        return PostgresEngine(self._target, self._target).moodle_contents(self._target)

    def flip(self, run: Run, old: Way) -> None:
        """There is nothing to turn: the task stops, and from `switch` on it stays so."""
        run.effect("stop the DMS task", self._service.halt)
        run.wait("the DMS task to stand still", lambda: not self.running("forward"))

    def before_reopening(self, run: Run, *, flipping: bool) -> bool:
        """The task goes on where it stood: DMS remembers the position in the source's log."""
        return not self.lost("forward")

    def rearm(self, run: Run) -> None:
        run.wait("the DMS task", lambda: self._service.progress().status not in PASSING)
        run.effect("resume the DMS task", self._service.go_on)

    def remove(self, run: Run) -> None:
        run.effect("remove the DMS task and endpoints", self._service.remove)
        run.wait("DMS to let go of them", lambda: not self._service.remove())
        run.effect("leave target", self._target.uninstall)

    def leftovers(self, server: object) -> list[str]:
        if server is self._target:
            return preflight.ours(self._target)
        return self._service.left()

    def empty_target(self, run: Run) -> None:
        run.effect("stop the DMS task", self._service.halt)
        run.wait("the DMS task to stand still", lambda: not self.running("forward"))
        tables = self._tables()
        if self._target.installed():
            if tables:
                run.effect(
                    "empty the target", lambda: self._target.run(f"TRUNCATE {', '.join(tables)}")
                )
            run.effect("give logins back on target", self._target.lift)

    # Figures

    def sizes(self) -> tuple[int, int]:
        rows = sum(each.rows for each in self._statistics())
        return rows, int(self._target.one("SELECT pg_database_size(current_database())"))

    def observed_rate(self) -> float:
        before = sum(each.changes for each in self._statistics(fresh=True))
        time.sleep(_RATE_SECONDS if self.pause else 0)
        after = sum(each.changes for each in self._statistics(fresh=True))
        return max(1.0, (after - before) / _RATE_SECONDS)

    def stage(self, run: Run, wanted: Rehearsal) -> PostgresStage:
        """Two scratch databases of the target's kind: the target's half is what can be rehearsed.

        The source's commands, DMS's drain and its validation are not exercised, and said so.
        """
        from cli.migration.postgres_stage import PostgresStage

        found = PostgresStage(self._target, wanted, run.journal.meta["migration"])
        found.left_out = (*found.left_out, *NOT_REHEARSED)
        return found


NOT_REHEARSED: Final = (
    "the source's lock and token commands",
    "DMS's drain",
    "DMS's validation",
)


def _secret(side: DmsSecret) -> dict[str, str]:
    return {
        "SecretsManagerSecretId": side.secret_arn,
        "SecretsManagerAccessRoleArn": side.access_role_arn,
    }
