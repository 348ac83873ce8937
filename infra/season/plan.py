"""The plan: built from a season, written beside it, checked before it is applied.

The plan is a file in git that a Pulumi program reads. Equal inputs give equal bytes: no time of
day, no path and no random number goes into it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from infra.errors import InputError, Problem, Problems, nearest
from infra.season import compile as compiler
from infra.season import limits, optimise, simulate
from infra.season.calendar import DAY, day_kinds, midnight
from infra.season.capacity import (
    Bounds,
    Need,
    bounds_of,
    by_wall_day,
    cap_problems,
    floors,
    least_unit_minutes,
    left_over,
    needs,
    worker_hours,
)
from infra.season.demand import Forecast, Kinds, forecast
from infra.season.grid import DAY_MINUTES, Grid, Ints, day_number, minute_of, wall_minutes
from infra.season.season_file import Season, read_season, sha256_of
from infra.season.share import share

__all__ = [
    "Bounds",
    "Plan",
    "PlanTarget",
    "Prepared",
    "build_plan",
    "check_plan",
    "prepare",
    "read_plan",
    "read_season",
]

SCHEMA: Final = 1
# Goes into `inputs_sha256`: raise it when equal inputs may give another plan.
PLANNER_VERSION: Final = 3
PLAN_COMMAND: Final = "firstbell season plan"
# Service days begin at 04:15: clear of the hours that daylight saving may skip or double, also for
# a first action that is late.
DAY_START: Final = limits.FIRST_SAFE_MINUTE + 15
# On the evening before a plan that takes over: early enough to boot before midnight.
OPENING: Final = 23 * 60 + 15
DAYS_LEFT_WARNING: Final = 30


@dataclass(frozen=True)
class PlanTarget:
    """The schedule of one target. `start` is the floor before the first action; the first
    `carried` actions are an earlier plan's that had not ended."""

    kind: str
    bounds: Bounds
    start: int
    windows: tuple[Mapping[str, object], ...]
    actions: tuple[Mapping[str, object], ...]
    instance_hours: float
    cost: Mapping[str, object] | None
    """What the unit-hours cost, with date and source of the price; None without prices."""
    verdict: Mapping[str, object]
    carried: int = 0

    def to_json(self) -> dict[str, object]:
        return {
            "kind": self.kind,
            "bounds": {"min": self.bounds.min, "max": self.bounds.max, "start": self.start},
            "carried": self.carried,
            "windows": list(self.windows),
            "actions": list(self.actions),
            "instance_hours": self.instance_hours,
            "cost": None if self.cost is None else dict(self.cost),
            "verdict": dict(self.verdict),
        }


@dataclass(frozen=True)
class Plan:
    schema: int
    season: str
    covers_from: date
    covers_to: date
    """Both inclusive, in the season's time zone."""
    inputs_sha256: str
    targets: Mapping[str, PlanTarget]
    warnings: tuple[str, ...] = ()

    @property
    def plan_sha256(self) -> str:
        return _sha256(self._content())

    def _content(self) -> dict[str, object]:
        return {
            "schema": self.schema,
            "season": self.season,
            "covers": {"from": self.covers_from.isoformat(), "to": self.covers_to.isoformat()},
            "inputs_sha256": self.inputs_sha256,
            "targets": {name: target.to_json() for name, target in self.targets.items()},
            "warnings": list(self.warnings),
        }

    def to_json(self) -> str:
        """The file's text: a window or an action a line, so that a pull request shows each."""
        content = self._content()
        content["plan_sha256"] = self.plan_sha256
        return _lines(content, "") + "\n"


@dataclass(frozen=True)
class Prepared:
    """What a season asks for, before anything is optimised."""

    grid: Grid
    """The days that are planned."""
    seen: Grid
    """One day more where the horizon goes on, so that the last night suits the next morning."""
    kinds: Mapping[str, Kinds]
    forecast: Forecast
    needs: tuple[Need, ...]


