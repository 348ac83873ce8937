"""The migration's part of `firstbell demo`: two real servers, a school at work, the whole protocol.

Preflight, start, three rehearsals, cutover, smoke, revert, cutover again, commit, while a writer
and probes try both sides all the time. It happens in a folder of its own, which is removed.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cli.migration import orders, rehearsal, report, supervisor
from cli.migration.journal import Journal
from cli.migration.proof.scene import DATABASE, Scene
from cli.migration.proof.servers import PostgresServer
from infra.errors import FirstbellError

_SOAK_SECONDS: Final = 180.0
_STEP_ROWS: Final = 40


@dataclass(frozen=True)
class Result:
    """The demo's last screen."""

    versions: tuple[int, int]
    outages_seconds: tuple[float, ...]
    journal_outages: tuple[tuple[str, str, float], ...]
    rows: int
    files: int
    acknowledged: int
    in_doubt: int
    lost: int
    doubled: int
    overlapping: int
    rehearsals: int

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, doubled or written on both sides at a time."""
        return not (self.lost or self.doubled or self.overlapping)

    def rows_of_table(self) -> list[tuple[str, str]]:
        """What is shown: name and value."""
        ways = [
            f"{source} to {target} {seconds:.1f} s"
            for source, target, seconds in self.journal_outages
        ]
        return [
            ("servers", f"PostgreSQL {self.versions[0]} to {self.versions[1]}"),
            ("write outages, as the writer saw them", _seconds(self.outages_seconds)),
            ("write outages, by the journal", ", ".join(ways)),
            ("rows compared, both sides fenced", f"{self.rows:,}"),
            ("files compared", f"{self.files:,}"),
            ("writes acknowledged", f"{self.acknowledged:,}"),
            ("writes in doubt", f"{self.in_doubt}"),
            ("writes lost", f"{self.lost}"),
            ("writes doubled", f"{self.doubled}"),
            ("acknowledged on both sides at a time", f"{self.overlapping}"),
            ("rehearsals", f"{self.rehearsals}"),
        ]


def _seconds(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.1f} s" for value in values)


@contextmanager
def _folders() -> Generator[Path]:
    """A folder that the servers' user may enter; firstbell's own folders move into it meanwhile."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="firstbell-demo-") as text:
        folder = Path(text)
        folder.chmod(0o755)
        os.environ["FIRSTBELL_HOME"] = str(folder / "home")
        os.environ["FIRSTBELL_STACKS"] = str(folder / "stacks")
        try:
            yield folder
        finally:
            os.environ.clear()
            os.environ |= before


def run(
    say: Callable[[str], None] = lambda _text: None,
    *,
    users: int = 20_000,
    logs: int = 100_000,
    files: int = 500,
    rehearsals: int = 3,
) -> Result:
    """Play it; `say` is told what happens.

    Raises:
        FirstbellError: a step did not end as it should.
    """
    with _folders() as folder:
        say("starting PostgreSQL 16 and 18")
        scene = Scene(
            folder,
            PostgresServer.create(16, parent=None),
            PostgresServer.create(18, parent=None),
        )
        scene.rehearsal = scene.target
        try:
            say(f"filling a school: {users:,} users, {logs:,} log rows, {files:,} files")
            scene.fill(users=users, logs=logs, files=files)
            mark = folder / "route"
            touch = [sys.executable, "-c", f"open({str(mark)!r}, 'a').write('x')"]
            scene.write_spec(switch={"to_target": [touch], "to_source": [touch], "old_ttl": "1s"})
            return _play(scene, say, rehearsals)
        finally:
            _end_processes(scene.name)
            scene.remove()


def _play(scene: Scene, say: Callable[[str], None], rehearsals: int) -> Result:
    name = scene.name
    scene.start_load()
    scene.wait_for_writes()
    blockers = [f for f in orders.check(name) if f.blocks(frozenset())]
    say(f"preflight: {len(blockers)} blockers")
    orders.start(name)
    journal = orders.opened(name)
    _until(journal, "soak", _SOAK_SECONDS)
    say("replicating while users write")
    for number in range(1, rehearsals + 1):
        look = orders.looking(name)
        record = rehearsal.rehearse(look)
        look.close()
        say(f"rehearsal {number}: cutover {_total(record):.1f} s, revert {record['revert']} s")
    for what, give in (
        ("cutover", lambda: orders.cutover(name)),
        ("revert", lambda: orders.revert(name)),
        ("cutover again", lambda: orders.cutover(name)),
        ("commit", lambda: orders.commit(name, name)),
    ):
        scene.wait_for_writes(_STEP_ROWS)
        code, text = orders.follow(name, give())
        say(f"{what}: {text}")
        if code:
            raise FirstbellError(f"{what} ended with {code}", why=text)
    scene.wait_for_writes(_STEP_ROWS)
    scene.stop_load()
    evidence = scene.evidence(scene.target)
    told: dict[str, Any] = report.build(journal)
    verified = told["verified"][-1]
    journal.close()
    return Result(
        versions=(scene.source.version, scene.target.version),
        outages_seconds=tuple(seconds for *_, seconds in evidence.changes),
        journal_outages=tuple(
            (each["from"], each["to"], each["seconds"]) for each in told["write_outages"]
        ),
        rows=verified["rows"],
        files=verified["files"],
        acknowledged=evidence.acknowledged,
        in_doubt=evidence.in_doubt,
        lost=len(evidence.lost),
        doubled=len(evidence.doubled),
        overlapping=evidence.overlaps,
        rehearsals=rehearsals,
    )


def _total(record: dict[str, Any]) -> float:
    return sum(record["steps"].values())


def _until(journal: Journal, state: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while journal.current.state != state:
        last = journal.last("outcome")
        if time.monotonic() > deadline or (last is not None and last.data.get("code")):
            raise FirstbellError(
                f"the migration is in {journal.current.state}, not in {state}",
                why=str(last.data.get("text")) if last else None,
                where=f"database {DATABASE}",
            )
        time.sleep(0.1)


def _end_processes(migration: str) -> None:
    """Let the detached processes of the demo go: they end by themselves when all is over."""
    supervisor.end(migration)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    shown = run(_say)
    for key, value in shown.rows_of_table():
        _say(f"{key:45} {value}")
    sys.exit(0 if shown.clean else 3)
