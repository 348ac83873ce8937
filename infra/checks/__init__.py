"""Checks at preview: what AWS, a quota or the database could not carry is refused at once.

Pure functions of a stack's settings, its plan and dated tables; nothing here knows Pulumi or boto3.
The command line runs them before the engine starts, the program once more, so that a plain
`pulumi preview` fails as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from infra import clock
from infra.checks import (
    addresses,
    applications,
    connections,
    hardware,
    images,
    names,
    notices,
    origin,
    quotas,
    rules,
    windows,
)
from infra.checks.base import Findings, Subject
from infra.errors import InputError, Problem, Problems, problems_of
from infra.scheduling import plan_in_force
from infra.season.plan import Plan, PlanTarget
from infra.settings.base import Unsound
from infra.settings.stack import StackSettings, UnsoundStack

__all__ = ["Examined", "Findings", "Subject", "check", "examine"]

_CHECKS: Final = (
    connections.check,
    quotas.check,
    addresses.check,
    applications.check,
    hardware.check,
    images.check,
    rules.check,
    names.check,
    windows.check,
    notices.check,
    origin.check,
)


def check(settings: StackSettings, targets: Mapping[str, PlanTarget]) -> Findings:
    """Everything that stands against a stack, and what is only worth saying.

    Where settings are unsound, a check that reads one of them is left out.
    """
    subject = Subject(settings, targets)
    found = Findings()
    for run in _CHECKS:
        with suppress(Unsound):
            found += run(subject)
    return found


@dataclass(frozen=True)
class Examined:
    """A stack and the plan of its season, with what is wrong.

    `plan` is None without a season, and where it does not hold.
    """

    source: str
    plan: Plan | None
    warnings: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    """What is wrong with the stack's file."""
    others: tuple[InputError, ...] = ()
    """What is wrong elsewhere."""

    def refuse(self) -> None:
        """Stop where something is wrong.

        Raises:
            InputError: the only thing that is wrong is elsewhere.
            Problems: everything that is wrong.
        """
        if len(self.others) == 1 and not self.problems:
            raise self.others[0]
        others = [problem for error in self.others for problem in problems_of(error)]
        if self.problems or others:
            raise Problems(self.source, [*self.problems, *others])


def examine(stack: StackSettings | UnsoundStack, now: datetime | None = None) -> Examined:
    """Everything that is wrong with a stack and its season.

    A stack's file with errors is examined as well, as far as it is sound. Without `now` it is the
    time of the stack's cloud.
    """
    if isinstance(stack, UnsoundStack):
        settings, source, told = stack.sound, stack.source, stack.problems
    else:
        settings, source, told = stack, f"stacks/Pulumi.{stack.stack}.yaml", ()
    plan, others = None, list[InputError]()
    try:
        plan = plan_in_force(settings, now or clock.now(settings.cloud))
    except Unsound:
        pass  # what is wrong with the season's bounds is told already
    except InputError as error:
        others.append(error)
    found = check(settings, plan[0].targets if plan else {})
    return Examined(
        source,
        plan[0] if plan else None,
        found.warnings,
        (*told, *found.problems),
        tuple(others),
    )
