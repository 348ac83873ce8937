"""The table of prices, and what a plan costs by it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from infra.errors import InputError, Problems
from infra.season.plan import Plan, build_plan, check_plan, read_plan, read_season
from infra.season.prices import Hardware, Price, PriceTable, read_prices, with_costs

# Amounts invented for these tests.
TABLE = dedent(
    """
    version: 1
    currency: EUR
    prices:
      - {region: eu-north-1, item: m7i.large, per_hour: 0.25, source: a test, date: 2026-07-01}
      - {region: eu-west-1, item: m7i.large, per_hour: 0.5, source: a test, date: "2026-07-02"}
    """
)
STOCKHOLM = Hardware("eu-north-1", {"web": "m7i.large", "database": "db.r6g.large"})


@pytest.fixture
def table(tmp_path: Path) -> Callable[[str], PriceTable]:
    """Reads a table of prices from its text."""

    def read(text: str) -> PriceTable:
        path = tmp_path / "prices.yaml"
        path.write_text(text)
        return read_prices(path)

    return read


@pytest.fixture
def plan(small: dict[str, Any], write: Callable[[dict[str, Any]], Path]) -> Plan:
    return build_plan(read_season(write(small)))


def test_a_price_is_found_by_region_and_item(table: Callable[[str], PriceTable]) -> None:
    found = table(TABLE)
    assert found.find("eu-west-1", "m7i.large") == Price(
        region="eu-west-1",
        item="m7i.large",
        per_hour=0.5,
        source="a test",
        date=date(2026, 7, 2),
    )
    assert found.find("eu-west-1", "m6i.large") is None


def test_everything_wrong_with_a_table_is_named_at_once(
    table: Callable[[str], PriceTable],
) -> None:
    wrong = """
    version: 2
    currency: euro
    discount: 3
    prices:
      - {region: Stockholm, item: m7i.large, per_hour: -0.25, source: x, date: 2026-07-01}
      - {region: eu-north-1, item: m7i.large, per_hour: 0, source: x}
      - {region: eu-north-1, item: m7i.large, per_hour: "0.1", source: "", date: yesterday}
      - {region: eu-north-1, item: db.r6g.large, per_hour: .inf, sourc: x, date: 20260701}
    """
    with pytest.raises(Problems) as caught:
        table(dedent(wrong))
    assert caught.value.exit_code == 2
    assert sorted(problem.where for problem in caught.value.problems) == [
        "currency",
        "discount",
        "prices",
        "prices/1/per_hour",
        "prices/1/region",
        "prices/2/date",
        "prices/2/per_hour",
        "prices/3/date",
        "prices/3/per_hour",
        "prices/3/source",
        "prices/4/date",
        "prices/4/per_hour",
        "prices/4/sourc",
        "prices/4/source",
        "version",
    ]
    assert "m7i.large in eu-north-1 stands 2 times" in str(caught.value)
    assert "did you mean 'source'?" in str(caught.value)


def test_a_price_that_stands_twice_is_refused_alone(table: Callable[[str], PriceTable]) -> None:
    with pytest.raises(Problems, match="1 problem"):
        table(TABLE.replace("eu-west-1", "eu-north-1"))


@pytest.mark.parametrize("text", ["", "[]", "prices", "a: [", "version: 1\nversion: 1"])
def test_what_is_no_table_is_refused(text: str, table: Callable[[str], PriceTable]) -> None:
    with pytest.raises(InputError):
        table(text)


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        read_prices(tmp_path / "prices.yaml")


def test_a_price_dated_after_today_is_warned_of(table: Callable[[str], PriceTable]) -> None:
    found = table(TABLE)
    assert found.dated_after(date(2026, 7, 2)) == []
    assert found.dated_after(date(2026, 7, 1)) == [
        "the price of m7i.large in eu-west-1 is dated 2026-07-02, after today"
    ]


def test_a_table_reads_back_as_it_was_written(table: Callable[[str], PriceTable]) -> None:
    found = table(TABLE)
    assert table(found.to_yaml()) == found


def test_fresh_prices_replace_old_ones_and_leave_the_others(
    table: Callable[[str], PriceTable],
) -> None:
    found = table(TABLE)
    old, other = found.prices
    fresh = old.model_copy(update={"per_hour": 0.3})
    first = old.model_copy(update={"item": "c7i.large"})
    assert found.with_prices([fresh, first]).prices == (first, fresh, other)


def test_the_cost_is_hours_times_price_with_date_and_source(
    plan: Plan, table: Callable[[str], PriceTable]
) -> None:
    web = plan.targets["web"]
    static = float(str(web.verdict["static_peak_hours"]))
    assert with_costs(plan, table(TABLE), STOCKHOLM).targets["web"].cost == {
        "amount": round(web.instance_hours * 0.25, 2),
        "static_peak": static * 0.25,
        "currency": "EUR",
        "region": "eu-north-1",
        "item": "m7i.large",
        "per_hour": 0.25,
        "date": "2026-07-01",
        "source": "a test",
    }


@pytest.mark.parametrize(
    "hardware",
    [
        Hardware("eu-central-1", {"web": "m7i.large"}),
        Hardware("eu-north-1", {"web": "m6i.large"}),
        Hardware("eu-north-1", {"database": "m7i.large"}),
    ],
)
def test_without_its_price_a_target_has_no_cost(
    hardware: Hardware, plan: Plan, table: Callable[[str], PriceTable]
) -> None:
    assert with_costs(plan, table(TABLE), hardware) == plan
    assert plan.targets["web"].cost is None


def test_a_plan_with_costs_is_not_stale_and_its_costs_are_sealed(
    small: dict[str, Any],
    write: Callable[[dict[str, Any]], Path],
    table: Callable[[str], PriceTable],
    tmp_path: Path,
) -> None:
    season = read_season(write(small))
    plain = build_plan(season)
    priced = with_costs(plain, table(TABLE), STOCKHOLM)
    assert priced.inputs_sha256 == plain.inputs_sha256
    assert priced.plan_sha256 != plain.plan_sha256
    assert priced.to_json() == with_costs(build_plan(season), table(TABLE), STOCKHOLM).to_json()
    path = tmp_path / "small.plan.json"
    path.write_text(priced.to_json())
    read = read_plan(path)
    assert read == priced
    assert check_plan(read, season, bounds={}, now=datetime(2026, 8, 1, tzinfo=UTC)) == []
    edited = json.loads(priced.to_json())
    edited["targets"]["web"]["cost"]["amount"] -= 1
    path.write_text(json.dumps(edited))
    with pytest.raises(InputError, match="edited by hand"):
        read_plan(path)
