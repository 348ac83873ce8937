"""What happened, from the journal: attempts, how long each state took, the write outage.

The outage is what the journal can know: from the moment the logins were taken on one side to the
moment they were given on the other. Where a proof writer ran, its own measure is put beside it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from cli.migration.durations import show_duration
from cli.migration.journal import Event, Journal
from cli.migration.machine import elapsed

_TAKEN: Final = "take logins away on "
_GIVEN: Final = "give logins back on "


def outages(events: list[Event]) -> list[dict[str, object]]:
    """Each time in which no side took writes: from the fence's intent to the opening's evidence."""
    found: list[dict[str, object]] = []
    closed: Event | None = None
    for event in events:
        if event.phase == "intent" and event.step.startswith(_TAKEN) and closed is None:
            closed = event
        if event.phase == "done" and event.step.startswith(_GIVEN) and closed is not None:
            found.append(
                {
                    "from": closed.step.removeprefix(_TAKEN),
                    "to": event.step.removeprefix(_GIVEN),
                    "at": closed.at.isoformat(),
                    "seconds": round((event.at - closed.at).total_seconds(), 3),
                }
            )
            closed = None
    return found


def build(journal: Journal) -> dict[str, object]:
    """The report's content, for people and for `--json`."""
    events = journal.events()
    attempts = sorted({event.attempt for event in events})
    compared = [event for event in events if event.step == "verify" and event.phase == "done"]
    return {
        "migration": journal.meta["migration"],
        "by": journal.meta["user"],
        "started": journal.meta["created"],
        "state": journal.current.state,
        "attempts": [
            {
                "attempt": attempt,
                "states": {
                    name: round(length.total_seconds(), 3)
                    for name, length in elapsed(journal, attempt).items()
                },
            }
            for attempt in attempts
        ],
        "write_outages": outages(events),
        "verified": [{"at": event.at.isoformat(), **event.data} for event in compared],
        "orders": [
            {"at": event.at.isoformat(), "order": event.step, "by": event.by}
            for event in events
            if event.phase == "order"
        ],
        "outcomes": [
            {"at": event.at.isoformat(), **event.data}
            for event in events
            if event.phase == "outcome"
        ],
        "failures": [
            {"at": event.at.isoformat(), "state": event.state, **event.data}
            for event in events
            if event.phase == "fail"
        ],
        "not_kept": journal.fact("not kept"),
        "fenced_for_good": journal.fact("fenced for good"),
    }


def markdown(journal: Journal) -> str:
    """The report as Markdown."""
    events = journal.events()
    lines = [
        f"# Migration {journal.meta['migration']}: report",
        "",
        f"Started {_clock(journal.meta['created'])} by {journal.meta['user']};"
        f" now {journal.current.state}.",
        "",
        "## Write outages",
        "",
        "| From | To | At | Seconds |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {each['from']} | {each['to']} | {_clock(str(each['at']))} | {each['seconds']} |"
        for each in outages(events)
    ]
    lines += ["", "## What was compared", ""]
    lines += [
        f"- {event.at:%H:%M:%S}: {event.data['rows']} rows in {event.data['tables']} tables,"
        f" {event.data['files']} files, {_coverage(event)} in {event.data['seconds']} s: equal"
        for event in events
        if event.step == "verify" and event.phase == "done"
    ] or ["- nothing yet"]
    lines += ["", "## What happened", "", "| At | Attempt | State | What |", "|---|---|---|---|"]
    for event in events:
        if event.phase in ("enter", "order", "outcome", "fail"):
            what = {
                "enter": f"entered {event.step}",
                "order": f"ordered {event.step} by {event.by}",
                "outcome": f"exit {event.data.get('code')}: {event.data.get('text')}",
                "fail": str(event.data.get("reason") or event.data.get("error")),
            }[event.phase]
            text = what.replace("|", "\\|").replace("\n", " ")
            lines.append(f"| {event.at:%H:%M:%S} | {event.attempt} | {event.state} | {text} |")
    if not_kept := journal.fact("not kept"):
        lines += ["", f"{not_kept}."]
    kept = journal.fact("fenced for good")
    if isinstance(kept, list):
        lines += ["", f"On the source these roles stay locked: {', '.join(map(str, kept))}."]
    return "\n".join(lines) + "\n"


def _coverage(event: Event) -> str:
    """How much of the rows was compared by content."""
    also = f"{event.data.get('large_objects', 0)} large objects, "
    if event.data.get("all_rows"):
        return f"{also}all of them,"
    hashed = event.data.get("hashed")
    return f"{also}not all rows: {hashed} in changed chunks by content, the rest by counts,"


def _clock(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S}"


def length(seconds: float) -> str:
    """Seconds as people say them."""
    return show_duration(timedelta(seconds=seconds))
