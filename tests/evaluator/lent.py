"""What targets that count down may have at most, and whether their live actions keep to it.

Two kinds: tiers planned `against` others live from what these leave of `limits.instances`, and
`worker-hours` have `core_units` within any market's core hours. Every uncertainty is resolved
against the plan: what gives back does so late and then drains, what takes does so at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import cast

import numpy as np
import yaml
from numpy.typing import NDArray

from tests.evaluator.actions import Action, LiveAction, read_all
from tests.evaluator.replay import MINUTE, Gap
from tests.evaluator.required import Node, core_minutes, horizon_of, number, units_of

LATE_MINUTES = 2
DRAIN_MINUTES = 5


def find_excess(
    season_file: Path,
    live: Mapping[str, Sequence[LiveAction]],
    *,
    since: datetime,
    initial: Mapping[str, int],
) -> list[Gap]:
    """Every run of minutes from `since` on in which a target has more than it may.

    `required` of a gap is then the most that is allowed, `in_service` the most that there may be.
    """
    season = cast(Node, yaml.safe_load(season_file.read_text()))
    begin, minutes = horizon_of(season)
    first = max(0, (since - begin) // MINUTE)
    start, count = begin + first * MINUTE, minutes - first
    capacity = cast("Mapping[str, Node]", season["capacity"])
    most = {
        name: most_units(
            read_all(live.get(name, [])), start=start, minutes=count, initial=initial[name]
        )
        for name in capacity
    }
    found: list[Gap] = []
    for name, target in capacity.items():
        if target.get("against"):
            cap = cast("Mapping[str, Node]", season["limits"])["instances"]
            others = np.sum(
                [most[str(other)] for other in cast(list[str], target["against"])], axis=0
            )
            may = int(number(cap["max"])) - others
            has = lingering(most[name], DRAIN_MINUTES)
        elif target["kind"] == "worker-hours":
            core = core_minutes(season, season_file.parent, begin, minutes)[first:]
            may = np.where(core, int(number(target.get("core_units", 0))), units_of(target))
            has = most[name]
        else:
            continue
        found += _runs(name, start, may, has)
    return found


def most_units(
    actions: Sequence[Action], *, start: datetime, minutes: int, initial: int
) -> NDArray[np.int64]:
    """The most units that the actions may have brought: raises at once, drops late."""
    events: dict[datetime, list[Action]] = {}
    for action in actions:
        for moment in action.firings(start, start + minutes * MINUTE):
            events.setdefault(moment, []).append(action)
    size = np.full(minutes, initial, dtype=np.int64)
    now = initial
    for moment in sorted(events):
        sizes = [
            size
            for action in events[moment]
            for size in (action.minimum, action.maximum)
            if size is not None
        ]
        at = (moment - start) // MINUTE
        size[at:] = max(sizes)
        size[at : at + LATE_MINUTES] = max(now, *sizes)
        now = max(sizes)
    return size


def lingering(units: NDArray[np.int64], minutes: int) -> NDArray[np.int64]:
    """What goes is there for so many minutes more."""
    result = units.copy()
    for ago in range(1, minutes + 1):
        np.maximum(result[ago:], units[:-ago], out=result[ago:])
    return result


def _runs(name: str, start: datetime, may: NDArray[np.int64], has: NDArray[np.int64]) -> list[Gap]:
    over = np.flatnonzero(has > may)
    if not len(over):
        return []
    runs = np.split(over, np.flatnonzero(np.diff(over) > 1) + 1)
    return [
        Gap(
            target=name,
            start=start + int(run[0]) * MINUTE,
            end=start + (int(run[-1]) + 1) * MINUTE,
            required=int(may[run].min()),
            in_service=int(has[run].max()),
        )
        for run in runs
    ]
