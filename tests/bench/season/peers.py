"""What others would do with the same load: floors for the replay, without a school calendar."""

from __future__ import annotations

import numpy as np

from tests.bench.season.replay import BASE, HARD, LATE, TARGET, Floats, Ints

DAY = 1440
WEEK = 7 * DAY


def _hourly_max(demand: Floats) -> Floats:
    """The highest five-minute mean of each hour (a metric of five minutes is AWS's default)."""
    whole = len(demand) // 60 * 60
    return demand[:whole].reshape(-1, 12, 5).mean(axis=2).max(axis=1)


def hourly_predictive(before: Floats, demand: Floats) -> Ints:
    """Hourly forecast from 14 days, acting at the start of each hour, launching 5 minutes ahead.

    The forecast of an hour is the higher of the same hour one and two weeks ago, sized at the
    target-tracking target. It never scales in below what target tracking keeps.
    """
    hours = _hourly_max(np.concatenate([before[-2 * WEEK :], demand]))
    first = 2 * WEEK // 60
    forecast = np.maximum(hours[first - 168 : len(hours) - 168], hours[: len(hours) - 2 * 168])
    floor = np.repeat(np.ceil(forecast / TARGET).astype(np.int64), 60)
    floor = np.concatenate([floor, np.full(len(demand) - len(floor), floor[-1])])
    ahead = np.roll(floor, -5)
    return np.maximum(np.maximum(floor, ahead), BASE)


def weekly_hours(before: Floats, demand: Floats, growth: float) -> Ints:
    """One floor for each hour of the week, from the busiest 3 % of last year's weeks.

    `before` and `demand` must start on the same weekday and hour modulo whole days apart.
    """
    hours = _hourly_max(before)
    weeks = hours[len(hours) % 168 :].reshape(-1, 168)
    usual = np.quantile(weeks, 0.97, axis=0) * growth
    floor = np.repeat(np.ceil(usual / (HARD * 0.75)).astype(np.int64), 60)
    # `before` ends where `demand` starts, so its last whole weeks line up with what follows.
    repeated = np.resize(floor, len(demand))
    return np.maximum(np.maximum(repeated, np.roll(repeated, -10)), BASE)


def static_peak(before: Floats, demand: Floats, growth: float) -> Ints:
    """Last year's peak with growth and a quarter more, always."""
    return np.full(len(demand), int(np.ceil(before.max() * growth * 1.25 / HARD)))


def perfect(demand: Floats, boot: int, use: float = 0.75) -> Ints:
    """The floor of one who knows the demand and may act every minute, lead included."""
    need = np.maximum(BASE, np.ceil(demand / (HARD * use))).astype(np.int64)
    ahead = [np.roll(need, -shift) for shift in range(boot + LATE + 1)]
    # The replay adds the boot; lateness is part of the lead here.
    return np.max(ahead, axis=0)
