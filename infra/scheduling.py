"""Where a stack and its season meet: names, bounds, and the plan that is in force.

Read by the program and by the command line; imports no Pulumi.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from infra.errors import InputError, Problem, Problems, nearest
from infra.season.apply import LiveAction, actions_at, bounds_at
from infra.season.plan import (
    PLAN_COMMAND,
    Bounds,
    Plan,
    PlanTarget,
    check_plan,
    read_plan,
    read_season,
)
from infra.season.prices import Hardware
from infra.season.season_file import Season as SeasonFile
from infra.season.season_file import Target, TargetKind
from infra.settings.base import sound
from infra.settings.stack import StackSettings

# What a season calls the parts of a stack that are no tiers, and what kind each is.
_KINDS: Final[Mapping[str, TargetKind]] = {
    "database": "aurora-replicas",
    "cache": "elasticache-replicas",
    "balancer": "load-balancer-capacity",
}


def kind_at(target: str) -> TargetKind:
    """The kind of what a stack has under a season's name: a tier is an Auto Scaling group."""
    return _KINDS.get(target, "autoscaling-group")


@dataclass(frozen=True)
class Season:
    """The plan of a stack's season; without a season there are no targets."""

    targets: Mapping[str, PlanTarget]
    warnings: tuple[str, ...] = field(default=())

    def actions_at(self, target: str, now: datetime) -> list[LiveAction]:
        """The actions of a target that are still to come or to recur at `now`."""
        return actions_at(self.targets[target], target_name=target, now=now)

    def bounds_at(self, target: str, now: datetime) -> Bounds | None:
        """The floor and cap of a target at `now`; None when the season does not know it."""
        return bounds_at(self.targets[target], now) if target in self.targets else None


def bounds_for(settings: StackSettings, season: SeasonFile) -> dict[str, Bounds]:
    """The stack's hard bounds of everything that the season schedules, by its season name."""
    return {
        name: _bounds_of(settings, name)
        for name in _scheduled_names(settings)
        if name in season.capacity
    }


def _scheduled_names(settings: StackSettings) -> list[str]:
    """What a season may schedule of the stack."""
    platform = settings.platform
    workers = platform.workers.groups if platform.workers else {}
    cache = [] if platform.cache is None else ["cache"]
    return [*platform.tiers, *workers, "database", "balancer", *cache]


def _bounds_of(settings: StackSettings, name: str) -> Bounds:
    platform = settings.platform
    if name == "balancer":
        return Bounds(0, platform.balancer.max_capacity_units)
    if name == "database":
        return Bounds(platform.database.replicas.min, platform.database.replicas.max)
    if name == "cache" and platform.cache is not None:
        return Bounds(platform.cache.replicas.min, platform.cache.replicas.max)
    return Bounds(platform.groups[name].min, platform.groups[name].max)


def hardware_of(settings: StackSettings) -> Hardware:
    """What a stack runs, by its season name: of several instance types the first."""
    items = {name: group.instance_types[0] for name, group in settings.platform.groups.items()}
    items["database"] = settings.platform.database.instance_class
    if settings.platform.cache is not None:
        items["cache"] = settings.platform.cache.node_type
    return Hardware(settings.region, items)


def expected_kinds(settings: StackSettings, name: str) -> tuple[TargetKind, ...]:
    """The kinds of season target that a part of the stack may be."""
    workers = settings.platform.workers
    if workers is not None and name in workers.groups:
        return ("worker-hours", "autoscaling-group")
    return (kind_at(name),)


def plan_in_force(settings: StackSettings, now: datetime) -> tuple[Plan, list[str]] | None:
    """The plan that a stack's season stands on, checked, with warnings; None without a season.

    Raises:
        InputError: season or plan are missing, the plan is stale, edited or past its end.
        Problems: the season has errors, or names what the stack does not have.
    """
    if settings.season_file is None or settings.plan_file is None:
        return None
    where = f"stacks/Pulumi.{settings.stack}.yaml: firstbell:season"
    if not settings.season_file.is_file():
        raise InputError(
            f"the season file {settings.season_file} does not exist",
            where=where,
            fix="paths are relative to stacks/; write it, or correct the name",
        )
    season = read_season(settings.season_file)
    refuse_strangers(settings, season)
    command = f"{PLAN_COMMAND} -s {settings.stack}"
    if not settings.plan_file.is_file():
        raise InputError(
            "the season has no plan yet", where=str(settings.plan_file), fix=f"run {command}"
        )
    plan = read_plan(settings.plan_file, command=command)
    bounds = bounds_for(settings, season)
    return plan, check_plan(plan, season, bounds=bounds, now=now, command=command)


def refuse_strangers(settings: StackSettings, season: SeasonFile) -> None:
    """Refuse a season that schedules what the stack has not, or has otherwise.

    Raises:
        Problems: all of it.
    """
    found = [*sound(_unknown(settings, season)), *sound(_all_otherwise(settings, season))]
    if found:
        raise Problems(str(season.path), found)


def _unknown(settings: StackSettings, season: SeasonFile) -> Iterator[Problem]:
    names = _scheduled_names(settings)
    for name in season.capacity:
        if name not in names:
            close = nearest(name, names)
            yield Problem(
                f"capacity/{name}",
                f"the stack {settings.stack} has nothing of that name",
                f"did you mean {close!r}?" if close else f"it has: {', '.join(names)}",
            )


def _all_otherwise(settings: StackSettings, season: SeasonFile) -> Iterator[Problem]:
    names = _scheduled_names(settings)
    for name, target in season.capacity.items():
        if name in names:
            yield from sound(_otherwise(settings, name, target))


def _otherwise(settings: StackSettings, name: str, target: Target) -> Iterator[Problem]:
    expected = expected_kinds(settings, name)
    if target.kind not in expected:
        yield Problem(
            f"capacity/{name}/kind",
            f"{target.kind} is not what a stack has there",
            f"write {' or '.join(expected)}",
        )
        return
    cache = settings.platform.cache
    if name == "cache" and cache is not None and not cache.scales:
        yield Problem(
            "capacity/cache",
            f"the stack's cache has {cache.replicas.min} replicas at any time",
            f"in stacks/Pulumi.{settings.stack}.yaml write cluster_mode: true and replicas "
            "with min below max, or take it out of the season",
        )
    group = settings.platform.groups.get(name)
    if (
        group is not None
        and target.kind == "autoscaling-group"
        and target.boot_minutes < group.boot_minutes
    ):
        yield Problem(
            f"capacity/{name}/boot",
            f"{target.boot_minutes} minutes, but the stack's instances boot in "
            f"{group.boot_minutes}",
            "instances would come too late: give the longer one in both",
        )


def read_season_of(settings: StackSettings, now: datetime) -> Season:
    """The season of a stack as the program uses it.

    Raises:
        InputError: as `plan_in_force`.
    """
    found = plan_in_force(settings, now)
    if found is None:
        return Season({})
    plan, warnings = found
    return Season(plan.targets, tuple(warnings))
