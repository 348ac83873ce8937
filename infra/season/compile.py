"""From blocks to windows, and from windows to the arguments of the AWS calls.

Every rule of `limits` that concerns actions is enforced here, in `check`, and nowhere else.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, cast
from zoneinfo import ZoneInfo

from infra.season import cron, limits
from infra.season.capacity import Bounds
from infra.season.grid import (
    DAY_MINUTES,
    day_number,
    day_of,
    minute_of,
    moment_of,
    to_minute,
    transitions,
)
from infra.season.season_file import WEEKDAYS, TargetKind

Request = dict[str, object]

# EndTime lies an hour after the last occurrence; AWS needs `limits.END_AFTER_LAST_MINUTES`.
END_MARGIN: Final = 60
_AWS_DAYS: Final = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
MOST_ACTIONS: Final[Mapping[TargetKind, int]] = {
    "autoscaling-group": limits.MAX_SCHEDULED_ACTIONS_PER_GROUP,
    "aurora-replicas": limits.MAX_SCHEDULED_ACTIONS_PER_SCALABLE_TARGET,
    "elasticache-replicas": limits.MAX_SCHEDULED_ACTIONS_PER_SCALABLE_TARGET,
    # No limit a balancer; as few as a person can read.
    "load-balancer-capacity": limits.MAX_SCHEDULED_ACTIONS_PER_SCALABLE_TARGET,
    "worker-hours": limits.MAX_SCHEDULED_ACTIONS_PER_GROUP,
}
# Steps a day: a reservation may be lowered at most twice in 24 hours, so it is raised and reset.
MOST_STEPS: Final[Mapping[TargetKind, int]] = {"load-balancer-capacity": 2}


@dataclass(frozen=True)
class Window:
    """At least `min` units from `at` (local minute of the day) on, on `days` (0 Monday) of
    [`first`, `last`], until the next window begins."""

    first: date
    last: date
    days: tuple[int, ...]
    at: int
    min: int
    max: int | None = None

    def to_json(self) -> dict[str, object]:
        most = {} if self.max is None else {"max": self.max}
        return {
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            "days": [WEEKDAYS[day] for day in self.days],
            "at": clock(self.at),
            "min": self.min,
            **most,
        }

    @property
    def dates(self) -> list[date]:
        """The days on which it begins."""
        every = range(day_number(self.first), day_number(self.last) + 1)
        return [day for day in map(day_of, every) if day.weekday() in self.days]


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def stamp(minute: int) -> str:
    """Minutes since the epoch as `2026-08-17T05:04:00Z`."""
    return moment_of(minute).strftime("%Y-%m-%dT%H:%M:%SZ")


@functools.lru_cache(maxsize=1024)
def unsafe_minutes(zone: ZoneInfo, start: int, end: int) -> frozenset[int]:
    """Local minutes of the day in which no action may stand between `start` and `end`.

    00:00 to 03:59 everywhere, and whatever daylight saving skips or doubles in this zone.
    """
    unsafe = set(range(limits.FIRST_SAFE_MINUTE))
    steps = transitions(zone, start, end)
    for (_, before), (at, after) in itertools.pairwise(steps):
        low, high = sorted((at + before, at + after))
        unsafe.update(wall % DAY_MINUTES for wall in range(low, high))
    return frozenset(unsafe)


def auto_scaling_action(window: Window, zone: ZoneInfo) -> Request:
    """Arguments of `put_scheduled_update_group_action`."""
    hour, minute = divmod(window.at, 60)
    if window.first == window.last:
        recurrence = f"{minute} {hour} {window.first.day} {window.first.month} *"
    else:
        recurrence = f"{minute} {hour} * * {_cron_days(window.days)}"
    return {
        "Recurrence": recurrence,
        "TimeZone": zone.key,
        **_span(window, zone),
        "MinSize": window.min,
        **({} if window.max is None else {"MaxSize": window.max}),
    }


def application_auto_scaling_action(window: Window, zone: ZoneInfo) -> Request:
    """Arguments of Application Auto Scaling's `put_scheduled_action`."""
    most = {} if window.max is None else {"MaxCapacity": window.max}
    return {
        "Schedule": _six_fields(window),
        "Timezone": zone.key,
        **_span(window, zone),
        "ScalableTargetAction": {"MinCapacity": window.min, **most},
    }


# How the ARN of a call ends that reserves capacity, whatever the partition.
CAPACITY_CALL: Final = ":elasticloadbalancingv2:modifyCapacityReservation"
# Stands in a schedule for the ARN that only the program knows.
LOAD_BALANCER: Final = "LOAD_BALANCER"


