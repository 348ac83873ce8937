"""When live scheduled actions fire, and which sizes they set.

Reads what `describe_scheduled_actions` returns: of Auto Scaling (Recurrence, TimeZone, StartTime,
EndTime, MinSize, MaxSize) or of Application Auto Scaling (Schedule, Timezone,
ScalableTargetAction). Arguments of the put calls have the same shape and can be read as well, and
so can schedules of EventBridge Scheduler that change a load balancer's reserved capacity units.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

from croniter import croniter

LiveAction = Mapping[str, object]


class UnreadableActionError(Exception):
    """An action that AWS would not have accepted."""


@dataclass(frozen=True)
class Action:
    """One scheduled action. `recurrence` is a 5-field Unix cron, None for a one-off action."""

    name: str
    auto_scaling: bool
    recurrence: str | None
    zone: ZoneInfo
    start: datetime | None
    end: datetime | None
    minimum: int | None
    maximum: int | None

    def fires_at(self, moment: datetime) -> bool:
        """Whether the cron has an occurrence at that minute."""
        return self.recurrence is not None and moment in self.occurrences(
            moment - timedelta(minutes=1), moment
        )

    def occurrences(self, after: datetime, last: datetime) -> list[datetime]:
        """Occurrences of the cron, UTC, later than `after` and not later than `last`."""
        found: list[datetime] = []
        if self.recurrence is None:
            return found
        # croniter counts in wall time; the offset is that of the occurrence itself.
        cron = croniter(self.recurrence, after.astimezone(self.zone))
        while True:
            moment = cron.get_next(datetime).astimezone(UTC)
            if moment > last:
                return found
            found.append(moment)

    def firings(self, since: datetime, until: datetime) -> list[datetime]:
        """Every time at which it fires in [since, until): at StartTime itself, then by the cron.

        An occurrence exactly at EndTime is included: AWS does not say which it is, so the caller
        takes the worse of both.
        """
        last = until - timedelta(minutes=1)
        if self.end is not None:
            last = min(last, self.end)
        first = since - timedelta(minutes=1)
        at_start: list[datetime] = []
        if self.start is not None:
            if since <= self.start <= last:
                at_start = [self.start]
            first = max(first, self.start)
        return at_start + self.occurrences(first, last)


def read_action(live: LiveAction) -> Action:
    """Read one action of either service.

    Raises:
        UnreadableActionError: the zone, the cron or the schedule is none that AWS accepts.
    """
    if "ScheduleExpression" in live:
        live = _as_scalable_target(live)
    auto_scaling = "Schedule" not in live
    name = str(live.get("ScheduledActionName", live.get("Schedule", live.get("Recurrence"))))
    sizes = live if auto_scaling else cast(LiveAction, live["ScalableTargetAction"])
    start = _moment(live.get("StartTime"))
    recurrence: str | None
    if auto_scaling:
        zone = _zone(name, live.get("TimeZone"))
        recurrence = cast("str | None", live.get("Recurrence"))
        if recurrence is None and start is None:
            start = _moment(live.get("Time"))
    else:
        zone = _zone(name, live.get("Timezone"))
        recurrence, once = _application_schedule(name, str(live["Schedule"]), zone)
        start = once or start
    if recurrence is not None and (
        len(recurrence.split()) != 5 or not croniter.is_valid(recurrence)
    ):
        raise UnreadableActionError(f"{name}: {recurrence!r} is no cron of five fields")
    if recurrence is None and start is None:
        raise UnreadableActionError(f"{name}: neither a recurrence nor a start")
    return Action(
        name=name,
        auto_scaling=auto_scaling,
        recurrence=recurrence,
        zone=zone,
        start=start,
        end=_moment(live.get("EndTime")),
        minimum=_size(sizes, "MinSize" if auto_scaling else "MinCapacity"),
        maximum=_size(sizes, "MaxSize" if auto_scaling else "MaxCapacity"),
    )


def _as_scalable_target(live: LiveAction) -> LiveAction:
    """A schedule of `modifyCapacityReservation`, in the words of Application Auto Scaling."""
    change = json.loads(str(cast(LiveAction, live["Target"])["Input"]))
    units = 0 if "ResetCapacityReservation" in change else None
    if units is None:
        units = change["MinimumLoadBalancerCapacity"]["CapacityUnits"]
    return {
        "ScheduledActionName": live.get("Name", live["ScheduleExpression"]),
        "Schedule": live["ScheduleExpression"],
        "Timezone": live.get("ScheduleExpressionTimezone"),
        "StartTime": live.get("StartDate"),
        "EndTime": live.get("EndDate"),
        "ScalableTargetAction": {"MinCapacity": units},
    }


def plan_actions(plan_file: Path) -> dict[str, list[dict[str, object]]]:
    """The actions of a plan file by target, as they would be live the moment they were put."""
    plan = json.loads(plan_file.read_text())
    return {name: list(target["actions"]) for name, target in plan["targets"].items()}


def _size(sizes: LiveAction, key: str) -> int | None:
    value = sizes.get(key)
    # pulumi-aws writes -1 for a size that stays as it is.
    return None if value is None or value == -1 else int(cast(int, value))


def _moment(value: object) -> datetime | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(value) if isinstance(value, str) else cast(datetime, value)
    if moment.tzinfo is None:
        raise UnreadableActionError(f"{value} has no zone")
    return moment.astimezone(UTC)


def _zone(name: str, value: object) -> ZoneInfo:
    try:
        return ZoneInfo("UTC" if value is None else str(value))
    except (KeyError, ValueError) as error:
        raise UnreadableActionError(f"{name}: {value!r} is no IANA time zone") from error


def _application_schedule(
    name: str, schedule: str, zone: ZoneInfo
) -> tuple[str | None, datetime | None]:
    """The Unix cron of `cron(minutes hours day month weekday year)`, or the time of `at(...)`."""
    match = re.fullmatch(r"(at|cron)\((.+)\)", schedule)
    if match is None:
        raise UnreadableActionError(f"{name}: {schedule!r} is neither at(...) nor cron(...)")
    if match[1] == "at":
        return None, datetime.fromisoformat(match[2]).replace(tzinfo=zone).astimezone(UTC)
    fields = match[2].split()
    if len(fields) != 6:
        raise UnreadableActionError(f"{name}: {schedule!r} needs six fields")
    minute, hour, day, month, weekday, year = fields
    if year != "*":
        raise UnreadableActionError(f"{name}: this evaluator cannot read the year {year!r}")
    if (day == "?") == (weekday == "?"):
        raise UnreadableActionError(f"{name}: exactly one of day and weekday must be '?'")
    # AWS numbers weekdays from 1 (Sunday), Unix from 0.
    weekday = re.sub(r"\d+", lambda digits: str(int(digits[0]) - 1), weekday.replace("?", "*"))
    return f"{minute} {hour} {day.replace('?', '*')} {month} {weekday}", None


def read_all(live: Sequence[LiveAction]) -> list[Action]:
    """All actions of one target."""
    return [read_action(action) for action in live]
