"""The one tree of errors. Each says what was wrong, where, why, and what to do next.

Only `cli.main` prints errors; everything else raises them. Exit codes: 2 bad input or a check that
failed before any change, 1 failure, 3 gaps and mismatches, 7 drift, 130 Ctrl-C.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class FirstbellError(Exception):
    """Something failed. Carries its message in parts, so that people and machines can read it."""

    exit_code: int = 1

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        why: str | None = None,
        fix: str | None = None,
    ) -> None:
        """`where` is a file and key, such as `stacks/Pulumi.demo.yaml: platform.tiers.web.min`."""
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        parts = [self.what if self.where is None else f"{self.where}: {self.what}"]
        if self.why:
            parts.append(f"why: {self.why}")
        if self.fix:
            parts.append(f"fix: {self.fix}")
        return "\n".join(parts)

    def to_json(self) -> dict[str, object]:
        return {"what": self.what, "where": self.where, "why": self.why, "fix": self.fix}


class InputError(FirstbellError):
    """The input is wrong; nothing was changed."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a file."""

    where: str
    what: str
    fix: str | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f" ({self.fix})" if self.fix else "")


class Problems(InputError):  # noqa: N818 (it is a list of problems)
    """Everything that is wrong with one file, reported together."""

    def __init__(self, source: str, problems: Sequence[Problem], *, fix: str | None = None) -> None:
        self.source = source
        self.problems = tuple(problems)
        count = len(self.problems)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in {source}", fix=fix)

    def __str__(self) -> str:
        lines = [f"{self.what}:", *(f"  - {problem}" for problem in self.problems)]
        if self.fix:
            lines.append(f"fix: {self.fix}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, object]:
        return super().to_json() | {
            "problems": [{"where": p.where, "what": p.what, "fix": p.fix} for p in self.problems]
        }


def problems_of(error: InputError) -> list[Problem]:
    """What an error says, as problems that can be told beside others."""
    if isinstance(error, Problems):
        return [Problem(f"{error.source}: {p.where}", p.what, p.fix) for p in error.problems]
    return [Problem(error.where or "the input", error.what, error.fix)]


class MismatchError(FirstbellError):
    """Two things that must be equal differ, or a floor has a gap."""

    exit_code = 3


class DriftError(FirstbellError):
    """The cloud differs from the program."""

    exit_code = 7


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is closest to a misspelt one, or None when none is close.

    Whatever its case: `HTTPS` is meant by `https`.
    """
    folded = {each.casefold(): each for each in known}
    matches = difflib.get_close_matches(word.casefold(), list(folded), n=1, cutoff=0.6)
    return folded[matches[0]] if matches else None
