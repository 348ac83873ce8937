"""Prices on the command line: costs of a plan, and the table refreshed from AWS's price list."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.stub import Stubber

from cli import main, pricing
from infra.errors import FirstbellError, InputError
from infra.season.prices import Price, read_prices
from infra.settings.stack import read_stack
from tests.conftest import WriteStack
from tests.e2e.conftest import SEASON

TODAY = date(2026, 8, 3)
# Amounts invented for these tests.
TABLE = """
version: 1
currency: USD
prices:
  - {region: eu-north-1, item: m7i.large, per_hour: 0.5, source: a test, date: 2026-07-01}
"""
Run = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command line in this process; returns standard output, or error if it fails."""

    def call(*arguments: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["firstbell", *arguments])
        capsys.readouterr()
        ended = main.run()
        out, err = capsys.readouterr()
        assert ended == code, f"{out[-2000:]}\n{err[-2000:]}"
        assert "Traceback" not in err
        return err if code else out

    return call


# --- season plan --prices -------------------------------------------------------------------------


@pytest.fixture
def stack(
    stacks: Path, home: Path, write_stack: WriteStack, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A stack with three weeks of a season; returns the season's file."""
    del home
    monkeypatch.setenv("FIRSTBELL_NOW", "2026-08-01T00:00Z")
    platform = {
        "domain": "lms.example.org",
        "tiers": {"web": {"min": 2, "max": 60}},
        "database": {"replicas": {"min": 1, "max": 8}},
    }
    write_stack("autumn", **{"firstbell:season": "autumn.yaml", "firstbell:platform": platform})
    season = yaml.safe_load(SEASON)
    season["horizon"] = {"from": "2026-11-23", "to": "2026-12-13"}
    path = stacks / "autumn.yaml"
    path.write_text(yaml.safe_dump(season))
    return path


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    path = tmp_path / "prices.yaml"
    path.write_text(TABLE)
    return path


def test_a_plan_shows_cost_currency_date_and_source_and_what_has_no_price(
    stack: Path, prices: Path, run: Run
) -> None:
    text = run("season", "plan", "-s", "autumn", "--prices", str(prices))
    plan = json.loads(stack.with_suffix(".plan.json").read_text())
    web = plan["targets"]["web"]
    assert web["cost"]["amount"] == round(web["instance_hours"] * 0.5, 2)
    assert (
        f"web: {web['cost']['amount']:,.2f} USD, the static peak "
        f"{web['verdict']['static_peak_hours'] * 0.5:,.2f} USD; m7i.large in eu-north-1 at 0.5 USD "
        "an hour as of 2026-07-01 (a test)"
    ) in text
    assert plan["targets"]["database"]["cost"] is None
    assert "database: no cost" in text
    assert "web: at most" in text
    printed = run("season", "plan", "-s", "autumn", "--prices", str(prices), "--json")
    assert json.loads(printed)["targets"]["web"]["cost"] == web["cost"]


def test_without_prices_no_cost_is_shown(stack: Path, run: Run) -> None:
    text = run("season", "plan", "-s", "autumn")
    assert "no cost" not in text
    assert "static peak " not in text
    plan = json.loads(stack.with_suffix(".plan.json").read_text())
    assert [target["cost"] for target in plan["targets"].values()] == [None, None]


def test_the_report_shows_the_cost_of_the_plan(
    stack: Path, prices: Path, run: Run, tmp_path: Path
) -> None:
    del stack
    run("season", "plan", "-s", "autumn", "--prices", str(prices))
    page = tmp_path / "season.html"
    printed = run("season", "report", "-s", "autumn", "--output", str(page), "--json")
    costs = {item["target"]: item["cost"] for item in json.loads(printed)["targets"]}
    web = costs["web"]
    assert costs["database"] is None
    assert f"{web['amount']:,.0f} USD" in page.read_text()
    assert "as of 2026-07-01: a test" in page.read_text()


def test_prices_without_a_stack_are_refused(stack: Path, prices: Path, run: Run) -> None:
    told = run("season", "plan", "--season", str(stack), "--prices", str(prices), code=2)
    assert "prices need a stack" in told
    assert not stack.with_suffix(".plan.json").exists()


def test_wrong_prices_are_refused_and_nothing_is_written(
    stack: Path, prices: Path, run: Run
) -> None:
    prices.write_text(TABLE.replace("0.5", "-0.5"))
    told = run("season", "plan", "-s", "autumn", "--prices", str(prices), code=2)
    assert "prices/1/per_hour" in told
    assert not stack.with_suffix(".plan.json").exists()


def test_strict_refuses_a_price_dated_ahead(stack: Path, prices: Path, run: Run) -> None:
    prices.write_text(TABLE.replace("2026-07-01", "2026-08-02"))
    line = ["season", "plan", "-s", "autumn", "--prices", str(prices)]
    assert "dated 2026-08-02, after today" in run(*line, "--strict", code=2)
    assert not stack.with_suffix(".plan.json").exists()
    run(*line)
    assert stack.with_suffix(".plan.json").exists()


# --- season prices --------------------------------------------------------------------------------


def product(
    sku: str,
    *,
    usd: str,
    since: str | None = "2026-07-01",
    currency: str = "USD",
    **attributes: str,
) -> str:
    """An entry of `PriceList`, in the shape of the Price List API; amounts are invented."""
    dated = {} if since is None else {"effectiveDate": f"{since}T00:00:00Z"}
    dimension = f"{sku}.JRTCKXETXF.6YS6EN2CT7"
    return json.dumps(
        {
            "product": {
                "productFamily": "Compute Instance",
                "attributes": {"regionCode": "eu-north-1", "locationType": "AWS Region"}
                | attributes,
                "sku": sku,
            },
            "serviceCode": "AmazonEC2",
            "terms": {
                "OnDemand": {
                    f"{sku}.JRTCKXETXF": {
                        "priceDimensions": {
                            dimension: {
                                "unit": "Hrs",
                                "endRange": "Inf",
                                "description": f"${usd} per On Demand Linux instance hour",
                                "appliesTo": [],
                                "rateCode": dimension,
                                "beginRange": "0",
                                "pricePerUnit": {currency: usd},
                            }
                        },
                        "sku": sku,
                        **dated,
                        "offerTermCode": "JRTCKXETXF",
                        "termAttributes": {},
                    }
                },
                # Reserved terms stand beside it, and have hours of their own.
                "Reserved": {
                    f"{sku}.38NPMPTW36": {
                        "priceDimensions": {
                            "x": {"unit": "Hrs", "pricePerUnit": {"USD": "0.0100000000"}}
                        },
                        "sku": sku,
                        "effectiveDate": f"{since}T00:00:00Z",
                    }
                },
            },
            "version": "20260731000000",
            "publicationDate": "2026-07-31T00:00:00Z",
        }
    )


EC2 = product("EC2SKU", usd="0.5000000000", usagetype="EUN1-BoxUsage:m7i.large")
AURORA = product("RDSSKU", usd="0.2500000000", usagetype="EUN1-InstanceUsage:db.r6g.large")
OPTIMIZED = product(
    "IOSKU", usd="0.3300000000", usagetype="EUN1-InstanceUsageIOOptimized:db.r6g.large"
)


def request(service: str, **attributes: str) -> dict[str, object]:
    return {
        "ServiceCode": service,
        "Filters": [
            {"Type": "TERM_MATCH", "Field": field, "Value": value}
            for field, value in attributes.items()
        ],
        "FormatVersion": "aws_v1",
    }


ASK_EC2 = request(
    "AmazonEC2",
    regionCode="eu-north-1",
    instanceType="m7i.large",
    operatingSystem="Linux",
    tenancy="Shared",
    preInstalledSw="NA",
    capacitystatus="Used",
)
ASK_RDS = request(
    "AmazonRDS",
    regionCode="eu-north-1",
    instanceType="db.r6g.large",
    databaseEngine="Aurora PostgreSQL",
    deploymentOption="Single-AZ",
)


@pytest.fixture
def price_list() -> Generator[Stubber]:
    client = boto3.client(
        "pricing",
        region_name=pricing.ENDPOINT_REGION,
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    with Stubber(client) as stubber:
        yield stubber


def answer(*entries: str, **more: str) -> dict[str, object]:
    return {"FormatVersion": "aws_v1", "PriceList": list(entries), **more}


@pytest.mark.usefixtures("stacks")
def test_exactly_what_the_stack_runs_is_asked_for(
    price_list: Stubber, write_stack: WriteStack
) -> None:
    write_stack("tiny")
    price_list.add_response("get_products", answer(EC2), ASK_EC2)
    # A page may be empty and yet have a next one.
    price_list.add_response("get_products", answer(NextToken="2"), ASK_RDS)
    price_list.add_response("get_products", answer(OPTIMIZED, AURORA), ASK_RDS | {"NextToken": "2"})
    found = pricing.prices_of(price_list.client, read_stack("tiny"), today=TODAY)
    price_list.assert_no_pending_responses()
    assert found == [
        Price(
            region="eu-north-1",
            item=item,
            per_hour=per_hour,
            source=f"AWS Price List API, {sku}, on demand, in force since 2026-07-01",
            date=TODAY,
        )
        for item, per_hour, sku in (
            ("m7i.large", 0.5, "AmazonEC2 EC2SKU"),
            ("db.r6g.large", 0.25, "AmazonRDS RDSSKU"),
        )
    ]


@pytest.mark.usefixtures("stacks")
def test_a_cache_is_asked_for_by_its_engine_without_what_an_old_version_costs_more(
    price_list: Stubber, write_stack: WriteStack
) -> None:
    """Or --max-monthly-cost could pass no stack with a cache."""
    cache = {"engine": "redis", "node_type": "cache.m7g.large"}
    write_stack("tiny", **{"firstbell:platform": {"domain": "lms.example.org", "cache": cache}})
    node, old = (
        product(sku, usd=usd, usagetype=f"EUN1-{usage}:cache.m7g.large")
        for sku, usd, usage in (
            ("CACHESKU", "0.2", "NodeUsage"),
            ("OLDSKU", "0.1", "ExtendedSupport:Yr1-Yr2:NodeUsage"),
        )
    )
    asked = request(
        "AmazonElastiCache",
        regionCode="eu-north-1",
        instanceType="cache.m7g.large",
        cacheEngine="Redis",
    )
    price_list.add_response("get_products", answer(EC2), ASK_EC2)
    price_list.add_response("get_products", answer(AURORA), ASK_RDS)
    price_list.add_response("get_products", answer(old, node), asked)
    *_, found = pricing.prices_of(price_list.client, read_stack("tiny"), today=TODAY)
    assert (found.item, found.per_hour) == ("cache.m7g.large", 0.2)


@pytest.mark.usefixtures("stacks")
@pytest.mark.parametrize(
    ("entries", "what"),
    [
        ([], "AWS lists no on-demand price for m7i.large in eu-north-1"),
        ([OPTIMIZED], "AWS lists no on-demand price for m7i.large in eu-north-1"),
        (
            [EC2, product("OTHER", usd="0.6")],
            "AWS lists 2 on-demand prices for m7i.large in eu-north-1",
        ),
        (
            [product("CHINA", usd="3.4", currency="CNY")],
            "(?s)no on-demand price .*the list has it in CNY only, not in USD",
        ),
        (
            [product("OLD", usd="0.5", since=None)],
            "AWS's price for m7i.large in eu-north-1 has no date",
        ),
        ([product("FREE", usd="0.0")], "AWS lists m7i.large in eu-north-1 at 0 USD an hour"),
    ],
)
def test_no_price_two_prices_one_without_a_date_or_in_another_currency_leave_the_table(
    entries: list[str], what: str, price_list: Stubber, write_stack: WriteStack, prices: Path
) -> None:
    write_stack("tiny")
    price_list.add_response("get_products", answer(*entries), ASK_EC2)
    with pytest.raises(FirstbellError, match=what):
        pricing.refresh(price_list.client, read_stack("tiny"), prices, today=TODAY)
    assert prices.read_text() == TABLE


@pytest.mark.usefixtures("stacks")
def test_a_refusal_of_aws_names_the_permission(
    price_list: Stubber, write_stack: WriteStack
) -> None:
    write_stack("tiny")
    price_list.add_client_error("get_products", "AccessDeniedException")
    with pytest.raises(FirstbellError, match="AccessDenied") as caught:
        pricing.prices_of(price_list.client, read_stack("tiny"), today=TODAY)
    assert "pricing:GetProducts" in str(caught.value.fix)


@pytest.mark.usefixtures("stacks")
def test_a_table_in_another_currency_is_left_alone(
    price_list: Stubber, write_stack: WriteStack, prices: Path
) -> None:
    write_stack("tiny")
    prices.write_text(TABLE.replace("USD", "EUR"))
    with pytest.raises(InputError, match="is in EUR"):
        pricing.refresh(price_list.client, read_stack("tiny"), prices, today=TODAY)


@dataclass
class PriceList:
    """A server of the Price List API on loopback, with recorded answers."""

    url: str
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Generator[PriceList]:
    found = PriceList("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.asked.append(json.loads(body))
            ec2 = found.asked[-1]["ServiceCode"] == "AmazonEC2"
            text = json.dumps(answer(*([EC2] if ec2 else [AURORA, OPTIMIZED]))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", found.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("FIRSTBELL_NOW", "2026-08-03T12:00Z")
    yield found
    server.shutdown()
    server.server_close()


def test_the_table_is_written_from_the_answers_and_keeps_other_prices(
    served: PriceList, write_stack: WriteStack, prices: Path, run: Run
) -> None:
    prices.write_text(TABLE.replace("eu-north-1", "eu-west-1"))
    write_stack(
        "school",
        **{
            "firstbell:cloud": "aws",
            "aws:allowedAccountIds": ["111122223333"],
            "firstbell:platform": {
                "domain": "lms.example.org",
                "certificate_arn": "arn:aws:acm:eu-north-1:111122223333:certificate/x",
                "tiers": {"web": {"image": "ami-0123456789abcdef0"}},
            },
        },
    )
    text = run("season", "prices", "-s", "school", "--output", str(prices))
    assert f"wrote {prices}" in text
    found = [(p.region, p.item, p.per_hour, p.date) for p in read_prices(prices).prices]
    assert found == [
        ("eu-north-1", "db.r6g.large", 0.25, TODAY),
        ("eu-north-1", "m7i.large", 0.5, TODAY),
        ("eu-west-1", "m7i.large", 0.5, date(2026, 7, 1)),
    ]
    printed = run("season", "prices", "-s", "school", "--output", str(prices), "--json")
    document = json.loads(printed)
    assert document["kind"] == "season-prices"
    assert [price["item"] for price in document["prices"]] == ["m7i.large", "db.r6g.large"]
    assert len(served.asked) == 4


def test_a_stack_on_the_local_cloud_has_no_price_list(
    served: PriceList, write_stack: WriteStack, run: Run, tmp_path: Path
) -> None:
    write_stack("tiny")
    told = run("season", "prices", "-s", "tiny", "--output", str(tmp_path / "new.yaml"), code=2)
    assert "is on the local cloud" in told
    assert not (tmp_path / "new.yaml").exists()
    assert served.asked == []
