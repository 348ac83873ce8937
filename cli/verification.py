"""`season verify` and `status`: what the live actions really give, against what is required."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from cli import live
from cli.live import LiveTarget
from cli.stack import OpenStack
from infra import clock
from infra.errors import InputError, Problem
from infra.scheduling import bounds_for, plan_in_force
from infra.season import simulate
from infra.season.capacity import Need, left_over, worker_hours
from infra.season.compile import read_action
from infra.season.grid import Grid, minute_of, moment_of
from infra.season.plan import Bounds, Plan, Prepared, prepare, read_season
from infra.season.season_file import Season

MISSING_WHY: Final = "the state knows no such group or scalable target, or the cloud has lost it"


@dataclass(frozen=True)
class Gap:
    """A time in which the live actions give fewer units than are required."""

    start: datetime
    end: datetime
    required: int
    in_service: int


@dataclass(frozen=True)
class TargetVerdict:
    """What the live actions of one target give from now to the plan's end."""

    target: str
    actions: int
    minutes: int
    peak: int
    gaps: tuple[Gap, ...]
    problems: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.gaps and not self.problems

    def to_json(self) -> dict[str, object]:
        return {
            "target": self.target,
            "holds": self.holds,
            "actions": self.actions,
            "minutes": self.minutes,
            "peak": self.peak,
            "problems": list(self.problems),
            "gaps": [
                {
                    "from": gap.start.isoformat(),
                    "to": gap.end.isoformat(),
                    "required": gap.required,
                    "in_service": gap.in_service,
                }
                for gap in self.gaps
            ],
        }


@dataclass(frozen=True)
class TargetStatus:
    """Where one target stands, and what comes next. Units; None where nothing is known."""

    target: str
    floor: int | None
    in_service: int
    required: int | None
    next_change: datetime | None
    next_floor: int | None
    next_peak: datetime | None
    peak: int | None

    @property
    def headroom(self) -> int | None:
        """What serves beyond what is required at this moment; below zero, users wait."""
        return None if self.required is None else self.in_service - self.required

    def to_json(self) -> dict[str, object]:
        return {
            "target": self.target,
            "scheduled_floor": self.floor,
            "in_service": self.in_service,
            "required": self.required,
            "headroom": self.headroom,
            "next_change": self.next_change and self.next_change.isoformat(),
            "next_floor": self.next_floor,
            "next_peak": self.next_peak and self.next_peak.isoformat(),
            "peak": self.peak,
        }


def _season(stack: OpenStack, now: datetime) -> tuple[Season, Plan, Prepared]:
    settings = stack.settings
    found = plan_in_force(settings, now)
    if found is None or settings.season_file is None:
        raise InputError(
            f"the stack {stack.name} has no season",
            where=f"stacks/Pulumi.{stack.name}.yaml: firstbell:season",
            fix="name a season file, relative to stacks/",
        )
    plan, _ = found
    season = read_season(settings.season_file)
    prepared = prepare(
        season,
        bounds=bounds_for(settings, season),
        start=plan.covers_from,
        end=plan.covers_to,
    )
    return season, plan, prepared


def verify(stack: OpenStack) -> list[TargetVerdict]:
    """Simulate the live actions from now to the plan's end against what the season requires.

    Actions are taken to run as late as AWS allows; a unit serves once it has had time to boot.

    Raises:
        InputError: the stack has no season, or its plan does not hold.
    """
    now = clock.now(stack.settings.cloud)
    season, plan, prepared = _season(stack, now)
    found = live.read(stack)
    verdicts = [_verdict(need, found.get(need.name), prepared.grid, now) for need in prepared.needs]
    return verdicts + [
        lent_verdict(season, name, found, prepared, bounds=plan.targets[name].bounds, now=now)
        for name, target in season.capacity.items()
        if not target.from_demand
    ]


def lent_verdict(
    season: Season,
    name: str,
    found: Mapping[str, LiveTarget],
    prepared: Prepared,
    *,
    bounds: Bounds,
    now: datetime,
) -> TargetVerdict:
    """What counts down has no least: its live actions must leave the others what is theirs.

    `bounds` are the hard ones of the target; those of now are in `found`.
    """
    target = found.get(name)
    grid = prepared.grid
    start = max(grid.start, minute_of(now))
    count = grid.start + grid.count - start
    if target is None:
        problem = f"nothing live is called {name}: {MISSING_WHY}"
        return TargetVerdict(name, 0, count, 0, (), (problem,))
    problems: list[Problem] = []
    if season.capacity[name].against:
        floors = {
            other: simulate.play_floor(
                list(item.actions.values()), start=start, count=count, initial=item.bounds.min
            ).nominal
            for other, item in found.items()
        }
        need = left_over(season, name, floors, bounds, problems)
        units = None if need is None else need.units
    else:
        need = worker_hours(season, name, prepared.kinds, prepared.seen, bounds, problems=problems)
        units = None if need is None else need.units[start - grid.start :][:count]
    if need is None or need.top is None or units is None:
        said = tuple(f"{problem.where}: {problem.what}" for problem in problems)
        return TargetVerdict(name, len(target.actions), count, 0, (), said)
    top = need.top
    # Levels, as the planner counts: what is given back, up from 0 (-1 would say "unchanged").
    levels = [
        {**request, "MinSize": max(top - int(request.get("MaxSize", top)), 0)}
        for request in target.actions.values()
    ]
    played = simulate.play_floor(
        levels, start=start, count=count, initial=top - min(target.bounds.max, top)
    )
    given_back = simulate.in_service(played.worst, need.boot_minutes)
    return TargetVerdict(
        name,
        len(target.actions),
        count,
        top,
        (),
        tuple(
            f"from {moment_of(gap.start):%Y-%m-%d %H:%M} for {gap.end - gap.start} minutes: may "
            f"have {top - gap.required} at times, and its live actions leave it up to "
            f"{top - gap.in_service}"
            for gap in simulate.gaps(units, given_back, start)
        ),
    )


