"""The reference of all settings is what the models say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cli.settings_reference import REFERENCE, render, rows
from infra.settings.base import Settings


def test_the_reference_is_up_to_date() -> None:
    assert REFERENCE.read_text() == render(), "run python -m cli.settings_reference"


class Inner(Settings):
    """How many."""

    size: int = Field(2, ge=1, le=9, description="Of one.")


class Outer(Settings):
    name: Annotated[str, Field(pattern="^[a-z]$")]
    kind: Literal["a", "b"] = "a"
    many: dict[str, Inner] = Field(default_factory=dict[str, Inner])
    maybe: float | None = None


def test_a_row_has_key_type_default_bounds_and_description() -> None:
    assert list(rows(Outer)) == [
        ("`name`", "text", "required", "like `^[a-z]$`", ""),
        ("`kind`", "`a`, `b`", '`"a"`', "", ""),
        ("`many`", "mapping of NAME to mapping", "see below", "", "How many."),
        ("`many.NAME.size`", "whole number", "`2`", "≥ 1, ≤ 9", "Of one."),
        ("`maybe`", "number", "none", "", ""),
    ]
