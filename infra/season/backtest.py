"""Would the plan have held? Learn before a day, plan from it on, simulate what really came.

Side by side with what others do on the same load: static peak, target tracking alone, one unit at a
time, hourly predictive scaling, fixed hours of the week.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from infra.errors import InputError
from infra.season import peers
from infra.season.capacity import Bounds, demand_of
from infra.season.demand import Forecast
from infra.season.grid import DAY_MINUTES, Floats, Grid, Ints, moment_of
from infra.season.history import History, parse_history, read_bytes
from infra.season.plan import Plan, PlanTarget, build_plan
from infra.season.season_file import Season, Span, Target
from infra.season.simulate import Machine, Outcome, play_floor, simulate

SCHEMA: Final = 1
PLANNED: Final = "firstbell"
WAYS: Final = (
    PLANNED,
    "target tracking alone",
    "steps of one",
    "hourly predictive",
    "fixed weekly hours",
    "static peak",
)
SCALABLE: Final = frozenset({"autoscaling-group", "aurora-replicas", "elasticache-replicas"})
MOST_MISSING: Final = 0.05
BEFORE_DAYS: Final = 371
"""How far back peers may look: 53 whole weeks."""


@dataclass(frozen=True)
class Row:
    """One way to scale, on the load that really came."""

    name: str
    violation_minutes: int
    unserved_share: float
    minutes_above_target: int
    instance_hours: float
    ratio_to_optimum: float
    over_hours: float
    """In service beyond the optimum."""
    under_hours: float
    """The optimum beyond what is in service."""

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "violation_minutes": self.violation_minutes,
            "unserved_share": round(self.unserved_share, 8),
            "minutes_above_target": self.minutes_above_target,
            "instance_hours": round(self.instance_hours, 2),
            "ratio_to_optimum": round(self.ratio_to_optimum, 4),
            "over_hours": round(self.over_hours, 2),
            "under_hours": round(self.under_hours, 2),
        }


@dataclass(frozen=True)
class TargetBacktest:
    """All ways to scale one target. Arrays hold a value for each minute from `start`."""

    target: str
    start: int
    """Minutes since the epoch."""
    demand: Floats
    floor: Ints
    in_service: Mapping[str, Ints]
    rows: tuple[Row, ...]
    machine: Machine

    def to_json(self) -> dict[str, object]:
        return {"target": self.target, "rows": [row.to_json() for row in self.rows]}


@dataclass(frozen=True)
class Backtest:
    season: str
    learnt_to: date
    """The last day that was learnt from."""
    judged_from: date
    judged_to: date
    targets: tuple[TargetBacktest, ...]
    plan: Plan
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        return {
            "schema": SCHEMA,
            "season": self.season,
            "learnt_to": self.learnt_to.isoformat(),
            "judged": {"from": self.judged_from.isoformat(), "to": self.judged_to.isoformat()},
            "targets": [target.to_json() for target in self.targets],
            "warnings": list(self.warnings),
        }


def backtest(
    season: Season,
    *,
    start: date,
    end: date,
    actual: Mapping[str | None, History] | None = None,
    bounds: Mapping[str, Bounds] | None = None,
    cache: Path | None = None,
) -> Backtest:
    """Learn from the season's histories before `start`, plan `start` to `end`, judge that plan.

    `actual` is the load that came, by market (None: the whole site); without it, it is what the
    season's own histories hold from `start` to `end`. The season's growth lies between the two.

    Raises:
        InputError: there is no history before `start`, or none of what came.
        Problems: as `build_plan`.
    """
    if not season.demand.history:
        raise InputError(
            "has no history to learn from",
            where=f"{season.path}: demand/history",
            fix="`firstbell season learn` makes one of access logs",
        )
    grid = Grid(season.zone, start, end)
    histories = [_read(season, index) for index in range(len(season.demand.history))]
    came = actual or _came(season, histories, grid)
    with TemporaryDirectory(prefix="firstbell-backtest-") as folder:
        earlier = _before(season, histories, grid, Path(folder))
        plan = build_plan(earlier, bounds=bounds, start=start, end=end, cache=cache)
    warnings = list(plan.warnings)
    demand = measured(season, came, grid.start, grid.count, warnings)
    past = BEFORE_DAYS * DAY_MINUTES
    own = {
        item.market: history
        for item, (_, history) in zip(season.demand.history, histories, strict=True)
    }
    before = measured(season, own, grid.start - past, past, None)
    targets = [
        judge(
            season,
            name,
            planned,
            grid,
            demand=demand_of(season, name, demand),
            before=demand_of(season, name, before),
        )
        for name, planned in plan.targets.items()
        if planned.kind in SCALABLE
    ]
    return Backtest(
        season.name, start - timedelta(days=1), start, end, tuple(targets), plan, tuple(warnings)
    )


def as_its_past(demand: Floats) -> Floats:
    """The whole weeks of a load, for those who learn from what came before it; an unknown week
    when it is shorter than one."""
    weeks = len(demand) // peers.WEEK_MINUTES
    return demand[: weeks * peers.WEEK_MINUTES] if weeks else np.full(peers.WEEK_MINUTES, np.nan)


def _read(season: Season, index: int) -> tuple[bytes, History]:
    path = season.path.parent / season.demand.history[index].file
    data = read_bytes(path)
    return data, parse_history(data, str(path))


def _came(
    season: Season, histories: Sequence[tuple[bytes, History]], grid: Grid
) -> dict[str | None, History]:
    came: dict[str | None, History] = {}
    for item, (_, history) in zip(season.demand.history, histories, strict=True):
        if int(history.minutes[-1]) < grid.start:
            raise InputError(
                f"ends on {history.end:%Y-%m-%d}, before {grid.first}",
                where=history.source,
                why="a backtest needs the load that really came",
                fix="choose an earlier --from, or give the load with --demand",
            )
        came[item.market] = history
    return came


def _before(
    season: Season, histories: Sequence[tuple[bytes, History]], grid: Grid, folder: Path
) -> Season:
    """The season with its histories cut off before the grid, and its horizon laid over the grid."""
    files: list[object] = []
    for index, (item, (data, history)) in enumerate(
        zip(season.demand.history, histories, strict=True)
    ):
        rows = int(np.searchsorted(history.minutes, grid.start))
        if not rows:
            raise InputError(
                f"begins on {history.first:%Y-%m-%d}, not before {grid.first}",
                where=history.source,
                why="a backtest learns from what lies before the days it judges",
                fix="choose a later --from, or add an older history",
            )
        lines = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord("\n"))
        # The header and one line for each row.
        part = folder / str(index) / Path(item.file).name.removesuffix(".gz")
        part.parent.mkdir()
        part.write_bytes(data[: int(lines[rows]) + 1] if rows < len(lines) else data)
        files.append(item.model_copy(update={"file": part}))
    demand = season.demand.model_copy(update={"history": tuple(files)})
    horizon = Span.model_validate({"from": grid.first, "to": grid.last})
    return season.model_copy(update={"demand": demand, "horizon": horizon})


def measured(
    season: Season,
    histories: Mapping[str | None, History],
    start: int,
    count: int,
    warnings: list[str] | None,
) -> Forecast:
    """Measured load in the shape of a forecast, weighted.

    Without `warnings`, minutes that were not measured are NaN; with it they are filled from their
    neighbours, or refused when there are too many.
    """
    weights = {"dynamic": 1.0, "static": 1.0, "login": 1.0, **season.demand.weights}
    found: dict[str, dict[str, Floats]] = {market.name: {} for market in season.markets}
    for name, history in histories.items():
        total = _laid(history, history.requests_per_second, start, count)
        if warnings is not None:
            total = _filled(history, total, warnings)
        classes = {
            label: np.nan_to_num(_laid(history, rates, start, count))
            for label, rates in history.classes.items()
            if label != "dynamic"
        }
        classes["dynamic"] = np.maximum(total - sum(classes.values(), np.zeros(count)), 0.0)
        market = found[name or season.markets[0].name]
        for label, rate in classes.items():
            market[label] = market.get(label, 0.0) + rate * weights[label]
    for market in found.values():
        market.setdefault("dynamic", np.zeros(count))
    return Forecast(found, {})


def _laid(history: History, rates: Floats, start: int, count: int) -> Floats:
    """A history's column on the minutes [start, start + count), NaN where it has no row."""
    wide = history.resolution_minutes
    at = (history.minutes[:, None] + np.arange(wide)).ravel() - start
    values = np.repeat(rates, wide)
    inside = (at >= 0) & (at < count)
    laid = np.full(count, np.nan)
    laid[at[inside]] = values[inside]
    return laid


