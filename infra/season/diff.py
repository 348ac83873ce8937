"""What a change of the calendar does to the actions and the hours, for a pull request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from infra.season.apply import name_of
from infra.season.compile import read_action
from infra.season.plan import Plan, PlanTarget


@dataclass(frozen=True)
class Resized:
    action: Mapping[str, object]
    before: int | None
    after: int | None


@dataclass(frozen=True)
class TargetDiff:
    """Actions are told apart by their time, as at AWS: a changed size is no other action."""

    name: str
    added: tuple[Mapping[str, object], ...]
    removed: tuple[Mapping[str, object], ...]
    resized: tuple[Resized, ...]
    hours_before: float
    hours_after: float
    peak_before: int
    peak_after: int

    @property
    def changed(self) -> bool:
        return bool(self.added or self.removed or self.resized)


def diff(old: Plan, new: Plan) -> list[TargetDiff]:
    """Every target of either plan, in the order of the new one."""
    names = [*new.targets, *(name for name in old.targets if name not in new.targets)]
    return [_target(name, old.targets.get(name), new.targets.get(name)) for name in names]


def _target(name: str, old: PlanTarget | None, new: PlanTarget | None) -> TargetDiff:
    before, after = (
        {} if plan is None else {name_of(name, request): request for request in plan.actions}
        for plan in (old, new)
    )
    return TargetDiff(
        name=name,
        added=tuple(request for key, request in after.items() if key not in before),
        removed=tuple(request for key, request in before.items() if key not in after),
        resized=tuple(
            Resized(after[key], low, high)
            for key in before
            if key in after
            and (low := read_action(before[key]).min) != (high := read_action(after[key]).min)
        ),
        hours_before=old.instance_hours if old else 0.0,
        hours_after=new.instance_hours if new else 0.0,
        peak_before=_peak(old),
        peak_after=_peak(new),
    )


def _peak(target: PlanTarget | None) -> int:
    return cast(int, target.verdict["peak"]) if target else 0
