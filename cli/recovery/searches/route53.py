"""Searches for resources of route53."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cli.recovery.searches.base import Clients, Inputs, Search


def _record(client: Clients, inputs: Inputs) -> list[str]:
    """A record is the stack's only where it says what the stack wanted to write."""
    zone, name, kind = inputs["zoneId"], inputs["name"], inputs["type"]
    found = client("route53").list_resource_record_sets(
        HostedZoneId=zone, StartRecordName=name, StartRecordType=kind, MaxItems="1"
    )
    values = sorted(inputs.get("records") or [])
    aliases = [alias["name"].rstrip(".").lower() for alias in inputs.get("aliases") or []]
    return [
        f"{zone}_{name}_{kind}"
        for record in found["ResourceRecordSets"]
        if (record["Name"].rstrip("."), record["Type"]) == (name.rstrip(".").lower(), kind)
        and sorted(each["Value"] for each in record.get("ResourceRecords", [])) == values
        and _targets(record) == aliases
    ]


def _targets(record: Mapping[str, Any]) -> list[str]:
    target = record.get("AliasTarget")
    return [target["DNSName"].rstrip(".").lower()] if target else []


SEARCHES: Final[Mapping[str, Search]] = {"aws:route53/record:Record": _record}
