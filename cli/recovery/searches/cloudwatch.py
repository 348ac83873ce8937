"""Searches for resources of cloudwatch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from cli.recovery.searches.base import Clients, Inputs, Search


def _alarm(kind: str, name: str) -> Search:
    def search(client: Clients, inputs: Inputs) -> Iterator[str]:
        found = client("cloudwatch").describe_alarms(AlarmNames=[inputs[name]], AlarmTypes=[kind])
        return (alarm["AlarmName"] for alarm in found[f"{kind}s"])

    return search


def _dashboard(client: Clients, inputs: Inputs) -> Iterator[str]:
    wanted = inputs["dashboardName"]
    found = client("cloudwatch").list_dashboards(DashboardNamePrefix=wanted)["DashboardEntries"]
    return (entry["DashboardName"] for entry in found if entry["DashboardName"] == wanted)


SEARCHES: Final[Mapping[str, Search]] = {
    "aws:cloudwatch/metricAlarm:MetricAlarm": _alarm("MetricAlarm", "name"),
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": _alarm("CompositeAlarm", "alarmName"),
    "aws:cloudwatch/dashboard:Dashboard": _dashboard,
}
