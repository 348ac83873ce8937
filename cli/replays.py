"""`season simulate` and `season backtest`: what the plan makes of a load, beside what others do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from cli.planning import Source, bounds_of, current, profile_cache
from infra.errors import InputError
from infra.season.backtest import (
    SCALABLE,
    Backtest,
    TargetBacktest,
    as_its_past,
    backtest,
    chart,
    judge,
    measured,
)
from infra.season.capacity import demand_of
from infra.season.demand import Forecast
from infra.season.grid import Floats, Grid
from infra.season.history import History, read_history
from infra.season.plan import prepare, read_season
from infra.season.season_file import Season


@dataclass(frozen=True)
class Simulation:
    """What the plan in the file makes of a load."""

    load: str
    targets: tuple[TargetBacktest, ...]
    warnings: tuple[str, ...]


def loads(season: Season, files: Mapping[str | None, Path]) -> dict[str | None, History] | None:
    """The load that came, by market; None where no file was given.

    Raises:
        InputError: a file is no history, or names a market that there is not.
    """
    known = [market.name for market in season.markets]
    for market in files:
        if market is not None and market not in known:
            raise InputError(
                f"there is no market {market!r}",
                where="--demand",
                fix=f"one of: {', '.join(known)}",
            )
    return {market: read_history(path) for market, path in files.items()} or None


def run_backtest(
    source: Source, start: date, end: date, files: Mapping[str | None, Path]
) -> Backtest:
    """Learn before `start`, plan to `end`, judge by what came.

    Raises:
        InputError: as `backtest`.
    """
    season = read_season(source.path)
    if end < start:
        raise InputError(
            f"{end} lies before {start}", where="--to", fix="name a last day that is not earlier"
        )
    return backtest(
        season,
        start=start,
        end=end,
        actual=loads(season, files),
        bounds=bounds_of(source, season),
        cache=profile_cache(),
    )


def run_simulation(
    source: Source,
    *,
    factor: float,
    files: Mapping[str | None, Path],
    progress: Callable[[str], None],
) -> Simulation:
    """Play the plan in the file over its own forecast, or over a measured load, times `factor`.

    Those who learn from the past are given the whole weeks of this load as their past.

    Raises:
        InputError: there is no plan, or the load does not cover it.
    """
    season, plan = current(source)
    grid = Grid(season.zone, plan.covers_from, plan.covers_to)
    warnings: list[str] = []
    came = loads(season, files)
    if came is None:
        prepared = prepare(
            season,
            bounds=bounds_of(source, season),
            start=plan.covers_from,
            end=plan.covers_to,
            cache=profile_cache(),
        )
        load: Forecast = prepared.forecast
    else:
        load = measured(season, came, grid.start, grid.count, warnings)
    found: list[TargetBacktest] = []
    for name, planned in plan.targets.items():
        if planned.kind not in SCALABLE or name not in season.capacity:
            continue
        if not season.capacity[name].from_demand:
            continue
        progress(name)
        demand: Floats = np.multiply(demand_of(season, name, load)[: grid.count], factor)
        past = as_its_past(demand)
        found.append(judge(season, name, planned, grid, demand=demand, before=past))
    what = "the forecast" if came is None else "measured load"
    return Simulation(f"{what} x {factor:g}", tuple(found), tuple(warnings))


def write_charts(targets: tuple[TargetBacktest, ...], output: Path) -> list[Path]:
    """Write a chart (SVG) for each target; with several, the target's name goes into the file's.

    Raises:
        InputError: a file cannot be written, or is no .svg.
    """
    if output.suffix != ".svg":
        raise InputError("is no name of a chart", where=f"--chart {output}", fix="end it in .svg")
    written: list[Path] = []
    for target in targets:
        name = f"{output.stem}-{target.target}.svg" if len(targets) > 1 else output.name
        path = output.with_name(name)
        try:
            path.write_text(chart(target), encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot be written: {error}", where=f"--chart {path}") from error
        written.append(path)
    return written
