"""During a whole migration every place that could hold a secret is searched: none does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import psutil
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from cli.migration import orders, report, runbook
from cli.migration.journal import root
from cli.migration.proof.scene import DATABASE, Scene
from cli.migration.proof.servers import ADMIN_PASSWORD, PostgresServer
from tests.cli.migration.conftest import Outcome, begin, order, postgres, rehearsed


def spellings(secret: str) -> set[str]:
    return {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}


class Watcher(threading.Thread):
    """Collects what `pg_stat_activity` and the process list show, as often as it can."""

    def __init__(self, servers: list[PostgresServer]) -> None:
        super().__init__(daemon=True)
        self._servers = servers
        self._ended = threading.Event()
        self.seen: set[str] = set()
        self.generated: set[str] = set()

    def run(self) -> None:
        # Named as one of ours, so that the fence lets it live.
        connections = [
            psycopg.connect(f"{s.dsn(DATABASE)} application_name=firstbell/watch", autocommit=True)
            for s in self._servers
        ]
        while not self._ended.wait(0.01):
            for conn in connections:
                for (query,) in conn.execute("SELECT query FROM pg_stat_activity").fetchall():
                    self.seen.add(str(query))
                for (info,) in conn.execute("SELECT subconninfo FROM pg_subscription").fetchall():
                    password = conninfo_to_dict(str(info)).get("password")
                    self.generated.add(str(password))
            for process in psutil.process_iter(["cmdline"]):
                self.seen.add(" ".join(process.info["cmdline"] or []))
        for conn in connections:
            conn.close()

    def end(self) -> None:
        self._ended.set()
        self.join(timeout=10)


def found(secrets: set[str], texts: list[str]) -> list[str]:
    """The secrets that any of the texts contains, in any spelling."""
    return [s for s in secrets if any(form in text for form in spellings(s) for text in texts)]


def test_no_secret_reaches_a_log_the_journal_the_process_list_or_pg_stat_activity(
    stage: Callable[..., Scene], firstbell: Callable[..., Outcome]
) -> None:
    scene = stage(16, 18)
    servers = [scene.source, scene.target]
    for server in servers:
        with server.connect("postgres") as conn:
            conn.execute("ALTER SYSTEM SET log_statement = 'all'")
            conn.execute("ALTER SYSTEM SET log_min_duration_statement = 0")
            conn.execute("SELECT pg_reload_conf()")
    before = {server.port: len(server.log.read_text()) for server in servers}
    watcher = Watcher(servers)
    watcher.start()
    run = begin(scene)
    rehearsed(run)
    texts = [runbook.render(run, scene.name)]
    assert order(run, "cutover") == 0
    assert order(run, "back") == 0
    watcher.end()
    for command in (("status",), ("status", "--json"), ("preflight",), ("cutover", "--dry-run")):
        shown = firstbell(*command)
        texts += [shown.out, shown.err]
    texts.append(report.markdown(run.journal))
    texts += [path.read_bytes().decode(errors="replace") for path in files(root(scene.name))]
    logs = [server.log.read_text()[before[server.port] :] for server in servers]
    assert any("CREATE PUBLICATION" in text for text in logs)
    texts += [*logs, *watcher.seen]

    secrets = {ADMIN_PASSWORD, *watcher.generated}
    assert len(secrets) >= 3
    assert found(secrets, texts) == []

    # Known-bad twin: the same search finds one that is planted in each kind of place.
    with scene.source.connect(DATABASE) as conn:
        conn.execute(f"SELECT {sql.quote(ADMIN_PASSWORD)}".encode())
    assert found({ADMIN_PASSWORD}, [scene.source.log.read_text()[before[scene.source.port] :]])
    assert found({ADMIN_PASSWORD}, [f"postgresql://u:{quote(ADMIN_PASSWORD, safe='')}@h/d"])


def test_a_statement_that_fails_does_not_quote_its_secret(stage: Callable[..., Scene]) -> None:
    """Found on PostgreSQL 13: an error's context quoted the whole statement."""
    scene = stage(16, 18)
    run = orders.looking(scene.name)
    engine = postgres(run)
    for side, server in ((engine.source, scene.source), (engine.target, scene.target)):
        with pytest.raises(psycopg.Error) as caught:
            side.secretly(
                "host=127.0.0.1 port=1 password=hunter2hunter2",
                "CREATE SUBSCRIPTION s CONNECTION %L PUBLICATION p WITH (create_slot = false)",
            )
        assert "could not connect" in str(caught.value)
        assert "hunter2" not in str(caught.value)
        assert "hunter2" not in server.log.read_text()
        side.close()


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
