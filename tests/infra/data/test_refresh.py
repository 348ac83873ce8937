"""The table of instance types and classes is what the installed packages say."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from infra import instances
from infra.data.refresh import TABLE, table


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    return json.loads(TABLE.read_text())


def test_the_table_is_what_its_sources_say(committed: dict[str, Any]) -> None:
    """Of the day that it carries: it goes stale with the packages, not with time."""
    made = table(date.fromisoformat(committed["generated"]))
    stale = "run python -m infra.data.refresh"
    assert made["sources"] == committed["sources"], stale
    for part, content in made.items():
        assert content == committed[part], f"{part}: {stale}"


def test_what_is_refused_by_the_table_carries_its_date(committed: dict[str, Any]) -> None:
    refused = instances.problem_with_instance_type("m99i.large", "eu-north-1")
    assert refused is not None
    assert f"(table of {committed['generated']})" in refused.what
