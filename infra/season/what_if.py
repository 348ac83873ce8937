"""What breaks first when the demand is higher than forecast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infra.season.capacity import Bounds, bounds_of, demand_of, units_for
from infra.season.demand import Forecast
from infra.season.grid import Floats, Grid, moment_of
from infra.season.plan import PlanTarget, build_plan, prepare
from infra.season.season_file import Season
from infra.season.simulate import identity_provider


@dataclass(frozen=True)
class Limit:
    """`needed` of what allows `limit`; it breaks from `breaks_at` times the forecast on."""

    name: str
    needed: float
    limit: float
    unit: str
    breaks_at: float
    when: str
    """The moment of the peak, in the season's zone."""
    note: str = ""

    @property
    def broken(self) -> bool:
        return self.needed > self.limit


@dataclass(frozen=True)
class WhatIf:
    factor: float
    limits: tuple[Limit, ...]
    """What breaks first comes first."""
    targets: Mapping[str, PlanTarget]
    """The plan at that factor, with every maximum raised as far as it takes."""


def what_if(
    season: Season,
    factor: float,
    *,
    bounds: Mapping[str, Bounds] | None = None,
    cache: Path | None = None,
) -> WhatIf:
    """Every limit against `factor` times the forecast, and the plan that would be needed.

    Raises:
        Problems: the season contradicts itself.
    """
    roomy = _with_demand(_without_maximum(season), factor)
    room = {name: Bounds(b.min, 1_000_000) for name, b in (bounds or {}).items()}
    prepared = prepare(roomy, bounds=room, cache=cache)
    found: list[Limit] = []
    for name, target in season.capacity.items():
        effective = bounds_of(name, target, (bounds or {}).get(name), [])
        if effective is None or not target.from_demand:
            continue
        rate = demand_of(roomy, name, prepared.forecast)
        units = units_for(target, rate, effective.min)
        found.append(
            Limit(
                name=name,
                needed=float(units.max()),
                limit=float(effective.max),
                unit="units",
                breaks_at=_breaks_at(season, name, rate / factor, effective),
                when=_when(prepared.seen, int(units.argmax())),
            )
        )
    if season.limits.logins_per_second is not None:
        found.append(_provider(season, prepared.forecast, prepared.seen, factor))
    plan = build_plan(roomy, bounds=room, cache=cache)
    for name, target in plan.targets.items():
        actions, allowed = (
            float(str(target.verdict[key])) for key in ("actions", "actions_allowed")
        )
        found.append(
            Limit(
                f"{name} actions",
                actions,
                allowed,
                "scheduled actions",
                float("inf"),
                "",
                "the plan always fits; more demand makes it dearer, not longer",
            )
        )
    return WhatIf(factor, tuple(sorted(found, key=lambda limit: limit.breaks_at)), plan.targets)


def _breaks_at(season: Season, name: str, rate: Floats, bounds: Bounds) -> float:
    """The factor from which on more than the maximum is needed, to a thousandth."""
    target = season.capacity[name]
    peak = np.array([float(rate.max())])
    low, high = 0.0, 1.0
    if not peak[0]:
        return float("inf")
    while units_for(target, peak * high, bounds.min)[0] <= bounds.max:
        high *= 2
    while high - low > 0.0005:
        middle = (low + high) / 2
        fits = units_for(target, peak * middle, bounds.min)[0] <= bounds.max
        low, high = (middle, high) if fits else (low, middle)
    return round(high, 3)


def _provider(season: Season, forecast: Forecast, grid: Grid, factor: float) -> Limit:
    """Logins behind the identity provider; a login is `requests_per_login` requests."""
    weight = season.demand.weights.get("login", 1.0)
    requests = np.sum([m["login"] for m in forecast.requests_per_second.values()], axis=0)
    logins = requests / weight / season.demand.requests_per_login
    rate = season.limits.logins_per_second or 0.0
    entry = identity_provider(logins, rate)
    peak = float(logins.max())
    return Limit(
        name="identity provider",
        needed=round(peak, 2),
        limit=rate,
        unit="logins per second",
        breaks_at=round(rate / (peak / factor), 3) if peak else float("inf"),
        when=_when(grid, int(logins.argmax())),
        note=f"up to {entry.waiting.max():.0f} people wait, up to {entry.longest_wait_minutes:.0f} "
        "minutes",
    )


def _with_demand(season: Season, factor: float) -> Season:
    demand = season.demand.model_copy(update={"surge_factor": season.demand.surge_factor * factor})
    return season.model_copy(update={"demand": demand}).at(season.path)


def _without_maximum(season: Season) -> Season:
    capacity = {
        name: target.model_copy(update={"max": 1_000_000}) if target.from_demand else target
        for name, target in season.capacity.items()
    }
    limits = season.limits.model_copy(update={"instances": None})
    kept = {name: target for name, target in capacity.items() if not target.against}
    return season.model_copy(update={"capacity": kept, "limits": limits}).at(season.path)


def _when(grid: Grid, minute: int) -> str:
    return f"{moment_of(grid.start + minute).astimezone(grid.zone):%Y-%m-%d %H:%M}"
