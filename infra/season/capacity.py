"""Units of capacity that a forecast needs, minute by minute, and the floor that provides them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infra.errors import Problem
from infra.season import limits
from infra.season.demand import Forecast
from infra.season.grid import DAY_MINUTES, Floats, Grid, Ints, moment_of, wall_minutes
from infra.season.season_file import CLASSES, Season, Target

# Below this share of a unit, a need is a rounding error of the arithmetic.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Bounds:
    """Least and most units of a target."""

    min: int
    max: int


@dataclass(frozen=True)
class Need:
    """What one target needs."""

    name: str
    target: Target
    bounds: Bounds
    requests_per_second: Floats
    units: Ints
    """Units that must be in service, in each minute of the grid."""


def bounds_of(
    name: str, target: Target, given: Bounds | None, problems: list[Problem]
) -> Bounds | None:
    """The season's bounds, within and completed by the stack's."""
    where = f"capacity/{name}"
    low = target.min if target.min is not None else (given.min if given else None)
    high = target.max if target.max is not None else (given.max if given else None)
    if low is None or high is None:
        for key, value in (("min", low), ("max", high)):
            if value is None:
                problems.append(
                    Problem(f"{where}/{key}", "is missing", "no stack gives it, so add it")
                )
        return None
    if given is not None and low < given.min:
        problems.append(
            Problem(f"{where}/min", f"{low} is below the stack's minimum of {given.min}")
        )
    if given is not None and high > given.max:
        problems.append(
            Problem(f"{where}/max", f"{high} is above the stack's maximum of {given.max}")
        )
    if low > high:
        problems.append(Problem(where, f"min {low} is above max {high}"))
        return None
    return Bounds(low, high)


def per_unit(target: Target) -> float:
    """Requests per second that the floor lets one unit carry."""
    return target.requests_per_second / target.utilisation * target.floor_utilisation


def units_for(target: Target, requests_per_second: Floats, least: int) -> Ints:
    """ceil(forecast / (hard limit x floor_utilisation)), at least `least`; more for a lost zone.

    With `zone_loss`, units stand evenly over `zones`; what is left after the fullest zone is lost
    must still suffice.
    """
    units = np.ceil(requests_per_second / per_unit(target) - ROUNDING).astype(np.int64)
    units = np.maximum(units, least)
    if target.zone_loss and target.zones > 1:
        # n units over z zones keep n - ceil(n / z) = floor(n (z - 1) / z) when one is lost.
        units = -(-units * target.zones // (target.zones - 1))
    if target.kind == "load-balancer-capacity":
        units = np.maximum(units, limits.MIN_RESERVED_CAPACITY_UNITS)
    return units


def demand_of(season: Season, name: str, forecast: Forecast) -> Floats:
    """The requests per second that reach a target: its markets, classes and share."""
    target = season.capacity[name]
    chosen = target.markets or tuple(forecast.requests_per_second)
    classes = target.classes or CLASSES
    rates = [
        rate
        for market in chosen
        for name, rate in forecast.requests_per_second[market].items()
        if name in classes
    ]
    return np.sum(rates, axis=0) * target.share


def needs(
    season: Season,
    forecast: Forecast,
    grid: Grid,
    given: dict[str, Bounds],
    problems: list[Problem],
) -> list[Need]:
    """What every target needs; contradictions are added to `problems`."""
    found: list[Need] = []
    known = {market.name for market in season.markets}
    for name, target in season.capacity.items():
        unknown = sorted(set(target.markets or ()) - known)
        for market in unknown:
            problems.append(Problem(f"capacity/{name}/markets", f"there is no market {market!r}"))
        bounds = bounds_of(name, target, given.get(name), problems)
        if bounds is None or unknown:
            continue
        rate = demand_of(season, name, forecast)
        units = units_for(target, rate, bounds.min)
        if (most := int(units.max())) > bounds.max:
            problems.append(
                _too_many(season, name, forecast, grid=grid, units=units, most=most, bounds=bounds)
            )
            continue
        found.append(Need(name, target, bounds, rate, units))
    return found


def _too_many(
    season: Season,
    name: str,
    forecast: Forecast,
    *,
    grid: Grid,
    units: Ints,
    most: int,
    bounds: Bounds,
) -> Problem:
    at = int(units.argmax())
    when = moment_of(grid.start + at).astimezone(grid.zone)
    cause = ""
    for burst in season.demand.bursts:
        starts = forecast.bursts.get(burst.name, np.zeros(0, np.int64))
        if np.any((starts - burst.widen <= at) & (at < starts + burst.over + burst.widen)):
            cause = f" (burst {burst.name!r})"
    return Problem(
        f"capacity/{name}/max",
        f"{most} units are needed on {when:%Y-%m-%d %H:%M}{cause}, more than max {bounds.max}",
        f"raise max to {most}, or spread the load",
    )


def floors(need: Need) -> Ints:
    """The floor that must be set in each minute, so that units boot before they are needed.

    An action runs up to `limits.LATE_MINUTES` late and units boot after it: the floor at t covers
    every need from t to t + lead.
    """
    return ahead(need.units, need.target.lead_minutes)


def ahead(units: Ints, minutes: int) -> Ints:
    """The most of each minute and the `minutes` after it."""
    result = units.copy()
    reach = 1
    # Doubling windows: the maximum over 2^k minutes from two over 2^(k-1).
    while reach <= minutes:
        step = min(reach, minutes + 1 - reach)
        result[:-step] = np.maximum(result[:-step], result[step:])
        reach += step
    return result


def by_wall_day(floor: Ints, grid: Grid, day_start: int) -> Ints:
    """The floor in wall time: a row for each service day, a column for each of its minutes.

    Row 0 is the service day that ends on the grid's first date: service days run from `day_start`
    (minutes after local midnight) to `day_start` on the next. Doubled minutes take the larger
    floor, skipped ones and those outside the grid hold 0.
    """
    wall = wall_minutes(grid.zone, grid.start, grid.count) - day_start
    first = int(wall[0]) // DAY_MINUTES
    rows = int(wall[-1]) // DAY_MINUTES - first + 1
    flat = np.zeros(rows * DAY_MINUTES, dtype=np.int64)
    np.maximum.at(flat, wall - first * DAY_MINUTES, floor)
    return flat.reshape(rows, DAY_MINUTES)
