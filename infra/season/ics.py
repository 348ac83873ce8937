"""Reads iCalendar files: which dates have which kind, by the CATEGORIES of their events.

Recurrence (RRULE, RDATE, EXDATE, RECURRENCE-ID) is resolved here. Events without CATEGORIES and
cancelled ones are left out; which kind wins on a date is `calendar`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

from infra.errors import InputError, nearest
from infra.season.season_file import KINDS

DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Event:
    """Dates, both inclusive, in the market's zone."""

    name: str
    kind: str
    first: date
    last: date


def read_events(path: Path, zone: ZoneInfo, start: date, end: date) -> list[Event]:
    """Every event of the file that touches a date from `start` to `end`, by first date and name.

    Raises:
        InputError: the file is missing or no iCalendar file, a category is unknown, or an event
            cannot be read; with the event's summary and UID.
    """
    from icalendar import Calendar

    try:
        calendar = Calendar.from_ical(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError("there is no such file", where=str(path)) from error
    except (ValueError, IndexError, KeyError) as error:
        raise InputError(f"is no iCalendar file: {error}", where=str(path)) from error
    events: list[Any] = [
        event for event in calendar.walk("VEVENT") if str(event.get("STATUS", "")) != "CANCELLED"
    ]
    moved = {
        (str(event.get("UID")), _local(event["RECURRENCE-ID"].dt, zone))
        for event in events
        if "RECURRENCE-ID" in event
    }
    found: list[Event] = []
    for event in events:
        kinds = _kinds(event, path)
        if not kinds:
            continue
        where = f"{path}: {event.get('SUMMARY', 'event')} ({event.get('UID', 'no UID')})"
        if "DTSTART" not in event:
            raise InputError("has no DTSTART", where=where)
        length = _length(event, zone, where)
        for first in _starts(event, zone, start - length, end, where):
            repeated = "RECURRENCE-ID" not in event
            if repeated and (str(event.get("UID")), first) in moved:
                continue
            name = str(event.get("SUMMARY", path.stem))
            found += [Event(name, kind, first, first + length) for kind in kinds]
    return sorted(
        (event for event in found if event.last >= start and event.first <= end),
        key=lambda event: (event.first, event.name, event.kind),
    )


def _kinds(event: Any, path: Path) -> list[str]:
    """The event's categories as kinds of day."""
    found: list[str] = []
    categories = event.get("CATEGORIES")
    for group in categories if isinstance(categories, list) else [categories]:
        for name in getattr(group, "cats", []):
            kind = str(name).strip().lower()
            if kind in KINDS or kind.startswith("custom:"):
                found.append(kind)
                continue
            close = nearest(kind, KINDS)
            raise InputError(
                f"unknown category {str(name)!r} of event {event.get('SUMMARY', '')!r}",
                where=str(path),
                why=f"CATEGORIES give the kind of day: {', '.join(KINDS)} or custom:NAME",
                fix=f"did you mean {close!r}?" if close else "remove it, or use one of these",
            )
    return found


def _length(event: Any, zone: ZoneInfo, where: str) -> timedelta:
    """Days from the first to the last date of one occurrence."""
    begin = event["DTSTART"].dt
    if "DTEND" in event:
        end = event["DTEND"].dt
    elif "DURATION" in event:
        end = begin + event["DURATION"].dt
    else:
        return timedelta(0)
    if isinstance(begin, datetime) != isinstance(end, datetime):
        raise InputError("DTSTART is a date and DTEND a time, or the reverse", where=where)
    if end < begin:
        raise InputError(f"ends on {end}, before it starts on {begin}", where=where)
    if isinstance(begin, datetime):
        # DTEND is exclusive: midnight belongs to the day before.
        last = end - timedelta(microseconds=1) if end > begin else begin
        return _local(last, zone) - _local(begin, zone)
    return max(end - begin - DAY, timedelta(0))


def _starts(event: Any, zone: ZoneInfo, start: date, end: date, where: str) -> Iterator[date]:
    """The first date of each occurrence from `start` to `end`."""
    from dateutil.rrule import rrulestr

    begin = event["DTSTART"].dt
    # Wall time of the event's own zone; a date counts as its midnight.
    aware = isinstance(begin, datetime) and begin.tzinfo is not None
    base = begin if isinstance(begin, datetime) else datetime.combine(begin, time())
    excluded = {_local(moment, zone) for moment in _moments(event.get("EXDATE"))}
    dates = {_local(begin, zone)} | {_local(m, zone) for m in _moments(event.get("RDATE"))}
    rules = event.get("RRULE")
    for rule in rules if isinstance(rules, list) else [rules]:
        if rule is None:
            continue
        try:
            occurrences = rrulestr(cast("bytes", rule.to_ical()).decode(), dtstart=base)
            low, high = (
                datetime.combine(day, time(), base.tzinfo if aware else None)
                for day in (start - DAY, end + 2 * DAY)
            )
            dates |= {_local(moment, zone) for moment in occurrences.between(low, high, inc=True)}
        except ValueError as error:
            raise InputError(f"its RRULE cannot be read: {error}", where=where) from error
    yield from sorted(day for day in dates - excluded if start <= day <= end)


def _moments(lists: Any) -> list[date]:
    """The dates or times of EXDATE or RDATE, which may stand once or several times."""
    groups = lists if isinstance(lists, list) else [] if lists is None else [lists]
    moments: list[date] = []
    for group in groups:
        for item in group.dts:
            # An RDATE may be a period: its start counts.
            moments.append(item.dt[0] if isinstance(item.dt, tuple) else item.dt)
    return moments


def _local(moment: date, zone: ZoneInfo) -> date:
    """The date in the market's zone; a time without a zone is local already."""
    if not isinstance(moment, datetime):
        return moment
    return moment.astimezone(zone).date() if moment.tzinfo is not None else moment.date()