def _verdict(need: Need, target: LiveTarget | None, grid: Grid, now: datetime) -> TargetVerdict:
    name = need.name
    start = max(grid.start, minute_of(now))
    needed = need.units[start - grid.start :]
    if target is None:
        problem = f"nothing live is called {name}: {MISSING_WHY}"
        return TargetVerdict(name, 0, len(needed), int(needed.max()), (), (problem,))
    requests = list(target.actions.values())
    problems: list[str] = []
    for label, request in target.actions.items():
        try:
            read_action(request)
        except (ValueError, KeyError) as error:
            problems.append(f"{label}: {error}")
    if problems:
        return TargetVerdict(
            name, len(requests), len(needed), int(needed.max()), (), tuple(problems)
        )
    played = simulate.play_floor(
        requests, start=start, count=len(needed), initial=target.bounds.min
    )
    served = simulate.in_service(
        np.minimum(played.worst, target.bounds.max), need.target.boot_minutes
    )
    gaps = tuple(
        Gap(moment_of(gap.start), moment_of(gap.end), gap.required, gap.in_service)
        for gap in simulate.gaps(needed, served, start)
    )
    return TargetVerdict(name, len(requests), len(needed), int(needed.max()), gaps, ())


def status(stack: OpenStack, found: Mapping[str, LiveTarget]) -> list[TargetStatus]:
    """Where everything that has a capacity stands: floor, in service, next change, next peak.

    `found` is what is live. What the season moves comes first, in its order. The next peak is the
    first minute of the next seven days that needs most. Of what no season knows there is no demand,
    and no change ahead.

    Raises:
        InputError: the season's plan does not hold.
    """
    now = clock.now(stack.settings.cloud)
    scheduled: list[TargetStatus] = []
    if stack.settings.season_file is not None:
        season, _, prepared = _season(stack, now)
        needs = {need.name: need for need in prepared.needs}
        scheduled = [
            _status(stack, found[name], name, needs.get(name), grid=prepared.grid, now=now)
            for name in season.capacity
            if name in found
        ]
    shown = {each.target for each in scheduled}
    return scheduled + [
        _unscheduled(stack, target, name) for name, target in found.items() if name not in shown
    ]


def _unscheduled(stack: OpenStack, target: LiveTarget, name: str) -> TargetStatus:
    serving = live.in_service(stack, target)
    return TargetStatus(name, target.bounds.min, serving, None, None, None, None, None)


WEEK_MINUTES: Final = 7 * 24 * 60


def _status(
    stack: OpenStack,
    target: LiveTarget,
    name: str,
    need: Need | None,
    *,
    grid: Grid,
    now: datetime,
) -> TargetStatus:
    """`need` is None for what has no least: staging against the season, and worker hours."""
    minute = minute_of(now)
    start = max(grid.start, minute)
    played = simulate.play_floor(
        list(target.actions.values()),
        start=minute,
        count=max(grid.start + grid.count - minute, 1),
        initial=target.bounds.min,
    ).nominal
    changes = np.flatnonzero(played != target.bounds.min)
    change = int(changes[0]) if len(changes) else None
    required = np.zeros(0, dtype=np.int64) if need is None else need.units
    ahead = required[start - grid.start : start - grid.start + WEEK_MINUTES]
    peak = int(np.argmax(ahead)) if len(ahead) else None
    inside = need is not None and grid.start <= minute < grid.start + grid.count
    return TargetStatus(
        target=name,
        floor=target.bounds.min,
        in_service=live.in_service(stack, target),
        required=int(required[minute - grid.start]) if inside else None,
        next_change=moment_of(minute + change) if change is not None else None,
        next_floor=int(played[change]) if change is not None else None,
        next_peak=moment_of(start + peak) if peak is not None else None,
        peak=int(ahead[peak]) if peak is not None else None,
    )


def below_floor(targets: Iterable[TargetStatus]) -> list[str]:
    """The targets with fewer units in service than their floor."""
    return [
        target.target
        for target in targets
        if target.floor is not None and target.in_service < target.floor
    ]


def required_at(stack: OpenStack, moment: datetime) -> Mapping[str, int]:
    """Units that the season requires of each target at a moment within the plan."""
    _, _, prepared = _season(stack, moment)
    return {
        need.name: int(need.units[minute_of(moment) - prepared.grid.start])
        for need in prepared.needs
    }
