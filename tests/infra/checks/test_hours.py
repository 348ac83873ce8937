"""Instance-hours a month and their cost, checked by hand."""

from __future__ import annotations

from datetime import date

import pytest

from infra.checks.hours import HOURS_A_MONTH, cost_problems, monthly_cost, monthly_hours
from infra.season.capacity import Bounds
from infra.season.plan import Plan, PlanTarget
from infra.season.prices import Price, PriceTable
from tests.infra.checks.builders import settings

# Every day from 06:00 to 18:00 UTC ten instances, else two; in September and half of October.
WEB = PlanTarget(
    "autoscaling-group",
    Bounds(2, 10),
    2,
    (),
    tuple(
        {
            "Recurrence": f"0 {hour} * * *",
            "TimeZone": "UTC",
            "StartTime": f"2026-09-01T{hour:02}:00:00Z",
            "EndTime": "2026-10-15T23:00:00Z",
            "MinSize": size,
        }
        for hour, size in ((6, 10), (18, 2))
    ),
    0.0,
    None,
    {},
)
PLAN = Plan(1, "autumn", date(2026, 9, 1), date(2026, 10, 15), "", {"web": WEB})


def price(item: str, per_hour: float) -> Price:
    return Price(
        region="eu-north-1", item=item, per_hour=per_hour, source="a test", date=date(2026, 7, 1)
    )


def test_a_months_hours_are_those_of_the_floors() -> None:
    web, database, writer = monthly_hours(settings(), PLAN)
    assert (web.name, web.item) == ("web", "m7i.large")
    assert web.static == 10 * HOURS_A_MONTH
    assert web.scheduled == pytest.approx(6 * HOURS_A_MONTH)
    assert (web.busiest, web.busiest_month) == (30 * 12 * (10 + 2), "2026-09")
    # Nothing schedules them: one replica and the writer, all month.
    assert (database.name, database.scheduled) == ("database", HOURS_A_MONTH)
    assert (writer.name, writer.busiest, writer.busiest_month) == (
        "database writer",
        HOURS_A_MONTH,
        None,
    )


def test_without_a_season_every_tier_stands_at_its_minimum() -> None:
    web, *_ = monthly_hours(settings(tiers={"web": {"min": 3}}), None)
    assert web.static == web.scheduled == web.busiest == 3 * HOURS_A_MONTH


def test_what_a_month_costs_carries_the_date_of_its_prices() -> None:
    stack = settings()
    table = PriceTable(
        version=1, currency="EUR", prices=(price("m7i.large", 0.5), price("db.r6g.large", 1.0))
    )
    cost = monthly_cost(monthly_hours(stack, PLAN), table, stack)
    assert cost.busiest == 30 * 12 * 12 * 0.5 + 2 * HOURS_A_MONTH
    assert cost.unpriced == []
    assert cost.priced[0] == (
        "m7i.large in eu-north-1 at 0.5 EUR an hour as of 2026-07-01 (a test)"
    )


def test_the_busiest_month_may_cost_just_what_was_allowed() -> None:
    stack = settings()
    table = PriceTable(
        version=1, currency="EUR", prices=(price("m7i.large", 0.5), price("db.r6g.large", 1.0))
    )
    cost = monthly_cost(monthly_hours(stack, PLAN), table, stack)
    assert cost_problems(cost, 3620.0, "prices.yaml") == []
    (problem,) = cost_problems(cost, 3619.99, "prices.yaml")
    assert "the busiest month costs 3,620.00 EUR at the floors, more than 3,619.99" in str(problem)


def test_what_has_no_price_cannot_pass_a_bound() -> None:
    stack = settings()
    table = PriceTable(version=1, currency="EUR", prices=(price("m7i.large", 0.5),))
    cost = monthly_cost(monthly_hours(stack, PLAN), table, stack)
    assert cost.unpriced == ["db.r6g.large"]
    (problem,) = cost_problems(cost, 1e9, "prices.yaml")
    assert "has no price for db.r6g.large" in str(problem)
