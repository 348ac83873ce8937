"""Prices: a dated table that the user brings, and what a plan costs by it.

firstbell ships no price, and shows no amount without date and source of the price behind it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from infra.errors import InputError, Problem, Problems
from infra.season.plan import Plan
from infra.season.season_file import load_yaml
from infra.validation import validate

VERSION: Final = 1


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Price(_Model):
    """What one unit costs."""

    region: str = Field(pattern=r"^[a-z]{2,}(-[a-z]+)+-\d$")
    item: str = Field(min_length=1)
    """What AWS calls it: an EC2 instance type, a DB instance class."""
    per_hour: float = Field(gt=0, allow_inf_nan=False, strict=True)
    source: str = Field(min_length=1)
    date: date
    """The day on which the source said so."""

    @field_validator("date", mode="before")
    @classmethod
    def _is_a_date(cls, value: object) -> object:
        # Numbers would be taken for seconds since 1970.
        if not isinstance(value, str | date):
            raise ValueError("must be a date such as 2026-08-01")  # noqa: TRY004 (pydantic reports only these)
        return value


class PriceTable(_Model):
    """Everything in a price file."""

    version: Literal[1]
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    """ISO 4217; one for the whole table."""
    prices: tuple[Price, ...]

    def find(self, region: str, item: str) -> Price | None:
        """The price of an item in a Region."""
        return next((p for p in self.prices if (p.region, p.item) == (region, item)), None)

    def dated_after(self, today: date) -> list[str]:
        """A warning for each price whose date lies ahead."""
        return [
            f"the price of {price.item} in {price.region} is dated {price.date}, after today"
            for price in self.prices
            if price.date > today
        ]

    def with_prices(self, fresh: Sequence[Price]) -> PriceTable:
        """The table with these prices in place of its own; sorted."""
        kept = {(price.region, price.item): price for price in (*self.prices, *fresh)}
        return self.model_copy(update={"prices": tuple(kept[key] for key in sorted(kept))})

    def to_yaml(self) -> str:
        """The file's text."""
        data: dict[str, Any] = self.model_dump()
        return yaml.safe_dump(data | {"prices": list(data["prices"])}, sort_keys=False)


def read_prices(path: Path) -> PriceTable:
    """Read a price file.

    Raises:
        Problems: everything that is wrong with it, each with its key.
        InputError: the file is missing or is no YAML mapping.
    """
    data = load_yaml(path)
    if not isinstance(data, dict):
        raise InputError("is empty or no mapping", where=str(path), fix="start with `version: 1`")
    problems = _duplicates(cast("dict[str, object]", data).get("prices"))
    try:
        table = validate(PriceTable, data, str(path))
    except Problems as found:
        raise Problems(str(path), [*found.problems, *problems]) from found
    if problems:
        raise Problems(str(path), problems)
    return table


def _duplicates(prices: object) -> list[Problem]:
    entries = cast("list[object]", prices) if isinstance(prices, list) else []
    keys = [
        (str(entry.get("region")), str(entry.get("item")))
        for entry in entries
        if isinstance(entry, dict)
    ]
    return [
        Problem("prices", f"{item} in {region} stands {count} times", "keep one")
        for (region, item), count in Counter(keys).items()
        if count > 1
    ]


@dataclass(frozen=True)
class Hardware:
    """What a stack runs: where, and which item each target of its season consists of."""

    region: str
    items: Mapping[str, str]


def with_costs(plan: Plan, table: PriceTable, hardware: Hardware) -> Plan:
    """The plan with the cost of each target; None where the table has no price for it."""
    targets = dict(plan.targets)
    for name, target in plan.targets.items():
        item = hardware.items.get(name)
        price = table.find(hardware.region, item) if item else None
        if price is None:
            continue
        static = float(str(target.verdict["static_peak_hours"]))
        cost: dict[str, object] = {
            "amount": round(target.instance_hours * price.per_hour, 2),
            "static_peak": round(static * price.per_hour, 2),
            "currency": table.currency,
            "region": price.region,
            "item": price.item,
            "per_hour": price.per_hour,
            "date": price.date.isoformat(),
            "source": price.source,
        }
        targets[name] = replace(target, cost=cost)
    return replace(plan, targets=targets)
