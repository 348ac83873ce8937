"""The time budget of a cutover: whether it fits its window, and when each step must be over.

Pure arithmetic. W is the window, R the time a revert took in rehearsal. Below ten rehearsals there
is no honest percentile, so the largest value seen stands for P90 and P95.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

# Fewer values than this say nothing about the tail.
ENOUGH: Final = 10


@dataclass(frozen=True)
class Rehearsal:
    """What one rehearsal took, in seconds per step; `revert` is the whole way back."""

    at: datetime
    steps: Mapping[str, float]
    revert: float
    rows: int
    bytes: int


@dataclass(frozen=True)
class Step:
    """One step's expected duration in seconds."""

    name: str
    p50: float
    p90: float
    basis: str


@dataclass(frozen=True)
class Budget:
    """A whole cutover against its window. Seconds, but for `window`."""

    window: timedelta
    steps: tuple[Step, ...]
    revert: float
    rehearsals: int

    @property
    def total(self) -> float:
        """P90 of the whole: the sum of the steps', which can only be too careful."""
        return sum(step.p90 for step in self.steps)

    @property
    def allowed(self) -> float:
        """What the cutover may take if a revert must still fit behind it."""
        return self.window.total_seconds() - self.revert

    @property
    def fits(self) -> bool:
        """The start gate: P90(total) <= W - R95."""
        return self.total <= self.allowed

    @property
    def honesty(self) -> str:
        """How much the figures are worth."""
        if self.rehearsals >= ENOUGH:
            return f"P90 and P95 of {self.rehearsals} rehearsals"
        return f"P90 and R95 are the largest of {self.rehearsals} rehearsals"

    def latest_finish(self, start: datetime) -> dict[str, datetime]:
        """When each step must be over: W - R95 - P50 of the steps that remain."""
        end = start + timedelta(seconds=self.allowed)
        latest: dict[str, datetime] = {}
        remaining = 0.0
        for step in reversed(self.steps):
            latest[step.name] = end - timedelta(seconds=remaining)
            remaining += step.p50
        return dict(reversed(latest.items()))

    def timetable(self, start: datetime) -> list[tuple[str, datetime, datetime]]:
        """Step, expected finish and latest finish."""
        latest, at, rows = self.latest_finish(start), start, list[tuple[str, datetime, datetime]]()
        for step in self.steps:
            at += timedelta(seconds=step.p50)
            rows.append((step.name, at, latest[step.name]))
        return rows


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile, or the largest of fewer than ten values."""
    ordered = sorted(values)
    if len(ordered) < ENOUGH:
        return ordered[-1]
    return ordered[math.ceil(share * len(ordered)) - 1]


def plan(
    window: timedelta,
    steps: Sequence[str],
    rehearsals: Sequence[Rehearsal],
    live: Mapping[str, float],
) -> Budget:
    """Per step the slower of the rehearsals and the live estimate (seconds).

    Raises:
        ValueError: there is no rehearsal.
    """
    if not rehearsals:
        raise ValueError("no rehearsal, no budget")
    planned: list[Step] = []
    for name in steps:
        seen = [each.steps.get(name, 0.0) for each in rehearsals]
        p50, p90, basis = statistics.median(seen), percentile(seen, 0.9), "rehearsals"
        if live.get(name, 0.0) > p90:
            p50, p90, basis = live[name], live[name], "the live rate"
        planned.append(Step(name, p50, p90, basis))
    revert = percentile([each.revert for each in rehearsals], 0.95)
    return Budget(window, tuple(planned), revert, len(rehearsals))
