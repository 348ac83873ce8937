"""The state machine: drives a migration from state to state, and back when it must.

The table of states stands in `states.py`. This module knows the order of states, what a request or
a failure means in each, and nothing of databases. Every action probes the world and is safe to
repeat, so a resumed state simply runs again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, cast

from cli.migration.engine import Engine, NeedsHumanError, Server
from cli.migration.journal import Journal
from cli.migration.phases import (
    ABORTABLE,
    BLOCKED,
    CUTOVER,
    DONE,
    ERROR,
    FINAL,
    HUMAN,
    LATE,
    MISMATCH,
    REVERT,
    REVERTIBLE,
    START,
    TIMED,
)
from cli.migration.spec import Spec
from infra.errors import FirstbellError, InputError, MismatchError

if TYPE_CHECKING:
    from cli.migration.files import Tree

_POLL_SECONDS: Final = 0.05
_RETRY_SECONDS: Final = 0.5
_COMMAND_SECONDS: Final = 600.0
_COMMAND_LOOK_SECONDS: Final = 0.1


class GoBack(Exception):  # noqa: N818 (an order, not a fault)
    """The cutover must not go on; users go back to where they were."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass
class Run:
    """What an action is handed."""

    name: str
    spec: Spec
    journal: Journal
    engine: Engine
    trees: Sequence[Tree] = ()
    accepted: frozenset[str] = frozenset()
    rehearsing: bool = False
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    # The rehearsal that is under way cannot be turned back by orders to the real migration.
    stop: Callable[[], None] = lambda: None
    # The window that a dry run asks about, in the place of the file's.
    window: timedelta | None = None

    @property
    def source(self) -> Server:
        return self.engine.source

    @property
    def target(self) -> Server:
        return self.engine.target

    def close(self) -> None:
        """Close the connections to both databases; they are opened again when needed."""
        self.source.close()
        self.target.close()

    def effect(self, step: str, do: Callable[[], object], **data: object) -> None:
        """Make one idempotent change: intent, effect, evidence."""
        self.journal.intent(step, **data)
        evidence = do()
        self.journal.done(step, seen=evidence)

    def wait(self, what: str, ready: Callable[[], bool]) -> None:
        """Wait until the world is so; orders and the latest finish are heeded meanwhile."""
        self.journal.show(waiting=what)
        while not ready():
            self.checkpoint()
            time.sleep(_POLL_SECONDS)
        self.journal.show(waiting=None)

    def checkpoint(self) -> None:
        """Raises GoBack when a person ordered it, or when the state is past its latest finish."""
        self.stop()
        now = self.journal.current
        if now.direction == "back" or now.state not in (*ABORTABLE, *REVERTIBLE):
            return
        if now.goal == "back":
            order = self.journal.last("order")
            raise GoBack(DONE, f"ordered by {order.by if order else 'a person'}")
        latest = self.latest_finish(now.state)
        if latest is not None and self.now() > latest:
            raise GoBack(
                LATE,
                f"{now.state} was not finished by {latest:%H:%M:%S} UTC, its latest finish",
            )

    def latest_finish(self, state: str) -> datetime | None:
        """When a timed state must be over, as the gate computed it."""
        table = self.journal.fact("latest_finish")
        if state not in TIMED or not isinstance(table, dict) or state not in table:
            return None
        return datetime.fromisoformat(str(table[state]))

    def commands(self, step: str, commands: Sequence[Sequence[str]]) -> None:
        """Run the application's commands as one effect; they may run again after a crash.

        Raises:
            FirstbellError: a command failed or took longer than ten minutes.
        """
        if commands:
            self.effect(
                step,
                lambda: [self.command(step, command, self.checkpoint) for command in commands],
            )

    @staticmethod
    def command(step: str, command: Sequence[str], check: Callable[[], None] = lambda: None) -> str:
        """Run one command; `check` is called meanwhile and may raise, which ends the command.

        Raises:
            FirstbellError: it failed or took longer than ten minutes.
        """
        Run.output(step, command, check)
        return f"{command[0]}: 0"

    @staticmethod
    def output(step: str, command: Sequence[str], check: Callable[[], None] = lambda: None) -> str:
        """As `command`, but for what it printed.

        Raises:
            FirstbellError: as `command`.
        """
        deadline = time.monotonic() + _COMMAND_SECONDS
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        except OSError as error:
            raise FirstbellError(f"{step}: {command[0]} did not run", why=str(error)) from error
        with process:
            output = ""
            try:
                while True:
                    try:
                        output, _ = process.communicate(timeout=_COMMAND_LOOK_SECONDS)
                        break
                    except subprocess.TimeoutExpired:
                        check()
                        if time.monotonic() > deadline:
                            raise FirstbellError(
                                f"{step}: {command[0]} took longer than ten minutes"
                            ) from None
            except BaseException:
                # It may have started others, which keep its output open.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise
        if process.returncode:
            raise FirstbellError(
                f"{step}: {command[0]} exited with {process.returncode}",
                why=output.strip()[-2000:],
            )
        return output


