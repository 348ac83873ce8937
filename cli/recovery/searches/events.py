"""Searches for resources of events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from cli.recovery.searches.base import Clients, Inputs, Search


def _rule(client: Clients, inputs: Inputs) -> list[str]:
    name = inputs["name"]
    client("events").describe_rule(Name=name, EventBusName=inputs["eventBusName"])
    return [name]


def _target(client: Clients, inputs: Inputs) -> Iterator[str]:
    rule, wanted = inputs["rule"], inputs["targetId"]
    pages = client("events").list_targets_by_rule(Rule=rule, EventBusName=inputs["eventBusName"])
    return (f"{rule}-{wanted}" for target in pages["Targets"] if target["Id"] == wanted)


SEARCHES: Final[Mapping[str, Search]] = {
    "aws:cloudwatch/eventRule:EventRule": _rule,
    "aws:cloudwatch/eventTarget:EventTarget": _target,
}