def capacity_reservation_schedule(window: Window, zone: ZoneInfo) -> Request:
    """Arguments of EventBridge Scheduler's `create_schedule`, without name, group, role and queue.

    The target is the SDK call `modifyCapacityReservation`; 0 units reset the reservation. The
    program puts the load balancer's ARN in the place of LOAD_BALANCER, and adds the role and a
    dead-letter queue. Not proven on AWS.
    """
    span = _span(window, zone)
    change: Request = {"ResetCapacityReservation": True}
    if window.min:
        change = {"MinimumLoadBalancerCapacity": {"CapacityUnits": window.min}}
    return {
        "ScheduleExpression": _six_fields(window),
        "ScheduleExpressionTimezone": zone.key,
        "StartDate": span["StartTime"],
        "EndDate": span["EndTime"],
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {
            "Arn": f"arn:aws:scheduler:::aws-sdk{CAPACITY_CALL}",
            "Input": json.dumps({"LoadBalancerArn": LOAD_BALANCER, **change}),
            "RetryPolicy": {"MaximumRetryAttempts": 10, "MaximumEventAgeInSeconds": 3600},
        },
    }


def _six_fields(window: Window) -> str:
    hour, minute = divmod(window.at, 60)
    if window.first == window.last:
        return f"cron({minute} {hour} {window.first.day} {window.first.month} ? *)"
    days = ",".join(_AWS_DAYS[day] for day in window.days) if len(window.days) < 7 else "*"
    return f"cron({minute} {hour} ? * {days} *)"


ACTION_OF: Final[Mapping[TargetKind, Callable[[Window, ZoneInfo], Request]]] = {
    "autoscaling-group": auto_scaling_action,
    "aurora-replicas": application_auto_scaling_action,
    "elasticache-replicas": application_auto_scaling_action,
    "load-balancer-capacity": capacity_reservation_schedule,
    "worker-hours": auto_scaling_action,
}


def _cron_days(days: Sequence[int]) -> str:
    """0 is Sunday in cron; runs of three and more become ranges."""
    if len(days) == 7:
        return "*"
    numbers = sorted((day + 1) % 7 for day in days)
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(
        f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs
    )


def _span(window: Window, zone: ZoneInfo) -> Request:
    """StartTime at the first occurrence itself, since the action also fires at StartTime."""
    days = window.dates
    first, last = (
        to_minute(zone, day_number(day) * DAY_MINUTES + window.at) for day in (days[0], days[-1])
    )
    if first is None or last is None:
        raise ValueError(f"{clock(window.at)} does not exist on a day of {window}")
    return {"StartTime": stamp(first), "EndTime": stamp(last + END_MARGIN)}


@dataclass(frozen=True)
class Action:
    """One action of either service, read from its arguments. Times in minutes since the epoch."""

    request: Mapping[str, object]
    recurrence: cron.Recurrence
    zone: ZoneInfo
    start: int | None
    end: int | None
    min: int | None
    max: int | None

    def firings(self, start: int, end: int) -> list[int]:
        """Every minute in [start, end) at which it fires: at StartTime, then by the cron."""
        first = start if self.start is None else max(start, self.start)
        last = end if self.end is None else min(end, self.end)
        found = self.recurrence.occurrences(self.zone, first, last) if first < last else []
        if self.start is not None and start <= self.start < end and self.start not in found:
            found.insert(0, self.start)
        return found


def read_action(request: Mapping[str, object]) -> Action:
    """Read the arguments of either put call, or what either describe call returns.

    Raises:
        ValueError: the cron or the zone is none that AWS accepts.
    """
    if "Schedule" in request:
        recurrence = cron.parse_schedule(str(request["Schedule"]))
        sizes = cast("Mapping[str, object]", request.get("ScalableTargetAction") or {})
        zone, low, high = request.get("Timezone"), "MinCapacity", "MaxCapacity"
    elif "ScheduleExpression" in request:
        recurrence = cron.parse_schedule(str(request["ScheduleExpression"]))
        target = cast("Mapping[str, object]", request["Target"])
        change = json.loads(str(target["Input"]))
        reserved = change.get("MinimumLoadBalancerCapacity", {"CapacityUnits": 0})
        sizes, low, high = {"min": reserved["CapacityUnits"]}, "min", "max"
        zone = request.get("ScheduleExpressionTimezone")
    else:
        recurrence = cron.parse(str(request["Recurrence"]))
        sizes, zone, low, high = request, request.get("TimeZone"), "MinSize", "MaxSize"
    return Action(
        request=request,
        recurrence=recurrence,
        zone=ZoneInfo(str(zone or "UTC")),
        start=_minute(request.get("StartTime", request.get("StartDate"))),
        end=_minute(request.get("EndTime", request.get("EndDate"))),
        min=_size(sizes.get(low)),
        max=_size(sizes.get(high)),
    )


