"""Units of capacity that a forecast needs, minute by minute, and the floor that provides them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np

from infra.errors import Problem, nearest
from infra.season import limits
from infra.season.demand import Forecast, Kinds
from infra.season.grid import DAY_MINUTES, Floats, Grid, Ints, day_of, moment_of, wall_minutes
from infra.season.season_file import CLASSES, Season, Target

# Below this share of a unit, a need is a rounding error of the arithmetic.
ROUNDING = 1e-9
# Time that a unit which must make room takes to go: deregistration delay.
DRAIN_MINUTES = 5


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
    boot_minutes: int
    top: int | None = None
    """Where set, `units` counts down from it: the target may have at most `top - units`, and
    `boot_minutes` is the time until a unit that goes is gone."""

    def size(self, level: int) -> int:
        """Units of the target at a level of `units`."""
        return level if self.top is None else self.top - level


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
            Problem(
                f"{where}/min",
                f"{low} is below the stack's minimum of {given.min}",
                "raise it here, or lower the stack's",
            )
        )
    if given is not None and high > given.max:
        problems.append(
            Problem(
                f"{where}/max",
                f"{high} is above the stack's maximum of {given.max}",
                "lower it here, or raise the stack's",
            )
        )
    if low > high:
        problems.append(Problem(where, f"min {low} is above max {high}", "lower min or raise max"))
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
    if target.kind == "load-balancer-capacity":
        # Below AWS's minimum nothing is reserved: the balancer scales by itself.
        units = np.where(units < limits.MIN_RESERVED_CAPACITY_UNITS, 0, units)
    units = np.maximum(units, least)
    if target.zone_loss and target.zones > 1:
        # n units over z zones keep n - ceil(n / z) = floor(n (z - 1) / z) when one is lost.
        units = -(-units * target.zones // (target.zones - 1))
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
        if not target.from_demand:
            continue
        bounds = bounds_of(name, target, given.get(name), problems)
        if bounds is None or not known.issuperset(target.markets or ()):
            continue
        rate = demand_of(season, name, forecast)
        units = units_for(target, rate, bounds.min)
        if (most := int(units.max())) > bounds.max:
            problems.append(
                _too_many(season, name, forecast, grid=grid, units=units, most=most, bounds=bounds)
            )
            continue
        found.append(Need(name, target, bounds, rate, units, target.boot_minutes))
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
    every need from t to t + lead. What was raised stays for `min_run`.
    """
    floor = ahead(need.units, need.boot_minutes + limits.LATE_MINUTES)
    return sustained(floor, ceil(need.target.min_run))


def least_unit_minutes(units: Ints, boot_minutes: int) -> int:
    """A bound from below on what any plan that holds schedules, with any number of actions.

    An action may run `limits.LATE_MINUTES` late and units boot after it, so a scheduled floor at t
    is at least every need from t to t + lead. `min_run` and the hours in which no action may stand
    can only raise it.
    """
    return int(ahead(units, boot_minutes + limits.LATE_MINUTES).sum())


def sustained(floor: Ints, minutes: int) -> Ints:
    """Every raise held for at least `minutes`."""
    if minutes <= 1:
        return floor
    raised = np.where(np.diff(floor, prepend=floor[:1]) > 0, floor, 0)
    return np.maximum(floor, ahead(raised[::-1], minutes - 1)[::-1])


def left_over(
    season: Season, name: str, floor_of: Mapping[str, Ints], bounds: Bounds, problems: list[Problem]
) -> Need | None:
    """What a target with `against` may have: what the others' planned floors leave of the cap.

    A unit given back may go up to `limits.LATE_MINUTES` late, and one that must go drains first.
    """
    target = season.capacity[name]
    cap = season.limits.instances
    where = f"capacity/{name}/against"
    unknown = sorted(set(target.against) - set(floor_of))
    if unknown or cap is None or name not in cap.targets:
        fix = "list it with the others under limits/instances"
        what = "needs a shared cap"
        if unknown:
            what = f"there is no planned target {unknown[0]!r}"
            close = nearest(unknown[0], floor_of)
            fix = f"did you mean {close!r}?" if close else f"known are {', '.join(floor_of)}"
        problems.append(Problem(where, what, fix))
        return None
    used = np.sum([floor_of[other] for other in target.against], axis=0)
    busy = ahead(used[::-1], limits.LATE_MINUTES)[::-1]
    most = cap.max - int(busy.min())
    if (target.units or 0) > most:
        problems.append(
            Problem(
                f"capacity/{name}/units",
                f"{target.units} units are more than {' and '.join(target.against)} ever give "
                f"back: of limits/instances/max {cap.max} at most {most} are left",
                f"write units: {max(most, 0)} or less, or raise the cap",
            )
        )
        return None
    return _below(name, target, cap.max - busy, bounds, problems, gone_after=DRAIN_MINUTES)


def worker_hours(
    season: Season,
    name: str,
    kinds: Mapping[str, Kinds],
    grid: Grid,
    bounds: Bounds,
    *,
    problems: list[Problem],
) -> Need | None:
    """What workers may have: `core_units` within any market's core hours, else `units`."""
    target = season.capacity[name]
    core = np.zeros(grid.count, dtype=np.bool_)
    for market in season.markets:
        if market.core_hours is None:
            continue
        wall = wall_minutes(market.zone, grid.start, grid.count)
        minute = wall % DAY_MINUTES
        first = int(wall[0]) // DAY_MINUTES
        days = range(first, int(wall[-1]) // DAY_MINUTES + 1)
        school = np.array([kinds[market.name][day_of(day)].base == "school" for day in days])
        inside = (market.core_hours.from_ <= minute) & (minute < market.core_hours.to)
        core |= inside & school[wall // DAY_MINUTES - first]
    if all(market.core_hours is None for market in season.markets):
        problems.append(Problem(f"capacity/{name}", "no market has core_hours", "add them"))
        return None
    may = np.where(core, target.core_units, target.units or 0)
    return _below(name, target, may, bounds, problems, gone_after=0)


def _below(
    name: str,
    target: Target,
    may: Ints,
    bounds: Bounds,
    problems: list[Problem],
    *,
    gone_after: int,
) -> Need | None:
    if (target.units or 0) > bounds.max:
        problems.append(
            Problem(
                f"capacity/{name}/units",
                f"{target.units} units are more than max {bounds.max}",
                f"write units: {bounds.max} or less, or raise max",
            )
        )
        return None
    if int(may.min()) < bounds.min:
        problems.append(
            Problem(
                f"capacity/{name}",
                f"at times only {int(may.min())} units are left, fewer than min {bounds.min}",
                "raise the cap or lower min",
            )
        )
        return None
    top = min(target.units or 0, bounds.max)
    units = top - np.minimum(may, top)
    return Need(name, target, bounds, np.zeros(len(units)), units, gone_after, top)


def cap_problems(
    season: Season, floor_of: Mapping[str, Ints], grid: Grid, problems: list[Problem]
) -> None:
    """Where the floors of targets under a shared cap exceed it."""
    cap = season.limits.instances
    if cap is None:
        return
    together = [floor_of[name] for name in cap.targets if name in floor_of]
    if together and (total := np.sum(together, axis=0)).max() > cap.max:
        when = moment_of(grid.start + int(total.argmax())).astimezone(grid.zone)
        problems.append(
            Problem(
                "limits/instances/max",
                f"{' and '.join(cap.targets)} need {int(total.max())} on {when:%Y-%m-%d %H:%M}, "
                f"more than {cap.max}",
                "raise it, or plan one of them against the others",
            )
        )


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
