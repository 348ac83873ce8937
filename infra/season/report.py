"""What a report of a season says: days, curves, risks, cost against others, assumptions.

Figures only; what they look like is the command line's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np

from infra.season.backtest import SCALABLE, Row, as_its_past, judge
from infra.season.calendar import dates
from infra.season.capacity import Bounds, Need
from infra.season.demand import Kinds
from infra.season.grid import Floats, Grid, Ints, moment_of
from infra.season.plan import Plan, Prepared, prepare
from infra.season.season_file import KINDS, Season
from infra.season.simulate import in_service, play_floor

WAYS: Final = ("firstbell", "target tracking alone", "fixed weekly hours", "static peak")
RISKIEST: Final = 5


@dataclass(frozen=True)
class Day:
    """One local day of one target."""

    day: date
    kinds: Mapping[str, str]
    """By market."""
    highest_floor: int
    highest_demand: float


@dataclass(frozen=True)
class Curve:
    """One local day, a value a minute; all in requests per second."""

    title: str
    day: date
    demand: Floats
    median: Floats | None
    """What half of the days learnt from stay below; None where nothing was learnt."""
    floor: Floats
    """The floor as scheduled, at its hard limit."""
    serving: Floats
    """What surely serves: actions as late as AWS allows, units that have booted; hard limit."""


@dataclass(frozen=True)
class TargetReport:
    name: str
    kind: str
    actions: int
    actions_allowed: int
    peak: int
    instance_hours: float
    static_peak_hours: float
    hard_limit: float
    """Requests per second of one unit."""
    days: tuple[Day, ...]
    curves: tuple[Curve, ...]
    rows: tuple[Row, ...]
    """Cost against others, on the forecast itself; none for what is no group of units."""


@dataclass(frozen=True)
class Risk:
    """The tightest minute of a day: `used` of what surely serves, at its hard limit."""

    day: date
    at: str
    target: str
    kinds: Mapping[str, str]
    demand: float
    in_service: int
    used: float


@dataclass(frozen=True)
class Fact:
    """Something the plan stands on. `assumed`: nobody has given a source for it."""

    what: str
    value: str
    source: str
    assumed: bool


@dataclass(frozen=True)
class Report:
    season: str
    timezone: str
    plan: Plan
    targets: tuple[TargetReport, ...]
    risks: tuple[Risk, ...]
    facts: tuple[Fact, ...]
    learnt: bool
    """Whether any history was learnt from."""
    quality: tuple[str, ...]


def report(
    season: Season,
    plan: Plan,
    *,
    bounds: Mapping[str, Bounds],
    cache: Path | None = None,
    progress: Callable[[str], None],
) -> Report:
    """Everything that a report of this plan says.

    Raises:
        Problems: what is wrong with the season.
    """
    days = {"start": plan.covers_from, "end": plan.covers_to}
    progress("forecasting")
    prepared = prepare(season, bounds=bounds, cache=cache, **days)
    median = None
    if season.demand.history:
        demand = season.demand.model_copy(update={"quantile": 0.5})
        half = season.model_copy(update={"demand": demand}).at(season.path)
        median = prepare(half, bounds=bounds, cache=cache, **days)
    targets: list[TargetReport] = []
    risks: list[Risk] = []
    for number, need in enumerate(prepared.needs):
        progress(f"simulating {need.name}")
        middle = median.needs[number].requests_per_second if median else None
        target, found = _target(season, plan, prepared, need, middle)
        targets.append(target)
        risks += found
    risks.sort(key=lambda risk: (-round(risk.used, 3), -risk.demand, risk.day))
    worst = {risk.day: risk for risk in reversed(risks)}
    return Report(
        season=season.name,
        timezone=season.zone.key,
        plan=plan,
        targets=tuple(targets),
        # Each day once, with the target that is tightest.
        risks=tuple([risk for risk in risks if worst[risk.day] is risk][:RISKIEST]),
        facts=tuple(_facts(season)),
        learnt=bool(season.demand.history),
        quality=plan.warnings,
    )


def _target(
    season: Season, plan: Plan, prepared: Prepared, need: Need, median: Floats | None
) -> tuple[TargetReport, list[Risk]]:
    grid, planned = prepared.grid, plan.targets[need.name]
    demand = need.requests_per_second[: grid.count]
    played = play_floor(planned.actions, start=grid.start, count=grid.count, initial=planned.start)
    serving = in_service(played.worst, need.boot_minutes)
    hard = need.target.requests_per_second / need.target.utilisation
    days = list(dates(grid.first, grid.last))
    starts = np.array([Grid(grid.zone, day, day).start - grid.start for day in days])
    kinds = [{name: found[day].kind for name, found in prepared.kinds.items()} for day in days]
    highest: Floats = np.maximum.reduceat(demand, starts)
    floors = np.maximum.reduceat(played.nominal, starts)
    ends = [*starts[1:].tolist(), grid.count]

    def curve(title: str, row: int) -> Curve:
        part = slice(int(starts[row]), ends[row])
        return Curve(
            title,
            days[row],
            demand[part],
            None if median is None else median[: grid.count][part],
            np.multiply(played.nominal[part], hard, dtype=np.float64),
            np.multiply(serving[part], hard, dtype=np.float64),
        )

    shown = tuple(
        Day(day, kind, int(floor), float(top))
        for day, kind, floor, top in zip(
            days, kinds, floors.tolist(), highest.tolist(), strict=True
        )
    )
    verdict = planned.verdict
    rows: tuple[Row, ...] = ()
    if planned.kind in SCALABLE:
        # The others learn from a year before that was like this one.
        before = as_its_past(demand)
        rows = judge(season, need.name, planned, grid, demand=demand, before=before, ways=WAYS).rows
    return TargetReport(
        name=need.name,
        kind=planned.kind,
        actions=int(str(verdict["actions"])),
        actions_allowed=int(str(verdict["actions_allowed"])),
        peak=int(str(verdict["peak"])),
        instance_hours=planned.instance_hours,
        static_peak_hours=float(str(verdict["static_peak_hours"])),
        hard_limit=hard,
        days=shown,
        curves=tuple(curve(title, row) for title, row in _chosen(days, prepared.kinds, highest)),
        rows=rows,
    ), _risks(need.name, shown, starts, grid, hard=hard, demand=demand, serving=serving)


def _chosen(days: list[date], kinds: Mapping[str, Kinds], highest: Floats) -> list[tuple[str, int]]:
    """The busiest day, and for each kind of day of the first market the one in the middle."""
    first = next(iter(kinds.values()))
    chosen = [("busiest day", int(highest.argmax()))]
    found = {first[day].kind for day in days}
    for kind in sorted(found, key=lambda kind: KINDS.index(kind.partition(":")[0])):
        rows = [row for row, day in enumerate(days) if first[day].kind == kind]
        rows.sort(key=lambda row: (highest[row], row))
        chosen.append((f"an ordinary {kind} day", rows[len(rows) // 2]))
    return chosen


def _risks(
    name: str,
    days: Sequence[Day],
    starts: Ints,
    grid: Grid,
    *,
    hard: float,
    demand: Floats,
    serving: Ints,
) -> list[Risk]:
    found: list[Risk] = []
    ends = [*starts[1:].tolist(), grid.count]
    used = np.divide(demand, np.maximum(serving * hard, 1e-9))
    for day, start, end in zip(days, starts.tolist(), ends, strict=True):
        at = start + int(used[start:end].argmax())
        found.append(
            Risk(
                day=day.day,
                at=f"{moment_of(grid.start + at).astimezone(grid.zone):%H:%M}",
                target=name,
                kinds=day.kinds,
                demand=float(demand[at]),
                in_service=int(serving[at]),
                used=float(used[at]),
            )
        )
    return found


def _facts(season: Season) -> list[Fact]:
    """What the season states, and what it only assumes."""
    found: list[Fact] = []

    def fact(what: str, value: str, source: str, *, default: bool = False) -> None:
        assumed = default or source.strip().lower() in ("", "assumed")
        found.append(Fact(what, value, source or ("default" if default else ""), assumed))

    for market in season.markets:
        terms = "none, by weekday" if market.terms is None else str(len(market.terms))
        fact(
            f"market {market.name}",
            f"{market.users:,} users, {market.zone.key}, terms: {terms}, "
            f"breaks: {len(market.breaks)}",
            market.source or season.source,
        )
        for period in market.periods:
            factor = "learnt" if period.factor is None else f"factor {period.factor:g}"
            fact(
                f"{market.name}: {period.name or period.kind}",
                f"{period.kind}, {period.from_} to {period.to}, {factor}",
                period.source,
            )
    demand = season.demand
    given = demand.model_fields_set
    for item in demand.history:
        fact(f"history {item.file.name}", item.market or "whole site", "measured")
    if not demand.history:
        fact("profiles", "declared, none learnt from logs", season.source)
    else:
        fact("quantile", f"{demand.quantile:g} of the days of a kind", "", default=True)
    fact("growth", f"x {demand.growth:g}", season.source, default="growth" not in given)
    if demand.surge_factor != 1:
        fact("surge factor", f"x {demand.surge_factor:g}", season.source)
    for burst in demand.bursts:
        size = f"{burst.logins:,.0f} logins" if burst.logins else f"{burst.requests:,.0f} requests"
        fact(
            f"burst {burst.name}",
            f"{size} in {burst.over:g} minutes from {burst.at // 60:02}:{burst.at % 60:02}",
            burst.source,
        )
    fact(
        "requests per login",
        f"{demand.requests_per_login:g}",
        season.source,
        default="requests_per_login" not in given,
    )
    for name, target in season.capacity.items():
        if target.from_demand:
            fact(
                f"capacity {name}",
                f"{target.requests_per_second:g} requests/s a unit at "
                f"{target.utilisation:.0%}, floor up to {target.floor_utilisation:.0%}, ready in "
                f"{target.boot_minutes} minutes",
                target.source,
            )
    return found
