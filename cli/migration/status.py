"""What a migration is at, from the journal and from what the runner last saw.

The first line answers: who can write now, how much time is left, what happens next if nobody acts,
the next command. When no runner is alive the databases are asked directly.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from cli.migration import locks
from cli.migration.durations import show_duration
from cli.migration.journal import Journal
from cli.migration.phases import (
    ABORTABLE,
    CUTOVER,
    FINAL,
    REVERT,
    START,
    TIMED,
)
from infra.errors import InputError

if TYPE_CHECKING:
    from cli.migration.engine import Server

# What the runner published longer ago than this is not "now".
_FRESH: Final = timedelta(seconds=5)
# A source behind commands of its own may need some seconds.
_ANSWER_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Status:
    """A migration at a moment."""

    migration: str
    state: str
    goal: str
    direction: str
    attempt: int
    writable: dict[str, bool] | None
    # Why `writable` is not known, one part a side; empty when it is.
    unanswered: str
    runner_alive: bool
    seconds_left: float | None
    latest_finish: str | None
    happens_next: str
    next_command: str
    progress: dict[str, Any]
    last_outcome: dict[str, object] | None
    revert_possible: bool
    rehearsals: int

    @property
    def first_line(self) -> str:
        """Who can write, time left, what happens next if nobody acts, the next command."""
        if self.writable is None:
            who = f"unknown who can write ({self.unanswered})"
        else:
            open_sides = [side for side, open_ in self.writable.items() if open_]
            who = f"{' and '.join(open_sides) or 'nobody'} can write"
            who = f"users can write on the {open_sides[0]}" if len(open_sides) == 1 else who
        left = "no deadline"
        if self.seconds_left is not None:
            left = f"{show_duration(timedelta(seconds=self.seconds_left))} left for {self.state}"
        return f"{who} · {left} · {self.happens_next} · next: {self.next_command}"

    def to_json(self) -> dict[str, object]:
        return {"first_line": self.first_line, **vars(self)}


def read(migration: str, journal: Journal, *, now: datetime | None = None) -> Status:
    """Look; changes nothing.

    Raises:
        InputError: the migration's file, a reference in it or a server it leads to is not usable.
    """
    moment = now or datetime.now(UTC)
    current = journal.current
    alive = locks.alive(migration)
    seen = journal.progress()
    writable: dict[str, bool] | None = None
    unanswered = ""
    if alive and "writable" in seen and moment - seen["writable"][0] < _FRESH:
        writable = cast("dict[str, bool]", seen["writable"][1])
    elif current.state not in FINAL:
        writable, unanswered = _ask(migration)
    elif current.state == "committed":
        writable = {"source": False, "target": True}
    else:
        writable = {"source": True, "target": False}
    latest, left = _deadline(journal, current.state, current.direction, moment)
    kept = journal.fact("rehearsals")
    outcome = journal.last("outcome")
    lost = bool(journal.fact("reverse lost"))
    return Status(
        migration,
        current.state,
        current.goal,
        current.direction,
        current.attempt,
        writable,
        unanswered,
        alive,
        left,
        latest,
        _next(current.state, current.goal, alive=alive, lost=lost),
        "firstbell migrate "
        + _command(
            migration, current.state, current.goal, rehearsed=bool(kept), alive=alive, lost=lost
        ),
        # Nobody looks any more when all is over, and what was seen last is no more.
        {}
        if current.state in FINAL
        else {key: value for key, (_, value) in sorted(seen.items()) if value is not None},
        None if outcome is None else {"at": outcome.at.isoformat(), **outcome.data},
        current.state in ("switch", "smoke", "hold") and not lost,
        len(kept) if isinstance(kept, list) else 0,
    )


def _ask(migration: str) -> tuple[dict[str, bool] | None, str]:
    """Ask both databases at once; None and the reason when one gives no answer in time.

    Raises:
        InputError: the migration's file, a reference in it or a server it leads to is not usable.
    """
    from cli.migration import engines

    answers: dict[str, bool] = {}
    failures: dict[str, Exception] = {}

    def ask(server: Server) -> None:
        try:
            answers[server.side] = server.open_to_applications()
            server.close()
        except Exception as error:
            failures[server.side] = error

    sides = engines.sides(migration)
    threads = [threading.Thread(target=ask, args=(each,), daemon=True) for each in sides]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + _ANSWER_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    missing = [each.side for each in sides if each.side not in answers]
    for side in missing:
        if isinstance(error := failures.get(side), InputError):
            raise error
    if missing:
        return None, "; ".join(_why(side, failures.get(side)) for side in missing)
    return {each.side: answers[each.side] for each in sides}, ""


def _why(side: str, error: Exception | None) -> str:
    """What a side's driver said, in one line; drivers name accounts and files, never a password."""
    said = str(error.args[-1] if error.args else "").strip() if error is not None else ""
    if isinstance(error, OSError):
        said = str(error)
    line = said.partition("\n")[0] or (type(error).__name__ if error is not None else "")
    return f"the {side} does not answer" + (f": {line}" if line else "")


def _deadline(
    journal: Journal, state: str, direction: str, now: datetime
) -> tuple[str | None, float | None]:
    table = journal.fact("latest_finish")
    if direction == "back" or state not in TIMED or not isinstance(table, dict):
        return None, None
    text = str(cast("dict[str, object]", table).get(state, ""))
    if not text:
        return None, None
    return text, (datetime.fromisoformat(text) - now).total_seconds()


def _next(state: str, goal: str, *, alive: bool, lost: bool) -> str:
    """What happens next if nobody acts."""
    answers = (
        (state == "committed", "the migration is over"),
        (state == "discarded", "nothing of the migration is left"),
        (not alive, "nothing moves, because no runner is alive"),
        (state == "soak" and goal == "pause", "replication is paused"),
        (state == "soak", "replication goes on"),
        (state == "hold" and lost, "users stay on the target; there is no way back"),
        (state == "hold", "users stay on the target, replication runs back"),
        (state in START, "the first copy goes on until the target soaks"),
        (state in (*REVERT, "abort"), "users go back to the source"),
        (state in CUTOVER, "the cutover goes on, and goes back by itself when a step is late"),
        (True, f"{state} goes on"),
    )
    return next(text for holds, text in answers if holds)


def _command(
    migration: str, state: str, goal: str, *, rehearsed: bool, alive: bool, lost: bool
) -> str:
    answers = (
        (state in FINAL, "report"),
        (not alive or (state == "soak" and goal == "pause"), "resume"),
        (state == "soak" and rehearsed, "cutover --dry-run"),
        (state == "soak", "rehearse"),
        (state == "hold" and lost, f"commit --confirm {migration}"),
        (state == "hold", f"revert, or commit --confirm {migration}"),
        (state in ABORTABLE, "abort"),
        (True, "status"),
    )
    return next(text for holds, text in answers if holds)
