"""The go/no-go list: what must be true before the fence, each item a fact or a person's word."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from cli.migration import budget, programs
from cli.migration.durations import parse_duration, show_duration
from cli.migration.engine import Stream
from cli.migration.journal import Journal
from cli.migration.machine import Run
from cli.migration.phases import (
    TIMED,
)
from cli.migration.spec import NOBODY, REQUIRED_GATE
from infra.errors import FirstbellError, InputError, MismatchError

# More than this is no lag that a drain inside the fence should begin with.
MOST_LAG_BYTES: Final = 64 * 1024 * 1024
# The same, for an engine that knows its lag in time.
MOST_LAG_SECONDS: Final = 60.0

CHANGED_CHUNKS: Final = "changed chunks"
# More will have been written by the time of the fence than when it was measured.
_MORE_CHANGES: Final = 2.0


@dataclass(frozen=True)
class Item:
    """One item of the list."""

    name: str
    green: bool
    detail: str
    # A red item that says the sides differ ends a cutover with exit 3, others with 2.
    differs: bool = False


def rehearsals(run: Run) -> list[budget.Rehearsal]:
    """The rehearsals that were finished, oldest first."""
    kept = run.journal.fact("rehearsals")
    return [
        budget.Rehearsal(
            at=datetime.fromisoformat(each["at"]),
            steps=each["steps"],
            revert=each["revert"],
            rows=each["rows"],
            bytes=each["bytes"],
        )
        for each in (kept if isinstance(kept, list) else [])
    ]


def window(run: Run) -> timedelta:
    """The window that was asked for, or the file's."""
    if run.window is not None:
        return run.window
    asked = run.journal.fact("window length")
    return parse_duration(asked) if isinstance(asked, str) else run.spec.window


def live_estimates(run: Run, done: list[budget.Rehearsal]) -> dict[str, float]:
    """Seconds per step from what is true now: the backlog, the rows, the files, the old TTL."""
    estimates: dict[str, float] = {"switch": run.spec.switch.old_ttl.total_seconds()}
    if run.rehearsing:
        return {}
    stream = run.engine.stream("forward")
    rate = run.journal.fact("apply rate")
    if stream is not None and isinstance(rate, int | float) and rate > 0:
        estimates["drain"] = stream.behind_bytes / rate
    rows, _ = run.engine.sizes()
    if done and done[-1].rows:
        # A scratch copy of today's size: more rows take proportionally longer.
        estimates["verify"] = done[-1].steps.get("verify", 0.0) * rows / done[-1].rows
    passes = run.journal.fact("file pass seconds")
    if isinstance(passes, Mapping):
        estimates["finalize"] = max((each.steps.get("finalize", 0.0) for each in done), default=0.0)
        estimates["finalize"] += sum(float(seconds) for seconds in passes.values())
    return estimates


def plan(run: Run) -> budget.Budget | None:
    """The budget as of now, or None without a rehearsal."""
    done = rehearsals(run)
    if not done:
        return None
    planned = budget.plan(window(run), TIMED, done, live_estimates(run, done))
    basis = run.journal.fact("verified basis")
    if planned.fits or run.rehearsing or not isinstance(basis, dict):
        return planned
    # All rows do not fit: what was written since all of them were equal, and counts of the rest.
    seconds = float(basis["seconds"])
    since = f"{CHANGED_CHUNKS} since {datetime.fromisoformat(str(basis['at'])):%m-%d %H:%M} UTC"
    verify = budget.Step("verify", seconds, seconds * _MORE_CHANGES, since)
    steps = tuple(verify if step.name == "verify" else step for step in planned.steps)
    shorter = replace(planned, steps=steps)
    return shorter if shorter.fits else planned


def by_changed_chunks(planned: budget.Budget) -> bool:
    """Whether the plan compares by changed chunks."""
    return any(step.basis.startswith(CHANGED_CHUNKS) for step in planned.steps)


