"""What a person may order, and when. Every order is checked before anything is changed.

An order is a row in the journal; the detached runner carries it out, and any terminal may follow.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import timedelta

from cli.migration import (
    durations,
    engines,
    gate,
    locks,
    named,
    runner,
    spec,
    states,
    supervisor,
)
from cli.migration.engine import Finding
from cli.migration.journal import Event, Journal, root
from cli.migration.machine import Run
from cli.migration.phases import (
    ABORTABLE,
    BLOCKED,
    CUTOVER,
    FINAL,
    HUMAN,
    REVERT,
    REVERTIBLE,
    START,
)
from infra.errors import FirstbellError, InputError

_FOLLOW_SECONDS = 0.2
# How long a detached runner may take to be there, on a busy machine.
_RUNNER_SECONDS = 15.0


def opened(migration: str) -> Journal:
    """The journal of a migration that was started.

    Raises:
        InputError: it was not, or the journal is not this migration's.
    """
    return Journal.open(root(migration) / "journal.db", migration)


def looking(migration: str, accepted: Iterable[str] = ()) -> Run:
    """A run for looking only, with a journal in memory when the migration was not started."""
    path = root(migration) / "journal.db"
    journal = Journal.open(path, migration) if path.exists() else Journal.nowhere(migration)
    run = runner.build(migration, journal)
    run.accepted = frozenset({*run.accepted, *accepted})
    return run


def working(migration: str) -> Run:
    """A run of a migration that was started, for what a terminal does beside the runner.

    Raises:
        InputError: it was not started.
    """
    opened(migration).close()
    return looking(migration)


def await_runner(migration: str) -> None:
    """Wait until a runner is there, so that what is shown next is what it does."""
    deadline = time.monotonic() + _RUNNER_SECONDS
    while not locks.alive(migration) and time.monotonic() < deadline:
        time.sleep(_FOLLOW_SECONDS)


def _file(migration: str) -> str:
    return str(named.folder() / f"{migration}.yaml")


def reach(run: Run) -> None:
    """Raises InputError when a server does not answer, or refuses our role."""
    for server in (run.source, run.target):
        try:
            server.ping()
        except run.engine.away as error:
            raise InputError(
                f"the {server.side} {server.address} does not let us in",
                where=f"{_file(run.journal.meta['migration'])}: {server.side}.dsn",
                why=str(error).strip(),
                fix="check host, port, password and who may sign in from this runner, then"
                " firstbell migrate preflight",
            ) from error


def check(migration: str, accepted: Iterable[str] = ()) -> list[Finding]:
    """Preflight: everything found, blockers first; changes nothing."""
    run = looking(migration, accepted)
    try:
        reach(run)
        for server in (run.source, run.target):
            if server.installed():
                server.refuse_other_owner(run.journal.uuid)
        run.engine.find_programs()
        return states.findings(run)
    finally:
        run.close()


def start(migration: str, accepted: Iterable[str] = ()) -> None:
    """Begin: preflight, then a journal, then a detached runner.

    Raises:
        InputError: it was started before, or there are blockers.
    """
    path = root(migration) / "journal.db"
    if path.exists():
        Journal.create(path, migration)  # says what to do
    wanted = frozenset(accepted)
    blockers = [each for each in check(migration, wanted) if each.blocks(wanted)]
    if blockers:
        raise InputError(
            "preflight found what must not be: " + "; ".join(str(each) for each in blockers),
            where=_file(migration),
            fix="mend it, or accept by name what preflight lets you accept: --accept NAME;"
            " firstbell migrate preflight explains each",
        )
    journal = Journal.create(path, migration)
    journal.remember("accepted", sorted(wanted))
    journal.close()
    supervisor.ensure(migration)


def _order(migration: str, journal: Journal, goal: str, **data: object) -> int:
    """Write an order, see to it that a runner lives, and say from which event to follow."""
    last = journal.events()
    journal.order(goal, **data)
    supervisor.ensure(migration)
    return last[-1].n if last else 0


def refuse_unless(
    journal: Journal, what: str, *, allowed: Iterable[str], instead: str = "status"
) -> None:
    """Raises InputError when an order does not fit where the migration stands."""
    now = journal.current
    if now.state not in allowed:
        raise InputError(
            f"{what} is not possible in {now.state}",
            where=f"migration {journal.meta['migration']}",
            fix=f"firstbell migrate {instead}",
        )


def cutover(migration: str, window: timedelta | None = None, confirm: str | None = None) -> int:
    """Order the cutover; the number of the last event before it.

    Raises:
        InputError: it does not soak, was never rehearsed, the gate is closed, or there is no way
            back from `switch` and nobody confirmed that.
    """
    journal = opened(migration)
    refuse_unless(journal, "cutover", allowed=("soak",), instead="status")
    if journal.current.goal == "pause":
        raise InputError("replication is paused", fix="firstbell migrate resume")
    gate.refuse(evaluate(migration, window))
    read = spec.load(named.folder() / f"{migration}.yaml")
    if confirm != migration and not engines.between(migration, read).reversible:
        raise InputError(
            "there is no way back from switch on: it is the point of no return",
            where="--confirm",
            fix=f"firstbell migrate cutover --confirm {migration}",
        )
    if window is not None:
        journal.remember("window length", durations.show_duration(window))
    return _order(migration, journal, "cutover")


def evaluate(migration: str, window: timedelta | None = None) -> list[gate.Item]:
    """The go/no-go list as of now; changes nothing."""
    journal = opened(migration)
    refuse_unless(journal, "cutover", allowed=("soak",), instead="status")
    run = runner.build(migration, journal)
    run.window = window
    try:
        reach(run)
        return gate.evaluate(run)
    finally:
        run.close()


def abort(migration: str, *, discard: bool = False) -> int:
    """Order the way back before switch's intent; with `discard`, give the migration up."""
    journal = opened(migration)
    if discard:
        refuse_unless(journal, "abort --discard", allowed=START, instead="abort, or revert first")
        return _order(migration, journal, "discard")
    if journal.current.state in REVERTIBLE:
        refuse_unless(journal, "abort", allowed=ABORTABLE, instead="revert")
    refuse_unless(journal, "abort", allowed=("gate", *ABORTABLE), instead="status")
    return _order(migration, journal, "back")


