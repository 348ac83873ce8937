"""Asks the AWS Price List API for what a stack runs, and nothing else.

Written after AWS's documentation and tested on answers of its shape; not shown against AWS.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

from infra.errors import FirstbellError, InputError
from infra.season.prices import VERSION, Price, PriceTable, read_prices
from infra.settings.cache import CacheEngine
from infra.settings.database import DatabaseEngine
from infra.settings.stack import StackSettings

# The API has an endpoint in few Regions; each knows the prices of all (but China's). AWS Price List
# API, "Service endpoints".
ENDPOINT_REGION: Final = "us-east-1"
CURRENCY: Final = "USD"
# Values of `databaseEngine` in the list.
ENGINES: Final[Mapping[DatabaseEngine, str]] = {
    "aurora-postgresql": "Aurora PostgreSQL",
    "aurora-mysql": "Aurora MySQL",
}
# Values of `cacheEngine` in the list.
CACHE_ENGINES: Final[Mapping[CacheEngine, str]] = {"valkey": "Valkey", "redis": "Redis"}
# What the list has beside it, by its usage: Aurora's price where the storage is I/O-Optimized (ours
# is Standard), and ElastiCache's surcharge on versions whose support has ended.
NOT_OURS: Final = ("InstanceUsageIOOptimized", "ExtendedSupport")


def refresh(client: Any, settings: StackSettings, output: Path, *, today: date) -> list[Price]:
    """Write what the stack needs into the table `output`, whose other prices stay.

    Raises:
        InputError: `output` is no price table, or has another currency.
        FirstbellError: AWS lists no price, or more than one.
    """
    table = PriceTable(version=VERSION, currency=CURRENCY, prices=())
    if output.exists():
        table = read_prices(output)
    if table.currency != CURRENCY:
        raise InputError(
            f"is in {table.currency}, and AWS's list is in {CURRENCY}",
            where=str(output),
            fix="name another file",
        )
    found = prices_of(client, settings, today=today)
    temporary = output.with_name(f"{output.name}.tmp")
    try:
        temporary.write_text(table.with_prices(found).to_yaml(), encoding="utf-8")
        temporary.replace(output)
    except OSError as error:
        raise InputError(f"cannot be written: {error}", where=f"--output {output}") from error
    return found


def prices_of(client: Any, settings: StackSettings, *, today: date) -> list[Price]:
    """On-demand prices of every group's first instance type, of the database's class and of the
    cache's node type.

    `client` is a boto3 client for `pricing`.

    Raises:
        FirstbellError: AWS lists no price, or more than one, or cannot be asked.
    """
    platform, region = settings.platform, settings.region
    types = sorted({group.instance_types[0] for group in platform.groups.values()})
    found = [
        _price(
            client,
            "AmazonEC2",
            region,
            item,
            {
                "operatingSystem": "Linux",
                "tenancy": "Shared",
                "preInstalledSw": "NA",
                # Not the price of reserved capacity that nobody uses.
                "capacitystatus": "Used",
            },
            today=today,
        )
        for item in types
    ]
    database, cache = platform.database, platform.cache
    found.append(
        _price(
            client,
            "AmazonRDS",
            region,
            database.instance_class,
            {"databaseEngine": ENGINES[database.engine], "deploymentOption": "Single-AZ"},
            today=today,
        )
    )
    if cache is not None:
        engine = {"cacheEngine": CACHE_ENGINES[cache.engine]}
        found.append(
            _price(client, "AmazonElastiCache", region, cache.node_type, engine, today=today)
        )
    return found


def _price(
    client: Any,
    service: str,
    region: str,
    item: str,
    attributes: Mapping[str, str],
    *,
    today: date,
) -> Price:
    from botocore.exceptions import BotoCoreError, ClientError

    wanted = {"regionCode": region, "instanceType": item, **attributes}
    filters = [
        {"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()
    ]
    try:
        pages = client.get_paginator("get_products").paginate(
            ServiceCode=service, Filters=filters, FormatVersion="aws_v1"
        )
        products = [json.loads(text) for page in pages for text in page["PriceList"]]
    except (BotoCoreError, ClientError) as error:
        raise FirstbellError(
            f"the AWS Price List API did not answer: {error}",
            fix="check credentials and that they allow pricing:GetProducts",
        ) from error
    terms = [
        (product["product"], term)
        for product in products
        if not any(
            usage in product["product"]["attributes"].get("usagetype", "") for usage in NOT_OURS
        )
        for term in product.get("terms", {}).get("OnDemand", {}).values()
    ]
    hourly = [
        (product["sku"], str(term.get("effectiveDate", ""))[:10], dimension["pricePerUnit"])
        for product, term in terms
        for dimension in term["priceDimensions"].values()
        if dimension["unit"] == "Hrs"
    ]
    priced = [found for found in hourly if CURRENCY in found[2]]
    where = f"{service}, {', '.join(f'{key} {value}' for key, value in attributes.items())}"
    fix = "write its price into the table by hand, with date and source"
    if len(priced) != 1:
        others = sorted({currency for _, _, prices in hourly for currency in prices} - {CURRENCY})
        why = ", ".join(sku for sku, _, _ in priced)
        if others and not priced:
            why = f"the list has it in {', '.join(others)} only, not in {CURRENCY}"
        raise FirstbellError(
            f"AWS lists {len(priced) or 'no'} on-demand price{'s' if priced else ''} for {item} "
            f"in {region}",
            where=where,
            why=why or None,
            fix=fix,
        )
    sku, since, prices = priced[0]
    if not since:
        raise FirstbellError(
            f"AWS's price for {item} in {region} has no date", where=where, why=sku, fix=fix
        )
    per_hour = float(prices[CURRENCY])
    if per_hour <= 0:
        raise FirstbellError(
            f"AWS lists {item} in {region} at {per_hour:g} {CURRENCY} an hour",
            where=where,
            why=sku,
            fix=fix,
        )
    return Price(
        region=region,
        item=item,
        per_hour=per_hour,
        source=f"AWS Price List API, {service} {sku}, on demand, in force since {since}",
        date=today,
    )
