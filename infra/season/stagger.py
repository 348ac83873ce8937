"""What spreading a burst over more minutes saves, and which slot each school would get."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

import numpy as np

from infra.errors import Problem, Problems
from infra.season.capacity import Bounds
from infra.season.compile import clock
from infra.season.grid import DAY_MINUTES, wall_minutes
from infra.season.history import History
from infra.season.plan import build_plan
from infra.season.season_file import WEEKDAYS, Season, read_clock


@dataclass(frozen=True)
class Spread:
    """One target when every burst takes at least `minutes`; None: as the season says."""

    minutes: int | None
    target: str
    peak: int
    instance_hours: float


def spreads(
    season: Season,
    minutes: Sequence[int] = (20, 30, 40),
    *,
    bounds: Mapping[str, Bounds] | None = None,
    cache: Path | None = None,
) -> list[Spread]:
    """Peak and instance-hours of every target, as the season is and with its bursts spread.

    Raises:
        Problems: the season contradicts itself.
    """
    found: list[Spread] = []
    for over in (None, *minutes):
        plan = build_plan(spread(season, over), bounds=bounds, cache=cache)
        for name, target in plan.targets.items():
            peak = cast(int, target.verdict["peak"])
            found.append(Spread(over, name, peak, target.instance_hours))
    return found


def spread(season: Season, minutes: int | None) -> Season:
    """The season with every burst spread evenly over at least so many minutes."""
    if minutes is None:
        return season
    bursts = tuple(
        burst.model_copy(update={"over": max(burst.over, float(minutes)), "shape": None})
        for burst in season.demand.bursts
    )
    demand = season.demand.model_copy(update={"bursts": bursts})
    return season.model_copy(update={"demand": demand}).at(season.path)


@dataclass(frozen=True)
class School:
    name: str
    pupils: int
    market: str
    bell: int
    """Local minutes since midnight."""


@dataclass(frozen=True)
class Slot:
    """`school` signs in within `minutes` from `at` (local minutes since midnight)."""

    school: School
    at: int
    minutes: int


def read_schools(path: Path, season: Season) -> list[School]:
    """Read a CSV with the columns name, pupils, market and bell.

    Raises:
        Problems: every line that is wrong, with what would be right.
    """
    problems: list[Problem] = []
    schools: list[School] = []
    markets = {market.name for market in season.markets}
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = csv.DictReader(stream)
            missing = {"name", "pupils", "market", "bell"} - set(rows.fieldnames or ())
            if missing:
                problems.append(Problem("line 1", f"has no column {', '.join(sorted(missing))}"))
            for line, row in enumerate([] if missing else rows, start=2):
                try:
                    schools.append(_school(row, markets))
                except ValueError as error:
                    problems.append(Problem(f"line {line}", str(error)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        problems.append(Problem("the file", f"cannot be read: {error}"))
    if not schools and not problems:
        problems.append(Problem("the file", "lists no school"))
    if problems:
        raise Problems(str(path), problems)
    return schools


def _school(row: Mapping[str, str | None], markets: set[str]) -> School:
    pupils = row["pupils"] or ""
    if not pupils.isdigit() or int(pupils) == 0:
        raise ValueError(f"pupils is {pupils!r}, not a number of pupils")
    market = row["market"] or ""
    if market not in markets:
        raise ValueError(f"market {market!r} is not one of {', '.join(sorted(markets))}")
    return School(row["name"] or "", int(pupils), market, read_clock(row["bell"]))


def slots(schools: Sequence[School], *, over: int = 20, slot_minutes: int = 5) -> list[Slot]:
    """A slot for each school within `over` minutes that end at its bell.

    The largest school first, each into the slot of its market in which the fewest pupils sign in
    (the later one where they are equal); a market's clock is shared by all of its bells.
    """
    load: dict[tuple[str, int], int] = {}
    found: list[Slot] = []
    for school in sorted(schools, key=lambda s: (-s.pupils, s.market, s.name)):
        starts = [
            school.bell - slot_minutes * n for n in range(1, max(1, over // slot_minutes) + 1)
        ]
        at = min(starts, key=lambda start: (load.get((school.market, start), 0), -start))
        load[school.market, at] = load.get((school.market, at), 0) + school.pupils
        found.append(Slot(school, at, slot_minutes))
    return sorted(found, key=lambda slot: (slot.school.market, slot.at, slot.school.name))


def busiest_slot(found: Sequence[Slot]) -> int:
    """The most pupils of one market who sign in within one slot."""
    load: dict[tuple[str, int], int] = {}
    for slot in found:
        key = (slot.school.market, slot.at)
        load[key] = load.get(key, 0) + slot.school.pupils
    return max(load.values(), default=0)


@dataclass(frozen=True)
class Quiet:
    """A quiet slot: `share` of the busiest slot's load, in the mean over `days`."""

    weekday: str
    at: str
    requests_per_second: float
    share: float
    days: int


def quiet_slots(
    history: History,
    zone: ZoneInfo,
    *,
    minutes: int = 60,
    between: tuple[int, int] = (7 * 60, 18 * 60),
    per_weekday: int = 3,
) -> list[Quiet]:
    """The quietest slots of each weekday within local working hours, from measured load."""
    wall = history.minutes + _offsets(history, zone)
    day, minute = wall // DAY_MINUTES, wall % DAY_MINUTES
    weekday = (day + 3) % 7
    count = ceil(DAY_MINUTES / minutes)
    slot = weekday * count + minute // minutes
    total = np.bincount(slot, history.requests_per_second, minlength=7 * count)
    rows = np.bincount(slot, minlength=7 * count)
    mean = np.where(rows > 0, total / np.maximum(rows, 1), np.inf).reshape(7, count)
    busiest = float(mean[np.isfinite(mean)].max())
    found: list[Quiet] = []
    for number, name in enumerate(WEEKDAYS):
        inside = [n for n in range(count) if between[0] <= n * minutes < between[1]]
        days = len(np.unique(day[weekday == number]))
        for n in sorted(inside, key=lambda n, row=number: (mean[row, n], n))[:per_weekday]:
            rate = float(mean[number, n])
            if np.isfinite(rate):
                share = rate / busiest if busiest else 0.0
                found.append(Quiet(name, clock(n * minutes), rate, share, days))
    return found


def _offsets(history: History, zone: ZoneInfo) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    first, last = int(history.minutes[0]), int(history.minutes[-1])
    every = wall_minutes(zone, first, last - first + 1) - np.arange(first, last + 1)
    return every[history.minutes - first]