def revert(migration: str) -> int:
    """Order the way back from the target."""
    journal = opened(migration)
    if journal.fact("reverse lost"):
        error = FirstbellError(
            "the way back is lost: replication from the target cannot go on",
            fix="users stay on the target; firstbell migrate commit, or restore a backup",
        )
        error.exit_code = HUMAN
        raise error
    if journal.current.state == "committed":
        raise InputError(
            "there is no way back after commit", fix="migrate again, the other way round"
        )
    instead = "abort" if journal.current.state in ABORTABLE else "status"
    refuse_unless(journal, "revert", allowed=REVERTIBLE, instead=instead)
    return _order(migration, journal, "back")


def commit(migration: str, confirm: str | None) -> int:
    """Order the point of no return."""
    journal = opened(migration)
    if confirm != migration:
        raise InputError(
            "commit is for good; say the migration's name"
            if confirm is None
            else f"commit is for good, and {confirm!r} is not this migration's name",
            where="--confirm",
            fix=f"firstbell migrate commit --confirm {migration}",
        )
    refuse_unless(journal, "commit", allowed=("hold",), instead="status")
    return _order(migration, journal, "commit")


def pause(migration: str) -> int:
    """Order replication to stand still; only before the fence."""
    journal = opened(migration)
    instead = "abort" if journal.current.state in (*CUTOVER, *REVERT) else "status"
    refuse_unless(journal, "pause", allowed=("soak",), instead=instead)
    return _order(migration, journal, "pause")


def resume(migration: str) -> int:
    """Order replication, or a start that failed, to go on; a dead runner lives again.

    Returns the number of the last event before the order.
    """
    journal = opened(migration)
    now = journal.current
    if now.state in FINAL:
        raise InputError(f"the migration is {now.state}", fix="firstbell migrate report")
    goal = "soak" if now.state in START else now.goal
    return _order(migration, journal, goal)


def extend(migration: str, length: timedelta, confirm: str | None) -> None:
    """Move the end of the window and every latest finish."""
    journal = opened(migration)
    if confirm != migration:
        raise InputError(
            "a longer window keeps users waiting; say the migration's name"
            if confirm is None
            else f"{confirm!r} is not this migration's name",
            where="--confirm",
            fix=f"firstbell migrate cutover --extend-by … --confirm {migration}",
        )
    refuse_unless(journal, "--extend-by", allowed=CUTOVER, instead="cutover --window LENGTH")
    journal.note("extended", by=durations.show_duration(length))
    gate.extend(journal, length)


def follow(
    migration: str, since: int, show: Callable[[Event], None] = lambda _event: None
) -> tuple[int, str]:
    """Show events until an order's outcome is known: exit code and text."""
    journal = opened(migration)
    try:
        while True:
            for event in journal.events(since):
                since = event.n
                show(event)
                if event.phase == "outcome":
                    code = event.data.get("code")
                    return (code if isinstance(code, int) else BLOCKED), str(event.data["text"])
            supervisor.ensure(migration)
            time.sleep(_FOLLOW_SECONDS)
    finally:
        journal.close()


def adopt(migration: str) -> str:
    """Rebuild a lost journal from what stands on both databases; the state that was found.

    Raises:
        InputError: there is a journal, or nothing of this migration on the databases.
    """
    path = root(migration) / "journal.db"
    if path.exists():
        raise InputError(
            "there is a journal", where=str(path), fix=f"firstbell migrate status -m {migration}"
        )
    run = looking(migration)
    try:
        reach(run)
        source, target = run.source, run.target
        if not (source.installed() and target.installed()):
            raise InputError(
                f"neither side knows migration {migration!r}", fix="firstbell migrate start"
            )
        owner = source.owner()
        if owner is None or owner[0] != migration:
            raise InputError(f"the source belongs to migration {owner and owner[0]!r}")
        open_source, open_target = source.open_to_applications(), target.open_to_applications()
        forward = run.engine.subscribed("forward")
        back = run.engine.subscribed("back")
        copied = target.copied()
        if open_target and back and not open_source:
            state, goal, direction = "hold", "cutover", "forward"
        elif open_source and forward and not open_target:
            state, goal, direction = "soak", "soak", "forward"
        elif open_source and not open_target and copied and not run.engine.lost("forward"):
            # On the way back, users are in already and replication is not armed yet.
            state, goal, direction = "abort", "back", "back"
        elif open_source and not open_target and not copied:
            state, goal, direction = "copy", "soak", "forward"
        elif not open_source and not open_target and forward:
            # In the middle of a cutover, before the flip was complete: the safe way is back.
            state, goal, direction = "abort", "back", "back"
        elif not open_source and not open_target and back:
            state, goal, direction = "back_drain", "back", "back"
        else:
            raise InputError(
                "what stands on the databases fits no state of a migration",
                fix="look at it with a person who knows both databases",
            )
        journal = Journal.create(path, migration, identity=owner[1])
        journal.remember("turned", {"code": 0, "reason": "the journal was lost", "from": "adopt"})
        journal.go(state, goal=goal, direction=direction, adopted=True)
        if state in ("soak", "hold"):
            run.journal = journal
            states.remember_baseline(run)
        journal.close()
    finally:
        run.close()
    supervisor.ensure(migration)
    return state
