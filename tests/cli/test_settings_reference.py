"""The reference of all settings is what the models say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from cli.settings_reference import REFERENCE, render, rows
from infra.settings.base import Settings
from infra.settings.platform import PlatformSettings


def test_the_reference_is_up_to_date() -> None:
    assert REFERENCE.read_text() == render(), "run python -m cli.settings_reference"


def undescribed(model: type[BaseModel]) -> list[str]:
    return [row[0] for row in rows(model) if not row[-1]]


def test_every_setting_is_described() -> None:
    assert undescribed(PlatformSettings) == []


def test_a_setting_without_a_description_is_found() -> None:
    assert undescribed(Outer) == ["`name`", "`kind`", "`maybe`", "`shape.kind`", "`shape.kind`"]


class Inner(Settings):
    """How many."""

    size: int = Field(2, ge=1, le=9, description="Of one.")


class Round(Settings):
    """A circle."""

    kind: Literal["round"]
    radius: int = Field(1, description="Half of it.")


class Square(Settings):
    kind: Literal["square"]


class Outer(Settings):
    name: Annotated[str, Field(pattern="^[a-z]$")]
    kind: Literal["a", "b"] = "a"
    many: dict[str, Inner] = Field(default_factory=dict[str, Inner])
    maybe: float | None = None
    shape: Annotated[Round | Square, Field(discriminator="kind")]


def test_a_row_has_key_type_default_bounds_and_description() -> None:
    assert list(rows(Outer)) == [
        ("`name`", "text", "required", "like `^[a-z]$`", ""),
        ("`kind`", "`a`, `b`", '`"a"`', "", ""),
        ("`many`", "mapping of NAME to mapping", "see below", "", "How many."),
        ("`many.NAME.size`", "whole number", "`2`", "≥ 1, ≤ 9", "Of one."),
        ("`maybe`", "number", "none", "", ""),
        ("`shape`", "mapping", "required", "", "A circle."),
        ("`shape.kind`", "`round`", "required", "", ""),
        ("`shape.radius`", "whole number", "`1`", "", "Half of it."),
        ("`shape.kind`", "`square`", "required", "", ""),
    ]