@dataclass(frozen=True)
class State:
    """One state: what it does, and what must hold before it is left.

    `act` and `check` are safe to repeat. `undo` names the state that takes it back.
    """

    name: str
    act: Callable[[Run], None]
    check: Callable[[Run], None]
    undo: str


Table = Mapping[str, State]

NEXT: Final[Mapping[str, str]] = {
    **dict(pairwise(START)),
    **dict(pairwise(CUTOVER)),
    **dict(pairwise(REVERT)),
    "abort": "soak",
    "back_switch": "soak",
    "commit": "committed",
    "discard": "discarded",
}


def drive(run: Run, table: Table, *, rest: Callable[[Run], None] | None = None) -> int:
    """Go until the migration rests (and `rest` is None) or is over; the last outcome's code.

    `rest` is called again and again while there is nothing to do; it returns for a look at orders.
    """
    while True:
        now = run.journal.current
        if now.state in FINAL:
            return DONE
        if now.state not in ("soak", "hold"):
            _step(run, table[now.state])
        elif (ordered := _ordered(run)) is not None:
            _enter(run, ordered)
        elif rest is None:
            return _last_code(run)
        else:
            try:
                rest(run)
            except run.engine.away as error:
                _away(run, error)


def _away(run: Run, error: Exception) -> None:
    """A server or the network is away: look again until it is back or the time is over."""
    run.close()
    run.journal.show(trouble=f"{run.journal.current.state}: {str(error).strip()}")
    time.sleep(_RETRY_SECONDS)


def _step(run: Run, state: State) -> None:
    """Run one state once: on to the next, back, or here again."""
    try:
        state.act(run)
        state.check(run)
        run.checkpoint()
    except GoBack as order:
        _turn(run, order.code, order.reason)
    except run.engine.away as error:
        _away(run, error)
        try:
            run.checkpoint()
        except GoBack as order:
            _turn(run, order.code, f"{order.reason}; {str(error).strip()}")
    except MismatchError as error:
        _failed(run, MISMATCH, error)
    except InputError as error:
        _failed(run, BLOCKED, error)
    except FirstbellError as error:
        _failed(run, HUMAN if isinstance(error, NeedsHumanError) else ERROR, error)
    except Exception as error:
        # Whatever it is, users must not be kept waiting inside a fence for it.
        run.journal.show(traceback=traceback.format_exc())
        wrapped = FirstbellError(f"{type(error).__name__}: {str(error).strip()}")
        wrapped.__cause__ = error
        _failed(run, ERROR, wrapped)
    else:
        run.journal.show(trouble=None)
        _advance(run, state.name)