def evaluate(run: Run) -> list[Item]:
    """Every item of the list as it stands now."""
    from cli.migration import states

    items: list[Item] = []
    if not run.rehearsing:
        items += _spoken(run)
        items.append(_programs(run))
        planned = plan(run)
        if planned is None:
            items.append(Item("rehearsed", False, "no rehearsal: firstbell migrate rehearse"))
        else:
            items.append(Item("rehearsed", True, planned.honesty))
            items.append(
                Item(
                    "window",
                    planned.fits,
                    f"P90 {_seconds(planned.total)} of at most {_seconds(planned.allowed)}"
                    f" (window {show_duration(planned.window)} less revert"
                    f" {_seconds(planned.revert)})"
                    + (
                        "; all rows do not fit, so verify compares changed chunks and counts"
                        if by_changed_chunks(planned)
                        else ""
                    ),
                )
            )
    changed = states.drift(run)
    items.append(
        Item("schema", not changed, "; ".join(str(each) for each in changed[:5]) or "equal", True)
    )
    ready, total = run.engine.tables_ready()
    items.append(Item("tables", ready == total > 0, f"{ready} of {total} follow the stream"))
    stream = run.engine.stream("forward")
    if stream is None or stream.lost:
        items.append(Item("replication", False, "lost: firstbell migrate abort --discard"))
    else:
        items.append(
            Item(
                "lag",
                stream.behind_bytes <= MOST_LAG_BYTES
                and (stream.behind_seconds or 0) <= MOST_LAG_SECONDS,
                _lag(stream),
            )
        )
    if run.source.prepared_transactions():
        items.append(Item("prepared transactions", False, "they would commit after the fence"))
    bad = run.journal.fact("last verification")
    if isinstance(bad, dict) and bad.get("differences"):
        items.append(Item("verification", False, f"{len(bad['differences'])} differences", True))
    touched = run.journal.fact("touched files")
    if isinstance(touched, list) and touched:
        names = ", ".join(str(name) for name in touched[:5])
        items.append(Item("files", False, f"changed on the receiving side: {names}", True))
    trouble = run.journal.fact("file trouble")
    if isinstance(trouble, list) and trouble:
        items.append(Item("file passes", False, "; ".join(str(each) for each in trouble)))
    return items


def _programs(run: Run) -> Item:
    """Whether this runner has every program that the cutover, or its way back, will start."""
    application = run.spec.application
    commands = [
        *programs.of_side("application.source", application.source),
        *programs.of_side("application.target", application.target),
        *programs.of_ways("switch", run.spec.switch),
        *programs.of_tests(application.smoke),
    ]
    missing = programs.missing(commands)
    return Item(
        "programs",
        not missing,
        f"not on this runner: {', '.join(missing)}" if missing else f"{len(commands)} are here",
    )


def refuse(items: list[Item]) -> None:
    """Raises InputError when an item is red, MismatchError when one says that the sides differ."""
    red = [item for item in items if not item.green]
    if not red:
        return
    kind = MismatchError if any(item.differs for item in red) else InputError
    raise kind(
        "the gate is closed: " + "; ".join(f"{item.name}: {item.detail}" for item in red),
        fix="firstbell migrate cutover --dry-run shows every item",
    )


def _spoken(run: Run) -> list[Item]:
    items: list[Item] = []
    named = {each.name: each for each in run.spec.gate}
    for name in dict.fromkeys((*REQUIRED_GATE, *named)):
        item = named.get(name)
        if item is None:
            items.append(Item(name, False, "nobody answers for it: add it under gate:"))
        elif item.attested == NOBODY:
            items.append(Item(name, False, "nobody attests it yet: write who, and when"))
        elif item.attested is not None:
            items.append(Item(name, True, f"attested by {item.attested}"))
        else:
            try:
                Run.command(f"gate {name}", item.command or [])
            except FirstbellError as error:
                items.append(Item(name, False, str(error)))
            else:
                items.append(Item(name, True, "command exited with 0"))
    return items


def _lag(stream: Stream) -> str:
    if stream.behind_seconds is None:
        return f"{stream.behind_bytes / 1e6:.1f} MB behind"
    if math.isinf(stream.behind_seconds):
        return "CloudWatch has no latency of the last minutes"
    return f"{stream.behind_seconds:.0f} s behind"


def _seconds(value: float) -> str:
    return show_duration(timedelta(seconds=value))


def open_window(run: Run) -> None:
    """Write down when the window ends and when each step must be over."""
    planned = plan(run)
    if planned is None:
        return
    start = run.now()
    basis, since = run.journal.fact("verified basis"), None
    if by_changed_chunks(planned) and isinstance(basis, dict):
        since = basis["marks"]
    run.journal.remember("verify since", since)
    run.journal.remember("reverse lost", value=False)
    run.journal.remember(
        "window",
        {
            "start": start.isoformat(),
            "end": (start + planned.window).isoformat(),
            "revert_seconds": planned.revert,
            "honesty": planned.honesty,
        },
    )
    run.journal.remember(
        "latest_finish",
        {name: at.isoformat() for name, at in planned.latest_finish(start).items()},
    )


def extend(journal: Journal, length: timedelta) -> None:
    """Move the window's end and every latest finish."""
    window = journal.fact("window")
    if isinstance(window, dict):
        end = datetime.fromisoformat(str(window["end"])) + length
        journal.remember("window", {**window, "end": end.isoformat()})
    latest = journal.fact("latest_finish")
    if isinstance(latest, dict):
        journal.remember(
            "latest_finish",
            {
                name: (datetime.fromisoformat(str(at)) + length).isoformat()
                for name, at in latest.items()
            },
        )