def _size(value: object) -> int | None:
    return None if value is None or value == -1 else int(cast(int, value))


def _minute(value: object) -> int | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(value) if isinstance(value, str) else cast(datetime, value)
    return minute_of(moment)


def latest_firing(actions: Sequence[Action], minute: int) -> Action | None:
    """The action that set the floor of `minute`, None before the first of them."""
    found, latest = None, -1
    for action in actions:
        if action.min is None or action.start is None or action.start > minute:
            continue
        fired = action.firings(max(action.start, latest), minute + 1)
        if fired and fired[-1] > latest:
            found, latest = action, fired[-1]
    return found


def floor_at(actions: Sequence[Action], minute: int, start: int) -> int:
    """The floor that the actions have set by `minute`; `start` before the first of them."""
    action = latest_firing(actions, minute)
    return start if action is None or action.min is None else action.min


def check(
    kind: TargetKind,
    requests: Sequence[Request],
    bounds: Bounds,
    *,
    declared_elsewhere: int = 0,
) -> list[str]:
    """Every rule of AWS that these actions break, as sentences; see `limits` for the sources."""
    broken: list[str] = []
    most = MOST_ACTIONS[kind]
    if len(requests) + declared_elsewhere > most:
        broken.append(
            f"{len(requests)} scheduled actions and {declared_elsewhere} declared elsewhere, "
            f"AWS allows {most}"
        )
    starts: set[int] = set()
    firings: dict[int, int] = {}
    for index, request in enumerate(requests):
        name = str(request.get("Recurrence", request.get("Schedule")))
        try:
            action = read_action(request)
        except (ValueError, KeyError) as error:
            broken.append(f"{name}: {error}")
            continue
        broken += [f"{name}: {text}" for text in _broken_alone(action, bounds)]
        if action.start is not None and action.end is not None:
            if action.start in starts:
                broken.append(f"{name}: another action has the same StartTime")
            starts.add(action.start)
            for minute in action.firings(action.start, action.end):
                if firings.setdefault(minute, index) != index:
                    broken.append(f"{name}: fires together with another at {stamp(minute)}")
                    break
    if kind == "load-balancer-capacity" and not broken:
        broken += _reservations([read_action(request) for request in requests])
    return broken


def _reservations(actions: Sequence[Action]) -> list[str]:
    """Reservations below AWS's minimum, and more than two decreases in 24 hours."""
    least, most = limits.MIN_RESERVED_CAPACITY_UNITS, limits.MAX_RESERVED_CAPACITY_UNITS
    broken = [
        f"reserves {action.min} units, AWS takes {least} to {most}"
        for action in actions
        if action.min and not least <= action.min <= most
    ]
    events = sorted(
        (minute, action.min or 0)
        for action in actions
        for minute in action.firings(action.start or 0, action.end or 0)
    )
    level, lowered = 0, list[int]()
    for minute, units in events:
        if units < level:
            lowered.append(minute)
        level = units
    for first, third in zip(
        lowered, lowered[limits.MAX_CAPACITY_DECREASES_PER_DAY :], strict=False
    ):
        if third - first < DAY_MINUTES:
            broken.append(f"is lowered three times within a day of {stamp(first)}")
            break
    return broken


def _broken_alone(action: Action, bounds: Bounds) -> list[str]:
    broken: list[str] = []
    if action.start is None or action.end is None:
        return ["has no StartTime or no EndTime"]
    if action.min is None and action.max is None:
        broken.append("sets no size")
    for size in (action.min, action.max):
        if size is not None and not bounds.min <= size <= bounds.max:
            broken.append(f"sets {size}, outside {bounds.min} to {bounds.max}")
    if action.min is not None and action.max is not None and action.min > action.max:
        broken.append(f"sets min {action.min} above max {action.max}")
    if action.start not in action.recurrence.occurrences(
        action.zone, action.start, action.start + 1
    ):
        broken.append("its StartTime is no occurrence of its cron")
    unsafe = unsafe_minutes(action.zone, action.start, action.end)
    if any(time in unsafe for time in action.recurrence.times()):
        broken.append("stands at a local time that daylight saving may skip or double")
    fired = action.firings(action.start, action.end + 1)
    if fired and action.end - fired[-1] < limits.END_AFTER_LAST_MINUTES:
        broken.append(
            f"has an occurrence within {limits.END_AFTER_LAST_MINUTES} minutes of EndTime"
        )
    return broken
