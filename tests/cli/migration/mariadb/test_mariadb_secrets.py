"""During a whole migration of MariaDB no secret reaches a place that somebody else may read."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

import psutil
import pytest

from cli.migration import report, runbook
from cli.migration.journal import root
from cli.migration.proof.mariadb import MariaDbScene, MariaDbServer
from cli.migration.proof.scene import DATABASE
from cli.migration.proof.servers import ADMIN_PASSWORD
from tests.cli.migration.conftest import Outcome, begin, order, rehearsed
from tests.cli.migration.test_secrets import files, found


class Watcher(threading.Thread):
    """Collects what both process lists show, as often as it can, and the generated passwords."""

    def __init__(self, servers: list[MariaDbServer]) -> None:
        super().__init__(daemon=True)
        self._servers = servers
        self._ended = threading.Event()
        self.seen: set[str] = set()
        self.generated: set[str] = set()

    def run(self) -> None:
        connections = [server.connect(DATABASE) for server in self._servers]
        cursors = [conn.cursor() for conn in connections]
        for cursor in cursors:  # marked as one of ours, so that the fence lets it live
            cursor.execute("SELECT GET_LOCK(CONCAT('firstbell ', CONNECTION_ID()), 0)")
        while not self._ended.wait(0.002):
            for cursor in cursors:
                cursor.execute("SELECT INFO FROM information_schema.PROCESSLIST")
                self.seen |= {str(row[0]) for row in cursor.fetchall()}
            for server in self._servers:
                # Where a server keeps the password that it signs in to the other one with.
                for path in (server.folder / "data").glob("master*firstbell*.info"):
                    lines = path.read_text(errors="replace").splitlines()
                    self.generated |= {line for line in lines if re.fullmatch(r"[\w-]{43}", line)}
            for process in psutil.process_iter(["cmdline"]):
                self.seen.add(" ".join(process.info["cmdline"] or []))
        for conn in connections:
            conn.close()

    def end(self) -> None:
        self._ended.set()
        self.join(timeout=10)


@pytest.mark.slow
def test_no_secret_reaches_a_log_the_journal_the_process_list_or_the_binary_log(
    stage: Callable[..., MariaDbScene], firstbell: Callable[..., Outcome]
) -> None:
    scene = stage()
    servers = [scene.source, scene.target]
    for server in servers:
        server.sql(
            f"SET GLOBAL general_log_file = '{server.folder}/data/general'",
            "SET GLOBAL general_log = 1",
            f"SET GLOBAL slow_query_log_file = '{server.folder}/data/slow'",
            "SET GLOBAL long_query_time = 0",
            "SET GLOBAL slow_query_log = 1",
        )
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
    logs = [
        path.read_bytes().decode(errors="replace")
        for server in servers
        for path in (
            server.log,
            *(server.folder / "data" / name for name in ("general", "slow")),
            *(server.folder / "data").glob("binlog.*"),
        )
    ]
    assert any("FROM mysql.global_priv" in text for text in logs)
    texts += [*logs, *watcher.seen]

    secrets = {ADMIN_PASSWORD, *watcher.generated}
    assert len(secrets) >= 3
    assert found(secrets, texts) == []

    # Known-bad twin: the same search finds one that is planted in each kind of place.
    scene.source.sql(f"SELECT '{ADMIN_PASSWORD}'")
    for name in ("general", "slow"):
        planted = (scene.source.folder / "data" / name).read_text(errors="replace")
        assert found({ADMIN_PASSWORD}, [planted])
