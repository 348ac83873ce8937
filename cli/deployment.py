"""preview, up, drift and destroy as users mean them: the engine, and the season around it.

The engine does not own the sizes of a scheduled group: the schedule moves them. So `drift` compares
them with the floor that the schedule implies, and `up` puts them right after the engine has run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from cli import lifecycle, live, policy, protection
from cli.lifecycle import Effect
from cli.localcloud import server
from cli.recovery import Recovery
from cli.stack import Change, OpenStack, Outcome, Progress
from infra import clock
from infra.errors import FirstbellError, InputError, problems_of
from infra.policy import exceptions
from infra.policy.exceptions import PolicyException
from infra.policy.report import Report
from infra.scheduling import Season, plan_in_force, read_season_of
from infra.season.compile import MOST_ACTIONS, read_action
from infra.season.grid import minute_of
from infra.season.limits import LATE_MINUTES
from infra.season.plan import Bounds
from infra.settings.stack import StackSettings

_GROUP_ACTION: Final = "aws:autoscaling/schedule:Schedule"
_SCALABLE_TARGET_ACTION: Final = "aws:appautoscaling/scheduledAction:ScheduledAction"
# AWS moves these, by schedule or by load; the floor and cap are compared apart from the engine.
_MOVED_BY_AWS: Final[Mapping[str, frozenset[str]]] = {
    "aws:autoscaling/group:Group": frozenset({"minSize", "maxSize", "desiredCapacity"}),
    "aws:appautoscaling/target:Target": frozenset({"minCapacity", "maxCapacity"}),
    # AWS shows the next occurrence as an action's start.
    _GROUP_ACTION: frozenset({"startTime"}),
    _SCALABLE_TARGET_ACTION: frozenset({"startTime"}),
}

YEAR_MINUTES: Final = 366 * 24 * 60
# An outgoing action that fires this soon is left to fire.
SOON_MINUTES: Final = 15


@dataclass(frozen=True)
class Previewed:
    """What `up` would do, what the season's plan warns of, what becomes of what is there, and how
    the controls come out."""

    outcome: Outcome
    warnings: list[str]
    effects: list[Effect]
    controls: Report


@dataclass(frozen=True)
class FloorDifference:
    """A live floor or cap that is not what the schedule implies."""

    target: str
    expected: Bounds
    found: Bounds

    def __str__(self) -> str:
        return (
            f"{self.target}: min {self.found.min} -> {self.expected.min}, "
            f"max {self.found.max} -> {self.expected.max}"
        )


@dataclass(frozen=True)
class Applied:
    """What `up` did: by the engine, and to the floors afterwards."""

    outcome: Outcome
    warnings: list[str]
    repaired: list[FloorDifference]
    recovered: Recovery
    controls: Report


@dataclass(frozen=True)
class Difference:
    """One property of one live resource that is not as the stack left it."""

    name: str
    type: str
    property: str
    expected: object
    found: object

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "type": self.type,
            "property": self.property,
            "expected": self.expected,
            "found": self.found,
        }


def planned(settings: StackSettings) -> None:
    """Refuse a season whose plan does not hold.

    Raises:
        InputError: the plan is missing, stale, edited or past its end.
    """
    plan_in_force(settings, clock.now(settings.cloud))


def preview(stack: OpenStack, progress: Progress) -> Previewed:
    """What `up` would do.

    Raises:
        InputError: the season's plan does not hold, or the exceptions from controls do not.
        EngineError: the engine failed.
    """
    now = _now(stack)
    season = read_season_of(stack.settings, now)
    allowed = exceptions.read(now.date(), stack.name)
    return _preview(stack, season, allowed, progress)


def _preview(
    stack: OpenStack, season: Season, allowed: Sequence[PolicyException], progress: Progress
) -> Previewed:
    planned = stack.preview(progress)
    controls = policy.judge(stack.name, planned.resources, allowed)
    effects = lifecycle.effects(planned.outcome)
    return Previewed(planned.outcome, list(season.warnings), effects, controls)


def refuse(stack: OpenStack, found: Previewed, allow_data_replacement: Sequence[str]) -> None:
    """Stop before anything is changed: a control is not kept, or data would be lost unnamed.

    Raises:
        Violations: a control fails; what is wrong besides is among them.
        Problems: data would be lost, or AWS forbids the change.
        InputError: a name was allowed of which nothing would lose data, or several things.
    """
    try:
        lifecycle.refuse(found.effects, found.outcome, allow_data_replacement, stack.resources)
    except InputError as error:
        policy.refuse(found.controls, stack.name, problems_of(error))
        raise
    policy.refuse(found.controls, stack.name)


def up(
    stack: OpenStack, progress: Progress, *, allow_data_replacement: Sequence[str] = ()
) -> Applied:
    """Bring the cloud to what the program says, then the floors to what the schedule implies.

    It is previewed first, and what `preview` refuses is refused. Where the preview finds nothing to
    change, the engine is not run again. What could not be judged before is judged afterwards.

    Raises:
        InputError: the season's plan does not hold, or the exceptions from controls do not;
            nothing was changed.
        Violations: a control fails; nothing was changed.
        Problems: data would be lost; nothing was changed.
        EngineError: the engine failed.
    """
    now = _now(stack)
    season = read_season_of(stack.settings, now)
    allowed = exceptions.read(now.date(), stack.name)
    recovered = stack.recover(progress)
    planned = _preview(stack, season, allowed, progress)
    refuse(stack, planned, allow_data_replacement)
    if stack.local is not None:
        server.remember_generation(stack.name, stack.local.generation)
    if allow_data_replacement:
        going = lifecycle.allowed_urns(planned.effects, allow_data_replacement)
        protection.clear(stack, progress, going)
    outcome = planned.outcome
    if not outcome.nothing:
        _make_room(stack, season, progress)
        outcome = stack.up(progress)
    found = live.read(stack)
    wrong = list(_wrong_floors(season, found, _now(stack)))
    for difference in wrong:
        progress(f"floor of {difference.target}")
        live.set_bounds(stack, found[difference.target], difference.expected)
    controls = policy.judge(stack.name, policy.recorded(stack.resources()), allowed)
    return Applied(outcome, planned.warnings, wrong, recovered, controls)


def destroy(stack: OpenStack, progress: Progress) -> Outcome:
    """Delete every resource of the stack; on the local cloud, what is protected too.

    Raises:
        InputError: on AWS, something is protected; nothing was deleted.
        Problems: on AWS, a final snapshot would have the name of one that exists.
        EngineError: the engine failed.
    """
    stack.recover(progress)
    protection.clear(stack, progress)
    progress("replicas that were added by schedule or load")
    live.remove_added_replicas(stack)
    outcome = stack.destroy(progress)
    if stack.local is not None:
        server.forget_generation(stack.name)
    return outcome


def drift(stack: OpenStack, progress: Progress) -> list[Difference]:
    """Every property that differs, but for what AWS moves by itself.

    Raises:
        EngineError: the engine failed.
    """
    now = _now(stack)
    season = read_season_of(stack.settings, now)
    outcome = stack.compare(progress)
    found = [
        difference
        for change in outcome.changes
        if not _ended(change, now)
        for difference in _differences(change)
    ]
    for floor in _wrong_floors(season, live.read(stack), now):
        for bound in ("min", "max"):
            expected, actual = getattr(floor.expected, bound), getattr(floor.found, bound)
            if expected != actual:
                found.append(
                    Difference(
                        f"{stack.name}-{floor.target}", "floor", f"{bound}Size", expected, actual
                    )
                )
    return found


def _make_room(stack: OpenStack, season: Season, progress: Progress) -> None:
    """Delete outgoing actions where they and the planned ones are more than AWS allows.

    The engine creates before it deletes.

    Raises:
        FirstbellError: too many of them fire too soon.
    """
    now = _now(stack)
    for name, target in live.read(stack).items():
        if name not in season.targets:
            continue
        going = outgoing(
            target.actions,
            planned={f"{stack.name}-{action.name}" for action in season.actions_at(name, now)},
            own_prefix=f"{stack.name}-{name}-",
            most=MOST_ACTIONS[target.kind],
            now=now,
        )
        if going:
            progress(f"making room for {len(going)} actions of {name}")
            live.delete_actions(stack, target, going)


def outgoing(
    actions: Mapping[str, Mapping[str, Any]],
    *,
    planned: Set[str],
    own_prefix: str,
    most: int,
    now: datetime,
) -> list[str]:
    """Live actions to delete before the planned ones are created: as few as make room.

    Only our own go, those that fire latest first, and none that fires within a quarter of an hour.

    Raises:
        FirstbellError: that is not enough.
    """
    excess = len(planned | actions.keys()) - most
    if excess <= 0:
        return []
    minute = minute_of(now)
    next_at = {
        name: min(read_action(request).firings(minute, minute + YEAR_MINUTES), default=math.inf)
        for name, request in actions.items()
        if name not in planned and name.startswith(own_prefix)
    }
    spare = sorted(
        (name for name in next_at if next_at[name] > minute + SOON_MINUTES),
        key=lambda name: (-next_at[name], name),
    )
    if len(spare) < excess:
        raise FirstbellError(
            f"there is no room for the plan's {len(planned)} actions",
            why=f"AWS allows {most}, {len(actions)} are live, and of those that would go only "
            f"{len(spare)} do not fire within {SOON_MINUTES} minutes",
            fix=f"run the command again in {SOON_MINUTES} minutes",
        )
    return spare[:excess]


def _now(stack: OpenStack) -> datetime:
    return clock.now(stack.settings.cloud)


def _wrong_floors(
    season: Season, found: Mapping[str, live.LiveTarget], now: datetime
) -> Iterator[FloorDifference]:
    """Scheduled targets whose live bounds are none that the schedule implies just now.

    An action may run up to two minutes late, so the bounds of two minutes ago are right as well.
    """
    for name, target in found.items():
        expected = season.bounds_at(name, now)
        earlier = season.bounds_at(name, now - timedelta(minutes=LATE_MINUTES))
        if expected is None or target.bounds in (expected, earlier):
            continue
        if target.kind == "load-balancer-capacity":
            # A reservation has no cap.
            if target.bounds.min in (expected.min, (earlier or expected).min):
                continue
            expected = Bounds(expected.min, target.bounds.max)
        yield FloorDifference(name, expected, target.bounds)


def _ended(change: Change, now: datetime) -> bool:
    """Whether this is a scheduled action that AWS has removed because its time was over."""
    if change.operation != "delete":
        return False
    end = change.before.get("endTime")
    if end and datetime.fromisoformat(end) <= now:
        return True
    start = change.before.get("startTime")
    once = not change.before.get("recurrence") and change.type == _GROUP_ACTION
    return bool(once and start and datetime.fromisoformat(start) <= now)


def _differences(change: Change) -> Iterator[Difference]:
    if change.operation == "delete":
        yield Difference(change.name, change.type, "the resource", "there", "gone")
        return
    for entry in change.properties:
        top = entry.path.split(".")[0].split("[")[0]
        if top not in _MOVED_BY_AWS.get(change.type, frozenset()):
            yield Difference(
                change.name,
                change.type,
                entry.path,
                _value(change.before, entry.path),
                _value(change.after, entry.path),
            )


def _value(properties: Mapping[str, Any], path: str) -> object:
    """The value at a path such as `tags[0].value`; None where there is none."""
    value: Any = properties
    for part in path.replace("[", ".").replace("]", "").replace('"', "").split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value