def prepare(
    season: Season,
    *,
    bounds: Mapping[str, Bounds] | None = None,
    start: date | None = None,
    end: date | None = None,
    cache: Path | None = None,
) -> Prepared:
    """Calendar, forecast and needs of the season from `start` to `end` (both inclusive).

    What is learnt from histories is remembered in the folder `cache`.

    Raises:
        Problems: everything that is wrong with the season's meaning.
    """
    problems: list[Problem] = []
    grid = Grid(season.zone, start or season.horizon.from_, end or season.horizon.to)
    _check_horizon(season, grid, problems)
    kinds = _kinds(season, grid, problems)
    names = list(_unknown_names(season))
    if problems:
        raise Problems(str(season.path), [*problems, *names])
    problems += names
    seen = Grid(season.zone, grid.first, min(grid.last + DAY, season.horizon.to))
    demand = forecast(season, kinds, seen, problems, cache=cache)
    found = needs(season, demand, seen, dict(bounds or {}), problems)
    if problems:
        raise Problems(str(season.path), problems)
    return Prepared(grid, seen, kinds, demand, tuple(found))


def _check_horizon(season: Season, grid: Grid, problems: list[Problem]) -> None:
    horizon = season.horizon
    if grid.first not in horizon or grid.last not in horizon or grid.last < grid.first:
        problems.append(
            Problem(
                "horizon",
                f"{grid.first} to {grid.last} does not lie within {horizon.from_} to {horizon.to}",
            )
        )
    for market in season.markets:
        terms = market.terms
        if terms is not None and not any(
            term.from_ <= horizon.to and horizon.from_ <= term.to for term in terms
        ):
            problems.append(
                Problem(
                    f"markets/{market.name}/terms",
                    f"no term lies in the horizon {horizon.from_} to {horizon.to}",
                    "add this year's terms, or leave `terms` out to plan by weekday",
                )
            )


def _unknown_names(season: Season) -> Iterator[Problem]:
    """Targets and markets that something names and nothing is."""
    markets, limits_ = [market.name for market in season.markets], season.limits
    for name in limits_.actions:
        yield from _unknown(f"limits/actions/{name}", "target", name, season.capacity)
    for name in limits_.instances.targets if limits_.instances else ():
        yield from _unknown("limits/instances/targets", "target", name, season.capacity)
    for name, target in season.capacity.items():
        for market in target.markets or ():
            yield from _unknown(f"capacity/{name}/markets", "market", market, markets)
        for other in target.against:
            yield from _unknown(f"capacity/{name}/against", "target", other, season.capacity)
    for burst in season.demand.bursts:
        if burst.market is not None:
            where = f"demand/bursts/{burst.name}/market"
            yield from _unknown(where, "market", burst.market, markets)
    for number, item in enumerate(season.demand.history, start=1):
        if item.market is not None:
            yield from _unknown(f"demand/history/{number}/market", "market", item.market, markets)


def _unknown(where: str, what: str, name: str, known: Collection[str]) -> Iterator[Problem]:
    if name not in known:
        close = nearest(name, known)
        fix = f"did you mean {close!r}?" if close else f"known are {', '.join(known)}"
        yield Problem(where, f"there is no {what} {name!r}", fix)


def _kinds(season: Season, grid: Grid, problems: list[Problem]) -> dict[str, Kinds]:
    kinds: dict[str, Kinds] = {}
    for market in season.markets:
        try:
            # The whole horizon, whatever part of it is planned, so that the same is learnt from a
            # history; and one day more on either side, for markets in other zones.
            first = min(season.horizon.from_, grid.first)
            last = max(season.horizon.to, grid.last)
            kinds[market.name] = day_kinds(market, first - DAY, last + DAY)
        except InputError as error:
            problems.append(
                Problem(error.where or f"markets/{market.name}", error.what, error.why or error.fix)
            )
    return kinds


def build_plan(
    season: Season,
    *,
    bounds: Mapping[str, Bounds] | None = None,
    start: date | None = None,
    end: date | None = None,
    cache: Path | None = None,
    previous: Plan | None = None,
    now: datetime | None = None,
) -> Plan:
    """The cheapest plan that holds in every minute, from `start` to `end` (both inclusive).

    `previous`, whose last day is the day before `start`, hands over: of its actions, those that
    have not ended at `now` stay in the new plan and count in its budget.

    Raises:
        Problems: the season contradicts itself, or no plan can hold.
        InputError: `previous` does not end on the day before `start`, or the budget is too small.
    """
    prepared = prepare(season, bounds=bounds, start=start, end=end, cache=cache)
    carried = _carried(previous, prepared.grid, now)
    made = _plan_targets(season, prepared, bounds or {}, carried)
    targets = {name: made[name] for name in season.capacity}
    return Plan(
        schema=SCHEMA,
        season=season.name,
        covers_from=prepared.grid.first,
        covers_to=prepared.grid.last,
        inputs_sha256=inputs_sha256(
            season,
            {name: target.bounds for name, target in targets.items()},
            prepared.grid,
            prepared.kinds,
            {name: list(item.actions) for name, item in carried.items()},
        ),
        targets=targets,
        warnings=(*prepared.forecast.notes, *_early_bursts(season, prepared)),
    )


