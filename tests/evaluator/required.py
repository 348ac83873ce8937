"""Required units per minute, rebuilt from a season file and the files that it names.

Reads the season file by itself; public and school holidays come from the packages it names, what
histories teach from `learnt`, iCalendar files from `ical`. A key that is unknown here is an error:
a season that is not fully understood is not judged.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

import holidays
import numpy as np
import yaml
from numpy.typing import NDArray
from vacances_scolaires_france import SchoolHolidayDates

from tests.evaluator import ical, learnt

Node = Mapping[str, object]
Curve = NDArray[np.float64]

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
BASES = ("school", "weekend", "break", "holiday")
PERIODS = ("custom", "enrolment", "grading", "exam")
CLASSES = ("dynamic", "static", "login")
# Elastic Load Balancing, capacity units of an Application Load Balancer: at least 100.
LEAST_RESERVED = 100
WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class NotJudgedError(Exception):
    """The season says something that this evaluator cannot rebuild."""


@dataclass(frozen=True)
class Required:
    """What one target needs: `units[i]` in the minute that starts `i` minutes after `start`."""

    name: str
    start: datetime
    units: NDArray[np.int64]
    boot_minutes: int


def required_units(season_file: Path) -> list[Required]:
    """Required units of every target for each minute of the horizon.

    Raises:
        NotJudgedError: the season has something that this evaluator does not know.
    """
    season = _keys(
        cast(Node, yaml.safe_load(season_file.read_text())),
        {"version", "timezone", "horizon", "markets", "demand", "capacity", "limits", "source"},
        "season",
    )
    start, _ = horizon_of(season)
    rates = _rates(season, season_file.parent)
    required: list[Required] = []
    for name, node in cast("Mapping[str, Node]", season["capacity"]).items():
        target = _keys(
            node,
            {"kind", "requests_per_second", "utilisation", "floor_utilisation", "boot", "source"}
            | {"min", "max", "markets", "share", "zones", "zone_loss", "min_run", "warm_pool"}
            | {"against", "units", "core_units", "jobs", "classes"},
            f"capacity.{name}",
        )
        if target.get("against") or target["kind"] == "worker-hours":
            continue  # it has no least, but a most: see `lent`
        chosen = cast("Sequence[str]", target.get("markets", list(rates)))
        classes = cast("Sequence[str]", target.get("classes", CLASSES))
        forecast = np.sum([rates[market][each] for market in chosen for each in classes], axis=0)
        forecast *= number(target.get("share", 1))
        hard_limit = number(target["requests_per_second"]) / number(target.get("utilisation", 0.6))
        per_unit = hard_limit * number(target.get("floor_utilisation", 0.75))
        # A millionth of a unit is rounding, not demand.
        units = np.ceil(forecast / per_unit - 1e-6).astype(np.int64)
        if target["kind"] == "load-balancer-capacity":
            units[units < LEAST_RESERVED] = 0  # the balancer scales by itself below AWS's minimum
        units = np.maximum(units, int(number(target.get("min", 0))))
        if target.get("zone_loss"):
            units = _with_a_zone_to_lose(units, int(number(target.get("zones", 3))))
        boot = target.get("boot", "5m") if target.get("warm_pool") is None else target["warm_pool"]
        required.append(
            Required(
                name=name,
                start=start,
                units=units,
                boot_minutes=math.ceil(_minutes(boot)),
            )
        )
    return required


def _rates(season: Node, folder: Path) -> dict[str, dict[str, Curve]]:
    """Weighted requests per second of each market, class and minute of the horizon."""
    demand = _keys(
        season["demand"],
        {"profiles", "bursts", "requests_per_login", "surge_factor", "growth", "quantile"}
        | {"history", "weights"},
        "demand",
    )
    start, minutes = horizon_of(season)
    known = _markets(season, folder)
    learnt_rates = _learnt(season, demand, folder, known)
    weights = dict.fromkeys(CLASSES, 1.0)
    weights |= {name: number(w) for name, w in cast(Node, demand.get("weights", {})).items()}
    surge = number(demand.get("surge_factor", 1))
    whole_site = any("market" not in cast(Node, item) for item in _list(demand.get("history")))
    rates: dict[str, dict[str, Curve]] = {}
    for market in known:
        classes = dict(learnt_rates.get(market.name, {}))
        if not classes and not whole_site:
            classes["dynamic"] = _profile_rate(market, demand, start, minutes)
        burst = _burst_rate(market, demand, start, minutes)
        classes["login"] = classes.get("login", np.zeros(minutes)) + burst
        rates[market.name] = {
            name: classes.get(name, np.zeros(minutes)) * weights[name] * surge for name in CLASSES
        }
    return rates


def _markets(season: Node, folder: Path, days: tuple[date, date] | None = None) -> list[_Market]:
    """The markets' calendars over these days, both included; the horizon's where none are given."""
    span = _span(season["horizon"])
    first, last = days or (span.first - DAY, span.last + DAY)
    zone = str(season["timezone"])
    return [_Market(node, zone, folder, first, last) for node in _list(season["markets"])]


def _learnt(
    season: Node, demand: Node, folder: Path, known: Sequence[_Market]
) -> dict[str, dict[str, Curve]]:
    """Requests per second by market and class; the whole site's go to the first market."""
    start, minutes = horizon_of(season)
    found: dict[str, dict[str, Curve]] = {}
    for each in _list(demand.get("history")):
        item = _keys(each, {"file", "market", "timezone"}, "history")
        file = folder / str(item["file"])
        own = [market for market in known if item.get("market", market.name) == market.name]
        names = [market.name for market in own]
        then = [
            market
            for market in _markets(season, folder, learnt.history_days(file))
            if market.name in names
        ]
        naive = ZoneInfo(str(item["timezone"])) if "timezone" in item else None
        first, tables = learnt.by_local_day(file, own[0].zone, naive)
        past = [first + n * DAY for n in range(len(tables["total"]))]
        was = [learnt.label([m.day(day) for m in then], measured=True) for day in past]
        days = [[market.day(day) for market in own] for day in own[0].days]
        labels = [learnt.label(ahead, measured=False) for ahead in days]
        profiles = learnt.learn(tables, was, set(labels), number(demand.get("quantile", 0.95)))
        users = [market.users for market in own]
        factor = np.array([learnt.factor_of(ahead, users) for ahead in days])
        factor *= number(demand.get("growth", 1))
        day, minute = own[0].local_minutes(start, minutes)
        classes = found.setdefault(own[0].name, {})
        by_label = {name: learnt.dynamic_rest(profile) for name, profile in profiles.items()}
        for name in {name for profile in by_label.values() for name in profile}:
            table = np.array([by_label[label][name] for label in labels]) * factor[:, None]
            classes[name] = classes.get(name, np.zeros(minutes)) + table[day, minute]
    return found


