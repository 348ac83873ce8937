"""What others would do, against timelines worked by hand."""

from __future__ import annotations

import numpy as np

from infra.season import peers
from infra.season.simulate import Machine

MACHINE = Machine(requests_per_second=20, utilisation=0.6, boot_minutes=4, min=2, max=50)
DAY = 1440


def test_static_peak_is_what_the_highest_minute_needs_within_the_bounds() -> None:
    demand = np.array([10.0, 401.0, 10.0])
    assert peers.static_peak(demand, MACHINE).tolist() == [21] * 3
    assert peers.static_peak(demand * 10, MACHINE).tolist() == [50] * 3


def test_target_tracking_alone_has_no_floor_but_the_minimum() -> None:
    assert peers.target_tracking(np.full(3, 900.0), MACHINE).tolist() == [2] * 3


def test_steps_of_one_move_every_five_minutes_by_one() -> None:
    path = peers.steps_of_one(np.full(30, 200.0), MACHINE)
    assert path[[0, 4, 5, 9, 10, 29]].tolist() == [3, 3, 4, 4, 5, 8]


def test_steps_of_one_come_back_down_to_the_minimum() -> None:
    demand = np.full(60, 10.0)
    demand[:10] = 200.0
    path = peers.steps_of_one(demand, MACHINE)
    assert path.max() == 4
    assert path[-1] == 2


def test_steps_of_one_without_a_boot_time_use_what_they_have() -> None:
    instant = Machine(requests_per_second=20, boot_minutes=0, min=2, max=50)
    assert peers.steps_of_one(np.full(60, 80.0), instant)[-1] == 4


def test_hourly_predictive_repeats_the_higher_of_the_last_two_weeks_ahead_of_the_hour() -> None:
    before = np.full(14 * DAY, 10.0)
    before[8 * 60 : 9 * 60] = 200.0
    before[7 * DAY + 8 * 60 : 7 * DAY + 9 * 60] = 300.0
    floor = peers.hourly_predictive(before, np.full(DAY, 10.0), MACHINE)
    assert np.flatnonzero(floor > 2).tolist() == list(range(8 * 60 - 5, 9 * 60))
    assert set(floor[floor > 2].tolist()) == {15}


def test_hourly_predictive_with_no_history_has_no_forecast_but_learns_as_it_goes() -> None:
    demand = np.full(8 * DAY, 10.0)
    demand[600:660] = 400.0
    floor = peers.hourly_predictive(np.zeros(0), demand, MACHINE)
    assert floor[600] == 2
    assert floor[7 * DAY + 600] == 20


def test_a_burst_of_ten_minutes_counts_by_its_five_minute_mean() -> None:
    before = np.full(14 * DAY, 10.0)
    before[530:532] = 400.0
    floor = peers.hourly_predictive(before, np.full(DAY, 10.0), MACHINE)
    assert floor[530] == np.ceil((2 * 400 + 3 * 10) / 5 / 20)


def test_weekly_hours_line_up_with_the_same_weekday_and_grow() -> None:
    before = np.full(3 * 7 * DAY + 500, 10.0)
    # The hour that begins a week and two hours before `demand` does.
    for week in (1, 2, 3):
        at = len(before) - week * 7 * DAY + 120
        before[at : at + 60] = 200.0
    floor = peers.weekly_hours(before, np.full(8 * DAY, 10.0), MACHINE, growth=1.5)
    assert floor[120:180].tolist() == [15] * 60
    assert floor[7 * DAY + 120] == 15
    assert (floor[114], floor[113], floor[180]) == (15, 2, 2)


def test_weekly_hours_of_nothing_are_the_minimum() -> None:
    nothing = np.full(7 * DAY, np.nan)
    assert set(peers.weekly_hours(nothing, np.ones(DAY), MACHINE, growth=1).tolist()) == {2}
