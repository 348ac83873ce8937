"""Which kind each day is in a market, and the rule that made it so.

Precedence, from the highest:

1. an exception for the single date;
2. a period: exam, then grading, then enrolment, then custom (of the season file or of an iCalendar
   file; two of equal rank on one day are refused);
3. the base of the day: an iCalendar event that says school or weekend, then public holiday, then
   break (listed, school holidays of a package, or outside every listed term), then weekend, then
   school day.

A market without `terms` has no days outside a term. The base stays known under a period: a
Saturday in grading weeks is a grading day with the base `weekend`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import cast

from infra.errors import InputError, nearest
from infra.season.ics import Event, read_events
from infra.season.season_file import (
    BASE_KINDS,
    PERIOD_KINDS,
    WEEKDAYS,
    DateException,
    Holidays,
    Market,
    Period,
    Span,
)

DAY = timedelta(days=1)


@dataclass(frozen=True)
class DayKind:
    """`base` is the kind without periods; `factor` multiplies the base's demand where given."""

    kind: str
    rule: str
    base: str
    factor: float | None = None


def dates(start: date, end: date) -> Iterator[date]:
    """Every date from `start` to `end`, both included."""
    for day in range((end - start).days + 1):
        yield start + day * DAY


def day_kinds(market: Market, start: date, end: date) -> dict[date, DayKind]:
    """The kind of every day from `start` to `end`, both included, and the rule behind it.

    Raises:
        InputError: a package has no data for the country or for one of the dates, or two periods
            of equal rank meet on one day.
    """
    events = _Events(market, start, end)
    return {day: events.kind_of(day) for day in dates(start, end)}


class _Events:
    """Everything that can make a day special, looked up by date."""

    def __init__(self, market: Market, start: date, end: date) -> None:
        self.market = market
        self.public: dict[date, str] = {}
        self.breaks: dict[date, str] = {}
        self.terms = _by_date(market.terms or (), start, end, "term")
        self.exceptions: dict[date, DateException] = {e.date: e for e in market.exceptions}
        if market.holidays is not None:
            where = f"markets/{market.name}/holidays"
            self.public = public_holidays(market.holidays, start, end, where)
            self.breaks = school_holidays(market.holidays, start, end, where)
        self.breaks |= _by_date(market.breaks, start, end, "break")
        self.periods: list[dict[date, Period]] = [{} for _ in PERIOD_KINDS]
        for period in market.periods:
            self._add_period(period, start, end)
        self.stated: dict[date, tuple[str, str]] = {}
        for path in market.calendar_files:
            for event in read_events(path, market.zone, start, end):
                self._add_event(event, path, start, end)

    def _add_period(self, period: Period, start: date, end: date) -> None:
        rank = self.periods[PERIOD_KINDS.index(period.kind.split(":")[0])]
        for day in dates(max(period.from_, start), min(period.to, end)):
            if day in rank:
                raise InputError(
                    f"{day} is in two {period.kind} periods: {rank[day].name!r} and "
                    f"{period.name!r}",
                    where=f"markets/{self.market.name}/periods",
                    fix="end one before the other begins",
                )
            rank[day] = period

    def _add_event(self, event: Event, path: Path, start: date, end: date) -> None:
        rule = f"{path.name}: {event.name}"
        if event.kind not in BASE_KINDS:
            values = {"name": rule, "kind": event.kind, "from": event.first, "to": event.last}
            self._add_period(Period.model_validate(values), start, end)
            return
        for day in dates(max(event.first, start), min(event.last, end)):
            match event.kind:
                case "holiday":
                    self.public[day] = rule
                case "break":
                    self.breaks[day] = rule
                case _:
                    self.stated[day] = (event.kind, rule)

    def kind_of(self, day: date) -> DayKind:
        base, rule = self._base(day)
        if (exception := self.exceptions.get(day)) is not None:
            rule = f"exception {exception.name}".rstrip()
            if exception.kind in BASE_KINDS:
                return DayKind(exception.kind, rule, exception.kind, exception.factor)
            return DayKind(exception.kind, rule, "school", exception.factor)
        for rank in reversed(self.periods):
            if (period := rank.get(day)) is not None:
                return DayKind(period.kind, f"period {period.name}".rstrip(), base, period.factor)
        return DayKind(base, rule, base)

    def _base(self, day: date) -> tuple[str, str]:
        if day in self.stated:
            return self.stated[day]
        if day in self.public:
            return "holiday", self.public[day]
        if day in self.breaks:
            return "break", self.breaks[day]
        if self.market.terms is not None and day not in self.terms:
            return "break", "outside every term"
        if WEEKDAYS[day.weekday()] in self.market.weekend:
            return "weekend", "weekend"
        return "school", self.terms.get(day, "weekday")


