"""Plays scheduled actions minute by minute, as AWS does.

Takes actions in the shape of the AWS calls, planned or read back live; knows nothing of the plan.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from infra.season import limits
from infra.season.compile import Action, read_action
from infra.season.grid import Floats, Ints

# Target tracking takes units out at most every so many minutes (an assumption, as its step is).
TRACKING_PAUSE: Final = 5


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
    times, nominal, low = [0], [initial], [initial]
    for minute, action in _events([read_action(request) for request in requests], start, count):
        if action.min is not None:
            unsure = action.end == minute
            times.append(minute - start)
            nominal.append(nominal[-1] if unsure else action.min)
            low.append(min(low[-1], action.min) if unsure else action.min)
    lengths = np.diff([*times, count])
    return Floors(
        np.repeat(np.array(nominal, dtype=np.int64), lengths),
        in_service(np.repeat(np.array(low, dtype=np.int64), lengths), late_minutes),
    )


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


@dataclass(frozen=True)
class Machine:
    """How one target behaves; requests per second are those of one unit at `utilisation`."""

    requests_per_second: float
    utilisation: float = 0.6
    boot_minutes: int = 4
    min: int = 0
    max: int = 1_000_000
    drain_minutes: int = 5
    """A unit that leaves costs this much longer, and serves nothing."""
    warm_pool: int = 0
    """Prepared units: as many start in `warm_boot_minutes`; each is replaced after a full boot."""
    warm_boot_minutes: int = 1
    min_run_minutes: int = 0
    """A unit that leaves earlier is paid for until then."""
    zones: int = 3

    @property
    def hard_limit(self) -> float:
        return self.requests_per_second / self.utilisation


@dataclass(frozen=True)
class Outcome:
    """What happened, minute by minute and in sum."""

    in_service: Ints
    violated: NDArray[np.bool_]
    """Minutes with more demand than the units in service bear at their hard limit."""
    unserved_share: float
    """Requests that were not served in their minute, as a share of all."""
    minutes_above_target: int
    """Minutes above target utilisation, violated ones included."""
    instance_hours: float
    optimum_hours: float
    """Of one who knows the demand and needs no time to boot: max(min, ceil(demand / r)) a minute,
    r being the requests per second of one unit at target utilisation."""
    over_hours: float
    """In service beyond the optimum."""
    under_hours: float
    """The optimum beyond what is in service."""

    @property
    def violation_minutes(self) -> int:
        return int(self.violated.sum())

    @property
    def ratio_to_optimum(self) -> float:
        return self.instance_hours / self.optimum_hours


def simulate(
    demand: Floats,
    floor: Ints,
    machine: Machine,
    *,
    target_tracking: bool = True,
    carry_queue: bool = False,
    zone_lost_at: int | None = None,
) -> Outcome:
    """Play `demand` (requests per second in each minute) over a floor that has its lateness in it.

    Target tracking acts on `limits.TRACKING_POINTS_OUT` minutes above the target and on
    `limits.TRACKING_POINTS_IN` below 90 % of it, then takes out at most a tenth of the group every
    five minutes (an assumption: AWS does not publish its step). `zone_lost_at`: from this minute on
    the units of one zone are gone, and as many start in the others. `carry_queue`: what is not
    served waits for the next minute.
    """
    group = _Group(machine, int(max(floor[0], machine.min)), len(demand))
    served = np.zeros(len(demand), dtype=np.int64)
    violated = np.zeros(len(demand), dtype=np.bool_)
    above = 0
    unserved = queue = 0.0
    loads, floors = demand.tolist(), np.maximum(floor, machine.min).tolist()
    for t, arriving in enumerate(loads):
        group.begin(t)
        if t == zone_lost_at:
            group.lose_zone(t)
        need = arriving + queue
        serving = group.serving
        least = floors[t]
        want = max(group.desired, least)
        if target_tracking:
            want = group.track(t, need, least, want)
        group.scale(t, min(want, max(machine.max, least)))
        served[t] = serving = group.serving
        limit = serving * machine.hard_limit
        violated[t] = need > limit
        above += need > serving * machine.requests_per_second
        unserved += max(0.0, need - limit)
        queue = max(0.0, need - limit) if carry_queue else 0.0
    best = np.maximum(machine.min, np.ceil(demand / machine.requests_per_second))
    total = float(demand.sum())
    return Outcome(
        in_service=served,
        violated=violated,
        unserved_share=unserved / total if total else 0.0,
        minutes_above_target=above,
        instance_hours=group.paid / 60,
        optimum_hours=float(best.sum()) / 60,
        over_hours=float(np.maximum(served - best, 0).sum()) / 60,
        under_hours=float(np.maximum(best - served, 0).sum()) / 60,
    )


class _Group:
    """Units that boot, serve, drain and are paid for."""

    def __init__(self, machine: Machine, initial: int, minutes: int) -> None:
        self.machine = machine
        self.desired = self.serving = initial
        self.paid = 0
        self.pool = machine.warm_pool
        self.arrivals = [0] * (minutes + machine.boot_minutes + machine.warm_boot_minutes + 2)
        self.refills = [0] * (minutes + machine.boot_minutes + 2)
        self.drained = [0] * (minutes + machine.drain_minutes + machine.min_run_minutes + 2)
        self.draining = 0
        self.high = self.low = 0
        self.last_in = -machine.drain_minutes
        self.started: deque[list[int]] = deque([[-machine.min_run_minutes, initial]])

    def begin(self, t: int) -> None:
        """Arrivals and departures that fall due."""
        # What was given up while it booted does not arrive.
        self.serving = min(self.serving + self.arrivals[t], self.desired)
        self.pool += self.refills[t]
        self.draining -= self.drained[t]

    def lose_zone(self, t: int) -> None:
        """The fullest zone goes; the group launches as many units in the others."""
        gone = min(-(-self.desired // self.machine.zones), self.serving)
        self.serving -= gone
        self._launch(t, gone)

    def track(self, t: int, need: float, least: int, want: int) -> int:
        """What target tracking makes of `want`."""
        rate = self.machine.requests_per_second
        self.high = self.high + 1 if need > rate * self.serving else 0
        self.low = self.low + 1 if need < 0.9 * rate * self.serving else 0
        if self.high >= limits.TRACKING_POINTS_OUT:
            return max(want, ceil(need / rate))
        if self.low >= limits.TRACKING_POINTS_IN and t - self.last_in >= TRACKING_PAUSE:
            tenth = self.desired - max(1, self.desired // 10)
            fewer = max(ceil(need / rate), tenth, least)
            if fewer < want:
                self.last_in = t
                return fewer
        return want

    def scale(self, t: int, want: int) -> None:
        if want > self.desired:
            self._launch(t, want - self.desired)
            self.started.append([t, want - self.desired])
        elif want < self.desired:
            self._leave(t, self.desired - want)
        self.desired = want
        self.paid += self.desired + self.draining

    def _launch(self, t: int, units: int) -> None:
        warm = min(units, self.pool)
        self.pool -= warm
        if warm:
            self.arrivals[t + self.machine.warm_boot_minutes] += warm
            self.refills[t + self.machine.boot_minutes] += warm
        self.arrivals[t + self.machine.boot_minutes] += units - warm
        if self.machine.boot_minutes == 0:
            self.serving += self.arrivals[t]
            self.arrivals[t] = 0

    def _leave(self, t: int, units: int) -> None:
        # Units that still boot leave last, at the worst: what serves goes first, the oldest first.
        self.serving -= min(units, self.serving)
        while units and self.started:
            since, count = self.started[0]
            taken = min(units, count)
            left = max(self.machine.drain_minutes, since + self.machine.min_run_minutes - t)
            if left:
                self.draining += taken
                self.drained[t + left] += taken
            units -= taken
            if taken == count:
                self.started.popleft()
            else:
                self.started[0][1] -= taken


@dataclass(frozen=True)
class Entry:
    """Logins behind an identity provider that admits a limited number."""

    admitted: Floats
    """Logins per second let in, in each minute."""
    waiting: Floats
    """Logins that wait at the end of each minute."""

    @property
    def longest_wait_minutes(self) -> float:
        """For how long somebody who arrives at the worst moment waits."""
        admitted = np.concatenate(([0.0], np.cumsum(self.admitted * 60)))
        arrived = admitted[1:] + self.waiting
        done = np.searchsorted(admitted, arrived - 1e-6, side="left")
        minutes = np.arange(1, len(arrived) + 1)
        return float(np.max(done - minutes, initial=0))


def identity_provider(logins_per_second: Floats, rate: float) -> Entry:
    """What a provider of `rate` logins per second makes of the arrivals; the rest waits."""
    # waiting[t] = max(0, waiting[t-1] + arrived - rate): a running sum above its running minimum.
    balance = np.cumsum((logins_per_second - rate) * 60)
    waiting = balance - np.minimum(np.minimum.accumulate(balance), 0.0)
    before = np.concatenate(([0.0], waiting[:-1]))
    return Entry(logins_per_second + (before - waiting) / 60, waiting)
