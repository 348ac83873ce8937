"""From access logs and histories to one history, with what the data supports and what not.

What a kind of day looks like is learnt later, from the history and the calendar (`profiles`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from infra.errors import InputError
from infra.season.history import (
    CLASSES,
    SHORTEST_DAYS,
    Floats,
    History,
    Ints,
    parse_history,
    read_bytes,
)
from infra.season.logs import FileReport, Patterns, read_logs

MANY_MALFORMED: Final = 0.01


@dataclass(frozen=True)
class Learnt:
    """The history of a site, and how good it is."""

    history: History
    files: tuple[FileReport, ...]
    """The logs that were read; none for a CSV."""
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def patterns_of(static: str | None, login: str | None) -> Patterns:
    """Patterns as somebody typed them; what is left out keeps its default.

    Raises:
        InputError: one is no regular expression.
    """
    default = Patterns()
    return Patterns(
        static=_compiled("--static", static) if static else default.static,
        login=_compiled("--login", login) if login else default.login,
    )


def learn(
    paths: Sequence[Path],
    *,
    patterns: Patterns | None = None,
    progress: Callable[[int], None] | None = None,
) -> Learnt:
    """Read access logs and CSV histories of one site, and add them up.

    Raises:
        InputError: a file is neither, or all of them together cover less than a week.
    """
    tables = [path for path in paths if _is_table(path)]
    logs = [path for path in paths if path not in tables]
    histories = [parse_history(read_bytes(path), str(path)) for path in tables]
    files: tuple[FileReport, ...] = ()
    warnings = [f"{history.source}: {text}" for history in histories for text in history.warnings]
    if logs:
        report = read_logs(logs, patterns=patterns, progress=progress)
        histories.append(report.history)
        files = report.files
        warnings += report.notes
        warnings += [
            f"{file.path}: {file.malformed} of {file.lines} lines are malformed, "
            f"the first is {file.samples[0]}"
            for file in files
            if file.malformed > MANY_MALFORMED * file.lines
        ]
    history = added(histories)
    days = len(history.minutes) * history.resolution_minutes / 1440
    if days < SHORTEST_DAYS:
        raise InputError(
            f"the logs cover {days:.1f} days",
            where=history.source,
            why="a shorter history than a week does not show every weekday",
            fix=f"give at least {SHORTEST_DAYS} days of logs, all files at once",
        )
    return Learnt(history, files, tuple(warnings), tuple(_supports(history, days)))


def added(histories: Sequence[History]) -> History:
    """The sum of several histories of one site: hosts that were measured apart.

    A minute that only some of them have holds what those say.

    Raises:
        InputError: they are measured at different resolutions.
    """
    if len(histories) == 1:
        return histories[0]
    resolutions = {history.resolution_minutes for history in histories}
    source = ", ".join(history.source for history in histories)
    if len(resolutions) > 1:
        raise InputError(
            f"rows of {' and '.join(str(r) for r in sorted(resolutions))} minutes cannot be added",
            where=source,
            fix="learn them apart, each as a history of the season",
        )
    minutes = np.unique(np.concatenate([history.minutes for history in histories]))
    names = [name for name in CLASSES if all(name in history.classes for history in histories)]

    def total(part: Callable[[History], Floats]) -> Floats:
        summed = np.zeros(len(minutes))
        for history in histories:
            summed[np.searchsorted(minutes, history.minutes)] += part(history)
        return summed

    return History(
        source=source,
        minutes=minutes,
        requests_per_second=total(lambda history: history.requests_per_second),
        classes={name: total(lambda history, n=name: history.classes[n]) for name in names},
        resolution_minutes=resolutions.pop(),
        warnings=tuple(text for history in histories for text in history.warnings),
    )


def _is_table(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            head = stream.read(64)
    except OSError as error:
        raise InputError(f"cannot read it: {error}", where=str(path)) from error
    if path.name.endswith(".csv.gz"):
        return True
    return head.removeprefix(b"\xef\xbb\xbf").lstrip(b'"').startswith(b"timestamp")


def _supports(history: History, days: float) -> list[str]:
    """What a planner may conclude from this history, and what not."""
    notes: list[str] = []
    rates = history.requests_per_second
    peak = int(rates.argmax())
    notes.append(
        f"{days:.0f} days at {history.resolution_minutes} minutes; the peak is {rates[peak]:.1f} "
        f"requests/s at {np.datetime64(int(history.minutes[peak]), 'm')}Z"
    )
    if history.resolution_minutes > 5:
        notes.append(
            f"rows of {history.resolution_minutes} minutes hide a bell: declare it as a burst"
        )
    if days < 8 * 7:
        notes.append("less than eight weeks: breaks, exams and grading weeks must be declared")
    elif days < 365:
        notes.append("less than a year: kinds of day that it does not hold must be declared")
    if days < 2 * 365:
        notes.append("less than two years: growth cannot be learnt and must be declared")
    if not history.classes:
        notes.append("requests of different classes are not told apart")
    for name, part in history.classes.items():
        notes.append(f"{100 * part.sum() / max(rates.sum(), 1e-9):.1f} % are {name} requests")
    return notes


def _compiled(option: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise InputError(
            f"{text!r} is no regular expression: {error}",
            where=option,
            fix=r"it is searched in METHOD /path, for example '\.(css|js|png)$'",
        ) from error


def quiet_slots(rate: Floats, *, first: int, last: int, minutes: int) -> list[tuple[int, float]]:
    """Slots of a profile's day from the quietest: start in local minutes, and share of the peak.

    `rate` holds 1,440 local minutes; slots lie within [first, last) and are `minutes` long.
    """
    starts: Ints = np.arange(first, last - minutes + 1, minutes)
    peak = max(float(rate.max()), 1e-9)
    found = [(int(at), float(rate[at : at + minutes].max()) / peak) for at in starts.tolist()]
    return sorted(found, key=lambda slot: (slot[1], slot[0]))
