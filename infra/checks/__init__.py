"""Checks at preview: what AWS, a quota or the database could not carry is refused at once.

Pure functions of a stack's settings, its plan and dated tables; nothing here knows Pulumi or boto3.
The command line runs them before the engine starts, the program once more, so that a plain
`pulumi preview` fails as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from infra.checks import (
    addresses,
    applications,
    connections,
    hardware,
    names,
    notices,
    origin,
    quotas,
    rules,
    windows,
)
from infra.checks.base import Findings, Subject
from infra.errors import Problems
from infra.season.plan import PlanTarget
from infra.settings.stack import StackSettings

__all__ = ["Findings", "Subject", "check", "refuse"]

_CHECKS: Final = (
    connections.check,
    quotas.check,
    addresses.check,
    applications.check,
    hardware.check,
    rules.check,
    names.check,
    windows.check,
    notices.check,
    origin.check,
)


def check(settings: StackSettings, targets: Mapping[str, PlanTarget]) -> Findings:
    """Everything that stands against a stack, and what is only worth saying."""
    subject = Subject(settings, targets)
    found = Findings()
    for run in _CHECKS:
        found += run(subject)
    return found


def refuse(settings: StackSettings, targets: Mapping[str, PlanTarget]) -> tuple[str, ...]:
    """Check a stack; its warnings.

    Raises:
        Problems: all that stands against it.
    """
    found = check(settings, targets)
    if found.problems:
        raise Problems(f"stacks/Pulumi.{settings.stack}.yaml", list(found.problems))
    return found.warnings
