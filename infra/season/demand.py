"""Requests per second in every minute of the horizon, by market and class of request.

Declared profiles and bursts, and profiles learnt from history; growth and surge factor on top. What
a unit of capacity makes of them is `capacity`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from math import ceil

import numpy as np

from infra.errors import Problem
from infra.season.calendar import DAY, DayKind, dates
from infra.season.grid import (
    DAY_MINUTES,
    Floats,
    Grid,
    Ints,
    day_number,
    moment_of,
    to_minute,
    wall_minutes,
)
from infra.season.season_file import WEEKDAYS, Burst, Market, Profiles, Season

Kinds = Mapping[date, DayKind]


@dataclass(frozen=True)
class Forecast:
    """`requests_per_second[market][class][minute of the grid]`, already weighted."""

    requests_per_second: Mapping[str, Mapping[str, Floats]]
    bursts: Mapping[str, Ints]
    """By burst's name: the minutes of the grid at which it starts."""


def forecast(
    season: Season, kinds: Mapping[str, Kinds], grid: Grid, problems: list[Problem]
) -> Forecast:
    """The forecast of every market; what is wrong with the demand is added to `problems`.

    `kinds` holds the days of the grid and one more on either side, for markets in other zones.
    """
    by_market: dict[str, dict[str, Floats]] = {}
    starts: dict[str, list[int]] = {}
    weights = {"dynamic": 1.0, "static": 1.0, "login": 1.0, **season.demand.weights}
    for market in season.markets:
        classes = {"dynamic": _declared(season, market, kinds[market.name], grid, problems)}
        logins = np.zeros(grid.count)
        for burst in season.demand.bursts:
            if burst.market in (None, market.name):
                found = _add_burst(
                    season,
                    market,
                    burst,
                    kinds[market.name],
                    grid=grid,
                    rate=logins,
                    problems=problems,
                )
                starts.setdefault(burst.name, []).extend(found)
        classes["login"] = logins
        by_market[market.name] = {
            name: rate * (weights[name] * season.demand.surge_factor)
            for name, rate in classes.items()
        }
    for index, burst in enumerate(season.demand.bursts):
        where = f"demand/bursts/{burst.name or index + 1}"
        if burst.market is not None and burst.market not in by_market:
            problems.append(Problem(f"{where}/market", f"there is no market {burst.market!r}"))
        elif not starts.get(burst.name):
            problems.append(_never(where, season, burst))
    return Forecast(by_market, {name: np.array(sorted(found)) for name, found in starts.items()})


def _never(where: str, season: Season, burst: Burst) -> Problem:
    first = max(burst.from_ or season.horizon.from_, season.horizon.from_)
    last = min(burst.to or season.horizon.to, season.horizon.to)
    days = burst.days if isinstance(burst.days, str) else ", ".join(burst.days)
    return Problem(
        where,
        f"lies outside every term: no day of a term from {first} to {last} is {days!r}",
        "move it into a term, or say `days: all`",
    )


def _declared(
    season: Season, market: Market, kinds: Kinds, grid: Grid, problems: list[Problem]
) -> Floats:
    """The market's declared profile in requests per second."""
    profiles = market.profiles or season.demand.profiles
    if profiles is None or market.users == 0:
        return np.zeros(grid.count)
    curves: dict[tuple[str, str, float], Floats] = {}
    days = list(dates(grid.first - DAY, grid.last + DAY))
    for day in days:
        kind = kinds[day]
        key = (kind.kind, kind.base, kind.factor or 1.0)
        if key not in curves:
            curve = _profile(profiles, kind)
            if curve is None:
                known = ", ".join(sorted(profiles))
                problems.append(
                    Problem(
                        f"markets/{market.name}/profiles" if market.profiles else "demand/profiles",
                        f"has no profile for {kind.kind} ({day}, {kind.rule}), only {known}",
                        f"add a profile {kind.base!r}",
                    )
                )
                curve = np.zeros(DAY_MINUTES)
            curves[key] = curve * (kind.factor or 1.0)
    row_of = {key: row for row, key in enumerate(curves)}
    rows = np.array([row_of[kinds[d].kind, kinds[d].base, kinds[d].factor or 1.0] for d in days])
    wall = wall_minutes(market.zone, grid.start, grid.count)
    day_index = wall // DAY_MINUTES - day_number(days[0])
    table = np.array(list(curves.values()))
    return table[rows[day_index], wall % DAY_MINUTES] * (market.users / 1000)


