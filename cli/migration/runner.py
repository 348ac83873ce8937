"""The process that carries a migration: builds its Run, watches, and drives the machine.

`python -m cli.migration.runner NAME` is what the supervisor starts. One runner at a time: a file
lock that dies with the process, the owner row on both databases, an advisory lock on the source.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from filelock import Timeout

from cli.migration import engines, files, locks, named, spec
from cli.migration.engine import WAYS, ChangedChunks
from cli.migration.journal import Current, Journal, root
from cli.migration.machine import GoBack, Run, drive
from cli.migration.phases import (
    FINAL,
)
from cli.migration.states import STATES, drift
from infra.errors import FirstbellError, InputError

# DDL must be noticed within five seconds.
WATCH_SECONDS: Final = 1.0
DDL_SECONDS: Final = 3.0
FILES_SECONDS: Final = 60.0
CHECKSUM_SECONDS: Final = 3600.0
_LOCK_SECONDS: Final = 20.0


def trees(migration: str, read: spec.Spec) -> list[files.Tree]:
    """The file trees of a migration, with their manifests on this runner."""
    return [files.Tree(each, root(migration) / f"files-{each.name}.db") for each in read.files]


def build(migration: str, journal: Journal) -> Run:
    """Everything that a run needs.

    Raises:
        InputError: the migration's file or a secret is not usable.
    """
    read = spec.load(named.folder() / f"{migration}.yaml")
    accepted = journal.fact("accepted")
    return Run(
        name=f"{os.uname().nodename}:{os.getpid()}",
        spec=read,
        journal=journal,
        engine=engines.between(migration, read),
        trees=trees(migration, read),
        accepted=frozenset(str(each) for each in accepted)
        if isinstance(accepted, list)
        else frozenset(),
    )


class Watch(threading.Thread):
    """Looks at both sides every second, beside whatever the runner does, and publishes it."""

    def __init__(self, run: Run, keep: Callable[[], None]) -> None:
        super().__init__(name="watch", daemon=True)
        self._watched = run
        self._keep = keep
        self._run = Run(run.name, run.spec, run.journal, run.engine.clone())
        self._ended = threading.Event()
        self._last_ddl = 0.0
        self._last_lag: tuple[float, int] | None = None
        self._alarmed: set[str] = set()

    def end(self) -> None:
        self._ended.set()
        self.join(timeout=5)

    def run(self) -> None:
        while not self._ended.wait(WATCH_SECONDS):
            self._keep()
            self._end_what_is_late()
            try:
                self.look()
            except self._run.engine.away as error:
                self._run.journal.show(unreachable=str(error).strip())
                self._run.close()
            except self._run.engine.errors as error:
                # An object that is being made or dropped this moment; the next look sees it.
                self._run.journal.show(watch=str(error).strip())
        self._run.close()

    def _end_what_is_late(self) -> None:
        """A long statement cannot look at the clock itself."""
        try:
            self._watched.checkpoint()
        except GoBack:
            with suppress(*self._watched.engine.errors):
                self._watched.source.cancel()
                self._watched.target.cancel()

    def look(self) -> None:
        """One look: who can write, lag, slots, drift."""
        run, journal = self._run, self._run.journal
        now = journal.current
        writable = {s.side: s.open_to_applications() for s in (run.source, run.target)}
        journal.show(writable=writable, unreachable=None)
        streams = {way: run.engine.stream(way) for way in WAYS}
        for way, stream in streams.items():
            shown = None if stream is None else vars(stream)
            journal.show(**{f"replication {way}": shown})
        back = streams["back"]
        if now.state == "hold" and (back is None or back.lost):
            journal.remember("reverse lost", value=True)
        forward = streams["forward"]
        self._apply_rate(None if forward is None else forward.applied_bytes)
        if now.state in ("soak", "hold") and time.monotonic() - self._last_ddl >= DDL_SECONDS:
            self._last_ddl = time.monotonic()
            self._ddl(now.state)

    def _apply_rate(self, applied: int | None) -> None:
        """Bytes a second that the target applies, from how far it came since the last look."""
        if applied is None:
            return
        at = time.monotonic()
        if self._last_lag is not None and applied > self._last_lag[1]:
            rate = (applied - self._last_lag[1]) / (at - self._last_lag[0])
            best = self._run.journal.fact("apply rate")
            # What is applied in quiet times says nothing about what could be.
            if not isinstance(best, int | float) or rate > best:
                self._run.journal.remember("apply rate", rate)
        self._last_lag = (at, applied)

    def _ddl(self, state: str) -> None:
        found = drift(self._run)
        behind = "target" if state == "soak" else "source"
        alarms = {str(each): self._run.engine.healing(each, behind) for each in found}
        self._run.journal.show(drift=[{"what": w, "heal": h} for w, h in alarms.items()])
        for what, heal in alarms.items():
            if what not in self._alarmed:
                self._run.journal.note("ddl", what=what, heal=heal)
        self._alarmed = set(alarms)


@dataclass
class Rest:
    """What is done while the migration soaks or holds: file passes and full comparisons."""

    _next_files: float = 0.0
    _next_sums: float = field(default_factory=lambda: time.monotonic() + CHECKSUM_SECONDS)

    def __call__(self, run: Run) -> None:
        run.stop()
        now = run.journal.current
        if now.goal != "pause":
            run.engine.keep_up(run)
        if now.state == "soak":
            self._pause_or_go(run, now.goal)
        if run.trees and time.monotonic() >= self._next_files and now.goal != "pause":
            with suppress(_OrderedError):
                self._pass(run, now)
            self._next_files = time.monotonic() + FILES_SECONDS
        if now.state == "soak" and time.monotonic() >= self._next_sums:
            compare(run)
            self._next_sums = time.monotonic() + CHECKSUM_SECONDS
        time.sleep(0.1)

    @staticmethod
    def _pass(run: Run, now: Current) -> None:
        """One pass over every tree towards the side that is not written."""

        def heed() -> None:
            run.stop()
            if run.journal.current != now:
                raise _OrderedError  # a pass may take hours; an order does not wait for it

        seconds: dict[str, float] = {}
        touched: list[object] = []
        trouble: list[str] = []
        to = "target" if now.state == "soak" else "source"
        for tree in run.trees:
            begun = time.monotonic()
            try:
                seen = tree.carry(to=to, stop=heed)
            except FirstbellError as error:
                # Replication goes on; the gate stays closed until a pass succeeds.
                trouble.append(str(error))
                run.journal.fail("file pass", tree=tree.name, error=str(error))
                continue
            if seen["not_kept"]:
                run.journal.remember("not kept", seen["not_kept"])
            seconds[tree.name] = time.monotonic() - begun
            run.journal.note("file pass", tree=tree.name, to=to, **seen)
            found = seen["touched"]
            touched += found if isinstance(found, list) else []
        run.journal.remember("touched files", touched)
        run.journal.remember("file trouble", trouble)
        run.journal.show(file_trouble=trouble or None)
        run.journal.remember("file pass seconds", seconds)

    @staticmethod
    def _pause_or_go(run: Run, goal: str) -> None:
        engine = run.engine
        if not engine.subscribed("forward"):
            return
        running = engine.running("forward")
        if goal == "pause" and running:
            run.effect("pause", lambda: engine.halt("forward"))
            run.journal.outcome(0, "paused; the source keeps its log meanwhile")
        elif goal == "soak" and not running:
            run.effect("resume", lambda: engine.go_on("forward"))
            run.journal.outcome(0, "replicating again")


class _OrderedError(Exception):
    """Somebody gave an order while a file pass was under way."""


def compare(run: Run) -> dict[str, object]:
    """Compare every row while users write, and remember what was found."""
    at, started = run.now().isoformat(), time.monotonic()
    marks = run.engine.marks() if isinstance(run.engine, ChangedChunks) else None
    rows, found = run.engine.compare_live()
    result: dict[str, object] = {
        "at": at,
        "rows": rows,
        "seconds": round(time.monotonic() - started, 3),
        "differences": found,
    }
    if marks is not None and not found and isinstance(run.engine, ChangedChunks):
        # What a cutover may fall back on when its window is too short for all rows.
        seconds = run.engine.seconds_for_changed(marks)
        basis = {"at": at, "marks": marks, "seconds": round(seconds, 3)}
        run.journal.remember("verified basis", basis)
    elif found:
        run.journal.remember("verified basis", None)
    run.journal.remember("last verification", result)
    run.journal.note("compared", **result)
    return result


def carry(
    run: Run,
    *,
    rest: Callable[[Run], None] | None = None,
    watch: bool = True,
    keep: Callable[[], None] = lambda: None,
) -> int:
    """Drive the machine with the locks held; the last outcome's exit code.

    `keep` is called every second while the watch is on.
    """
    lock = run.engine.lock()
    taken: list[InputError] = []
    stop = run.stop

    def look_after() -> None:
        keep()
        # Its session died when the source was restarted; nobody else may have taken it.
        with suppress(*run.engine.away):
            try:
                lock.hold()
            except InputError as error:
                taken.append(error)

    def stop_when_taken() -> None:
        stop()
        if taken:
            raise taken[0]

    run.stop = stop_when_taken
    thread = Watch(run, look_after) if watch else None
    try:
        _retry(run, lock.take)
        _retry(run, lambda: run.source.refuse_other_owner(run.journal.uuid))
        if thread is not None:
            thread.start()
        return drive(run, STATES, rest=rest)
    finally:
        if thread is not None and thread.is_alive():
            thread.end()
        run.stop = stop
        lock.close()
        run.close()


def _retry(run: Run, do: Callable[[], None]) -> None:
    """A server that restarts is waited for; another owner is not."""
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            do()
        except run.engine.away:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def main(arguments: list[str]) -> int:
    """Carry the named migration until it is over, or told to go."""
    # The supervisor starts runners, and so knows this module.
    from cli.migration import supervisor

    migration = arguments[0]
    journal = Journal.open(root(migration) / "journal.db", migration)
    lock = locks.file_lock(migration)
    try:
        lock.acquire(timeout=_LOCK_SECONDS)
    except Timeout:
        raise InputError(
            f"another runner works on migration {migration} on this machine",
            where=str(lock.lock_file),
            fix=f"firstbell migrate status --migration {migration}",
        ) from None
    with lock:
        supervisor.note_process(migration, "runner")
        run = build(migration, journal)
        run.stop = lambda: _end_without(journal)
        journal.show(runner={"pid": os.getpid(), "host": socket.gethostname()})
        while journal.current.state not in FINAL:
            try:
                return carry(run, rest=Rest(), keep=lambda: supervisor.ensure(migration))
            except run.engine.away as error:
                run.stop()
                journal.show(trouble=str(error).strip())
                time.sleep(1)
    return 0


def _end_without(journal: Journal) -> None:
    """Whoever removed the journal does not want what it would say."""
    if not journal.path.exists():
        raise FirstbellError("the journal is gone", where=str(journal.path))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except FirstbellError as failure:
        sys.stderr.write(f"error: {failure}\n")
        sys.exit(failure.exit_code)
