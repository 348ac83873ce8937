"""Searches for resources of stepfunctions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cli.recovery.searches.base import Clients, Inputs, Search


def _machine(client: Clients, inputs: Inputs) -> list[str]:
    pages = client("stepfunctions").get_paginator("list_state_machines").paginate()
    return [
        machine["stateMachineArn"]
        for page in pages
        for machine in page["stateMachines"]
        if machine["name"] == inputs["name"]
    ]


SEARCHES: Final[Mapping[str, Search]] = {"aws:sfn/stateMachine:StateMachine": _machine}
