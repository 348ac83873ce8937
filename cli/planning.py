"""Where a season and its plan are; planning, the calendar, and views of the plan."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from cli.context import Context
from infra import clock, paths
from infra.errors import InputError, Problem, Problems, nearest
from infra.scheduling import bounds_for, hardware_of, refuse_strangers
from infra.season import simulate
from infra.season.calendar import DAY, DayKind, day_kinds
from infra.season.capacity import Bounds
from infra.season.grid import DAY_MINUTES, Grid, wall_minutes
from infra.season.plan import (
    PLAN_COMMAND,
    Plan,
    PlanTarget,
    build_plan,
    check_plan,
    read_plan,
    read_season,
)
from infra.season.prices import read_prices, with_costs
from infra.season.season_file import Season
from infra.settings.stack import StackSettings, read_stack

# From empty to full, eighths.
BARS: Final = " ▁▂▃▄▅▆▇█"
COLUMN_MINUTES: Final = 30
LINE_COLUMNS: Final = 80
# A quarter of a year: what a rolling plan is compared at.
ROLLING_DAYS: Final = 91


@dataclass(frozen=True)
class Source:
    """A season file, and the stack that it is planned for; None plans by the season alone."""

    path: Path
    settings: StackSettings | None

    @property
    def plan_path(self) -> Path:
        return self.path.with_suffix(".plan.json")

    @property
    def command(self) -> str:
        """What plans it."""
        of_stack = self.settings is not None and self.path == self.settings.season_file
        option = f" -s {self.settings.stack}" if self.settings else ""
        return PLAN_COMMAND + option + ("" if of_stack else f" --season {self.path}")


@dataclass(frozen=True)
class Planned:
    """A plan, and where it belongs."""

    plan: Plan
    path: Path
    price_warnings: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        return (*self.plan.warnings, *self.price_warnings)


@dataclass(frozen=True)
class View:
    """Lines for people, in sections, and the figures behind them."""

    sections: tuple[tuple[str, tuple[str, ...]], ...]
    figures: Mapping[str, object]

    def to_json(self) -> dict[str, object]:
        return dict(self.figures)


def source(context: Context, season_file: Path | None) -> Source:
    """The season that a command means: the file named, else the stack's.

    Raises:
        InputError: the file does not exist, or the stack has no season.
    """
    if season_file is not None and context.stack is None:
        return Source(_there(season_file.resolve(), "--season"), None)
    settings = read_stack(context.require_stack(), cloud=context.cloud)
    path = season_file.resolve() if season_file else settings.season_file
    where = f"stacks/Pulumi.{settings.stack}.yaml: firstbell:season"
    if path is None:
        raise InputError(
            f"the stack {settings.stack} has no season",
            where=where,
            fix="name a season file there, relative to stacks/, or use --season FILE",
        )
    return Source(_there(path, where if season_file is None else "--season"), settings)


def _there(season_file: Path, where: str) -> Path:
    if not season_file.is_file():
        raise InputError(
            f"the season file {season_file} does not exist",
            where=where,
            fix="write it, or correct the name",
        )
    return season_file


def profile_cache() -> Path:
    """Where learnt profiles are remembered, by the content of their history."""
    return paths.home() / "cache" / "profiles"


def bounds_of(source: Source, season: Season) -> dict[str, Bounds]:
    """The stack's bounds; none without a stack."""
    return bounds_for(source.settings, season) if source.settings else {}


def now(source: Source) -> datetime:
    """The time as the source's cloud sees it."""
    return clock.now(source.settings.cloud if source.settings else "aws")


def plan(
    source: Source,
    *,
    start: date | None,
    end: date | None,
    hand_over: bool,
    prices: Path | None = None,
    progress: Callable[[str], None],
) -> Planned:
    """Build the plan; writes nothing.

    With `hand_over`, a plan file that ends on the day before `start` hands over its actions; with
    the table `prices`, each target has its cost.

    Raises:
        Problems: what is wrong with the season, by itself or for the stack, or with the prices.
        InputError: the earlier plan cannot be read, or there are prices and no stack.
    """
    hardware = hardware_of(source.settings) if source.settings else None
    if prices and not hardware:
        raise InputError(
            "prices need a stack, which says what runs where",
            where="--prices",
            fix="name one: -s STACK, together with --season FILE if need be",
        )
    table = read_prices(prices) if prices else None
    progress("reading the calendar")
    season = read_season(source.path)
    if source.settings:
        refuse_strangers(source.settings, season)
    previous = _earlier(source, start) if hand_over and start else None
    built = build_plan(
        season,
        bounds=bounds_of(source, season),
        start=start,
        end=end,
        cache=profile_cache(),
        previous=previous,
        now=now(source) if previous else None,
    )
    if table is None or hardware is None:
        return Planned(built, source.plan_path)
    return Planned(
        with_costs(built, table, hardware),
        source.plan_path,
        tuple(table.dated_after(clock.now("aws").date())),
    )