def horizon_of(season: Node) -> tuple[datetime, int]:
    """When the season's horizon begins, and how many minutes it has."""
    span, zone = _span(season["horizon"]), ZoneInfo(str(season["timezone"]))
    start = _midnight(span.first, zone)
    return start, (_midnight(span.last + DAY, zone) - start) // MINUTE


def units_of(target: Node) -> int:
    """What a target that counts down has when nothing stands against it."""
    return min(int(number(target["units"])), int(number(target.get("max", target["units"]))))


def core_minutes(season: Node, folder: Path, start: datetime, minutes: int) -> NDArray[np.bool_]:
    """Whether each minute from `start` lies in the core hours of a market's school day."""
    core = np.zeros(minutes, dtype=np.bool_)
    span = _span(season["horizon"])
    for node in _list(season["markets"]):
        hours = cast("Node | None", cast(Node, node).get("core_hours"))
        if hours is not None:
            market = _Market(
                node, str(season["timezone"]), folder, span.first - DAY, span.last + DAY
            )
            day, minute = market.local_minutes(start, minutes)
            school = np.array([base == "school" for base in market.base])
            core |= school[day] & (_clock(hours["from"]) <= minute) & (minute < _clock(hours["to"]))
    return core


def _with_a_zone_to_lose(units: NDArray[np.int64], zones: int) -> NDArray[np.int64]:
    """The fewest units, spread evenly, of which `units` are left when one zone is lost."""
    table = [0]
    for needed in range(1, int(units.max()) + 1):
        total = table[-1]
        while total - math.ceil(total / zones) < needed:
            total += 1
        table.append(total)
    return np.array(table, dtype=np.int64)[units]


