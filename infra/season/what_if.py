"""What breaks first when the demand is higher than forecast."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from infra.season import limits, simulate
from infra.season.capacity import Bounds, ahead, bounds_of, demand_of, units_for
from infra.season.demand import Forecast
from infra.season.grid import Floats, Grid, Ints, moment_of
from infra.season.plan import PlanTarget, Prepared, build_plan, prepare
from infra.season.season_file import Season, Target
from infra.season.simulate import identity_provider

# What does not break at so many times the forecast never does.
HIGHEST_FACTOR: Final = 2.0**20


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
                note=_aws_limit(target),
            )
        )
    if season.limits.logins_per_second is not None:
        found.append(_provider(season, prepared.forecast, prepared.seen, factor))
    plan = build_plan(roomy, bounds=room, cache=cache)
    found += _shared(season, bounds or {}, prepared, plan.targets, factor)
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


def _aws_limit(target: Target) -> str:
    most = limits.MOST_UNITS.get(target.kind)
    return f"AWS allows at most {most}" if most else ""


def _breaks_at(season: Season, name: str, rate: Floats, bounds: Bounds) -> float:
    """The factor from which on more than the maximum is needed, to a thousandth."""
    target = season.capacity[name]
    peak = np.array([float(rate.max())])
    if not peak[0]:
        return float("inf")
    return _first(lambda factor: units_for(target, peak * factor, bounds.min)[0] > bounds.max)


def _first(broken: Callable[[float], bool]) -> float:
    """The factor from which on it is `broken`, to a thousandth."""
    low, high = 0.0, 1.0
    while not broken(high):
        high *= 2
        if high > HIGHEST_FACTOR:
            return float("inf")
    while high - low > 0.0005:
        middle = (low + high) / 2
        low, high = (low, middle) if broken(middle) else (middle, high)
    return round(high, 3)


def _shared(
    season: Season,
    given: Mapping[str, Bounds],
    prepared: Prepared,
    planned: Mapping[str, PlanTarget],
    factor: float,
) -> list[Limit]:
    """The cap under `limits/instances`: for those that follow the demand together, and for each
    that lives from what they leave."""
    cap = season.limits.instances
    if cap is None:
        return []
    following = [name for name in cap.targets if name in planned]
    found = [_together(cap.max, "limits/instances", following, prepared, planned, factor=factor)]
    for name in cap.targets:
        target = season.capacity.get(name)
        bounds = bounds_of(name, target, given.get(name), []) if target else None
        if target is None or bounds is None or not target.against:
            continue
        limit = _together(
            cap.max,
            f"{name} under limits/instances",
            [other for other in target.against if other in planned],
            prepared,
            planned,
            factor=factor,
            beside=bounds.min,
        )
        found.append(limit)
    return found


def _together(
    cap: int,
    name: str,
    members: Sequence[str],
    prepared: Prepared,
    planned: Mapping[str, PlanTarget],
    *,
    factor: float,
    beside: int = 0,
) -> Limit:
    """What `members` take together, `beside` units more, against the cap."""
    seen = prepared.seen
    floors = [
        simulate.play_floor(
            planned[member].actions,
            start=seen.start,
            count=seen.count,
            initial=planned[member].start,
        ).nominal
        for member in members
    ]
    floor = np.sum([np.zeros(seen.count, dtype=np.int64), *floors], axis=0) + beside
    needs = [need for need in prepared.needs if need.name in members]

    def most(times: float) -> int:
        at_least = [
            ahead(
                units_for(need.target, need.requests_per_second * times / factor, need.bounds.min),
                need.target.lead_minutes,
            )
            for need in needs
        ]
        together: Ints = np.sum([np.zeros(seen.count, dtype=np.int64), *at_least], axis=0)
        return int(together.max()) + beside

    breaks_at = _first(lambda times: most(times) > cap)
    needed = int(floor.max())
    if needed > cap:
        # The plan's steps hold a little more than is needed at the moment.
        breaks_at = min(breaks_at, factor)
    note = f"{' and '.join(members)} together"
    if beside:
        note += f", and its minimum of {beside}"
    return Limit(
        name=name,
        needed=float(needed),
        limit=float(cap),
        unit="units",
        breaks_at=breaks_at,
        when=_when(seen, int(floor.argmax())),
        note=note,
    )


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
