"""What others would do with the same load: floors for `simulate`, without a school calendar.

Each takes the demand in requests per second a minute. `before` is the load of the minutes right
before `demand` (NaN where it was not measured); it is all that they may learn from.
"""

from __future__ import annotations

from math import ceil
from typing import Final

import numpy as np

from infra.season.grid import DAY_MINUTES, Floats, Ints
from infra.season.simulate import Machine

WEEK_MINUTES: Final = 7 * DAY_MINUTES
# Predictive scaling learns from 14 days and launches up to 5 minutes ahead of the hour
# (SchedulingBufferTime, default 300 s). EC2 Auto Scaling user guide, "Predictive scaling".
PREDICTIVE_DAYS: Final = 14
PREDICTIVE_AHEAD_MINUTES: Final = 5
# A custom metric or a detailed one of five minutes, and one step each: the reference Moodle set-up.
STEP_MINUTES: Final = 5
STEP_OUT: Final = 1.0
STEP_IN: Final = 0.8
WEEKLY_QUANTILE: Final = 0.97


def static_peak(demand: Floats, machine: Machine) -> Ints:
    """Always what the highest minute of `demand` needs, as if it had been known."""
    return np.full(len(demand), _units(demand.max(), machine), dtype=np.int64)


def target_tracking(demand: Floats, machine: Machine) -> Ints:
    """No floor but the minimum."""
    return np.full(len(demand), machine.min, dtype=np.int64)


def steps_of_one(demand: Floats, machine: Machine) -> Ints:
    """One unit more or less every five minutes, as long as the target is missed or undercut by a
    fifth. It is to be simulated without target tracking: this is all that happens."""
    desired = max(machine.min, 1)
    path = np.empty(len(demand), dtype=np.int64)
    for t, need in enumerate(demand.tolist()):
        if t % STEP_MINUTES == 0:
            # What serves is what was wanted without a break for a whole boot.
            serving = min([desired, *path[max(0, t - machine.boot_minutes) : t].tolist()])
            use = need / (machine.requests_per_second * serving)
            step = 1 if use > STEP_OUT else -1 if use < STEP_IN else 0
            desired = min(max(desired + step, machine.min, 1), machine.max)
        path[t] = desired
    return path


def hourly_predictive(before: Floats, demand: Floats, machine: Machine) -> Ints:
    """AWS's predictive scaling as documented: an hourly forecast from the last 14 days.

    AWS does not publish its model: taken is the higher of the same hour one and two weeks ago, in
    five-minute means. It acts ahead of each hour and never scales in.
    """
    past = PREDICTIVE_DAYS * DAY_MINUTES
    known = np.full(past, np.nan)
    tail = before[-past:]
    known[past - len(tail) :] = tail
    hours = _hourly(np.concatenate([known, demand]))
    count = ceil(len(demand) / 60)
    first = past // 60
    forecast = np.fmax(
        hours[first - 168 : first - 168 + count], hours[first - 336 : first - 336 + count]
    )
    floor = np.repeat(_units(np.nan_to_num(forecast), machine), 60)[: len(demand)]
    return _ahead(floor, PREDICTIVE_AHEAD_MINUTES)


def weekly_hours(before: Floats, demand: Floats, machine: Machine, *, growth: float) -> Ints:
    """Fixed hours of the week: for each one what the busiest 3 % of past weeks needed."""
    weeks = _hourly(before[len(before) % WEEK_MINUTES :]).reshape(-1, 168)
    usual = np.zeros(168)
    for hour in range(168):
        known = weeks[:, hour][np.isfinite(weeks[:, hour])]
        usual[hour] = np.quantile(known, WEEKLY_QUANTILE) if len(known) else 0.0
    # `before` ends where `demand` starts: its whole weeks line up with what follows.
    floor = np.resize(np.repeat(_units(usual * growth, machine), 60), len(demand))
    return _ahead(floor, machine.boot_minutes + 2)


def _hourly(rate: Floats) -> Floats:
    """The highest five-minute mean of each hour; NaN where nothing was measured."""
    padded = np.full(ceil(len(rate) / 60) * 60, np.nan)
    padded[: len(rate)] = rate
    blocks = padded.reshape(-1, 12, 5)
    known = np.isfinite(blocks)
    means = np.where(known, blocks, 0.0).sum(axis=2) / np.maximum(known.sum(axis=2), 1)
    means[~known.any(axis=2)] = -1.0
    highest = means.max(axis=1)
    return np.where(highest < 0, np.nan, highest)


def _units(rate: Floats | float, machine: Machine) -> Ints:
    needed = np.ceil(np.asarray(rate) / machine.requests_per_second).astype(np.int64)
    return np.clip(needed, machine.min, machine.max)


def _ahead(floor: Ints, minutes: int) -> Ints:
    """The floor raised `minutes` earlier, and lowered when it was."""
    early = np.concatenate([floor[minutes:], np.repeat(floor[-1:], minutes)])
    return np.maximum(floor, early)
