"""Plays scheduled actions minute by minute, as AWS does.

Takes actions in the shape of the AWS calls, planned or read back live; knows nothing of the plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from infra.season import limits
from infra.season.compile import Action, read_action
from infra.season.grid import Ints


@dataclass(frozen=True)
class Gap:
    """Minutes `start` to `end` (exclusive, since the epoch) with less in service than required."""

    start: int
    end: int
    required: int
    in_service: int


@dataclass(frozen=True)
class Floors:
    """The floor in each minute: `nominal` as scheduled, `worst` with the worst lateness."""

    nominal: Ints
    worst: Ints


def play_floor(
    requests: Sequence[Mapping[str, object]],
    *,
    start: int,
    count: int,
    initial: int,
    late_minutes: int = limits.LATE_MINUTES,
) -> Floors:
    """The floor that the actions set in minutes [start, start + count), `initial` before any fires.

    In `worst`, a raise comes `late_minutes` late and a drop on time, and an occurrence exactly at
    EndTime, of which AWS does not say whether it fires, does whatever is worse.
    """
    nominal = np.full(count, initial, dtype=np.int64)
    worst = nominal.copy()
    current = low = initial
    for minute, action in _events([read_action(request) for request in requests], start, count):
        if action.min is None:
            continue
        at = minute - start
        unsure = action.end == minute
        before, current, low = low, action.min, min(low, action.min) if unsure else action.min
        nominal[at:] = current
        worst[at:] = low
        worst[at : at + late_minutes] = np.minimum(worst[at - 1] if at else before, low)
    return Floors(nominal, worst)


def _events(actions: Sequence[Action], start: int, count: int) -> list[tuple[int, Action]]:
    """Every firing in order; where two fall on one minute, the lower minimum comes last."""
    found = [
        (minute, index)
        for index, action in enumerate(actions)
        # EndTime itself is looked at as well: see `play_floor`.
        for minute in _firings_with_end(action, start, start + count)
    ]
    found.sort(key=lambda event: (event[0], -(actions[event[1]].min or 0), event[1]))
    return [(minute, actions[index]) for minute, index in found]


def _firings_with_end(action: Action, start: int, end: int) -> list[int]:
    fired = action.firings(start, end)
    if action.end is not None and start <= action.end < end:
        fired += action.recurrence.occurrences(action.zone, action.end, action.end + 1)
    return fired


def in_service(floor: Ints, boot_minutes: int) -> Ints:
    """Units that surely serve: what the floor has asked for without a break for a whole boot."""
    served = floor.copy()
    reach = 1
    while reach <= boot_minutes:
        step = min(reach, boot_minutes + 1 - reach)
        served[step:] = np.minimum(served[step:], served[:-step].copy())
        reach += step
    return served


def gaps(required: Ints, served: Ints, start: int) -> list[Gap]:
    """Every run of minutes with less in service than required."""
    short = np.flatnonzero(served < required)
    if not len(short):
        return []
    runs = np.split(short, np.flatnonzero(np.diff(short) > 1) + 1)
    return [
        Gap(
            start=start + int(run[0]),
            end=start + int(run[-1]) + 1,
            required=int(required[run].max()),
            in_service=int(served[run].min()),
        )
        for run in runs
    ]
