"""When a live scheduled action fires. Reads what AWS's describe calls answer; calls nothing.

Both services perform a recurring action at its StartTime itself and then by its recurrence, in its
time zone, daylight saving included; StartTime and EndTime are UTC (EC2 Auto Scaling API reference,
PutScheduledUpdateGroupAction; Application Auto Scaling user guide, "Schedule recurring scaling
actions", 2026-11-22). An occurrence exactly at EndTime does not fire here: AWS does not say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

Recurrence = Callable[[datetime], Iterator[datetime]]

_RATE_UNITS: Final = {"minute": 1, "hour": 60, "day": 24 * 60}
_UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class UnreadableScheduleError(Exception):
    """A schedule that AWS would not have accepted."""


def of_group_action(
    action: Mapping[str, Any], after: datetime, until: datetime
) -> Iterator[datetime]:
    """Times in (after, until] at which an Auto Scaling action fires, ascending, UTC.

    Raises:
        UnreadableScheduleError: its recurrence or its zone is wrong.
    """
    recurrence = action.get("Recurrence")
    recurring = None
    if recurrence is not None:
        recurring = _cron(recurrence, _zone(action.get("TimeZone")))
    return _times(action.get("StartTime"), action.get("EndTime"), recurring, after, until)


def of_target_action(
    action: Mapping[str, Any], after: datetime, until: datetime
) -> Iterator[datetime]:
    """Times in (after, until] at which an Application Auto Scaling action fires, ascending, UTC.

    `rate(...)` counts from StartTime, else from 1970: AWS counts from the action's creation, of
    which the local cloud's clock knows nothing.

    Raises:
        UnreadableScheduleError: its schedule or its zone is wrong.
    """
    schedule, zone = str(action["Schedule"]), _zone(action.get("Timezone"))
    start, end = action.get("StartTime"), action.get("EndTime")
    match re.fullmatch(r"(at|cron|rate)\((.+)\)", schedule):
        case re.Match() as form if form[1] == "at":
            return _times(_local_time(form[2], zone), end, None, after, until)
        case re.Match() as form if form[1] == "cron":
            return _times(start, end, _aws_cron(form[2], zone), after, until)
        case re.Match() as form:
            return _times(start, end, _rate(form[2], start or _UNIX_EPOCH), after, until)
        case None:
            raise UnreadableScheduleError(f"{schedule!r} is none of at(), cron() and rate()")


def of_schedule(
    schedule: Mapping[str, Any], after: datetime, until: datetime
) -> Iterator[datetime]:
    """Times in (after, until] at which EventBridge Scheduler calls, ascending, UTC.

    Raises:
        UnreadableScheduleError: its expression or its zone is wrong.
    """
    action = {
        "Schedule": schedule["ScheduleExpression"],
        "Timezone": schedule.get("ScheduleExpressionTimezone"),
        "StartTime": schedule.get("StartDate"),
        "EndTime": schedule.get("EndDate"),
    }
    return of_target_action(action, after, until)


def _times(
    start: datetime | None,
    end: datetime | None,
    recurring: Recurrence | None,
    after: datetime,
    until: datetime,
) -> Iterator[datetime]:
    begin = after
    if start is not None and start > after:
        begin = start.astimezone(UTC)
        if begin > until or (end is not None and begin >= end):
            return
        yield begin
    for moment in recurring(begin) if recurring else ():
        if moment > until or (end is not None and moment >= end):
            return
        yield moment


def _cron(expression: str, zone: ZoneInfo) -> Recurrence:
    """A five-field Unix cron."""
    if len(expression.split()) != 5:
        raise UnreadableScheduleError(f"{expression!r} has not five fields")
    try:
        CronSim(expression, _UNIX_EPOCH)
    except CronSimError as error:
        raise UnreadableScheduleError(f"{expression!r}: {error}") from error

    def occurrences(after: datetime) -> Iterator[datetime]:
        for local in CronSim(expression, after.astimezone(zone)):
            yield local.astimezone(UTC)

    return occurrences


def _aws_cron(fields: str, zone: ZoneInfo) -> Recurrence:
    """AWS's six fields: `?` for any day, days of the week 1 to 7 from Sunday, and the year."""
    parts = fields.upper().split()
    if len(parts) != 6:
        raise UnreadableScheduleError(f"cron({fields}) has not six fields")
    minutes, hours, day, month, weekday, year = parts
    # A number here is a day unless it counts: the step after / and the week after #.
    weekday = re.sub(r"(?<![/#\d])\d+", lambda found: str(int(found[0]) - 1), weekday)
    weekday = re.sub(r"(?<![-\d])(\d)/", r"\1-6/", weekday)  # cronsim would run on to 7, Sunday
    plain = " ".join((minutes, hours, day, month, weekday)).replace("?", "*")
    recurring, years = _cron(plain, zone), _years(year)
    if years is None:
        return recurring

    def occurrences(after: datetime) -> Iterator[datetime]:
        for moment in recurring(after):
            local_year = moment.astimezone(zone).year
            if local_year > max(years):
                return
            if local_year in years:
                yield moment

    return occurrences


def _years(field: str) -> set[int] | None:
    """The years of a cron's last field; None for every year."""
    if field == "*":
        return None
    years: set[int] = set()
    for part in field.split(","):
        match re.fullmatch(r"(\d{4})(?:-(\d{4}))?(?:/(\d+))?", part):
            case re.Match() as form:
                # AWS knows years to 2199; `2026/2` runs to their end.
                last = int(form[2] or (2199 if form[3] else form[1]))
                years.update(range(int(form[1]), last + 1, int(form[3] or 1)))
            case None:
                raise UnreadableScheduleError(f"{field!r} is no year")
    return years


def _rate(value: str, anchor: datetime) -> Recurrence:
    form = re.fullmatch(r"([1-9]\d*) (minute|hour|day)s?", value)
    if form is None:
        raise UnreadableScheduleError(f"rate({value}) is no rate")
    step = timedelta(minutes=int(form[1]) * _RATE_UNITS[form[2]])

    def occurrences(after: datetime) -> Iterator[datetime]:
        moment = anchor + ((after - anchor) // step + 1) * step
        while True:
            yield moment
            moment += step

    return occurrences


def _local_time(text: str, zone: ZoneInfo) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)
    except ValueError as error:
        raise UnreadableScheduleError(f"at({text}) is no time") from error


def _zone(name: object) -> ZoneInfo:
    try:
        return ZoneInfo(str(name or "UTC"))
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise UnreadableScheduleError(f"{name!r} is no IANA time zone") from error
