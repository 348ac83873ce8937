"""Searches for resources of scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cli.recovery.searches.base import Clients, Inputs, Search


def _schedule(client: Clients, inputs: Inputs) -> list[str]:
    group, name = inputs["groupName"], inputs["name"]
    client("scheduler").get_schedule(GroupName=group, Name=name)
    return [f"{group}/{name}"]


SEARCHES: Final[Mapping[str, Search]] = {"aws:scheduler/schedule:Schedule": _schedule}
