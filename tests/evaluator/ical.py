"""Dates of an iCalendar file by kind, read line by line (RFC 5545) without an iCalendar library."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

DAY = timedelta(days=1)


@dataclass
class _Event:
    """`properties[NAME]` holds (parameters, value) of each line of that name."""

    properties: dict[str, list[tuple[str, str]]] = field(
        default_factory=dict[str, list[tuple[str, str]]]
    )

    def of(self, name: str) -> list[tuple[str, str]]:
        return self.properties.get(name, [])

    def text(self, name: str) -> str:
        return self.of(name)[0][1] if self.of(name) else ""


def days_of_file(
    path: Path, zone: ZoneInfo, first: date, last: date
) -> Iterator[tuple[str, date, date]]:
    """(kind, first date, last date) of every occurrence that touches `first` to `last`."""
    events = [event for event in _events(path) if event.text("STATUS") != "CANCELLED"]
    moved = {
        (event.text("UID"), day)
        for event in events
        for parameters, value in event.of("RECURRENCE-ID")
        for day in _local(parameters, value, zone)
    }
    for event in events:
        kinds = [
            kind.strip().lower() for _, value in event.of("CATEGORIES") for kind in value.split(",")
        ]
        length = _length(event, zone)
        for begin in _starts(event, zone, first - length, last):
            if not event.of("RECURRENCE-ID") and (event.text("UID"), begin) in moved:
                continue
            if begin <= last and begin + length >= first:
                yield from ((kind, begin, begin + length) for kind in kinds)


def _events(path: Path) -> Iterator[_Event]:
    unfolded = re.sub(r"\r?\n[ \t]", "", path.read_text(encoding="utf-8"))
    event: _Event | None = None
    for line in unfolded.splitlines():
        name, _, value = line.partition(":")
        key, _, parameters = name.partition(";")
        if line == "BEGIN:VEVENT":
            event = _Event()
        elif line == "END:VEVENT" and event is not None:
            yield event
            event = None
        elif event is not None:
            event.properties.setdefault(key.upper(), []).append((parameters, value))


def _moments(parameters: str, value: str) -> list[datetime]:
    """Times of one line; those without a zone are wall time, and a date is its midnight."""
    named = re.search(r"TZID=([^;]+)", parameters)
    found: list[datetime] = []
    for text in value.split(","):
        start = text.partition("/")[0]
        moment = datetime.strptime(start.rstrip("Z"), "%Y%m%dT%H%M%S" if "T" in start else "%Y%m%d")  # noqa: DTZ007 (its zone follows)
        if start.endswith("Z"):
            moment = moment.replace(tzinfo=UTC)
        elif named:
            moment = moment.replace(tzinfo=ZoneInfo(named[1].strip('"')))
        found.append(moment)
    return found


def _local(parameters: str, value: str, zone: ZoneInfo) -> list[date]:
    return [_date(moment, zone) for moment in _moments(parameters, value)]


def _date(moment: datetime, zone: ZoneInfo) -> date:
    return (moment.astimezone(zone) if moment.tzinfo else moment).date()


def _length(event: _Event, zone: ZoneInfo) -> timedelta:
    """Days from the first to the last date; ends are exclusive."""
    (begin,) = _moments(*event.of("DTSTART")[0])
    if event.of("DTEND"):
        (end,) = _moments(*event.of("DTEND")[0])
    else:
        pattern = r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?"
        parts = re.fullmatch(pattern, event.text("DURATION") or "P")
        weeks, days, hours, minutes = (int(part or 0) for part in parts.groups()) if parts else [0]
        end = begin + timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes)
    last = end - timedelta(microseconds=1) if end > begin else begin
    return _date(last, zone) - _date(begin, zone)


def _starts(event: _Event, zone: ZoneInfo, first: date, last: date) -> set[date]:
    (begin,) = _moments(*event.of("DTSTART")[0])
    dates = {_date(begin, zone)}
    for parameters, value in event.of("RDATE"):
        dates |= set(_local(parameters, value, zone))
    for _, rule in event.of("RRULE"):
        span = (
            datetime.combine(day, time(), begin.tzinfo) for day in (first - DAY, last + 2 * DAY)
        )
        occurrences = rrulestr(rule, dtstart=begin).between(*span, inc=True)
        dates |= {_date(moment, zone) for moment in occurrences}
    for parameters, value in event.of("EXDATE"):
        dates -= set(_local(parameters, value, zone))
    return dates
