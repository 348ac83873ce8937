"""Searches for resources of budgets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from cli.recovery.searches.base import Clients, Inputs, Search


def _budget(client: Clients, inputs: Inputs) -> Iterator[str]:
    account = client("sts").get_caller_identity()["Account"]
    for page in client("budgets").get_paginator("describe_budgets").paginate(AccountId=account):
        for budget in page.get("Budgets", []):
            if budget["BudgetName"] == inputs["name"]:
                yield f"{account}:{budget['BudgetName']}"


SEARCHES: Final[Mapping[str, Search]] = {"aws:budgets/budget:Budget": _budget}
