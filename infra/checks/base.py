"""What the checks have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.errors import Problem
from infra.season.plan import PlanTarget
from infra.settings.platform import PLATFORM
from infra.settings.stack import StackSettings

__all__ = ["PLATFORM", "Findings", "Subject"]


@dataclass(frozen=True)
class Subject:
    """What is checked: a stack's settings, and the plan of its season by target."""

    settings: StackSettings
    targets: Mapping[str, PlanTarget] = field(default_factory=dict[str, PlanTarget])

    @property
    def region(self) -> str:
        """As people are to write it in a command."""
        return self.settings.region_or("REGION")


@dataclass(frozen=True)
class Findings:
    """What stops a stack, and what is only worth saying."""

    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()

    def __add__(self, other: Findings) -> Findings:
        return Findings(self.problems + other.problems, self.warnings + other.warnings)
