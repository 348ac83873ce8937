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
    """One floor for each hour of the week, from the busiest 3 % of last year's weeks."""
    hours = _hourly_max(before)
    weeks = hours[len(hours) % 168 :].reshape(-1, 168)
    usual = np.quantile(weeks, 0.97, axis=0) * growth
    floor = np.repeat(np.ceil(usual / (HARD * 0.75)).astype(np.int64), 60)
    # `before` ends where `demand` starts, so its last whole weeks line up with what follows.
    repeated = np.resize(floor, len(demand))
    return np.maximum(np.maximum(repeated, np.roll(repeated, -10)), BASE)


def static_peak(demand: Floats) -> Ints:
    """Always enough for the highest minute, as if it were known."""
    return np.full(len(demand), int(np.ceil(demand.max() / TARGET)))


def perfect(demand: Floats, boot: int, use: float = 0.75) -> Ints:
    """The floor of one who knows the demand and may act every minute, lead included."""
    need = np.maximum(BASE, np.ceil(demand / (HARD * use))).astype(np.int64)
    ahead = [np.roll(need, -shift) for shift in range(boot + LATE + 1)]
    # The replay adds the boot; lateness is part of the lead here.
    return np.max(ahead, axis=0)


def perfect_steps(demand: Floats, boot: int, steps: int, use: float = 0.75, cell: int = 10) -> Ints:
    """The cheapest `steps` levels a day of `cell` minutes over the perfect floor, day by day."""
    return steps_over(perfect(demand, boot, use), steps, cell)


def steps_over(need: Ints, steps: int, cell: int = 10) -> Ints:
    """The cheapest `steps` levels a day of `cell` minutes that are never below `need`."""
    days = need[: len(need) // DAY * DAY].reshape(-1, DAY // cell, cell).max(axis=2)
    count = days.shape[1]
    floor = np.empty_like(days)
    for row, day in enumerate(days):
        # cost[i, j]: one level over the cells i to j.
        highest = np.zeros((count, count), dtype=np.int64)
        for first in range(count):
            highest[first, first:] = np.maximum.accumulate(day[first:])
        spans = np.arange(1, count + 1)[None, :] - np.arange(count)[:, None]
        cost = np.where(spans > 0, highest * spans, np.iinfo(np.int64).max // 4)
        best, choices = cost[0].copy(), []
        for _ in range(steps - 1):
            through = np.concatenate([[np.iinfo(np.int64).max // 4], best[:-1]])[:, None] + cost
            choices.append(through.argmin(axis=0))
            best = through.min(axis=0)
        end = count - 1
        for choice in reversed(choices):
            first = int(choice[end])
            floor[row, first : end + 1] = highest[first, end]
            end = first - 1
        floor[row, : end + 1] = highest[0, end]
    flat = np.repeat(floor.ravel(), cell)
    return np.concatenate([flat, np.full(len(need) - len(flat), flat[-1])])
