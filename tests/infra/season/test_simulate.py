"""The simulator against timelines worked out by hand from AWS's documentation."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from infra.season.compile import Window, auto_scaling_action
from infra.season.grid import minute_of
from infra.season.simulate import (
    Machine,
    gaps,
    identity_provider,
    in_service,
    play_floor,
    simulate,
)

STOCKHOLM = ZoneInfo("Europe/Stockholm")
MONDAY = minute_of(datetime(2026, 9, 7, tzinfo=STOCKHOLM))


def load(*parts: tuple[int, float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """(minutes, requests per second), one after the other."""
    return np.concatenate([np.full(minutes, rate) for minutes, rate in parts])


def floor(*parts: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.concatenate([np.full(minutes, units, dtype=np.int64) for minutes, units in parts])


# --- scheduled actions -----------------------------------------------------------------------


def at(hour: int, minute: int, units: int) -> dict[str, object]:
    day = date(2026, 9, 7)
    return auto_scaling_action(Window(day, day, (0,), hour * 60 + minute, units), STOCKHOLM)


def test_a_raise_comes_two_minutes_late_and_a_drop_on_time_at_the_worst() -> None:
    played = play_floor([at(8, 0, 10), at(9, 0, 3)], start=MONDAY, count=1440, initial=2)
    worst = played.worst.tolist()
    assert [worst[m] for m in (479, 480, 481, 482, 539, 540)] == [2, 2, 2, 10, 10, 3]
    nominal = played.nominal.tolist()
    assert [nominal[m] for m in (479, 480, 539, 540)] == [2, 10, 10, 3]


def test_units_serve_after_a_whole_boot_and_stop_with_the_drop() -> None:
    played = play_floor([at(8, 0, 10), at(9, 0, 3)], start=MONDAY, count=1440, initial=2)
    served = in_service(played.worst, 4).tolist()
    assert [served[m] for m in (485, 486, 539, 540)] == [2, 10, 10, 3]


def test_an_action_fires_at_its_start_time_and_then_by_its_cron() -> None:
    action = at(8, 0, 10) | {"StartTime": "2026-09-07T05:00:00Z"}
    nominal = play_floor([action], start=MONDAY, count=1440, initial=2).nominal.tolist()
    # StartTime is 07:00 in Stockholm, the cron's occurrence 08:00.
    assert [nominal[m] for m in (419, 420)] == [2, 10]


def test_the_end_time_does_not_put_the_floor_back() -> None:
    nominal = play_floor([at(8, 0, 10)], start=MONDAY, count=1440, initial=2).nominal
    assert nominal[-1] == 10


def test_an_occurrence_at_end_time_raises_nothing_but_drops() -> None:
    raise_ = at(8, 0, 10) | {"StartTime": None, "EndTime": "2026-09-07T06:00:00Z"}
    assert play_floor([raise_], start=MONDAY, count=600, initial=2).worst.max() == 2
    drop = at(8, 0, 1) | {"StartTime": None, "EndTime": "2026-09-07T06:00:00Z"}
    assert play_floor([drop], start=MONDAY, count=600, initial=2).worst[-1] == 1


def test_a_gap_names_its_minutes() -> None:
    (gap,) = gaps(floor((10, 2), (5, 4), (5, 2)), floor((12, 2), (8, 4)), start=100)
    assert (gap.start, gap.end, gap.required, gap.in_service) == (110, 112, 4, 2)


def test_a_recurring_action_keeps_its_local_time_over_the_end_of_daylight_saving() -> None:
    window = Window(date(2026, 10, 23), date(2026, 10, 26), (0, 4), 8 * 60, 10)
    start = minute_of(datetime(2026, 10, 23, tzinfo=UTC))
    action = auto_scaling_action(window, STOCKHOLM)
    drop = auto_scaling_action(
        Window(date(2026, 10, 23), date(2026, 10, 26), (0, 4), 9 * 60, 2), STOCKHOLM
    )
    nominal = play_floor([action, drop], start=start, count=4 * 1440, initial=2).nominal
    raised = np.flatnonzero(np.diff(nominal) > 0) + 1
    # 06:00 UTC on the Friday, 07:00 UTC on the Monday after.
    assert (raised % 1440 // 60).tolist() == [6, 7]


# --- target tracking: 3 data points out, 15 in -----------------------------------------------


def test_target_tracking_scales_out_on_the_third_high_minute_and_serves_after_the_boot() -> None:
    outcome = simulate(load((10, 30), (20, 200)), floor((30, 2)), Machine(20, boot_minutes=4))
    # High at 10, 11 and 12; ten units are launched at 12 and serve from 16 on.
    assert outcome.in_service.tolist() == [2] * 16 + [10] * 14
    # Two units bear 66.7 requests/s.
    assert np.flatnonzero(outcome.violated).tolist() == [10, 11, 12, 13, 14, 15]
    assert outcome.minutes_above_target == 6
    lost = 6 * (200 - 2 * 20 / 0.6)
    assert outcome.unserved_share == pytest.approx(lost / (10 * 30 + 20 * 200))


def test_target_tracking_scales_in_only_after_fifteen_low_minutes() -> None:
    outcome = simulate(load((40, 10)), floor((1, 20), (39, 2)), Machine(20))
    # Low from minute 0 on: the first step at the 15th, then a tenth each five minutes.
    assert outcome.in_service.tolist() == [20] * 14 + [18] * 5 + [17] * 5 + [16] * 5 + [15] * 5 + [
        14
    ] * 5 + [13]


def test_target_tracking_never_goes_below_the_floor() -> None:
    outcome = simulate(load((60, 10)), floor((60, 12)), Machine(20))
    assert outcome.in_service.min() == 12


def test_a_raised_floor_lifts_what_is_in_service_after_the_boot() -> None:
    outcome = simulate(
        load((30, 10)), floor((10, 2), (20, 8)), Machine(20, boot_minutes=3), target_tracking=False
    )
    assert outcome.in_service.tolist() == [2] * 13 + [8] * 17


def test_the_maximum_caps_target_tracking() -> None:
    outcome = simulate(load((30, 1000)), floor((30, 2)), Machine(20, max=5))
    assert outcome.in_service.max() == 5


# --- warm pool, minimum run, zone, queue, identity provider -----------------------------------


def test_a_warm_pool_starts_as_many_as_it_holds_and_refills_after_a_boot() -> None:
    machine = Machine(20, boot_minutes=10, warm_pool=4, warm_boot_minutes=1)
    outcome = simulate(
        load((40, 10)), floor((5, 2), (10, 8), (25, 10)), machine, target_tracking=False
    )
    # At 5, four of six come from the pool (in service at 6), two boot until 15, when the pool is
    # full again and the next two come from it at 16.
    assert outcome.in_service.tolist() == [2] * 6 + [6] * 9 + [8] + [10] * 24


def test_a_lowered_floor_alone_takes_no_unit_out() -> None:
    outcome = simulate(load((20, 1)), floor((10, 4), (10, 1)), Machine(20), target_tracking=False)
    assert outcome.in_service[-1] == 4


def test_units_that_leave_are_paid_while_they_drain() -> None:
    machine = Machine(20, boot_minutes=0, drain_minutes=5)
    outcome = simulate(load((30, 1)), floor((15, 4), (15, 1)), machine)
    # Target tracking takes one out at 15, 20 and 25; each drains for five minutes.
    assert outcome.instance_hours * 60 == 15 * 4 + 5 * 3 + 5 * 2 + 5 * 1 + 3 * 5


def test_a_minimum_run_time_is_paid_for_units_that_leave_early() -> None:
    machine = Machine(20, boot_minutes=0, drain_minutes=0, min_run_minutes=30)
    outcome = simulate(load((60, 1)), floor((10, 1), (10, 3), (40, 1)), machine)
    # The old unit leaves at 20; one that was launched at 10 leaves at 25 and is paid until 40.
    assert outcome.instance_hours * 60 == 10 * 1 + 10 * 3 + 5 * 2 + 35 * 1 + 15


def test_a_lost_zone_takes_its_units_until_others_have_booted() -> None:
    outcome = simulate(
        load((20, 100)),
        floor((20, 10)),
        Machine(20, boot_minutes=4, zones=3),
        target_tracking=False,
        zone_lost_at=5,
    )
    # Ten units over three zones: the fullest has four.
    assert outcome.in_service.tolist() == [10] * 5 + [6] * 4 + [10] * 11


def test_a_queue_is_carried_on_until_it_is_served() -> None:
    machine = Machine(12, utilisation=0.6)  # hard limit 20
    flat = simulate(load((5, 30), (10, 10)), floor((15, 1)), machine, target_tracking=False)
    assert flat.violation_minutes == 5
    queued = simulate(
        load((5, 30), (10, 10)), floor((15, 1)), machine, target_tracking=False, carry_queue=True
    )
    # Each of the five leaves 10 behind, each minute after works off 10: the fifth is the last.
    assert queued.violation_minutes == 9


def test_an_identity_provider_lets_in_what_it_bears_and_the_rest_waits() -> None:
    # itslearning: 40,000 logins in 20 minutes, a provider of 20 a second.
    entry = identity_provider(load((20, 40_000 / 1200), (40, 0)), 20)
    assert entry.admitted.max() == pytest.approx(20)
    assert entry.waiting.max() == pytest.approx(16_000)
    assert int((entry.waiting > 1e-6).sum()) == 20 + 13
    assert entry.longest_wait_minutes == 14
    assert entry.admitted.sum() * 60 == pytest.approx(40_000)


def test_an_identity_provider_fast_enough_lets_nobody_wait() -> None:
    entry = identity_provider(load((20, 30.0), (5, 0)), 30)
    assert entry.waiting.max() == 0
    assert entry.longest_wait_minutes == 0


def test_the_optimum_is_the_demand_at_target_utilisation() -> None:
    outcome = simulate(load((60, 21)), floor((60, 2)), Machine(20, min=1))
    assert outcome.optimum_hours == 2
    assert outcome.ratio_to_optimum == 1
    assert outcome.over_hours == outcome.under_hours == 0
