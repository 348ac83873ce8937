"""The benchmark's replay and generator against timelines worked by hand."""

from __future__ import annotations

import itertools
from datetime import date

import numpy as np
import pytest

from tests.bench.season import generator, peers
from tests.bench.season.replay import replay


def test_target_tracking_reacts_after_three_minutes_and_a_boot() -> None:
    demand = np.full(60, 40.0)
    demand[10:] = 200.0
    served = replay(demand).served
    # Minutes 10, 11 and 12 are above the target; 12 launches; 16 serves. By minute 12 two times
    # 200 - 2 x 33.3 requests/s wait: 466.7 / 20 are 24 instances.
    assert served[:17].tolist() == [2] * 16 + [24]


def test_what_finds_no_capacity_waits_and_its_minutes_are_bad() -> None:
    demand = np.full(30, 30.0)
    demand[10] = 130.0
    outcome = replay(demand, np.full(30, 2), scaling="none")
    # 2 instances bear 66.7 a minute: of 130, 63.3 wait, then 26.7, then nobody.
    assert np.flatnonzero(outcome.violated).tolist() == [10, 11]
    assert outcome.waited == pytest.approx((63.333 + 26.667) / (29 * 30 + 130), rel=1e-4)


def test_target_tracking_scales_in_after_fifteen_minutes_by_a_tenth_every_five() -> None:
    demand = np.full(60, 400.0)
    demand[10:] = 40.0
    served = replay(demand).served.tolist()
    assert served[24] == 18
    assert (served[:24], served[24:29], served[29]) == ([20] * 24, [18] * 5, 17)


def test_an_instance_is_paid_while_it_boots_and_drains() -> None:
    demand = np.full(30, 1.0)
    floor = np.full(30, 2)
    floor[5:20] = 3
    outcome = replay(demand, floor, scaling="none")
    assert outcome.served.tolist() == [2] * 9 + [3] * 11 + [2] * 10
    assert outcome.hours * 60 == 2 * 30 + 15 + 5
    assert outcome.cost == outcome.hours / 1.0


def test_a_violation_is_demand_above_the_hard_limit_of_what_serves() -> None:
    demand = np.full(30, 66.0)
    demand[20:] = 60.0
    demand[20] = 67.0
    outcome = replay(demand, np.full(30, 2), scaling="none")
    assert np.flatnonzero(outcome.violated).tolist() == [20]


def test_the_perfect_floor_leads_by_boot_and_lateness() -> None:
    demand = np.full(40, 1.0)
    demand[20] = 100.0
    assert np.flatnonzero(peers.perfect(demand, 4) > 2).tolist() == list(range(14, 21))


def test_steps_of_a_day_are_the_cheapest_envelope() -> None:
    rng = np.random.default_rng(3)
    demand = np.repeat(rng.integers(0, 300, 8), 180).astype(float)
    floor = peers.perfect_steps(demand, 4, 3, cell=180)
    need = peers.perfect(demand, 4).reshape(8, 180).max(axis=1)
    assert (floor.reshape(8, 180).max(axis=1) >= need).all()
    best = min(
        sum(max(part) * len(part) for part in np.split(need, cut))
        for cut in itertools.combinations(range(1, 8), 2)
    )
    assert floor.sum() == best * 180


def test_the_same_seed_gives_the_same_load_and_another_gives_another() -> None:
    market, days = generator.MARKETS[0], (date(2025, 10, 20), date(2025, 10, 31))
    minutes, rates = generator.load(market, *days)
    assert (np.diff(minutes) == 1).all()
    assert rates.tolist() == generator.load(market, *days)[1].tolist()
    assert rates.tolist() != generator.load(market, *days, seed=2)[1].tolist()


def test_days_of_a_clock_change_have_their_23_and_25_hours() -> None:
    sweden = generator.MARKETS[1]
    for day, hours in ((date(2025, 10, 26), 25), (date(2026, 3, 29), 23)):
        assert len(generator.load(sweden, day, day)[0]) == hours * 60
