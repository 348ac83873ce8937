"""The page about the dashboard is what the demo's dashboard is."""

from __future__ import annotations

import json
import re

from cli.dashboard_reference import BODY, PAGE, body, render, render_body
from tests.infra.test_observability import commands, unknown


def test_the_page_and_the_json_are_up_to_date() -> None:
    assert PAGE.read_text() == render(), "run python -m cli.dashboard_reference"
    assert BODY.read_text() == render_body(), "run python -m cli.dashboard_reference"


def test_the_page_describes_every_widget_that_has_lines() -> None:
    shown = {w["properties"]["title"] for w in body()["widgets"] if w["type"] == "metric"}
    described = set(re.findall(r"^\| ([^|]+) \|", PAGE.read_text(), re.M))
    assert shown <= described


def test_the_json_is_what_cloudwatch_takes() -> None:
    widgets = json.loads(BODY.read_text())["widgets"]
    assert [w["type"] for w in widgets[:2]] == ["text", "alarm"]
    assert "demo-web" in json.dumps(widgets)


def test_every_command_of_the_page_is_one() -> None:
    found = commands(PAGE.read_text())
    assert found
    assert [unknown(words) for words in found] == [None] * len(found)
