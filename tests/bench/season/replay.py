"""An Auto Scaling group played minute by minute against a demand, independent of `infra.season`.

Assumptions, as in the figures of the design: 20 requests/s an instance at 60 % of its hard limit;
an instance serves `boot` minutes after its launch and costs until 5 minutes after it left service;
scheduled actions come 2 minutes late. Target tracking acts on 3 minutes above the target, and on 15
below 90 % of it, then takes out at most 10 % of the group every 5 minutes (an assumption).
What the instances in service cannot bear at their hard limit waits, nobody gives up, and comes on
top of the next minute's demand. A minute violates when it ends with somebody waiting.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TARGET = 20.0
HARD = TARGET / 0.6
BASE = 2
BOOT = 4
DRAIN = 5
LATE = 2
# Less than this many requests/s that wait is arithmetic.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Outcome:
    violations: int
    hours: float
    cost: float
    """Instance-hours over those of the clairvoyant optimum."""
    waited: float
    """Share of the requests that found no capacity in the minute of their arrival."""
    served: Ints
    """Instances in service in each minute."""
    violated: NDArray[np.bool_]


def optimum_hours(demand: Floats) -> float:
    """Instance-hours of one who knows the demand and needs no time to boot."""
    return float(np.maximum(BASE, np.ceil(demand / TARGET)).sum()) / 60


def replay(
    demand: Floats,
    floor: Ints | None = None,
    *,
    scaling: str = "target",
    boot: int = BOOT,
) -> Outcome:
    """Play `demand` (requests/s a minute) above a `floor` that already has its lateness in it.

    `scaling`: `target` (target tracking), `step` (one instance at a time, every 5 minutes) or
    `none` (the floor alone). It begins with what the first minute asks for.
    """
    count = len(demand)
    floors = np.full(count, BASE) if floor is None else np.maximum(floor, BASE)
    loads, least = demand.tolist(), floors.tolist()
    desired = serving = max(least[0], 0 if scaling == "none" else math.ceil(loads[0] / TARGET))
    arriving = [0] * (count + boot + 1)
    leaving = [0] * (count + DRAIN + 1)
    served = np.zeros(count, dtype=np.int64)
    above = below = draining = 0
    paid = 0
    queue = late = 0.0
    violated = np.zeros(count, dtype=np.bool_)
    last_in = -DRAIN
    for t in range(count):
        serving += arriving[t]
        draining -= leaving[t]
        want = least[t] if scaling == "none" else max(desired, least[t])
        need = loads[t] + queue
        if scaling == "target":
            above = above + 1 if need > TARGET * serving else 0
            below = below + 1 if need < 0.9 * TARGET * serving else 0
            if above >= 3:
                want = max(want, math.ceil(need / TARGET))
            elif below >= 15 and t - last_in >= 5:
                fewer = max(math.ceil(need / TARGET), desired - max(1, desired // 10), least[t])
                if fewer < want:
                    want, last_in = fewer, t
        elif scaling == "step" and t % 5 == 0:
            use = need / (HARD * serving)
            want = max(least[t], desired + (1 if use > 0.6 else -1 if use < 0.5 else 0))
        if want > desired:
            arriving[t + boot] += want - desired
        elif want < desired:
            # Those that still boot are stopped last: what serves leaves first, at the worst.
            gone = min(desired - want, serving)
            serving -= gone
            draining += gone
            leaving[t + DRAIN] += gone
        desired = want
        served[t] = serving
        queue = max(0.0, need - serving * HARD)
        violated[t] = queue > ROUNDING
        late += min(queue, loads[t])
        paid += desired + draining
    hours = paid / 60
    cost = hours / optimum_hours(demand)
    waited = late / float(demand.sum())
    return Outcome(int(violated.sum()), hours, cost, waited, served, violated)
