"""Plays what falls due while the clock moves, by AWS's rules, and leaves moto as AWS would be.

The sizes in between are reckoned here and only the last ones are put into moto: a year has some ten
thousand changes, and moto takes 10 ms or more for each and never gives its memory back.

The local cloud has no load. So where target tracking may scale in, what exceeds the minimum goes
`SCALE_IN` after the last change, as its alarm's 15 data points would have it.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from cli.localcloud import fleets
from cli.localcloud.fleets import Cloud, Cluster, Fleet, Group, Shards
from cli.localcloud.occurrences import (
    UnreadableScheduleError,
    of_group_action,
    of_schedule,
    of_target_action,
)
from infra.errors import FirstbellError
from infra.season.compile import CAPACITY_CALL
from infra.season.scalable import SCALABLE

Progress = Callable[[str], None]

# Target tracking's low alarm needs 15 data points of a minute each.
SCALE_IN: Final = timedelta(minutes=15)
# BatchDeleteScheduledAction takes so many names.
DELETE_BATCH: Final = 50
# What a schedule that reserves capacity of a load balancer calls.
_SIZES: Final = ("MinSize", "MaxSize", "DesiredCapacity")


@dataclass(frozen=True)
class Event:
    """One thing that happened to a group or a cluster while the clock moved."""

    at: datetime
    target: str
    action: str
    minimum: int
    maximum: int
    size: int


@dataclass
class Played:
    """What happened while the clock moved."""

    fired: int = 0  # scheduled actions
    changes: list[Event] = field(default_factory=list[Event])  # those that changed a size or bound
    failures: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class _Sizes:
    minimum: int | None
    maximum: int | None
    desired: int | None


@dataclass(frozen=True)
class _Due:
    """An action with its fleet; `times` are those at which it fires."""

    name: str
    fleet: Fleet
    sizes: _Sizes
    times: Iterator[datetime]

    def steps(self) -> Iterator[tuple[datetime, str, str, _Due]]:
        """Times with what orders equal ones: fleet, then action."""
        for at in self.times:
            yield at, f"{self.fleet.region}/{self.fleet.name}", self.name, self


def play(cloud: Cloud, now: datetime, until: datetime, progress: Progress) -> Played:
    """Play everything in (now, until]. The caller sets the clock afterwards.

    Raises:
        FirstbellError: the local cloud refused something; the clock should stay.
    """
    played, record = Played(), fleets.Record.read()
    found: list[Fleet] = []
    dues: list[_Due] = []
    with _explained("reading the groups and their scheduled actions"):
        for region in cloud.regions():
            groups = fleets.groups(cloud, region, record, now)
            clusters = fleets.clusters(cloud, region, record, now)
            caches = fleets.caches(cloud, region, record, now)
            found += [*groups.values(), *clusters.values(), *caches.values()]
            if groups:
                dues += _group_dues(cloud, region, groups, (now, until), played)
            for kind, targets in (("aurora-replicas", clusters), ("elasticache-replicas", caches)):
                if targets:
                    service = SCALABLE[kind].namespace
                    dues += _target_dues(cloud, region, service, targets, (now, until), played)
            _reserve(cloud, region, (now, until), played, progress)
    bounds = [(fleet.minimum, fleet.maximum) for fleet in found]
    _reckon(found, dues, (now, until), played, progress)
    launched: dict[str, dict[str, datetime]] = {}
    for fleet, had in zip(found, bounds, strict=True):
        progress(f"{fleet.name}: {fleet.size} units")
        with _explained(f"setting the size of {fleet.name}"):
            match fleet:
                case Group():
                    units = fleets.apply_group(cloud, fleet)
                    units = fleets.refresh(cloud, fleet, units, (now, until))
                case Cluster():
                    units = fleets.apply_cluster(cloud, fleet, had)
                case Shards():
                    units = fleets.apply_cache(cloud, fleet, had)
                case _:
                    continue
        launched[f"{fleet.region}/{fleet.name}"] = units
    quiet = {f"{fleet.region}/{fleet.name}": fleet.quiet_since for fleet in found}
    fleets.Record(launched, quiet).write()
    return played


def tidy(cloud: Cloud, now: datetime) -> None:
    """Delete, as Auto Scaling does, its actions that ended and one-off ones that fired.

    Application Auto Scaling's stay: its user guide says of none that they go.

    Raises:
        FirstbellError: the local cloud refused.
    """
    with _explained("deleting the scheduled actions that ended"):
        for region in cloud.regions():
            client = cloud.client("autoscaling", region)
            gone: dict[str, list[str]] = {}
            for action in _group_actions(client):
                if _is_over(action, now):
                    names = gone.setdefault(action["AutoScalingGroupName"], [])
                    names.append(action["ScheduledActionName"])
            for group, names in gone.items():
                for start in range(0, len(names), DELETE_BATCH):
                    client.batch_delete_scheduled_action(
                        AutoScalingGroupName=group,
                        ScheduledActionNames=names[start : start + DELETE_BATCH],
                    )


def _is_over(action: Mapping[str, Any], now: datetime) -> bool:
    last = action.get("EndTime") if action.get("Recurrence") else action.get("StartTime")
    return last is not None and last <= now


def _group_actions(client: Any) -> Iterator[dict[str, Any]]:
    for page in client.get_paginator("describe_scheduled_actions").paginate():
        yield from page["ScheduledUpdateGroupActions"]


def _group_dues(
    cloud: Cloud,
    region: str,
    groups: Mapping[str, Group],
    window: tuple[datetime, datetime],
    played: Played,
) -> Iterator[_Due]:
    for action in _group_actions(cloud.client("autoscaling", region)):
        name, group = action["ScheduledActionName"], groups.get(action["AutoScalingGroupName"])
        if group is None or group.suspended:
            continue
        sizes = _Sizes(*(action.get(key) for key in _SIZES))
        try:
            yield _Due(name, group, sizes, of_group_action(action, *window))
        except UnreadableScheduleError as error:
            played.failures.append(f"{group.name}: action {name} cannot fire: {error}")


def _target_dues(  # noqa: PLR0917 (what there is to know of the targets of a Region)
    cloud: Cloud,
    region: str,
    service: str,
    targets: Mapping[str, Fleet],
    window: tuple[datetime, datetime],
    played: Played,
) -> Iterator[_Due]:
    client = cloud.client("application-autoscaling", region)
    pages = client.get_paginator("describe_scheduled_actions").paginate(ServiceNamespace=service)
    for action in (action for page in pages for action in page["ScheduledActions"]):
        name, fleet = action["ScheduledActionName"], targets.get(action["ResourceId"])
        if fleet is None or fleet.suspended:
            continue
        sizes = action["ScalableTargetAction"]
        wanted = _Sizes(sizes.get("MinCapacity"), sizes.get("MaxCapacity"), None)
        try:
            yield _Due(name, fleet, wanted, of_target_action(action, *window))
        except UnreadableScheduleError as error:
            played.failures.append(f"{fleet.name}: action {name} cannot fire: {error}")


def _reserve(
    cloud: Cloud,
    region: str,
    window: tuple[datetime, datetime],
    played: Played,
    progress: Progress,
) -> None:
    """Call what EventBridge Scheduler would: the last reservation of each load balancer stays."""
    scheduler = cloud.client("scheduler", region)
    due: list[tuple[datetime, str, dict[str, Any]]] = []
    for page in scheduler.get_paginator("list_schedules").paginate():
        for listed in page["Schedules"]:
            schedule = scheduler.get_schedule(Name=listed["Name"], GroupName=listed["GroupName"])
            if not schedule["Target"]["Arn"].endswith(CAPACITY_CALL):
                continue
            call = json.loads(schedule["Target"]["Input"])
            try:
                due += [(at, listed["Name"], call) for at in of_schedule(schedule, *window)]
            except UnreadableScheduleError as error:
                played.failures.append(f"schedule {listed['Name']} cannot fire: {error}")
    last: dict[str, dict[str, Any]] = {}
    for at, name, call in sorted(due, key=lambda step: step[:2]):
        units = call.get("MinimumLoadBalancerCapacity", {}).get("CapacityUnits", 0)
        balancer = str(call["LoadBalancerArn"])
        progress(f"{at:%Y-%m-%d %H:%M} UTC {balancer}: {name}")
        played.fired += 1
        played.changes.append(Event(at, balancer.split("/")[-2], name, units, units, units))
        last[balancer] = call
    for call in last.values():
        cloud.client("elbv2", region).modify_capacity_reservation(**call)


def _reckon(
    found: list[Fleet],
    dues: list[_Due],
    window: tuple[datetime, datetime],
    played: Played,
    progress: Progress,
) -> None:
    """Move the fleets through time, in order."""
    now, until = window
    for fleet in found:
        # AWS holds the bounds at any time, not only when an action fires.
        _settle(fleet, now, "bounds", played)
    for at, _, _, due in heapq.merge(*(due.steps() for due in dues), key=lambda step: step[:3]):
        _scale_in(found, at, played)
        played.fired += 1
        progress(f"{at:%Y-%m-%d %H:%M} UTC {due.fleet.name}: {due.name}")
        _fire(due, at, played)
    _scale_in(found, until, played)


def _fire(due: _Due, at: datetime, played: Played) -> None:
    fleet, sizes = due.fleet, due.sizes
    before = (fleet.minimum, fleet.maximum, fleet.size)
    minimum = fleet.minimum if sizes.minimum is None else sizes.minimum
    maximum = fleet.maximum if sizes.maximum is None else sizes.maximum
    desired = fleet.size if sizes.desired is None else sizes.desired
    if minimum > maximum:
        played.failures.append(
            f"{fleet.name}: action {due.name} at {at:%Y-%m-%d %H:%M} UTC changed nothing: "
            f"minimum {minimum} is above maximum {maximum}"
        )
        return
    if sizes.desired is not None and not minimum <= desired <= maximum:
        played.failures.append(
            f"{fleet.name}: action {due.name} at {at:%Y-%m-%d %H:%M} UTC changed nothing: "
            f"desired {desired} is not between {minimum} and {maximum}"
        )
        return
    fleet.minimum, fleet.maximum, fleet.quiet_since = minimum, maximum, at
    if sizes.desired is not None:
        fleet.resize(desired, at)
    _settle(fleet, at, due.name, played, before)


def _settle(
    fleet: Fleet,
    at: datetime,
    cause: str,
    played: Played,
    before: tuple[int, int, int] | None = None,
) -> None:
    """Bring a fleet's size within its bounds and note what changed."""
    before = before or (fleet.minimum, fleet.maximum, fleet.size)
    size = min(max(fleet.size, fleet.minimum), fleet.maximum)
    if size != fleet.size and fleet.stuck:
        if fleet.stuck not in played.failures:
            played.failures.append(fleet.stuck)
    elif size != fleet.size:
        fleet.resize(size, at)
    after = (fleet.minimum, fleet.maximum, fleet.size)
    if after != before:
        fleet.quiet_since = at
        played.changes.append(Event(at, fleet.name, cause, *after))


def _scale_in(found: list[Fleet], at: datetime, played: Played) -> None:
    """Remove what exceeds the minimum and has been idle long enough at a time."""
    due = sorted(
        (
            fleet
            for fleet in found
            if fleet.tracked and not fleet.stuck and fleet.launched and fleet.size > fleet.minimum
        ),
        key=lambda fleet: (fleet.quiet_since, fleet.name),
    )
    for fleet in due:
        moment = fleet.quiet_since + SCALE_IN
        if moment > at:
            break
        before = (fleet.minimum, fleet.maximum, fleet.size)
        fleet.resize(fleet.minimum, moment)
        _settle(fleet, moment, "target tracking", played, before)


@contextmanager
def _explained(doing: str) -> Generator[None]:
    """Turn AWS's errors into ours, saying what was being done."""
    try:
        yield
    except (ClientError, BotoCoreError, ResponseParserError) as error:
        # moto answers what it stumbles over with a page of HTML: the first line says enough.
        raise FirstbellError(
            f"{doing} failed: {str(error).splitlines()[0]}",
            why="the local cloud refused or is gone; its clock has not moved",
            fix="firstbell local status, then run the command again",
        ) from error
