"""Requests per second in every minute of the horizon, by market and class of request.

Declared profiles and bursts, and profiles learnt from history; growth and surge factor on top. What
a unit of capacity makes of them is `capacity`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from math import ceil
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from infra.errors import InputError, Problem, Problems
from infra.season.calendar import DAY, DayKind, dates, day_kinds
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
from infra.season.history import read_bytes, read_history
from infra.season.profiles import Profiles as Learnt
from infra.season.profiles import learn_file, learn_profiles
from infra.season.season_file import WEEKDAYS, Burst, HistoryFile, Market, Profiles, Season

Kinds = Mapping[date, DayKind]


@dataclass(frozen=True)
class Forecast:
    """`requests_per_second[market][class][minute of the grid]`, already weighted."""

    requests_per_second: Mapping[str, Mapping[str, Floats]]
    bursts: Mapping[str, Ints]
    """By burst's name: the minutes of the grid at which it starts."""
    notes: tuple[str, ...] = ()
    """What the history does not support, and what was left out of it."""


def forecast(
    season: Season,
    kinds: Mapping[str, Kinds],
    grid: Grid,
    problems: list[Problem],
    *,
    cache: Path | None = None,
) -> Forecast:
    """The forecast of every market; what is wrong with the demand is added to `problems`.

    `kinds` holds the days of the grid and one more on either side, for markets in other zones.
    Learnt profiles are remembered in the folder `cache`. A market with a history of its own, or
    any market when there is one of the whole site, takes no declared profile.
    """
    by_market: dict[str, dict[str, Floats]] = {}
    starts: dict[str, list[int]] = {}
    weights = {"dynamic": 1.0, "static": 1.0, "login": 1.0, **season.demand.weights}
    learnt, notes = _from_history(season, kinds, grid, problems, cache=cache)
    whole_site = any(item.market is None for item in season.demand.history)
    for market in season.markets:
        if whole_site or market.name in learnt:
            classes = {name: rate.copy() for name, rate in learnt.get(market.name, {}).items()}
        else:
            classes = {"dynamic": _declared(season, market, kinds[market.name], grid, problems)}
        logins = classes.pop("login", np.zeros(grid.count))
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
        known = burst.market is None or burst.market in by_market
        if known and not starts.get(burst.name) and not _ever(season, burst, kinds):
            problems.append(_never(where, season, burst))
    return Forecast(
        by_market,
        {name: np.array(sorted(found), dtype=np.int64) for name, found in starts.items()},
        tuple(notes),
    )


def _ever(season: Season, burst: Burst, kinds: Mapping[str, Kinds]) -> bool:
    """Whether it happens in the horizon, of which only a part may be planned."""
    return any(
        day in season.horizon and _counts(market, burst, day)
        for market in season.markets
        if burst.market in (None, market.name)
        for day in burst_days(burst, kinds[market.name])
    )


def _counts(market: Market, burst: Burst, day: date) -> bool:
    """Whether the day is one on which it is meant to happen."""
    in_term = market.terms is None or any(day in term for term in market.terms)
    return in_term or burst.days == "all"


def _never(where: str, season: Season, burst: Burst) -> Problem:
    horizon = season.horizon
    first = max(burst.from_ or horizon.from_, horizon.from_)
    last = min(burst.to or horizon.to, horizon.to)
    if last < first:
        return Problem(
            where,
            f"lies outside the horizon, {horizon.from_} to {horizon.to}",
            "correct its `from` and `to`, or remove it",
        )
    days = burst.days if isinstance(burst.days, str) else ", ".join(burst.days)
    return Problem(
        where,
        f"lies outside every term: no day of a term from {first} to {last} is {days!r}",
        "move it into a term, or say `days: all`",
    )


def _from_history(
    season: Season,
    kinds: Mapping[str, Kinds],
    grid: Grid,
    problems: list[Problem],
    *,
    cache: Path | None,
) -> tuple[dict[str, dict[str, Floats]], list[str]]:
    """Learnt requests per second by market and class; the whole site's go to the first market."""
    found: dict[str, dict[str, Floats]] = {}
    notes: list[str] = []
    markets = {market.name: market for market in season.markets}
    for item in season.demand.history:
        if item.market is not None and item.market not in markets:
            continue  # told with the other unknown names
        market = markets[item.market] if item.market else season.markets[0]
        try:
            profiles, labels = learnt_from(season, item, kinds, cache=cache)
        except Problems as error:
            # Each names the file with its line.
            problems += error.problems
            continue
        except InputError as error:
            what = f"{error.what}: {error.why}" if error.why else error.what
            problems.append(Problem(error.where or str(item.file), what, error.fix))
            continue
        notes += profiles.notes
        own = [each for each in season.markets if item.market in (None, each.name)]
        factors = _factors(own, kinds)
        for name, rate in _spread(profiles, labels, factors, market, grid).items():
            classes = found.setdefault(market.name, {})
            classes[name] = classes.get(name, 0.0) + rate * season.demand.growth
    return found, notes


