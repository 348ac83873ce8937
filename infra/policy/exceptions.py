"""The file of exceptions, `stacks/exceptions.yaml`: which control may fail where, why, how long.

An exception without a reason or an expiry date is an error, and so is one that has expired: it is
renewed with a new reason, or what it covered is mended.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, ValidationError, field_validator

from infra import paths, yaml_file
from infra.errors import Problem, Problems, nearest
from infra.policy.base import Finding
from infra.policy.catalogue import by_id
from infra.settings.base import Settings
from infra.validation import validate

FILE: Final = "exceptions.yaml"
MOST_DAYS: Final = 366
"""No exception holds longer than a year without somebody looking at it again."""


class PolicyException(Settings):
    """One control that may fail for some resources of some stacks until a date, included."""

    control: str
    stack: str = "*"
    resource: str = "*"
    reason: str = Field(min_length=10)
    owner: str = Field(min_length=1)
    expires: date

    @field_validator("control")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in by_id():
            close = nearest(value, by_id())
            hint = f"did you mean {close}?" if close else "firstbell policy list shows them"
            raise ValueError(f"is no control of the pack; {hint}")
        return value

    def covers(self, stack: str, finding: Finding) -> bool:
        """Whether this is the exception for a control's failure on a resource of a stack."""
        return (
            finding.control.id == self.control
            and self.concerns(stack)
            and fnmatch.fnmatchcase(finding.resource.name, self.resource)
        )

    def concerns(self, stack: str) -> bool:
        """Whether the exception is meant for a stack."""
        return fnmatch.fnmatchcase(stack, self.stack)

    def __str__(self) -> str:
        return f"{self.control} on {self.resource} of {self.stack} (until {self.expires})"


class _File(Settings):
    version: Literal[1]
    exceptions: tuple[PolicyException, ...] = ()


def path() -> Path:
    """Where the exceptions stand."""
    return paths.stacks() / FILE


def read(today: date, stack: str | None = None) -> Sequence[PolicyException]:
    """The exceptions that concern a stack, or all; none when there is no file.

    Raises:
        InputError: the file is no YAML.
        Problems: what is wrong with it; expired and overlong exceptions are wrong.
    """
    file = path()
    if not file.is_file():
        return ()
    shown, data = f"stacks/{FILE}", yaml_file.read(file)
    try:
        found = validate(_File, data, shown).exceptions
    except Problems as error:
        # An entry with an error hides no other that has expired.
        expired = _all_problems(_entries(data), today, stack)
        raise Problems(shown, [*error.problems, *expired]) from error
    entries = list(enumerate(found, start=1))
    if problems := _all_problems(entries, today, stack):
        raise Problems(shown, problems)
    return [entry for entry in found if stack is None or entry.concerns(stack)]


def _entries(data: object) -> Iterator[tuple[int, PolicyException]]:
    """The entries that are right by themselves, each with its number."""
    entries: object = data.get("exceptions") if isinstance(data, dict) else None
    for number, entry in enumerate(entries if isinstance(entries, list) else (), start=1):
        with suppress(ValidationError):
            yield number, PolicyException.model_validate(entry)


def _all_problems(
    entries: Iterable[tuple[int, PolicyException]], today: date, stack: str | None
) -> list[Problem]:
    return [
        problem
        for number, entry in entries
        if stack is None or entry.concerns(stack)
        for problem in _problems(entry, number, today)
    ]


def _problems(entry: PolicyException, number: int, today: date) -> list[Problem]:
    where = f"exceptions/{number}/expires"
    if entry.expires < today:
        return [
            Problem(
                where,
                f"the exception for {entry.control} on {entry.resource} has expired on "
                f"{entry.expires}",
                "mend what it covers and remove it, or renew it with its reason",
            )
        ]
    if (entry.expires - today).days > MOST_DAYS:
        return [
            Problem(
                where,
                f"{entry.expires} is more than {MOST_DAYS} days away",
                "let it expire earlier: exceptions are looked at once a year",
            )
        ]
    return []
