"""Required units per minute, rebuilt from a season file with declared demand.

Reads the season file by itself, with the `holidays` library for public holidays. A key that is
unknown here is an error: a season that is not fully understood is not judged. A season with
`history` cannot be rebuilt from its file and is refused as well.
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

Node = Mapping[str, object]
Curve = NDArray[np.float64]

DAY = timedelta(days=1)
WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
CLASSES = ("dynamic", "static", "login")


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
        {"version", "timezone", "horizon", "markets", "demand", "capacity"},
        "season",
    )
    default_zone = str(season["timezone"])
    horizon = _keys(season["horizon"], {"from", "to"}, "horizon")
    first, last = _date(horizon["from"]), _date(horizon["to"])
    start = _midnight(first, ZoneInfo(default_zone))
    end = _midnight(last + DAY, ZoneInfo(default_zone))
    minutes = (end - start) // timedelta(minutes=1)

    demand = _keys(season["demand"], {"profiles", "bursts", "requests_per_login"}, "demand")
    rates: dict[str, Curve] = {}
    logins: dict[str, Curve] = {}
    for node in _list(season["markets"]):
        market = _Market(node, default_zone, first - DAY, last + DAY)
        rates[market.name] = _profile_rate(market, demand, start, minutes)
        logins[market.name] = _burst_rate(market, demand, start, minutes)

    required: list[Required] = []
    for name, node in cast("Mapping[str, Node]", season["capacity"]).items():
        target = _keys(
            node,
            {"kind", "requests_per_second", "utilisation", "floor_utilisation", "boot"}
            | {"min", "max", "markets", "classes", "share"},
            f"capacity.{name}",
        )
        chosen = cast("Sequence[str]", target.get("markets", list(rates)))
        forecast = np.zeros(minutes)
        for market_name in chosen:
            forecast += rates[market_name] + logins[market_name]
        forecast *= _number(target.get("share", 1))
        hard_limit = _number(target["requests_per_second"]) / _number(target["utilisation"])
        per_unit = hard_limit * _number(target.get("floor_utilisation", 0.75))
        # A millionth of a unit is rounding, not demand.
        units = np.ceil(forecast / per_unit - 1e-6).astype(np.int64)
        required.append(
            Required(
                name=name,
                start=start,
                units=np.maximum(units, int(_number(target["min"]))),
                boot_minutes=math.ceil(_minutes(target["boot"])),
            )
        )
    return required


class _Market:
    """One market's calendar over the local days from `first` to `last`."""

    def __init__(self, node: object, default_zone: str, first: date, last: date) -> None:
        market = _keys(
            node,
            {"name", "timezone", "users", "weekend", "holidays", "terms", "breaks", "periods"},
            "markets",
        )
        self.name = str(market["name"])
        self.zone = ZoneInfo(str(market.get("timezone", default_zone)))
        self.users = _number(market.get("users", 0))
        self.days = [first + n * DAY for n in range((last - first).days + 1)]
        weekend = cast("Sequence[str]", market.get("weekend", ["sat", "sun"]))
        terms = [_span(term) for term in _list(market.get("terms"))]
        breaks = [_span(item) for item in _list(market.get("breaks"))]
        public = _public_holidays(market.get("holidays"), first, last)
        self.periods = [
            (_span(item), str(item["kind"]), _number(item.get("factor", 1)))
            for item in cast("list[Node]", _list(market.get("periods")))
        ]

        def base(day: date) -> str:
            if day in public:
                return "holiday"
            if any(day in span for span in breaks):
                return "break"
            if terms and not any(day in span for span in terms):
                return "break"
            return "weekend" if WEEKDAYS[day.weekday()] in weekend else "school"

        self.base = [base(day) for day in self.days]

    def local_minutes(self, start: datetime, minutes: int) -> tuple[NDArray[np.int64], ...]:
        """Index into `days` and local minute of the day, for each minute from `start`."""
        # Offsets change on a quarter of an hour at the finest, everywhere.
        quarters = [start + n * timedelta(minutes=15) for n in range(math.ceil(minutes / 15))]
        offsets = np.array(
            [cast(timedelta, q.astimezone(self.zone).utcoffset()).total_seconds() for q in quarters]
        )
        zero = datetime.combine(self.days[0], time(), UTC)
        since_zero = int((start - zero) // timedelta(minutes=1)) + np.arange(minutes)
        local = since_zero + np.repeat(offsets / 60, 15)[:minutes].astype(np.int64)
        return local // 1440, local % 1440


def _profile_rate(market: _Market, demand: Node, start: datetime, minutes: int) -> Curve:
    """Requests per second from the declared profiles, per 1,000 users."""
    raise NotImplementedError


def _burst_rate(market: _Market, demand: Node, start: datetime, minutes: int) -> Curve:
    """Requests per second from the declared bursts, spread evenly over their minutes."""
    rate = np.zeros(minutes)
    per_login = _number(demand.get("requests_per_login", 10))
    for item in _list(demand.get("bursts")):
        burst = _keys(
            item, {"name", "market", "days", "at", "logins", "over", "from", "to"}, "bursts"
        )
        if burst.get("market", market.name) != market.name:
            continue
        over = _minutes(burst["over"])
        per_second = _number(burst["logins"]) * per_login / (over * 60)
        for day, base in zip(market.days, market.base, strict=True):
            if not _burst_on(burst, day, base):
                continue
            at = datetime.combine(day, time.fromisoformat(str(burst["at"])), market.zone)
            begin = (at - start) / timedelta(minutes=1)
            for minute in range(max(0, math.floor(begin)), min(minutes, math.ceil(begin + over))):
                share = min(minute + 1, begin + over) - max(minute, begin)
                rate[minute] += per_second * share
    return rate


def _burst_on(burst: Node, day: date, base: str) -> bool:
    if "from" in burst and day < _date(burst["from"]):
        return False
    if "to" in burst and day > _date(burst["to"]):
        return False
    days = burst.get("days", "school")
    if days == "school":
        return base == "school"
    return days == "all" or WEEKDAYS[day.weekday()] in cast("Sequence[str]", days)


class _Span:
    def __init__(self, first: date, last: date) -> None:
        self.first, self.last = first, last

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last


def _span(node: object) -> _Span:
    span = cast(Node, node)
    return _Span(_date(span["from"]), _date(span["to"]))


def _public_holidays(node: object, first: date, last: date) -> set[date]:
    if node is None:
        return set()
    rule = _keys(node, {"country", "subdivision"}, "holidays")
    found = holidays.country_holidays(
        str(rule["country"]),
        subdiv=cast("str | None", rule.get("subdivision")),
        years=range(first.year, last.year + 1),
    )
    return set(found)


def _keys(node: object, known: set[str], where: str) -> Node:
    mapping = cast(Node, node)
    if unknown := set(mapping) - known:
        raise NotJudgedError(f"{where}: this evaluator does not know {sorted(unknown)}")
    return mapping


def _list(node: object) -> Sequence[object]:
    return cast("Sequence[object]", node or [])


def _date(value: object) -> date:
    return value if isinstance(value, date) else date.fromisoformat(str(value))


def _number(value: object) -> float:
    return float(cast("int | float | str", value))


def _minutes(value: object) -> float:
    """Minutes of a duration such as `20m`, `90s`, `1h` or `1h30m`."""
    units = {"s": 1 / 60, "m": 1, "h": 60}
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([smh])", str(value))
    return sum(float(number) * units[unit] for number, unit in parts)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
