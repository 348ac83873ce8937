"""The start gate and the latest finish, to the second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cli.migration import budget

STEPS = ("fence", "drain", "verify")
START = datetime(2026, 8, 1, 1, 0, tzinfo=UTC)


def rehearsal(seconds: float, revert: float) -> budget.Rehearsal:
    return budget.Rehearsal(START, dict.fromkeys(STEPS, seconds), revert, rows=1, bytes=1)


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


def test_a_three_hour_window_that_would_take_four_does_not_start() -> None:
    planned = budget.plan(hours(3), STEPS, [rehearsal(3600, 3600)], {})
    assert planned.total + planned.revert == 4 * 3600
    assert not planned.fits


@pytest.mark.parametrize(("revert", "fits"), [(3600, True), (3601, False)])
def test_the_start_gate_is_p90_of_the_whole_at_most_window_less_r95(
    revert: float, fits: bool
) -> None:
    planned = budget.plan(hours(2), STEPS, [rehearsal(1200, revert)], {})
    assert planned.fits is fits


def test_each_steps_latest_finish_leaves_room_for_the_rest_and_the_way_back() -> None:
    planned = budget.plan(hours(1), STEPS, [rehearsal(600, 900)], {})
    assert planned.latest_finish(START) == {
        "fence": START + timedelta(seconds=3600 - 900 - 1200),
        "drain": START + timedelta(seconds=3600 - 900 - 600),
        "verify": START + timedelta(seconds=3600 - 900),
    }


def test_the_slower_of_rehearsal_and_live_rate_counts() -> None:
    planned = budget.plan(hours(1), STEPS, [rehearsal(10, 10)], {"drain": 300, "verify": 5})
    assert [(step.p90, step.basis) for step in planned.steps] == [
        (10, "rehearsals"),
        (300, "the live rate"),
        (10, "rehearsals"),
    ]


def test_below_ten_rehearsals_the_largest_seen_stands_for_the_percentile_and_it_is_said() -> None:
    few = [rehearsal(float(n), float(n)) for n in range(1, 10)]
    planned = budget.plan(hours(1), STEPS, few, {})
    assert (planned.steps[0].p90, planned.revert) == (9, 9)
    assert planned.honesty == "P90 and R95 are the largest of 9 rehearsals"
    enough = [*few, rehearsal(10, 10)]
    planned = budget.plan(hours(1), STEPS, enough, {})
    assert (planned.steps[0].p90, planned.revert) == (9, 10)
    assert planned.honesty == "P90 and P95 of 10 rehearsals"


def test_without_a_rehearsal_there_is_no_budget() -> None:
    with pytest.raises(ValueError, match="no rehearsal"):
        budget.plan(hours(1), STEPS, [], {})