def _filled(history: History, rate: Floats, warnings: list[str]) -> Floats:
    missing = ~np.isfinite(rate)
    if missing.mean() > MOST_MISSING:
        raise InputError(
            f"lacks {100 * missing.mean():.0f} % of the minutes to be judged",
            where=history.source,
            fix="choose --from and --to within what was measured",
        )
    if missing.any():
        warnings.append(
            f"{history.name}: {int(missing.sum())} minutes that were not measured are filled in"
        )
        known = np.flatnonzero(~missing)
        return np.interp(np.arange(len(rate)), known, rate[known])
    return rate


def judge(
    season: Season,
    name: str,
    planned: PlanTarget,
    grid: Grid,
    *,
    demand: Floats,
    before: Floats,
    ways: Sequence[str] = WAYS,
) -> TargetBacktest:
    """What `ways` to scale make of `demand`; `before` is what came earlier, for those who learn.

    Both hold requests per second, a value for each minute; `before` ends where the grid starts.
    """
    machine = machine_of(season.capacity[name], planned.bounds)
    floor = play_floor(
        planned.actions, start=grid.start, count=grid.count, initial=planned.start
    ).worst
    growth = season.demand.growth
    play: dict[str, Callable[[], Outcome]] = {
        PLANNED: lambda: simulate(demand, floor, machine),
        "target tracking alone": lambda: simulate(
            demand, peers.target_tracking(demand, machine), machine
        ),
        "steps of one": lambda: simulate(
            demand, peers.steps_of_one(demand, machine), machine, target_tracking=False
        ),
        "hourly predictive": lambda: simulate(
            demand, peers.hourly_predictive(before, demand, machine), machine
        ),
        "fixed weekly hours": lambda: simulate(
            demand, peers.weekly_hours(before, demand, machine, growth=growth), machine
        ),
        "static peak": lambda: simulate(
            demand, peers.static_peak(demand, machine), machine, target_tracking=False
        ),
    }
    played = {way: play[way]() for way in ways}
    return TargetBacktest(
        target=name,
        start=grid.start,
        demand=demand,
        floor=floor,
        in_service={way: outcome.in_service for way, outcome in played.items()},
        rows=tuple(
            Row(
                way,
                outcome.violation_minutes,
                outcome.unserved_share,
                outcome.minutes_above_target,
                outcome.instance_hours,
                outcome.ratio_to_optimum,
                outcome.over_hours,
                outcome.under_hours,
            )
            for way, outcome in played.items()
        ),
        machine=machine,
    )