def _early_bursts(season: Season, prepared: Prepared) -> list[str]:
    """Bursts so early that no action of their own day can boot units before them."""
    seen = prepared.seen
    warnings: list[str] = []
    for burst in season.demand.bursts:
        starts = prepared.forecast.bursts.get(burst.name, np.zeros(0, dtype=np.int64))
        wall = wall_minutes(seen.zone, seen.start, seen.count)[starts] % DAY_MINUTES
        for need in prepared.needs:
            lead = need.target.lead_minutes + burst.widen
            if len(wall) and float(wall.min()) - lead < DAY_START:
                warnings.append(
                    f"burst {burst.name!r} at {compiler.clock(int(wall.min()))}: {need.name} needs "
                    f"{lead:.0f} minutes before it, and no action stands between midnight and "
                    f"{compiler.clock(DAY_START)}, so it is raised on the evening before"
                )
    return warnings


@dataclass(frozen=True)
class _Carried:
    """An earlier plan's actions that have not ended, and the one that set the floor of now (it may
    have ended); its floor before the first of them, and its last one."""

    actions: tuple[Mapping[str, object], ...] = ()
    alive: int = 0
    start: int | None = None
    last: int | None = None


def _carried(previous: Plan | None, grid: Grid, now: datetime | None) -> dict[str, _Carried]:
    if previous is None:
        return {}
    if previous.covers_to + DAY != grid.first:
        raise InputError(
            f"the earlier plan ends on {previous.covers_to}, the new one begins on {grid.first}",
            where=f"the plan of season {previous.season}",
            fix=f"plan from {previous.covers_to + DAY}",
        )
    found: dict[str, _Carried] = {}
    for name, target in previous.targets.items():
        actions = [compiler.read_action(request) for request in target.actions]
        minute = grid.start if now is None else min(minute_of(now), grid.start)
        alive = [a for a in actions if a.end is None or a.end > minute]
        latest = compiler.latest_firing(actions, minute)
        kept = [a.request for a in actions if a in alive or a is latest]
        last = compiler.floor_at(actions, grid.start, target.start)
        found[name] = _Carried(tuple(kept), len(alive), target.start, last)
    return found


def _plan_targets(
    season: Season,
    prepared: Prepared,
    given: Mapping[str, Bounds],
    carried: Mapping[str, _Carried],
) -> dict[str, PlanTarget]:
    """Those that follow the demand first, then those that live from what these leave."""
    none = _Carried()
    grid, seen = prepared.grid, prepared.seen
    made: dict[str, PlanTarget] = {}
    floor_of: dict[str, Ints] = {}
    for need in prepared.needs:
        made[need.name] = _plan_target(season, prepared, need, carried.get(need.name, none))
        floor_of[need.name] = simulate.play_floor(
            made[need.name].actions,
            start=seen.start,
            count=seen.count,
            initial=made[need.name].start,
        ).nominal
    problems: list[Problem] = []
    cap_problems(season, floor_of, grid, problems)
    for name, target in season.capacity.items():
        if target.from_demand:
            continue
        bounds = bounds_of(name, target, given.get(name), problems)
        if bounds is None:
            continue
        if target.against:
            need = left_over(season, name, floor_of, bounds, problems)
        else:
            need = worker_hours(season, name, prepared.kinds, seen, bounds, problems=problems)
        if need is not None:
            made[name] = _plan_target(season, prepared, need, carried.get(name, none))
    if problems:
        raise Problems(str(season.path), problems)
    return made


