"""Instance-hours a month, and what they cost by a dated price: at the floors, without what load
adds above them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from infra.errors import Problem
from infra.scheduling import hardware_of
from infra.season.grid import minute_of
from infra.season.plan import Plan, PlanTarget
from infra.season.prices import PriceTable
from infra.season.simulate import play_floor
from infra.settings.stack import StackSettings

# An average month: 8,760 hours a year / 12, as AWS's own calculator has it.
HOURS_A_MONTH: Final = 730
WRITER: Final = "database writer"
PRIMARY: Final = "cache primary"


@dataclass(frozen=True)
class MonthlyHours:
    """Instance-hours of one part of a stack in a month.

    `static`: its highest floor kept all month; `scheduled`: the average month of the plan;
    `busiest`: the calendar month (UTC) that takes most, `busiest_month`, None without a season.
    """

    name: str
    item: str
    static: float
    scheduled: float
    busiest: float
    busiest_month: str | None

    def to_json(self) -> dict[str, object]:
        return {
            "target": self.name,
            "item": self.item,
            "static": round(self.static, 1),
            "scheduled": round(self.scheduled, 1),
            "busiest": round(self.busiest, 1),
            "busiest_month": self.busiest_month,
        }


@dataclass(frozen=True)
class MonthlyCost:
    """What the hours cost in a month. `unpriced` are items that the table has no price for."""

    currency: str
    scheduled: float
    busiest: float
    static: float
    priced: Sequence[str]
    """Each price with its date and source."""
    unpriced: Sequence[str]

    def to_json(self) -> dict[str, object]:
        return {
            "currency": self.currency,
            "scheduled": round(self.scheduled, 2),
            "busiest": round(self.busiest, 2),
            "static": round(self.static, 2),
            "prices": list(self.priced),
            "unpriced": list(self.unpriced),
        }


def monthly_hours(settings: StackSettings, plan: Plan | None) -> list[MonthlyHours]:
    """The hours of tiers and workers, of replicas and writer, and of the cache's nodes."""
    platform = settings.platform
    cache = platform.cache
    least: Mapping[str, int] = {name: group.min for name, group in platform.groups.items()} | {
        "database": platform.database.replicas.min
    }
    if cache is not None and cache.shards == 1:
        least = {**least, "cache": cache.replicas.min}
    items = hardware_of(settings).items
    rows = [
        MonthlyHours(name, items[name], *_scheduled(plan, plan.targets[name]))
        if plan is not None and name in plan.targets
        else _constant(name, items[name], low)
        for name, low in least.items()
    ]
    rows.append(_constant(WRITER, items["database"], 1))
    if cache is not None:
        # A season counts the replicas of one shard.
        nodes = 1 if cache.shards == 1 else cache.shards * (1 + cache.replicas.min)
        rows.append(_constant(PRIMARY, items["cache"], nodes))
    return rows


def _constant(name: str, item: str, count: int) -> MonthlyHours:
    hours = float(count * HOURS_A_MONTH)
    return MonthlyHours(name, item, hours, hours, hours, None)


def _scheduled(plan: Plan, target: PlanTarget) -> tuple[float, float, float, str | None]:
    """Static, scheduled and busiest month's hours, and which month that is."""
    first = datetime.combine(plan.covers_from, datetime.min.time(), UTC)
    last = datetime.combine(plan.covers_to + timedelta(days=1), datetime.min.time(), UTC)
    start, count = minute_of(first), minute_of(last) - minute_of(first)
    floor = play_floor(target.actions, start=start, count=count, initial=target.start).nominal
    totals = np.concatenate([[0], np.cumsum(floor)]) / 60
    by_month = {
        f"{begin:%Y-%m}": float(totals[minute_of(end) - start] - totals[minute_of(begin) - start])
        for begin, end in _months(first, last)
    }
    busiest = max(by_month, key=lambda month: by_month[month])
    average = float(totals[-1]) * HOURS_A_MONTH * 60 / count
    return float(floor.max()) * HOURS_A_MONTH, average, by_month[busiest], busiest


def _months(first: datetime, last: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The parts of calendar months between two moments."""
    begin = first
    while begin < last:
        following = (begin.replace(day=1) + timedelta(days=32)).replace(day=1)
        yield begin, min(following, last)
        begin = following


def monthly_cost(
    hours: Sequence[MonthlyHours], table: PriceTable, settings: StackSettings
) -> MonthlyCost:
    """What the hours cost by the table; items without a price are named and not counted."""
    priced: dict[str, str] = {}
    unpriced: set[str] = set()
    scheduled = busiest = static = 0.0
    for row in hours:
        price = table.find(settings.region, row.item)
        if price is None:
            unpriced.add(row.item)
            continue
        scheduled += row.scheduled * price.per_hour
        busiest += row.busiest * price.per_hour
        static += row.static * price.per_hour
        priced[row.item] = (
            f"{row.item} in {price.region} at {price.per_hour} {table.currency} an hour as of "
            f"{price.date} ({price.source})"
        )
    return MonthlyCost(
        table.currency, scheduled, busiest, static, list(priced.values()), sorted(unpriced)
    )


def cost_problems(cost: MonthlyCost, most: float, prices: str) -> list[Problem]:
    """Why the busiest month is not known to stay within `most`."""
    found = [
        Problem(
            f"--prices {prices}",
            f"has no price for {item}, so that nothing says what a month costs",
            "write one with its date and source, or run firstbell season prices refresh",
        )
        for item in cost.unpriced
    ]
    if cost.busiest > most:
        found.append(
            Problem(
                "--max-monthly-cost",
                f"the busiest month costs {cost.busiest:,.2f} {cost.currency} at the floors, more "
                f"than {most:,.2f}",
                "allow more, or lower what the season asks for (season what-if, season show)",
            )
        )
    return found