def _factors(markets: Sequence[Market], kinds: Mapping[str, Kinds]) -> dict[date, float]:
    """What each day's load is multiplied by: the mean of the markets' factors, by their users."""
    weights = np.array([market.users for market in markets], dtype=np.float64)
    if not weights.any():
        weights[:] = 1.0
    return {
        day: float(np.average([kinds[m.name][day].factor or 1.0 for m in markets], weights=weights))
        for day in kinds[markets[0].name]
    }


def learnt_from(
    season: Season, item: HistoryFile, kinds: Mapping[str, Kinds], *, cache: Path | None
) -> tuple[Learnt, dict[date, str]]:
    """What one of the season's histories teaches, and the label of each day of `kinds` in it.

    Raises:
        InputError, Problems: as `read_history` and `learn_profiles`.
    """
    own = [market for market in season.markets if item.market in (None, market.name)]
    labels = _labels([kinds[market.name] for market in own])
    return _learn(season, item, own, sorted(set(labels.values())), cache), labels


def _labels(kinds: Sequence[Kinds], *, measured: bool = False) -> dict[date, str]:
    """How `profiles` is to tell the days apart: BASE, or BASE/DETAIL for a finer distinction.

    A day with a factor is planned as its base, which the factor multiplies; where it was
    `measured`, it stands apart, since the base did not look like that.

    Days of the week differ, and special days on a weekend differ from those in the week; with too
    few days of its own, BASE/DETAIL learns from all of BASE. With several markets the first one
    gives the base, the others are details.
    """
    labels: dict[date, str] = {}
    for day in kinds[0]:
        words = [_label(each[day], day, measured) for each in kinds]
        base, _, detail = words[0].partition("/")
        details = [word for word in (detail, *words[1:]) if word]
        labels[day] = "/".join([base, " ".join(details)]) if details else base
    return labels


def _label(kind: DayKind, day: date, measured: bool) -> str:
    weekday = WEEKDAYS[day.weekday()]
    if kind.kind == kind.base and kind.factor is not None and measured:
        return f"{kind.base}/factor"
    if kind.kind == kind.base or (kind.factor is not None and not measured):
        if kind.base in ("school", "weekend"):
            return f"{kind.base}/{weekday}"
        return f"{kind.base}/weekend" if day.weekday() > 4 else kind.base
    return kind.kind if kind.base == "school" else f"{kind.base}/{kind.kind}"


def _learn(
    season: Season,
    item: HistoryFile,
    markets: Sequence[Market],
    wanted: Sequence[str],
    cache: Path | None,
) -> Learnt:
    path = season.path.parent / item.file
    first, last = _dates_of(path)
    kinds = [day_kinds(market, first - DAY, last + DAY) for market in markets]
    labels = _labels(kinds, measured=True)
    zone, quantile = markets[0].zone, season.demand.quantile
    if cache is None or item.timezone is not None:
        history = read_history(path, ZoneInfo(item.timezone) if item.timezone else None)
        return learn_profiles(history, labels, zone, quantile, wanted=wanted)
    return learn_file(path, labels, zone, quantile, cache=cache, wanted=wanted)


def _dates_of(path: Path) -> tuple[date, date]:
    """The dates of the first and the last row, without reading what lies between."""
    lines = read_bytes(path).rstrip()
    try:
        head = lines[:4096].splitlines()
        last = lines[-4096:].splitlines()[-1]
        column = head[0].decode().split(",").index("timestamp")
        stamps = [datetime.fromisoformat(x.decode().split(",")[column]) for x in (head[1], last)]
    except (ValueError, IndexError, UnicodeDecodeError):
        # Not as plain as that: the reader says what is wrong, or copes with it.
        history = read_history(path)
        return history.first.date(), history.end.date()
    return stamps[0].date(), stamps[1].date()


def _spread(
    profiles: Learnt,
    labels: Mapping[date, str],
    factors: Mapping[date, float],
    market: Market,
    grid: Grid,
) -> dict[str, Floats]:
    """Learnt profiles laid over the grid, by class; what no class claims is dynamic."""
    days = list(dates(grid.first - DAY, grid.last + DAY))
    names = sorted({labels[day] for day in days})
    wall = wall_minutes(market.zone, grid.start, grid.count)
    row_of_day = np.array([names.index(labels[day]) for day in days])
    index = wall // DAY_MINUTES - day_number(days[0])
    row, minute = row_of_day[index], wall % DAY_MINUTES
    factor = np.array([factors[day] for day in days])[index]
    found: dict[str, Floats] = {}
    classes = {name for label in names for name in profiles.kinds[label].rates} - {"total"}
    for name in sorted(classes | {"total"}):
        none = np.zeros(DAY_MINUTES)
        table = np.array([profiles.kinds[label].rates.get(name, none) for label in names])
        found[name] = table[row, minute] * factor
    total = found.pop("total")
    rest = total - sum(found.values(), np.zeros(grid.count))
    found["dynamic"] = found.get("dynamic", 0.0) + np.maximum(rest, 0.0)
    return found


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
        if _counts(market, burst, day):
            starts.append(minute - grid.start)
    return starts