class _Market:
    """One market's calendar over the local days from `first` to `last`.

    `base` is the kind of each day without its period, `kinds` the kind with it, `factors` the
    factor of the period or of the exception (None: none given).
    """

    def __init__(
        self, node: object, default_zone: str, folder: Path, first: date, last: date
    ) -> None:
        market = _keys(
            node,
            {"name", "timezone", "users", "weekend", "holidays", "terms", "breaks", "periods"}
            | {"exceptions", "profiles", "core_hours", "calendars", "source"},
            "markets",
        )
        self.name = str(market["name"])
        self.zone = ZoneInfo(str(market.get("timezone", default_zone)))
        self.users = int(number(market.get("users", 0)))
        self.profiles = cast("Node | None", market.get("profiles"))
        self.days = [first + n * DAY for n in range((last - first).days + 1)]
        periods = list(cast("list[Node]", _list(market.get("periods"))))
        self.base = self._bases(market, periods, folder)
        self.kinds = list(self.base)
        self.factors: list[float | None] = [None] * len(self.days)
        for rank in PERIODS:  # the most special comes last and wins
            for period in periods:
                if str(period["kind"]).split(":")[0] == rank:
                    span = _span(period)
                    for n, day in enumerate(self.days):
                        if day in span:
                            self._special(n, period)
        for exception in cast("list[Node]", _list(market.get("exceptions"))):
            if (day := _date(exception["date"])) in self.days:
                n, kind = self.days.index(day), str(exception["kind"])
                self.base[n] = kind if kind in BASES else "school"
                self._special(n, exception)

    def _bases(self, market: Node, periods: list[Node], folder: Path) -> list[str]:
        """The kind of each day without periods; the periods of iCalendar files join `periods`."""
        listed = cast("Sequence[object] | None", market.get("terms"))
        terms = None if listed is None else [_span(term) for term in listed]
        breaks = [_span(item) for item in _list(market.get("breaks"))]
        weekend = cast("Sequence[str]", market.get("weekend", ["sat", "sun"]))
        public, at_rest = _library_holidays(market.get("holidays"), self.days)
        stated: dict[date, str] = {}
        for file in _list(market.get("calendars")):
            events = ical.days_of_file(folder / str(file), self.zone, self.days[0], self.days[-1])
            for kind, begin, end in events:
                covered = {day for day in self.days if begin <= day <= end}
                if kind == "holiday":
                    public |= covered
                elif kind == "break":
                    at_rest |= covered
                elif kind in BASES:
                    stated |= dict.fromkeys(covered, kind)
                else:
                    periods.append({"kind": kind, "from": begin, "to": end})
        at_rest |= {day for day in self.days if any(day in span for span in breaks)}
        if terms is not None:
            at_rest |= {day for day in self.days if not any(day in term for term in terms)}

        def base(day: date) -> str:
            if day in public:
                return "holiday"
            if day in at_rest:
                return "break"
            return "weekend" if WEEKDAYS[day.weekday()] in weekend else "school"

        return [stated.get(day) or base(day) for day in self.days]

    def _special(self, n: int, rule: Node) -> None:
        self.kinds[n] = str(rule["kind"])
        factor = rule.get("factor")
        self.factors[n] = None if factor is None else number(factor)

    def day(self, day: date) -> learnt.Day:
        """What the calendar says of a day."""
        n = (day - self.days[0]).days
        return learnt.Day(day, self.base[n], self.kinds[n], self.factors[n])

    def local_minutes(self, start: datetime, minutes: int) -> tuple[NDArray[np.int64], ...]:
        """Index into `days` and local minute of the day, for each minute from `start`."""
        # Offsets change on a quarter of an hour at the finest, everywhere.
        quarters = [start + n * timedelta(minutes=15) for n in range(math.ceil(minutes / 15))]
        offsets = np.array(
            [cast(timedelta, q.astimezone(self.zone).utcoffset()).total_seconds() for q in quarters]
        )
        zero = datetime.combine(self.days[0], time(), UTC)
        since_zero = (start - zero) // MINUTE + np.arange(minutes)
        local = since_zero + np.repeat(offsets / 60, 15)[:minutes].astype(np.int64)
        return local // 1440, local % 1440


def _profile_rate(market: _Market, demand: Node, start: datetime, minutes: int) -> Curve:
    """Requests per second from the declared profiles, which are per 1,000 users."""
    declared = market.profiles or cast("Node | None", demand.get("profiles"))
    if declared is None:
        return np.zeros(minutes)
    steps = {kind: _steps(cast(Node, points)) for kind, points in declared.items()}
    resting = steps.get("weekend", np.zeros(1440))
    by_base = {"school": np.zeros(1440), "break": resting, "holiday": resting} | steps
    table = np.zeros((len(market.days), 1440))
    for n, (base, kind, factor) in enumerate(
        zip(market.base, market.kinds, market.factors, strict=True)
    ):
        without = by_base.get(base, resting)
        table[n] = (steps.get(kind, without) if factor is None else without * factor) * (
            market.users / 1000
        )
    day, minute = market.local_minutes(start, minutes)
    return table[day, minute]


