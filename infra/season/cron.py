"""Cron of five fields, as EC2 Auto Scaling reads it, and the six-field form of its sisters.

Reads any cron of numbers, names, lists, ranges and steps; `Recurrence.occurrences` is fast enough
to play a year of 125 actions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from infra.season.grid import DAY_MINUTES, day_of, to_minutes

_MONTHS: Final = (
    *("jan", "feb", "mar", "apr", "may", "jun"),
    *("jul", "aug", "sep", "oct", "nov", "dec"),
)
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@dataclass(frozen=True)
class Recurrence:
    """When a cron fires. Weekdays: 0 Sunday to 6 Saturday."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    """Both day of month and weekday are restricted: either one suffices, as in Unix."""

    def on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return (of_month or of_week) if self.either_day else (of_month and of_week)

    def times(self) -> list[int]:
        """Local minutes of the day."""
        return sorted(hour * 60 + minute for hour in self.hours for minute in self.minutes)

    def occurrences(self, zone: ZoneInfo, start: int, end: int) -> list[int]:
        """Minutes since the epoch in [start, end); local times that are skipped do not fire."""
        first = start // DAY_MINUTES - 1
        days = [
            number for number in range(first, end // DAY_MINUTES + 2) if self.on(day_of(number))
        ]
        walls = np.add.outer(np.array(days, dtype=np.int64) * DAY_MINUTES, self.times()).ravel()
        minutes = to_minutes(zone, walls)
        return minutes[(minutes >= start) & (minutes < end)].tolist()


def parse(text: str) -> Recurrence:
    """Read `minute hour day month weekday`.

    Raises:
        ValueError: it is no cron of five fields.
    """
    fields = text.split()
    if len(fields) != 5:
        raise ValueError(f"{text!r} is no cron of five fields")
    minute, hour, day, month, weekday = fields
    return Recurrence(
        minutes=_field(minute, 0, 59),
        hours=_field(hour, 0, 23),
        days=_field(day, 1, 31),
        months=_field(month, 1, 12, _MONTHS, 1),
        weekdays=frozenset(number % 7 for number in _field(weekday, 0, 7, _DAYS, 0)),
        either_day=not day.startswith("*") and not weekday.startswith("*"),
    )


def parse_schedule(text: str) -> Recurrence:
    """Read `cron(minute hour day month weekday year)` of Application Auto Scaling.

    Raises:
        ValueError: it is none, or restricts the year.
    """
    match = re.fullmatch(r"cron\((.+)\)", text)
    fields = match[1].split() if match else []
    if len(fields) != 6 or fields[5] != "*" or (fields[2] == "?") == (fields[4] == "?"):
        raise ValueError(f"{text!r} is no cron(...) of six fields with one `?` and every year")
    # AWS numbers weekdays from 1 (Sunday), Unix from 0.
    fields[4] = re.sub(r"\d+", lambda number: str(int(number[0]) - 1), fields[4])
    return parse(" ".join(fields[:5]).replace("?", "*"))


def _field(
    text: str, low: int, high: int, names: Sequence[str] = (), first_name: int = 0
) -> frozenset[int]:
    found: set[int] = set()
    for part in text.lower().split(","):
        match = re.fullmatch(r"(\*|\w+)(?:-(\w+))?(?:/(\d+))?", part)
        if match is None:
            raise ValueError(f"{part!r} is no cron field")
        span, to, step = match.groups()
        if span == "*":
            first, last = low, high
        else:
            first = _number(span, names, first_name)
            last = _number(to, names, first_name) if to else (high if step else first)
        if not (low <= first <= last <= high) or step == "0":
            raise ValueError(f"{part!r} is outside {low}-{high}")
        found.update(range(first, last + 1, int(step or 1)))
    return frozenset(found)


def _number(text: str, names: Sequence[str], first_name: int) -> int:
    if text in names:
        return names.index(text) + first_name
    if not text.isdigit():
        raise ValueError(f"{text!r} is no number")
    return int(text)