def _by_date(spans: tuple[Span, ...], start: date, end: date, word: str) -> dict[date, str]:
    return {
        day: f"{word} {span.name}".rstrip()
        for span in spans
        for day in dates(max(span.from_, start), min(span.to, end))
    }


def public_holidays(rule: Holidays, start: date, end: date, where: str) -> dict[date, str]:
    """Public holidays by date, with their English names where the library has them.

    Raises:
        InputError: the library does not know the country, the subdivision or a year, or answers
            nothing for a year.
    """
    return {
        day: name
        for day, name in _from_library(rule, start, end, "public", where).items()
        if start <= day <= end
    }


def school_holidays(rule: Holidays, start: date, end: date, where: str) -> dict[date, str]:
    """School holidays of the packages that the rule names, by date.

    Raises:
        InputError: a date lies outside what the package covers, or it answers nothing.
    """
    found: dict[date, str] = {}
    if rule.school:
        found |= _from_library(rule, start, end, "school", f"{where}/school")
    if rule.school_zone is not None:
        first, last, data = _french_zones()
        if start < first or end > last:
            raise InputError(
                f"no French school holidays for {start if start < first else end}",
                where=f"{where}/school_zone",
                why=f"vacances-scolaires-france covers {first} to {last}",
                fix="list these dates under `breaks`, or shorten the horizon",
            )
        key = f"vacances_zone_{rule.school_zone.lower()}"
        found |= {
            day: str(row["nom_vacances"])
            for day, row in data.items()
            if row[key] and start <= day <= end
        }
    return {day: name for day, name in found.items() if start <= day <= end}


def _language(library: object) -> str | None:
    """English where the library has it, else the country's own language."""
    supported: tuple[str, ...] = getattr(library, "supported_languages", ())
    return "en_US" if "en_US" in supported else getattr(library, "default_language", None)


def _from_library(
    rule: Holidays, start: date, end: date, category: str, where: str
) -> Mapping[date, str]:
    import holidays
    from holidays.registry import EntityLoader

    # `list_supported_countries` would load all of them: a tenth of a second at every command.
    countries = frozenset(EntityLoader.get_country_codes(include_aliases=True))
    if rule.country not in countries:
        close = nearest(rule.country.upper(), countries)
        raise InputError(
            f"no holidays data for country {rule.country!r}",
            where=f"{where}/country",
            fix=f"did you mean {close!r}?" if close else "write an ISO 3166 code such as SE",
        )
    library = cast("Callable[..., holidays.HolidayBase]", getattr(holidays, rule.country))
    subdivisions: tuple[str, ...] = getattr(library, "subdivisions", ())
    if rule.subdivision is not None and rule.subdivision not in subdivisions:
        close = nearest(rule.subdivision, subdivisions)
        raise InputError(
            f"country {rule.country} has no subdivision {rule.subdivision!r}",
            where=f"{where}/subdivision",
            fix=f"did you mean {close!r}?"
            if close
            else f"known: {', '.join(subdivisions) or 'none'}",
        )
    found: dict[date, str] = {}
    for year in range(start.year, end.year + 1):
        try:
            listed = library(
                subdiv=rule.subdivision,
                years=year,
                categories=(category,),
                expand=False,
                # Else the names would be in the language of whoever runs it.
                language=_language(library),
            )
        except ValueError as error:
            raise InputError(
                f"the holidays library has no {category} category for {rule.country}",
                where=where,
                fix="list the dates under `breaks`",
            ) from error
        if not listed:
            raise InputError(
                f"no {category} holidays data for {rule.country} in {year}",
                where=where,
                why=f"the library covers {listed.start_year} to {listed.end_year}"
                if category == "public"
                else "the library answers nothing",
                fix="list the dates under `breaks` or `exceptions`, or shorten the horizon",
            )
        found |= dict(sorted(listed.items()))
    return found


@functools.cache
def _french_zones() -> tuple[date, date, dict[date, dict[str, object]]]:
    from vacances_scolaires_france import SchoolHolidayDates

    data = cast("dict[date, dict[str, object]]", SchoolHolidayDates().data)
    return min(data), max(data), data


def midnight(day: date) -> datetime:
    """The naive local midnight that begins `day`."""
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 (wall time of a zone held apart)