def _plan_target(season: Season, prepared: Prepared, need: Need, carried: _Carried) -> PlanTarget:
    grid = prepared.grid
    kind = need.target.kind
    others = season.limits.actions.get(need.name, 0) + carried.alive
    ends, begins = grid.last == season.horizon.to, grid.first == season.horizon.from_
    # Kept for the closing and for the opening action.
    kept = ends + (not begins)
    rows = by_wall_day(floors(need), prepared.seen, DAY_START)
    # Row 0 is the night before the first service day: the floor it starts with covers it.
    days, night = rows[1 : (grid.last - grid.first).days + 2], int(rows[0].max())
    weekdays = (day_number(grid.first) + 3 + np.arange(len(days))) % 7
    try:
        solution = _schedule(
            days,
            weekdays,
            allowed=_allowed(grid),
            least=need.bounds.min if need.top is None else 0,
            most_steps=compiler.MOST_STEPS.get(kind, optimise.MAX_STEPS),
            budget=compiler.MOST_ACTIONS[kind] - others - kept,
        )
    except optimise.BudgetTooSmallError as error:
        raise InputError(
            f"{compiler.MOST_ACTIONS[kind] - others} scheduled actions are too few",
            where=f"{season.path}: capacity/{need.name}",
            why=f"at least {error.least + kept} are needed",
            fix="plan a shorter time with --from and --to, or merge neighbouring periods",
        ) from error
    windows = _windows(solution.blocks, weekdays, grid)
    start = max(solution.base, night)
    if ends:
        # After the horizon nothing is planned: everything goes back to its minimum.
        windows += _closing(windows, grid, need.size(need.bounds.min))
    if not begins:
        before = None if carried.last is None else need.size(carried.last)
        windows += _opening(windows, grid, start, before)
    windows.sort(key=lambda window: (window.first, window.at, window.days))
    sized = [_sized(window, need) for window in windows]
    new = [compiler.ACTION_OF[kind](window, grid.zone) for window in sized]
    actions = [*carried.actions, *new]
    if broken := compiler.check(kind, new, need.bounds, declared_elsewhere=others):
        raise AssertionError(f"{need.name}: {broken}")
    # Where an earlier plan hands over, its floor holds in the first night.
    span = {"start": grid.start - DAY_MINUTES, "count": grid.count + DAY_MINUTES}
    played = simulate.play_floor(actions, initial=need.size(start), **span)
    # Levels, not sizes: what a target must give back counts up.
    levels = [compiler.auto_scaling_action(window, grid.zone) for window in windows]
    if carried.actions:
        levels = actions if need.top is None else levels
    worst = simulate.play_floor(levels, initial=start, **span).worst
    served = simulate.in_service(worst, need.boot_minutes)[DAY_MINUTES:]
    units = need.units[: grid.count]
    if found := simulate.gaps(units, served, grid.start):
        raise AssertionError(f"{need.name}: the plan does not hold: {found[:3]}")
    sizes = units if need.top is None else need.top - units
    unit_minutes = int(played.nominal[DAY_MINUTES:].sum())
    return PlanTarget(
        kind=kind,
        bounds=need.bounds,
        start=need.size(start) if carried.start is None else carried.start,
        windows=tuple(window.to_json() for window in sized),
        actions=tuple(actions),
        instance_hours=round(unit_minutes / 60, 2),
        cost=None,
        verdict={
            "holds": True,
            "peak": int(sizes.max()),
            "actions": carried.alive + len(new),
            "actions_allowed": compiler.MOST_ACTIONS[kind] - others + carried.alive,
            "one_more_action_saves_hours": round(solution.one_more_saves / 60, 2),
            "static_peak_hours": round(int(sizes.max()) * grid.count / 60, 2),
            "required_hours": round(float(sizes.sum()) / 60, 2),
            **_bound(need, units, unit_minutes),
        },
        carried=len(carried.actions),
    )


