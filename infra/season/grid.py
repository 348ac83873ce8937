"""The minutes of a horizon in UTC, and their wall time in a zone.

A minute is an integer: minutes since 1970-01-01T00:00Z. A wall minute counts the same way, as if
the zone's local time were UTC; skipped wall minutes have no minute, doubled ones have two.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, cast
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

DAY_MINUTES: Final = 1440
EPOCH: Final = date(1970, 1, 1)


def minute_of(moment: datetime) -> int:
    """Minutes since the epoch, rounded down."""
    return int(moment.timestamp() // 60)


def moment_of(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)


def day_number(day: date) -> int:
    return (day - EPOCH).days


def day_of(number: int) -> date:
    return EPOCH + timedelta(days=int(number))


def offset_minutes(zone: ZoneInfo, minute: int) -> int:
    """Local time minus UTC."""
    offset = cast(timedelta, moment_of(minute).astimezone(zone).utcoffset())
    return int(offset.total_seconds() // 60)


def transitions(zone: ZoneInfo, start: int, end: int) -> list[tuple[int, int]]:
    """(first minute, offset from it on) over [start, end); the first entry is at `start`."""
    found = [(start, offset_minutes(zone, start))]
    for day_after in range(start + DAY_MINUTES, end + DAY_MINUTES, DAY_MINUTES):
        probe = min(day_after, end - 1)
        offset = offset_minutes(zone, probe)
        if offset != found[-1][1]:
            low, high = max(found[-1][0], probe - DAY_MINUTES), probe
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (
                    (low, middle)
                    if offset_minutes(zone, middle) != found[-1][1]
                    else (middle, high)
                )
            found.append((high, offset))
    return found


def wall_minutes(zone: ZoneInfo, start: int, count: int) -> Ints:
    """The wall minute of each of `count` minutes from `start`."""
    wall = np.arange(start, start + count, dtype=np.int64)
    steps = transitions(zone, start, start + count)
    for (first, offset), after in zip(steps, [*steps[1:], (start + count, 0)], strict=True):
        wall[first - start : after[0] - start] += offset
    return wall


def to_minutes(zone: ZoneInfo, walls: Ints) -> Ints:
    """The (first) minute with each wall time, -1 where daylight saving skips it."""
    found = np.full(len(walls), -1, dtype=np.int64)
    if not len(walls):
        return found
    years = (day_of(int(wall) // DAY_MINUTES).year for wall in (walls.min(), walls.max()))
    steps = _steps(zone.key, *years)
    for (first, offset), after in zip(steps, [*steps[1:], (np.inf, 0)], strict=True):
        minutes = walls - offset
        found = np.where((found < 0) & (minutes >= first) & (minutes < after[0]), minutes, found)
    return found


@functools.lru_cache(maxsize=256)
def _steps(zone: str, first_year: int, last_year: int) -> list[tuple[int, int]]:
    start, end = (
        day_number(date(year, month, day)) * DAY_MINUTES
        for year, month, day in ((first_year - 1, 12, 30), (last_year + 1, 1, 3))
    )
    return transitions(ZoneInfo(zone), start, end)


def to_minute(zone: ZoneInfo, wall: int) -> int | None:
    """The (first) minute with that wall time, None where daylight saving skips it."""
    minute = int(to_minutes(zone, np.array([wall]))[0])
    return None if minute < 0 else minute


@dataclass(frozen=True)
class Grid:
    """Minutes [start, start + count) and the local days they belong to."""

    zone: ZoneInfo
    first: date
    last: date
    """Both inclusive, in `zone`."""

    @property
    def start(self) -> int:
        return self._midnight(self.first)

    @property
    def count(self) -> int:
        return self._midnight(self.last + timedelta(days=1)) - self.start

    def _midnight(self, day: date) -> int:
        # Where midnight is skipped, the day begins at the first minute that exists.
        return minute_of(datetime(day.year, day.month, day.day, tzinfo=self.zone))
