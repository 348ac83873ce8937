"""Plays live actions minute by minute and compares what is in service with what is required.

Every uncertainty is resolved against the plan: a raise comes `late_minutes` late, a drop on time;
units serve only after a full boot and stop the moment the floor is lowered; an occurrence exactly
at EndTime raises nothing, but drops. Order within one target is kept, as AWS guarantees it.
Target tracking is left out: the floor alone must hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.evaluator.actions import Action, LiveAction, read_all
from tests.evaluator.required import Required, required_units

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Gap:
    """Consecutive minutes, `start` included and `end` not, with too little in service."""

    target: str
    start: datetime
    end: datetime
    required: int
    """The most that is required in these minutes."""
    in_service: int
    """The least that is in service in these minutes."""

    @property
    def minutes(self) -> int:
        return (self.end - self.start) // MINUTE

    def __str__(self) -> str:
        return (
            f"{self.target}: {self.start:%Y-%m-%d %H:%M}Z for {self.minutes} min: "
            f"{self.in_service} in service, {self.required} required"
        )


def evaluate(
    season_file: Path,
    live: Mapping[str, Sequence[LiveAction]],
    *,
    since: datetime,
    initial: Mapping[str, int],
    late_minutes: int = 2,
) -> list[Gap]:
    """Every minute from `since` to the horizon's end with less in service than required.

    `live` holds the listed actions of each target, `initial` the units in service at `since`.
    A target of the season that `live` does not have is judged with no action at all.
    """
    return find_gaps(
        required_units(season_file), live, since=since, initial=initial, late_minutes=late_minutes
    )


def find_gaps(
    required: Sequence[Required],
    live: Mapping[str, Sequence[LiveAction]],
    *,
    since: datetime,
    initial: Mapping[str, int],
    late_minutes: int = 2,
) -> list[Gap]:
    """`evaluate` of a season that has been read before."""
    gaps: list[Gap] = []
    for target in required:
        first = max(0, (since - target.start) // MINUTE)
        needed = target.units[first:]
        start = target.start + first * MINUTE
        served = in_service(
            read_all(live.get(target.name, [])),
            start=start,
            minutes=len(needed),
            initial=initial[target.name],
            boot_minutes=target.boot_minutes,
            late_minutes=late_minutes,
        )
        gaps += _gaps(target, start, needed, served)
    return gaps


def in_service(
    actions: Sequence[Action],
    *,
    start: datetime,
    minutes: int,
    initial: int,
    boot_minutes: int,
    late_minutes: int,
) -> NDArray[np.int64]:
    """The least number of units in service in each of `minutes` from `start`."""
    events: dict[datetime, list[Action]] = {}
    for action in actions:
        for moment in action.firings(start, start + minutes * MINUTE):
            events.setdefault(moment, []).append(action)
    floor = np.full(minutes, initial, dtype=np.int64)
    lowest: int = initial
    highest: int | None = None
    for moment in sorted(events):
        for action in events[moment]:
            unsure = action.end == moment or len(events[moment]) > 1
            if action.minimum is not None:
                lowest = min(lowest, action.minimum) if unsure else action.minimum
            if action.maximum is not None:
                highest = action.maximum
        after = lowest if highest is None else min(lowest, highest)
        at = (moment - start) // MINUTE
        # Until the action has surely fired, the floor may be what it was before.
        sure = at + late_minutes
        floor[at:sure] = np.minimum(floor[at:sure], after)
        floor[sure:] = after
    # In service now is what the floor has asked for without a break for a whole boot time.
    served = floor.copy()
    for ago in range(1, boot_minutes + 1):
        np.minimum(served[ago:], floor[:-ago], out=served[ago:])
    return served


def _gaps(
    target: Required, start: datetime, needed: NDArray[np.int64], served: NDArray[np.int64]
) -> list[Gap]:
    short = np.flatnonzero(served < needed)
    if not len(short):
        return []
    runs = np.split(short, np.flatnonzero(np.diff(short) > 1) + 1)
    return [
        Gap(
            target=target.name,
            start=start + int(run[0]) * MINUTE,
            end=start + (int(run[-1]) + 1) * MINUTE,
            required=int(needed[run].max()),
            in_service=int(served[run].min()),
        )
        for run in runs
    ]