def _profile(profiles: Profiles, kind: DayKind) -> Floats | None:
    """Requests per second per 1,000 users in 1,440 local minutes; `season_file` on borrowing."""
    borrows = {"break": "weekend", "holiday": "weekend"}
    names = [kind.base, borrows.get(kind.base, "")]
    if kind.factor is None:
        names.insert(0, kind.kind)
    for name in names:
        if name in profiles:
            points = sorted(profiles[name].items())
            curve = np.full(DAY_MINUTES, points[-1][1])
            for at, rate in points:
                curve[at:] = rate
            return curve
    return None


def burst_days(burst: Burst, kinds: Kinds) -> list[date]:
    """The days on which a burst happens."""
    return [
        day
        for day, kind in kinds.items()
        if (burst.from_ is None or day >= burst.from_)
        and (burst.to is None or day <= burst.to)
        and _happens(burst, day, kind)
    ]


def _happens(burst: Burst, day: date, kind: DayKind) -> bool:
    if isinstance(burst.days, tuple):
        return WEEKDAYS[day.weekday()] in burst.days
    if burst.days == "all":
        return True
    return burst.days in ((kind.base,) if burst.days == "school" else (kind.kind, kind.base))


def arrivals(burst: Burst, requests_per_login: float) -> Floats:
    """Requests per second in each minute from the burst's start (less `widen`)."""
    requests = burst.requests or (burst.logins or 0) * requests_per_login
    shape = np.array(burst.shape or (1.0,))
    widen = ceil(burst.widen)
    # The share that has arrived by the end of each minute.
    edges = np.linspace(0, burst.over, len(shape) + 1)
    total = np.concatenate(([0.0], np.cumsum(shape) / shape.sum()))
    arrived = np.interp(np.arange(0, ceil(burst.over) + 1), edges, total)
    rates = np.diff(arrived) * requests / 60
    if not widen:
        return rates
    # Clocks may differ by up to `widen`: the most of all shifts, minute by minute.
    wide = np.zeros(len(rates) + 2 * widen)
    for shift in range(2 * widen + 1):
        part = wide[shift : shift + len(rates)]
        np.maximum(part, rates, out=part)
    return wide


def _add_burst(
    season: Season,
    market: Market,
    burst: Burst,
    kinds: Kinds,
    *,
    grid: Grid,
    rate: Floats,
    problems: list[Problem],
) -> list[int]:
    """Adds a burst to `rate`; returns the minutes of the grid at which it starts."""
    rates = arrivals(burst, season.demand.requests_per_login)
    starts: list[int] = []
    for day in burst_days(burst, kinds):
        wall = day_number(day) * DAY_MINUTES + burst.at
        minute = to_minute(market.zone, wall)
        if minute is None:
            problems.append(
                Problem(
                    f"demand/bursts/{burst.name}/at",
                    f"{moment_of(wall):%H:%M} does not exist on {day} in {market.zone.key}",
                    "daylight saving begins that night; choose another time or leave the day out",
                )
            )
            continue
        first = minute - ceil(burst.widen) - grid.start
        last = first + len(rates)
        if last <= 0 or first >= grid.count:
            continue
        rate[max(first, 0) : max(last, 0)] += rates[max(-first, 0) : grid.count - first]
        in_term = market.terms is None or any(day in term for term in market.terms)
        if day in season.horizon and (in_term or burst.days == "all"):
            starts.append(minute - grid.start)
    return starts