def _bound(need: Need, units: Ints, unit_minutes: int) -> dict[str, object]:
    """How far the plan is at most above any other that holds, whatever its number of actions.

    None where units count down, which are not to be few. Rounded so that both figures stay true.
    """
    if need.top is not None:
        return {"lower_bound_hours": None, "above_lower_bound": None}
    least = least_unit_minutes(units, need.boot_minutes)
    above = -((least - unit_minutes) * 10_000 // least) / 10_000 if least else None
    return {"lower_bound_hours": least * 100 // 60 / 100, "above_lower_bound": above}


def _schedule(
    days: Ints,
    weekdays: Ints,
    *,
    allowed: NDArray[np.bool_],
    least: int,
    budget: int,
    most_steps: int,
) -> optimise.Solution:
    """The cheapest of the blocks that share no action and of those that do.

    Each of the two is never dearer with one action more, so neither is the cheaper of them.

    Raises:
        BudgetTooSmallError: `budget` actions are too few.
    """
    solver = optimise.Solver(days, weekdays, allowed=allowed, least=least, most_steps=most_steps)
    if most_steps < optimise.MAX_STEPS:
        # A shared action is one more on days that need none: more a day than AWS allows.
        return solver.at(budget)
    rich = solver.at(optimise.MOST)
    shared = share(
        rich.blocks,
        np.maximum(days, least),
        weekdays,
        allowed=allowed,
        base=rich.base,
        budget=budget,
    )
    apart = solver.at(budget) if solver.least_actions <= budget else None
    if len(shared.steps) > budget or (apart and apart.unit_minutes <= shared.unit_minutes):
        return solver.at(budget)
    one_more = shared.unit_minutes - shared.one_more_saves
    if solver.least_actions <= budget + 1:
        one_more = min(one_more, solver.at(budget + 1).unit_minutes)
    # One block a step: its days, and the one level that it sets on them.
    blocks = tuple(
        optimise.Block(
            step.first, step.last, step.weekdays, (optimise.Step(step.minute, step.level),)
        )
        for step in shared.steps
    )
    if np.any(optimise.floor_of(blocks, len(days), weekdays, rich.base) < days):
        raise AssertionError("the shared schedule does not hold")
    saved = shared.unit_minutes - one_more
    return optimise.Solution(rich.base, blocks, shared.unit_minutes, saved, exact=False)


def _sized(window: compiler.Window, need: Need) -> compiler.Window:
    """From levels to the sizes that AWS is told: what counts down is a cap as well."""
    if need.top is None:
        return window
    size = need.size(window.min)
    return replace(window, min=size, max=size)


def _allowed(grid: Grid) -> NDArray[np.bool_]:
    """By minute of the service day: whether an action may stand there."""
    # A clock change in the night before or after counts: some zones change before midnight.
    unsafe = compiler.unsafe_minutes(
        grid.zone, grid.start - DAY_MINUTES, grid.start + grid.count + DAY_MINUTES
    )
    return np.array(
        [
            minute < DAY_MINUTES and minute not in unsafe
            for minute in range(DAY_START, DAY_START + DAY_MINUTES)
        ]
    )


def _windows(blocks: Sequence[optimise.Block], weekdays: Ints, grid: Grid) -> list[compiler.Window]:
    windows: list[compiler.Window] = []
    for block in blocks:
        days = [grid.first + row * DAY for row in optimise.rows_of(block, weekdays)]
        windows += [
            compiler.Window(
                first=days[0],
                last=days[-1],
                days=tuple(sorted({day.weekday() for day in days})),
                at=step.minute + DAY_START,
                min=step.level,
            )
            for step in block.steps
        ]
    return windows


def _closing(windows: Sequence[compiler.Window], grid: Grid, least: int) -> list[compiler.Window]:
    """Nothing is planned after the horizon: give back what its last day holds."""
    last = max(windows, key=lambda window: (window.last, window.at), default=None)
    if last is None or last.min <= least:
        return []
    after = grid.last + DAY
    return [compiler.Window(after, after, (after.weekday(),), DAY_START, least)]


def _opening(
    windows: Sequence[compiler.Window], grid: Grid, start: int, before: int | None
) -> list[compiler.Window]:
    """Takes over from an earlier plan, whose last floor is `before` where it is known.

    A lower one is raised on the evening before. Where nothing is known of it, the first service day
    sets its own; its night was the earlier plan's, which looked one day further.
    """
    if before is not None and before >= start:
        return []
    day, at = (grid.first, DAY_START) if before is None else (grid.first - DAY, OPENING)
    if any(window.first == day and window.at == at for window in windows):
        return []
    return [compiler.Window(day, day, (day.weekday(),), at, start)]


def inputs_sha256(
    season: Season,
    bounds: Mapping[str, Bounds],
    grid: Grid,
    kinds: Mapping[str, Kinds],
    carried: Mapping[str, Sequence[Mapping[str, object]]],
) -> str:
    """Everything that the plan depends on: season, each target's bounds (its own, or taken from the
    stack), files, calendar, an earlier plan's actions, planner."""
    return _sha256(
        {
            "planner": PLANNER_VERSION,
            "season": season.model_dump(mode="json", by_alias=True),
            "bounds": {name: [b.min, b.max] for name, b in sorted(bounds.items())},
            "covers": [grid.first.isoformat(), grid.last.isoformat()],
            "files": [sha256_of(path) for path in season.files],
            "calendar": {
                market: [[day.isoformat(), kind.kind, kind.base] for day, kind in days.items()]
                for market, days in kinds.items()
            },
            "carried": {name: list(actions) for name, actions in carried.items() if actions},
        }
    )


def _lines(value: object, indent: str) -> str:
    """JSON in which only mappings and lists of mappings of the outer levels are broken up."""
    if isinstance(value, dict) and value and len(indent) < 6:
        items = cast("dict[str, object]", value).items()
        inner = [
            f"{indent}  {json.dumps(key)}: {_lines(item, indent + '  ')}" for key, item in items
        ]
        return "{\n" + ",\n".join(inner) + f"\n{indent}}}"
    if isinstance(value, list) and value:
        inner = [f"{indent}  {json.dumps(item, ensure_ascii=False)}" for item in value]
        return "[\n" + ",\n".join(inner) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)


def _sha256(content: object) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read_plan(path: Path, *, command: str = PLAN_COMMAND) -> Plan:
    """Read a plan file; `command` is what makes it anew.

    Raises:
        InputError: it is missing, unreadable, of another version, or was edited by hand.
    """
    renew = f"run {command} and commit the result"
    try:
        data = cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8")))
        if data["schema"] != SCHEMA:
            raise InputError(
                f"is a plan of version {data['schema']}, not {SCHEMA}", where=str(path), fix=renew
            )
        plan = Plan(
            schema=SCHEMA,
            season=str(data["season"]),
            covers_from=date.fromisoformat(data["covers"]["from"]),
            covers_to=date.fromisoformat(data["covers"]["to"]),
            inputs_sha256=str(data["inputs_sha256"]),
            targets={name: _read_target(item) for name, item in data["targets"].items()},
            warnings=tuple(data["warnings"]),
        )
        recorded = data["plan_sha256"]
    except FileNotFoundError as error:
        raise InputError("there is no plan", where=str(path), fix=renew) from error
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            "is no plan file", where=str(path), why=f"{type(error).__name__}: {error}", fix=renew
        ) from error
    if plan.plan_sha256 != recorded:
        raise InputError(
            "the plan was edited by hand",
            where=str(path),
            why="its content does not match plan_sha256",
            fix=f"change the season and {renew}",
        )
    return plan


