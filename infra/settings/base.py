"""What all models of a stack's file have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from types import FunctionType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    model_validator,
)

# A full name of DNS in small letters: labels of 63 characters at most without a hyphen at their
# ends, then a top level of letters; 253 characters in all. RFC 1123, section 2.1; RFC 1035, 2.3.4.
HOST: Final = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$"
MAX_HOST: Final = 253

Name = Annotated[
    str,
    Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=16, examples=["web", "web-two"]),
]

# CloudWatch Logs API reference, PutRetentionPolicy.
RetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922
]


_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW: Final = re.compile(rf"({'|'.join(_DAYS)}):([01]\d|2[0-3]):([0-5]\d)")
WEEK_MINUTES: Final = 7 * 24 * 60


def window_minutes(window: str) -> tuple[int, int]:
    """Begin and end of a weekly window such as sat:22:00-sat:23:00, in minutes since Monday 00:00;
    the end is after the begin, in the week after where need be.

    Raises:
        ValueError: it is none, or not of 1 to 24 hours, which both RDS and ElastiCache take.
    """
    parts = [_WINDOW.fullmatch(part) for part in window.split("-")]
    found = [
        (_DAYS.index(part[1]) * 24 + int(part[2])) * 60 + int(part[3]) for part in parts if part
    ]
    if len(parts) != 2 or len(found) != 2:
        raise ValueError("is no weekly window; write one such as sat:22:00-sat:23:00, in UTC")
    begin, end = found
    end += WEEK_MINUTES if end <= begin else 0
    if not 60 <= end - begin <= 24 * 60:
        raise ValueError("must last 1 to 24 hours; write one such as sat:22:00-sat:23:00, in UTC")
    return begin, end


def _is_window(value: str) -> str:
    window_minutes(value)
    return value


MaintenanceWindow = Annotated[str, AfterValidator(_is_window)]
# A Saturday night in Europe. AWS's own choice is any day of the week, at night by the Region's
# clock, in Europe up to 07:00 UTC: the first bell.
DEFAULT_MAINTENANCE_WINDOW: Final = "sat:22:00-sat:23:00"


class Unsound(Exception):  # noqa: N818 (what was read, not what failed)
    """A setting was read that has an error of its own, so that nothing follows from it."""


_Found = TypeVar("_Found")
_Thing = TypeVar("_Thing")
_Rule = TypeVar("_Rule", bound=Callable[..., None])
_MARK: Final = "_spoils"
# What stands in for a setting without default while the rest is read, where it shows no example.
STAND_IN: Final = "stand_in"
# The context of a validation that leaves the rules to whoever asks for it.
WITHOUT_RULES: Final = {"rules": False}


def rule(*, spoils: str | None = None) -> Callable[[_Rule], _Rule]:
    """A method that raises ValueError where settings do not go together that are each right.

    `spoils` is the setting from which nothing else follows then: what is checked with it as well
    would only say the same once more.
    """

    def mark(method: _Rule) -> _Rule:
        setattr(method, _MARK, spoils)
        return method

    return mark


class Settings(BaseModel):
    """A frozen model that knows no other keys than its own.

    One that was read from a file with errors has holes where they are: reading those raises
    Unsound (`infra/settings/partly.py`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in type(self).model_fields:
                raise Unsound(name)
            return super().__getattr__(name)

    def dig(self, *keys: str) -> None:
        """Make holes of settings."""
        for key in keys:
            if key in vars(self):
                object.__delattr__(self, key)

    def fill(self, key: str, value: object) -> None:
        """Put what is sound of a setting where it was left out."""
        object.__setattr__(self, key, value)

    @classmethod
    def hollow(cls) -> Self:
        """One of which nothing is sound."""
        found = cls.model_construct()
        found.dig(*cls.model_fields)
        return found

    def broken_rules(self) -> Iterator[tuple[ValueError, str | None]]:
        """What each broken rule says, and the setting that it spoils."""
        for name, spoils in _rules(type(self)).items():
            try:
                getattr(self, name)()
            except Unsound:
                continue
            except ValueError as error:
                yield error, spoils

    @model_validator(mode="after")
    def _keeps_its_rules(self, info: ValidationInfo) -> Self:
        if info.context is not WITHOUT_RULES:
            for error, _ in self.broken_rules():
                raise error
        return self


@cache
def _rules(model: type[Settings]) -> Mapping[str, str | None]:
    """What each of a model's rules spoils by the rule's name, its parents' first."""
    return {
        name: getattr(method, _MARK)
        for each in reversed(model.__mro__)
        for name, method in vars(each).items()
        if isinstance(method, FunctionType) and hasattr(method, _MARK)
    }


def sound(found: Iterable[_Found]) -> Iterator[_Found]:
    """What can be told before something unsound is read; all of it where nothing is."""
    try:
        yield from found
    except Unsound:
        return


def sound_figures(
    things: Mapping[str, _Thing], figure: Callable[[_Thing], _Found]
) -> dict[str, _Found]:
    """A figure of each thing for which it can be told: what is known may be too much already."""
    found: dict[str, _Found] = {}
    for name, thing in things.items():
        with suppress(Unsound):
            found[name] = figure(thing)
    return found
