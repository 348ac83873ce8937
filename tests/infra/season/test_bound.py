"""The bound from below: no schedule that holds goes under it, and rich ones reach it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.season.capacity import ahead, least_unit_minutes
from infra.season.compile import Window, auto_scaling_action
from infra.season.grid import Grid
from infra.season.limits import LATE_MINUTES
from infra.season.optimise import solve
from infra.season.plan import build_plan, read_season
from infra.season.simulate import gaps, in_service, play_floor
from tests.infra.season.test_optimise import ALLOWED, LEAST, days_of

UTC = ZoneInfo("UTC")
GRID = Grid(UTC, date(2026, 9, 7), date(2026, 9, 9))

windows = st.builds(
    lambda day, at, level: Window(day, day, (day.weekday(),), at, level),
    day=st.sampled_from([date(2026, 9, 7), date(2026, 9, 8), date(2026, 9, 9)]),
    at=st.integers(255, 1439),
    level=st.integers(0, 9),
)


@settings(max_examples=150)
@given(
    chosen=st.lists(windows, max_size=12),
    start=st.integers(0, 9),
    boot=st.sampled_from([0, 1, 4, 15, 90]),
    share=st.lists(st.sampled_from([0.0, 0.5, 0.9, 1.0]), min_size=1, max_size=20),
)
def test_no_schedule_that_holds_goes_under_the_bound(
    chosen: Sequence[Window], start: int, boot: int, share: Sequence[float]
) -> None:
    actions = [auto_scaling_action(window, UTC) for window in chosen]
    played = play_floor(actions, start=GRID.start, count=GRID.count, initial=start)
    served = in_service(played.worst, boot)
    # Any need that this schedule just holds.
    of_served = np.repeat(share, -(-GRID.count // len(share)))[: GRID.count]
    units = np.floor(served * of_served).astype(np.int64)
    assert gaps(units, served, GRID.start) == []
    assert least_unit_minutes(units, boot) <= int(played.nominal.sum())


@pytest.mark.parametrize("boot", [0, 4, 15])
def test_a_schedule_with_nothing_to_spare_stands_on_the_bound(boot: int) -> None:
    day = date(2026, 9, 8)
    chosen = [Window(day, day, (1,), at, level) for at, level in ((480, 7), (600, 3), (900, 0))]
    actions = [auto_scaling_action(window, UTC) for window in chosen]
    played = play_floor(actions, start=GRID.start, count=GRID.count, initial=2)
    needs_all = in_service(played.worst, boot)
    assert least_unit_minutes(needs_all, boot) == int(played.nominal.sum())
    # A minute more of lead than there is would claim too much.
    assert least_unit_minutes(needs_all, boot + 1) > int(played.nominal.sum())


@settings(max_examples=40)
@given(
    levels=st.lists(
        st.lists(st.integers(LEAST, 6), min_size=3, max_size=3), min_size=1, max_size=4
    ),
    boot=st.integers(0, 40),
    budget=st.integers(3, 16),
)
def test_the_solver_never_goes_under_the_bound_and_reaches_it_with_enough_actions(
    levels: list[list[int]], boot: int, budget: int
) -> None:
    units = days_of(levels)
    floor = ahead(units.ravel(), boot + LATE_MINUTES).reshape(units.shape)
    weekdays = np.arange(len(units))
    bound = least_unit_minutes(units.ravel(), boot)

    def hours(actions: int) -> float:
        return solve(floor, weekdays, allowed=ALLOWED, least=LEAST, budget=actions).unit_minutes

    assert bound <= hours(budget)
    assert bound == hours(4 * len(units))


@pytest.mark.parametrize("others", [0, 100, 115, 121])
def test_fewer_actions_leave_the_bound_and_move_away_from_it(
    small: dict[str, Any], write: Callable[[dict[str, Any]], Path], others: int
) -> None:
    rich = build_plan(read_season(write(small))).targets["web"]
    small["limits"] = {"actions": {"web": others}}
    found = build_plan(read_season(write(small))).targets["web"]
    assert found.verdict["lower_bound_hours"] == rich.verdict["lower_bound_hours"]
    bound = float(str(found.verdict["lower_bound_hours"]))
    above = float(str(found.verdict["above_lower_bound"]))
    assert found.instance_hours / bound - 1 <= above + 1e-6
    assert found.instance_hours / bound - 1 > above - 2e-4
    assert found.instance_hours >= rich.instance_hours >= bound


def test_what_counts_down_has_no_bound(
    small: dict[str, Any], write: Callable[[dict[str, Any]], Path]
) -> None:
    small["markets"][0]["core_hours"] = {"from": "08:00", "to": "16:00"}
    small["capacity"]["workers"] = {
        "kind": "worker-hours",
        "units": 10,
        "core_units": 2,
        "min": 1,
        "max": 10,
    }
    verdict = build_plan(read_season(write(small))).targets["workers"].verdict
    assert (verdict["lower_bound_hours"], verdict["above_lower_bound"]) == (None, None)