def machine_of(target: Target, bounds: Bounds) -> Machine:
    """How a target of the season behaves in the simulator."""
    return Machine(
        requests_per_second=target.requests_per_second,
        utilisation=target.utilisation,
        boot_minutes=target.boot_minutes,
        min=bounds.min,
        max=bounds.max,
        min_run_minutes=int(target.min_run),
        zones=target.zones,
    )


# --- the chart ------------------------------------------------------------------------------------

WIDTH: Final = 960
HEIGHT: Final = 320
MARGIN: Final = 48
COLOURS: Final = {
    "needed": "#666666",
    "floor": "#c7b8e0",
    PLANNED: "#4b2e83",
    "target tracking alone": "#c4501b",
}


def busiest_day(result: TargetBacktest) -> int:
    """The minute of the result at which its busiest 24 hours begin, counted from its start."""
    days = len(result.demand) // DAY_MINUTES
    if days <= 1:
        return 0
    peaks = result.demand[: days * DAY_MINUTES].reshape(days, DAY_MINUTES).max(axis=1)
    return int(peaks.argmax()) * DAY_MINUTES


def chart(result: TargetBacktest, at: int | None = None) -> str:
    """One day as SVG: units needed, the scheduled floor, and what two ways had in service.

    `at` is the first minute of the day, counted from the result's start; the busiest by default.
    """
    first = busiest_day(result) if at is None else at
    day = slice(first, first + DAY_MINUTES)
    needed = np.ceil(result.demand[day] / result.machine.hard_limit)
    lines = {
        "needed": needed,
        "floor": result.floor[day],
        **{way: result.in_service[way][day] for way in (PLANNED, "target tracking alone")},
    }
    top = max(1, *(int(line.max()) for line in lines.values()))
    begin = moment_of(result.start + first)
    title = f"{result.target}: units in service, 24 hours from {begin:%Y-%m-%d %H:%M}Z"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}" font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{MARGIN}" y="18" font-size="14">{escape(title)}</text>',
    ]
    for share in (0, 0.5, 1):
        y = _y(top * share, top)
        parts.append(
            f'<line x1="{MARGIN}" y1="{y}" x2="{WIDTH - 12}" y2="{y}" stroke="#dddddd"/>'
            f'<text x="{MARGIN - 6}" y="{y + 4}" text-anchor="end">{top * share:g}</text>'
        )
    for hour in range(0, 25, 3):
        label = moment_of(result.start + first + hour * 60)
        parts.append(
            f'<text x="{_x(hour * 60)}" y="{HEIGHT - 28}" text-anchor="middle">{label:%H:%M}</text>'
        )
    for number, (name, line) in enumerate(lines.items()):
        width = 4 if name == "floor" else 1.5
        parts.append(
            f'<path d="{_steps(line, top)}" fill="none" stroke="{COLOURS[name]}" '
            f'stroke-width="{width}"/>'
        )
        x = MARGIN + number * 210
        parts.append(
            f'<rect x="{x}" y="{HEIGHT - 16}" width="14" height="4" fill="{COLOURS[name]}"/>'
            f'<text x="{x + 20}" y="{HEIGHT - 10}">{escape(name)}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def _steps(line: Floats | Ints, top: int) -> str:
    """A path that only moves where the value changes."""
    values = line.tolist()
    path = [f"M{_x(0)},{_y(values[0], top)}"]
    for minute in np.flatnonzero(np.diff(line)).tolist():
        path.append(f"H{_x(minute + 1)}V{_y(values[minute + 1], top)}")
    return "".join([*path, f"H{_x(len(values))}"])


def _x(minute: int) -> float:
    return round(MARGIN + minute / DAY_MINUTES * (WIDTH - 12 - MARGIN), 1)


def _y(value: float, top: int) -> float:
    return round(HEIGHT - MARGIN - value / top * (HEIGHT - MARGIN - 32), 1)