def _read_target(item: dict[str, Any]) -> PlanTarget:
    bounds = item["bounds"]
    return PlanTarget(
        kind=item["kind"],
        bounds=Bounds(bounds["min"], bounds["max"]),
        start=bounds["start"],
        windows=tuple(item["windows"]),
        actions=tuple(item["actions"]),
        instance_hours=item["instance_hours"],
        cost=item["cost"],
        verdict=item["verdict"],
        carried=item["carried"],
    )


def check_plan(
    plan: Plan,
    season: Season,
    *,
    bounds: Mapping[str, Bounds],
    now: datetime,
    command: str = PLAN_COMMAND,
) -> list[str]:
    """Whether the plan may be applied at `now`; returns warnings. `command` makes it anew.

    Raises:
        InputError: the plan is stale (the season, a file it names, the stack's bounds or the
            calendar has changed since) or past its end.
    """
    problems: list[Problem] = []
    grid = Grid(season.zone, plan.covers_from, plan.covers_to)
    renew = f"run {command} and commit the result"
    kinds = _kinds(season, grid, problems)
    effective = {
        name: found
        for name, target in season.capacity.items()
        if (found := bounds_of(name, target, bounds.get(name), problems)) is not None
    }
    if problems:
        raise Problems(str(season.path), problems)
    carried = {name: target.actions[: target.carried] for name, target in plan.targets.items()}
    if inputs_sha256(season, effective, grid, kinds, carried) != plan.inputs_sha256:
        raise InputError(
            f"the plan of season {season.name} is stale",
            where=str(season.path),
            why="the season, a file it names, the stack's bounds or the planner has changed since",
            fix=renew,
        )
    end = midnight(plan.covers_to + DAY).replace(tzinfo=season.zone)
    if now >= end:
        raise InputError(
            f"the plan of season {season.name} ended on {plan.covers_to}",
            where=str(season.path),
            fix=f"extend `horizon`, {renew}",
        )
    left = (end - now) // timedelta(days=1)
    if left < DAYS_LEFT_WARNING:
        return [f"the plan of season {season.name} ends in {left} days, on {plan.covers_to}"]
    return []