def _ordered(run: Run) -> str | None:
    """The state that a resting migration was told to enter, or None."""
    now = run.journal.current
    return {
        ("soak", "cutover"): "gate",
        ("soak", "discard"): "discard",
        ("hold", "back"): "back_fence",
        ("hold", "commit"): "commit",
    }.get((now.state, now.goal))


def _enter(run: Run, state: str) -> None:
    if state == "back_fence":
        if _way_back_lost(run):
            return
        order = run.journal.last("order")
        run.journal.remember("turned", {"code": DONE, "reason": "ordered", "from": "hold"})
        run.journal.go(state, direction="back", by=order.by if order else None)
        return
    run.journal.go(state)


def _advance(run: Run, state: str) -> None:
    after = NEXT[state]
    attempt = run.journal.current.attempt
    if state in ("abort", "back_switch"):
        turned = cast("dict[str, Any]", run.journal.fact("turned"))
        run.journal.go(
            after,
            goal="soak",
            direction="forward",
            attempt=attempt + 1,
            outcome=(int(turned["code"]), f"back on the source: {turned['reason']}"),
        )
        return
    texts = {
        "soak": "replicating; the source is written",
        "hold": "users are on the target; replication runs back"
        if run.engine.reversible
        else "users are on the target; there is no way back",
        "committed": "the target stays; everything of ours is removed",
        "discarded": "the target is empty; everything of ours is removed",
    }
    run.journal.go(after, outcome=(DONE, texts[after]) if after in texts else None)


def _way_back_lost(run: Run) -> bool:
    """Whether nothing can flow back; users stay there then, as a fence would strand them."""
    if not run.engine.lost("back"):
        return False
    run.journal.remember("reverse lost", value=True)
    text = (
        "the way back is lost: replication from the target cannot go on; users stay on the target"
        if run.engine.reversible
        else "there is no way back from switch on; users stay on the target: mend it there"
    )
    run.journal.go("hold", goal="cutover", outcome=(HUMAN, text))
    return True


def _turn(run: Run, code: int, reason: str) -> None:
    """Begin the way back from a state of the cutover."""
    state = run.journal.current.state
    run.journal.fail(state, code=code, reason=reason)
    run.journal.remember("turned", {"code": code, "reason": reason, "from": state})
    run.journal.show(trouble=reason)
    if state in ABORTABLE:
        run.journal.go("abort", goal="back", direction="back")
    elif not _way_back_lost(run):
        run.journal.go("back_fence", goal="back", direction="back")


def _failed(run: Run, code: int, error: FirstbellError) -> None:
    """A state failed in a way that waiting does not mend."""
    now = run.journal.current
    if now.state in (*ABORTABLE, *REVERTIBLE):
        _turn(run, code, str(error))
        return
    run.journal.fail(now.state, code=code, error=str(error))
    run.journal.show(trouble=f"{now.state}: {error}")
    if now.state == "gate":
        run.journal.go("soak", goal="soak", outcome=(code, str(error)))
        return
    if now.direction == "back" or now.state in ("commit", "discard"):
        # There is no way back from the way back: keep trying, and call a person.
        run.journal.outcome(HUMAN, f"{now.state} fails: {error}")
        pause = time.monotonic() + 10 * _RETRY_SECONDS
        while time.monotonic() < pause:
            run.stop()
            time.sleep(_POLL_SECONDS)
        return
    run.journal.outcome(code, str(error))
    raise error


def _last_code(run: Run) -> int:
    last = run.journal.last("outcome")
    code = last.data.get("code") if last else DONE
    return code if isinstance(code, int) else DONE


def elapsed(journal: Journal, attempt: int) -> dict[str, timedelta]:
    """How long each state of an attempt took, from the journal."""
    taken: dict[str, timedelta] = {}
    entered: tuple[str, datetime] | None = None
    for event in journal.events():
        if event.phase != "enter":
            continue
        if entered is not None:
            taken[entered[0]] = taken.get(entered[0], timedelta()) + (event.at - entered[1])
        entered = (event.step, event.at) if event.attempt == attempt else None
    return taken
