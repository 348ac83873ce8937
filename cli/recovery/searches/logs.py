"""Searches for resources of logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cli.recovery.searches.base import Clients, Inputs, Search


def _log_group(client: Clients, inputs: Inputs) -> list[str]:
    name = inputs["name"]
    found = client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return [name for group in found if group["logGroupName"] == name]


SEARCHES: Final[Mapping[str, Search]] = {"aws:cloudwatch/logGroup:LogGroup": _log_group}
