"""Searches for resources of logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cli.recovery.searches.base import Clients, Inputs, Search, named


def _log_group(client: Clients, inputs: Inputs) -> list[str]:
    name = inputs["name"]
    found = client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return [name for group in found if group["logGroupName"] == name]


def _delivery(client: Clients, inputs: Inputs) -> list[str]:
    source, to = inputs["deliverySourceName"], inputs["deliveryDestinationArn"]
    return [
        delivery["id"]
        for delivery in client("logs").describe_deliveries()["deliveries"]
        if (delivery["deliverySourceName"], delivery["deliveryDestinationArn"]) == (source, to)
    ]


SEARCHES: Final[Mapping[str, Search]] = {
    "aws:cloudwatch/logGroup:LogGroup": _log_group,
    "aws:cloudwatch/logDeliverySource:LogDeliverySource": named(
        "logs", "get_delivery_source", "name", "name", "one"
    ),
    "aws:cloudwatch/logDeliveryDestination:LogDeliveryDestination": named(
        "logs", "get_delivery_destination", "name", "name", "one"
    ),
    "aws:cloudwatch/logDelivery:LogDelivery": _delivery,
}