def _steps(points: Node) -> Curve:
    """1,440 values of `local time: value`, each holding until the next, over midnight too."""
    times = sorted((_clock(at), number(value)) for at, value in points.items())
    values = np.full(1440, times[-1][1])
    for at, value in times:
        values[at:] = value
    return values


def _burst_rate(market: _Market, demand: Node, start: datetime, minutes: int) -> Curve:
    """Requests per second from the declared bursts."""
    rate = np.zeros(minutes)
    per_login = number(demand.get("requests_per_login", 10))
    for item in _list(demand.get("bursts")):
        burst = _keys(
            item,
            {"name", "market", "days", "at", "logins", "requests", "over", "from", "to", "shape"}
            | {"widen", "source"},
            "bursts",
        )
        if burst.get("market", market.name) != market.name:
            continue
        requests = number(burst.get("requests", 0)) + per_login * number(burst.get("logins", 0))
        wave = _wave(burst, requests)
        for day, base, kind in zip(market.days, market.base, market.kinds, strict=True):
            if _burst_on(burst, day, base, kind):
                clock = _clock(burst["at"])
                at = datetime.combine(day, time(clock // 60, clock % 60), market.zone)
                begin = (at.astimezone(UTC) - start) // MINUTE - _widen(burst)
                skipped = max(0, -begin)
                part = wave[skipped : max(skipped, minutes - begin)]
                rate[begin + skipped : begin + skipped + len(part)] += part
    return rate


def _wave(burst: Node, requests: float) -> Curve:
    """Requests per second of a burst, minute by minute, `widen` minutes added on both sides."""
    over = _minutes(burst["over"])
    shape = [number(share) for share in _list(burst.get("shape"))] or [1.0]
    edges = np.linspace(0, over, len(shape) + 1)
    arrived = np.concatenate([[0.0], np.cumsum(shape)]) / sum(shape) * requests
    whole = np.arange(math.ceil(over) + 1)
    plain = np.diff(np.interp(whole, edges, arrived)) / 60
    widen = _widen(burst)
    shifted = [np.pad(plain, (n, 2 * widen - n)) for n in range(2 * widen + 1)]
    return np.max(shifted, axis=0)


def _widen(burst: Node) -> int:
    return math.ceil(_minutes(burst.get("widen", 0)))


def _burst_on(burst: Node, day: date, base: str, kind: str) -> bool:
    if "from" in burst and day < _date(burst["from"]):
        return False
    if "to" in burst and day > _date(burst["to"]):
        return False
    days = burst.get("days", "school")
    if isinstance(days, str):
        return days == "all" or days in ((base,) if days == "school" else (kind, base))
    return WEEKDAYS[day.weekday()] in cast("Sequence[str]", days)


class _Span:
    def __init__(self, first: date, last: date) -> None:
        self.first, self.last = first, last

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last


def _span(node: object) -> _Span:
    span = cast(Node, node)
    return _Span(_date(span["from"]), _date(span["to"]))


def _library_holidays(node: object, days: Sequence[date]) -> tuple[set[date], set[date]]:
    """Public holidays, and school holidays where the file asks a package for them."""
    if node is None:
        return set(), set()
    rule = _keys(node, {"country", "subdivision", "school", "school_zone"}, "holidays")

    def of(category: str) -> set[date]:
        found = holidays.country_holidays(
            str(rule["country"]),
            subdiv=cast("str | None", rule.get("subdivision")),
            years=range(days[0].year, days[-1].year + 1),
            categories=category,
        )
        return set(found)

    breaks = of("school") if rule.get("school") else set[date]()
    if (zone := rule.get("school_zone")) is not None:
        french = SchoolHolidayDates()
        breaks |= {day for day in days if french.is_holiday_for_zone(day, str(zone))}
    return of("public"), breaks


def _keys(node: object, known: set[str], where: str) -> Node:
    mapping = cast(Node, node)
    if unknown := set(mapping) - known:
        raise NotJudgedError(f"{where}: this evaluator does not know {sorted(unknown)}")
    return mapping


def _list(node: object) -> Sequence[object]:
    return cast("Sequence[object]", node or [])


def _date(value: object) -> date:
    return value if isinstance(value, date) else date.fromisoformat(str(value))


def number(value: object) -> float:
    """A number of the file."""
    return float(cast("int | float | str", value))


def _clock(value: object) -> int:
    hour, minute = str(value).split(":")
    return int(hour) * 60 + int(minute)


def _minutes(value: object) -> float:
    """Minutes of a duration such as `20m`, `90s`, `1h` or `1h30m`."""
    units = {"s": 1 / 60, "m": 1, "h": 60}
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([smh])", str(value))
    return sum(float(number) * units[unit] for number, unit in parts)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