def _earlier(source: Source, start: date) -> Plan | None:
    """The plan that hands over on `start`; None when the plan file is of another time.

    A plan that itself begins on `start` still holds what the one before it handed over, so that
    planning again gives the same.
    """
    if not source.plan_path.is_file():
        return None
    try:
        found = read_plan(source.plan_path)
    except InputError as error:
        raise InputError(
            error.what,
            where=error.where,
            why="what it has live must be known, to hand over",
            fix="restore it from git, or remove it to plan without it",
        ) from error
    if found.covers_to + DAY == start:
        return found
    if found.covers_from == start and any(target.carried for target in found.targets.values()):
        return replace(
            found,
            covers_to=start - DAY,
            targets={
                name: replace(target, actions=target.actions[: target.carried])
                for name, target in found.targets.items()
            },
        )
    return None


def current(source: Source) -> tuple[Season, Plan]:
    """The season and its plan file, which belongs to it; a plan that has ended will do.

    Raises:
        InputError: there is no plan, or it is stale or edited.
    """
    season = read_season(source.path)
    found = read_plan(source.plan_path, command=source.command)
    # As of its own first day.
    first = datetime.combine(found.covers_from, time(), season.zone)
    bounds = bounds_of(source, season)
    check_plan(found, season, bounds=bounds, now=first, command=source.command)
    return season, found


def refuse_warnings(planned: Planned) -> None:
    """Raises Problems when the plan has warnings."""
    if planned.warnings:
        raise Problems(
            f"the plan of {planned.plan.season} (--strict)",
            [Problem("warning", text) for text in planned.warnings],
            fix="mend the season, its histories or the prices, or plan without --strict",
        )


def rolling(source: Source, whole: Plan, *, progress: Callable[[str], None]) -> dict[str, float]:
    """Unit-hours of the targets when the plan's days are planned a quarter at a time.

    Empty when that cannot help: no target wants more actions, or the plan is a quarter or less.
    """
    wanting = [
        name
        for name, target in whole.targets.items()
        if float(str(target.verdict["one_more_action_saves_hours"])) > 0
    ]
    starts = [
        whole.covers_from + timedelta(days=days)
        for days in range(0, (whole.covers_to - whole.covers_from).days, ROLLING_DAYS)
    ]
    if not wanting or len(starts) < 2:
        return {}
    season = read_season(source.path)
    bounds = bounds_of(source, season)
    hours = dict.fromkeys(wanting, 0.0)
    previous: Plan | None = None
    for start in starts:
        progress(f"from {start}")
        end = min(start + timedelta(days=ROLLING_DAYS - 1), whole.covers_to)
        previous = build_plan(
            season, bounds=bounds, start=start, end=end, cache=profile_cache(), previous=previous
        )
        for name in wanting:
            hours[name] += previous.targets[name].instance_hours
    return hours


def calendar(
    source: Source, *, market: str | None, start: date | None, end: date | None
) -> dict[str, dict[date, DayKind]]:
    """The kind of each day of each market, from `start` to `end` (by default the horizon).

    Raises:
        InputError: there is no such market, the days are in the wrong order, or a calendar does
            not cover them.
    """
    season = read_season(source.path)
    names = [item.name for item in season.markets]
    if market is not None and market not in names:
        close = nearest(market, names)
        raise InputError(
            f"there is no market {market!r}",
            where="--market",
            fix=f"did you mean {close}?" if close else f"one of: {', '.join(names)}",
        )
    first, last = start or season.horizon.from_, end or season.horizon.to
    if last < first:
        raise InputError(
            f"{last} lies before {first}", where="--to", fix="name a last day that is not earlier"
        )
    return {
        item.name: day_kinds(item, first, last)
        for item in season.markets
        if market in (None, item.name)
    }


def write(planned: Planned) -> bool:
    """Write the plan's file; says whether that changed it."""
    text = planned.plan.to_json()
    if planned.path.is_file() and planned.path.read_text() == text:
        return False
    temporary = planned.path.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(planned.path)
    return True


