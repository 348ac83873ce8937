"""Rehearses a cutover and its way back between two scratch databases, and times every step.

Both are made from the soaking target by dump and restore, never by a physical copy: a copy of a
subscriber would take the source's slot. The source is not touched. What a scratch server cannot
show is named in the record.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import psycopg

from cli.migration import catalogue, schema, spec, states
from cli.migration.journal import Journal, root
from cli.migration.machine import Run, drive, elapsed
from cli.migration.phases import (
    REVERT,
    TIMED,
)
from cli.migration.postgres import Server, ident
from infra.errors import FirstbellError, InputError

_RATE_SECONDS: Final = 2.0
_MOST_WRITES_PER_SECOND: Final = 2000.0
_LOAD_SECONDS: Final = 1.0


def rehearse(run: Run, progress: Callable[[str], None] = lambda _text: None) -> dict[str, object]:
    """One rehearsal: its record, which is also remembered in the journal.

    Raises:
        InputError: no rehearsal server is named, or the migration does not soak.
        FirstbellError: the rehearsal itself failed.
    """
    if run.spec.rehearsal is None:
        raise InputError(
            "no rehearsal server is named",
            where=f"{run.journal.meta['migration']}.yaml: rehearsal",
            fix="add rehearsal: {dsn: …, peer_dsn: …}: a scratch server, or the target's own",
        )
    if run.journal.current.state != "soak":
        raise InputError(
            f"a rehearsal needs a soaking target; the migration is in {run.journal.current.state}",
            fix="firstbell migrate status",
        )
    stage = _Stage(run)
    try:
        progress("loading the scratch databases")
        stage.build()
        progress("running the protocol")
        record = stage.play()
    finally:
        progress("discarding the scratch databases")
        stage.clear()
    kept = run.journal.fact("rehearsals")
    run.journal.remember("rehearsals", [*(kept if isinstance(kept, list) else []), record])
    run.journal.note("rehearsed", **record)
    return record


class _Stage:
    """Two scratch databases on the rehearsal server, and the run between them."""

    def __init__(self, run: Run) -> None:
        self._run = run
        wanted = run.spec.rehearsal
        if wanted is None:
            raise InputError("no rehearsal server is named")
        where = "rehearsal.dsn"
        self._dsn = spec.connection(wanted.dsn, where)
        self._peer = spec.connection(wanted.peer_dsn, "rehearsal.peer_dsn")
        self._name = f"{run.journal.meta['migration']}-r"
        self._admin = Server("rehearsal", self._dsn, self._peer, self._name)
        self._sides = [self._side("source"), self._side("target")]

    def _side(self, side: str) -> Server:
        base = f"firstbell_{self._name.replace('-', '_')}"
        database = f"{base}_{side}"
        return Server(
            side,
            {**self._dsn, "dbname": database},
            {**self._peer, "dbname": database},
            self._name,
            roles=[f"{base}_load_{side}"],
        )

    def clear(self) -> None:
        """Drop both databases, whatever state they are in, and their roles."""
        for server in self._sides:
            with suppress(psycopg.OperationalError):
                for name in (f"{server.base}_fwd", f"{server.base}_back"):
                    server.drop_subscription(name)
            server.close()
        for server in self._sides:
            for name in (f"{server.base}_fwd", f"{server.base}_back"):
                self._admin.drop_slot(name)
        for server in self._sides:
            self._admin.run(f"DROP DATABASE IF EXISTS {ident(server.database)} WITH (FORCE)")
        pattern = self._admin.base.replace("_", "\\_") + "\\_%"
        for (role,) in self._admin.rows(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE %s", pattern
        ):
            self._admin.run(f"DROP OWNED BY {ident(str(role))}")
            self._admin.run(f"DROP ROLE {ident(str(role))}")
        self._admin.close()

    def build(self) -> None:
        """Make both databases, and fill the first from the soaking target."""
        target, source = self._run.target, self._sides[0]
        self.clear()
        encoding, collate, ctype = target.rows(
            "SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database"
            " WHERE datname = current_database()"
        )[0]
        for server in self._sides:
            self._admin.run(
                f"CREATE DATABASE {ident(server.database)} TEMPLATE template0"
                f" ENCODING '{encoding}' LC_COLLATE '{collate}' LC_CTYPE '{ctype}'"
            )
        version = max(target.version, source.version)
        with tempfile.TemporaryDirectory(prefix="firstbell-rehearsal-") as folder:
            dump = str(Path(folder) / "dump")
            _tool(
                target,
                [
                    str(schema.find_program("pg_dump", version)),
                    *("-Fd", "-j2", "-f", dump, "--no-owner", "--no-acl"),
                    *("--no-subscriptions", "--no-publications", "--exclude-schema=firstbell"),
                ],
            )
            _tool(
                source,
                [
                    str(schema.find_program("pg_restore", version)),
                    *("-j2", "--no-owner", "--no-acl", "-d", source.database, dump),
                ],
            )
        for server in self._sides:
            self._admin.run(f"CREATE ROLE {ident(_load_role(server))} LOGIN")
        source.run("ANALYZE")

    def play(self) -> dict[str, object]:
        """Cut over and revert under load; what each step took."""
        source, target = self._sides
        journal_path = root(self._run.journal.meta["migration"]) / "rehearsals"
        journal_path.mkdir(parents=True, exist_ok=True)
        number = len(list(journal_path.glob("*.db"))) + 1
        journal = Journal.create(journal_path / f"{number}.db", self._name)
        nested = Run(
            self._run.name,
            self._run.spec,
            journal,
            source,
            target,
            accepted=frozenset({"collation", "always-triggers", "event-triggers", "foreign-tables"})
            | {f"pg-cron-{side}" for side in ("source", "target")},
            rehearsing=True,
        )
        rate = min(observed_rate(self._run.source), _MOST_WRITES_PER_SECOND)
        rows, size = catalogue.row_estimates(source)
        try:
            self._drive(nested, "soak")
            load = _Load(source, target, rate)
            load.start()
            try:
                time.sleep(_LOAD_SECONDS)
                journal.order("cutover")
                self._drive(nested, "hold")
                time.sleep(_LOAD_SECONDS)
                journal.order("back")
                self._drive(nested, "soak")
            finally:
                load.end()
            taken = {name: length.total_seconds() for name, length in elapsed(journal, 1).items()}
        finally:
            journal.close()
        scaled = [f"load: {load.written} writes at {rate:.0f} a second, into one table"]
        left_out = ["roles but one", "grants", "retained WAL"]
        left_out += ["files (estimated from the passes)"] if self._run.trees else []
        wanted = self._run.spec.rehearsal
        if wanted is not None:
            left_out += [] if wanted.stop and wanted.start else ["application stop and start"]
            left_out += [] if wanted.switch else ["switch"]
            left_out += [] if wanted.smoke else ["smoke"]
        return {
            "at": self._run.now().isoformat(),
            "steps": {name: round(taken.get(name, 0.0), 3) for name in TIMED},
            "revert": round(sum(taken.get(name, 0.0) for name in REVERT), 3),
            "rows": rows,
            "bytes": size,
            "scaled": scaled,
            "not_exercised": left_out,
        }

    @staticmethod
    def _drive(nested: Run, wanted: str) -> None:
        code = drive(nested, states.STATES)
        if nested.journal.current.state != wanted:
            last = nested.journal.last("outcome")
            raise FirstbellError(
                f"the rehearsal ended in {nested.journal.current.state}, not in {wanted}",
                why=str(last.data.get("text")) if last else f"code {code}",
            )


def _tool(server: Server, command: list[str]) -> None:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ.get("PATH", ""), **server.child_environment()},
    )
    if done.returncode:
        raise FirstbellError(f"{Path(command[0]).name} failed", why=done.stderr.strip()[-2000:])


def observed_rate(source: Server) -> float:
    """Rows written a second on the source, over two seconds."""
    query = (
        "SELECT tup_inserted + tup_updated + tup_deleted FROM pg_stat_database"
        " WHERE datname = current_database()"
    )
    before = int(source.one(query))
    time.sleep(_RATE_SECONDS)
    return max(1.0, (int(source.one(query)) - before) / _RATE_SECONDS)


def _load_role(server: Server) -> str:
    """The role that stands for the application on a scratch side."""
    return f"{server.base}_load_{server.side}"


class _Load(threading.Thread):
    """A synthetic application: writes at a rate to whichever scratch side takes it."""

    def __init__(self, source: Server, target: Server, rate: float) -> None:
        super().__init__(daemon=True)
        self._sides = [source.clone(), target.clone()]
        self._pause = 1 / rate
        self._ended = threading.Event()
        self.written = 0
        self._passwords = [secrets.token_urlsafe(24) for _ in self._sides]
        for server, password in zip(self._sides, self._passwords, strict=True):
            role = _load_role(server)
            server.set_password(role, password)
            server.run(
                f"GRANT USAGE ON SCHEMA firstbell TO {ident(role)};"
                f"GRANT INSERT, UPDATE, SELECT ON firstbell.load TO {ident(role)}"
            )

    def end(self) -> None:
        self._ended.set()
        self.join(timeout=10)
        for server in self._sides:
            server.close()

    def run(self) -> None:
        side, conn = 0, None
        while not self._ended.wait(self._pause):
            try:
                if conn is None or conn.closed:
                    server = self._sides[side]
                    conn = server.connect(user=_load_role(server), password=self._passwords[side])
                conn.execute(
                    "INSERT INTO firstbell.load VALUES (%s, 'load') ON CONFLICT (id)"
                    " DO UPDATE SET body = firstbell.load.body || '.'",
                    (self.written % 5000,),
                )
                self.written += 1
            except psycopg.Error:
                side = 1 - side
                if conn is not None:
                    conn.close()
                conn = None
                time.sleep(0.02)
        if conn is not None:
            conn.close()