def year(source: Source) -> View:
    """The peak floor of each day: a line a week.

    Raises:
        InputError: there is no plan yet.
    """
    plan, grid = _read(source)
    sections: list[tuple[str, tuple[str, ...]]] = []
    figures: dict[str, object] = {}
    for name, target in plan.targets.items():
        floors = _days(target, grid)
        peak = max(int(floors.max()), 1)
        lines: list[str] = ["            mon tue wed thu fri sat sun"]
        first = grid.first - timedelta(days=grid.first.weekday())
        for monday in (first + timedelta(days=7 * week) for week in range(60)):
            if monday > grid.last:
                break
            cells: list[str] = []
            for day in (monday + timedelta(days=offset) for offset in range(7)):
                inside = grid.first <= day <= grid.last
                top = int(floors[(day - grid.first).days].max()) if inside else None
                cells.append("    " if top is None else f"{top:3}{_bar(top, peak)}")
            lines.append(f"{monday} {''.join(cells)}".rstrip())
        sections.append((f"{name}: highest floor of each day", tuple(lines)))
        figures[name] = {
            (grid.first + timedelta(days=row)).isoformat(): int(floors[row].max())
            for row in range(len(floors))
        }
    return View(tuple(sections), {"highest_floor": figures})


def week(source: Source, within: date) -> View:
    """The floors of one week, a line a day and a column each half hour.

    Raises:
        InputError: there is no plan yet, or the week lies outside it.
    """
    plan, grid = _read(source)
    monday = within - timedelta(days=within.weekday())
    days = [
        monday + timedelta(days=offset)
        for offset in range(7)
        if grid.first <= monday + timedelta(days=offset) <= grid.last
    ]
    if not days:
        raise InputError(
            f"the week of {within} lies outside the plan",
            where="--week",
            fix=f"name a day from {grid.first} to {grid.last}",
        )
    season = read_season(source.path)
    kinds = {market.name: day_kinds(market, days[0], days[-1]) for market in season.markets}
    sections: list[tuple[str, tuple[str, ...]]] = []
    figures: dict[str, object] = {}
    for name, target in plan.targets.items():
        floors = _days(target, grid)
        peak = max(int(floors.max()), 1)
        lines = ["               0     3     6     9     12    15    18    21      least most"]
        for day in days:
            row = floors[(day - grid.first).days]
            columns = row.reshape(-1, COLUMN_MINUTES).max(axis=1)
            bars = "".join(_bar(int(value), peak) for value in columns)
            lines.append(f"{day:%a %Y-%m-%d} {bars} {int(row.min()):5} {int(row.max()):4}")
        sections.append((f"{name}: floor, {season.zone.key} time", tuple(lines)))
        figures[name] = {day.isoformat(): floors[(day - grid.first).days].tolist() for day in days}
    sections.append(
        (
            "kind of day",
            tuple(
                line
                for day in days
                for line in textwrap.wrap(
                    f"{day:%a %Y-%m-%d} "
                    + ", ".join(f"{market} {found[day].kind}" for market, found in kinds.items()),
                    LINE_COLUMNS,
                    subsequent_indent=" " * 15,
                )
            ),
        )
    )
    return View(tuple(sections), {"floors_by_minute": figures})


def _read(source: Source) -> tuple[Plan, Grid]:
    if not source.plan_path.is_file():
        raise InputError(
            "the season has no plan yet",
            where=str(source.plan_path),
            fix=f"run {source.command}",
        )
    plan = read_plan(source.plan_path, command=source.command)
    zone = read_season(source.path).zone
    return plan, Grid(zone, plan.covers_from, plan.covers_to)


def _days(target: PlanTarget, grid: Grid) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """The nominal floor by local day and minute; a skipped hour repeats the one before."""
    played = simulate.play_floor(
        target.actions, start=grid.start, count=grid.count, initial=target.start
    ).nominal
    rows = (grid.last - grid.first).days + 1
    # -1 where the clock has no such minute: 0 is a size, of workers in core hours for instance.
    days = np.full(rows * DAY_MINUTES, -1, dtype=np.int64)
    wall = wall_minutes(grid.zone, grid.start, grid.count)
    first = int(wall[0]) - int(wall[0]) % DAY_MINUTES
    np.maximum.at(days, np.clip(wall - first, 0, days.size - 1), played)
    last_known = np.maximum.accumulate(np.where(days < 0, 0, np.arange(days.size)))
    return np.maximum(days[last_known], 0).reshape(rows, DAY_MINUTES)


def _bar(value: int, peak: int) -> str:
    return BARS[min(len(BARS) - 1, -(-value * (len(BARS) - 1) // peak))]
