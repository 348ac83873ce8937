"""Lets blocks of days share their actions, so that the same budget buys more steps.

An action may fire on several groups of weekdays and in consecutive segments, as long as its days
are one range of dates and one set of weekdays. "Down to 2 at 22:50, every day, all year" is then
one action and not one a block.

The search starts from blocks with far more steps than any budget, and makes the cheapest change
again and again: two steps become one (at the time of either, with the higher level), also on blocks
between them that had no such step; or a step is left out and the one before it raised. In between
every step is moved and lowered as far as its blocks allow. Greedy and deterministic; the floor
holds after each change.

The way down is the same for every budget, and a budget takes the cheapest plan on it that has no
more steps: so one action more never costs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from infra.season.grid import DAY_MINUTES, Ints
from infra.season.optimise import SHORTEST_STEP, Block, Bools, area

NEIGHBOUR_SEGMENTS: Final = 3
"""Steps of segments further apart than this are not compared."""
FARTHEST_MINUTES: Final = 90
"""Steps further apart in the day are never one."""
MOST_EXTRA: Final = 3
"""Most blocks between two steps that take part in their merger without a step of their own."""
TIGHTEN_EVERY: Final = 10
"""Changes between two times that steps are moved and lowered, for the sake of time."""
TIGHTEN_ALWAYS: Final = 140
"""From so many steps on, after every change: what AWS allows a group, and some more."""

Pair = tuple[int, int]


@dataclass(frozen=True)
class SharedStep:
    """From `minute` of the service day on at least `level` units.

    It happens on `weekdays` (0 Monday) of the rows `first` to `last`, both included.
    """

    first: int
    last: int
    weekdays: tuple[int, ...]
    minute: int
    level: int

    def rows(self, weekdays: Ints) -> list[int]:
        """The rows on which it happens."""
        inside = range(self.first, self.last + 1)
        return [row for row in inside if int(weekdays[row]) in self.weekdays]


@dataclass(frozen=True)
class Shared:
    steps: tuple[SharedStep, ...]
    unit_minutes: float
    one_more_saves: float
    """Unit-minutes that one step more would save."""


def share(
    blocks: Sequence[Block], days: Ints, weekdays: Ints, *, allowed: Bools, base: int, budget: int
) -> Shared:
    """At most `budget` steps that hold on every day, made of the steps of `blocks`.

    `days` holds what each minute of each day needs (rows x 1,440), `weekdays` the weekday of each
    row, `allowed` the minutes at which a step may be. Where no plan on the way is that small, one
    with more steps.
    """
    plan = _Plan(blocks, days, weekdays, allowed=allowed, base=base)
    best, one_more = _Found(), _Found()
    for _ in _way_down(plan):
        for found, allowed_steps in ((best, budget), (one_more, budget + 1)):
            if len(plan.steps) <= allowed_steps:
                found.offer(plan)
    if not best.steps:
        best.offer(plan)
    steps = sorted(best.steps, key=lambda step: (step.first, step.weekdays, step.minute, step.last))
    saved = best.unit_minutes - min(one_more.unit_minutes, best.unit_minutes)
    return Shared(tuple(steps), best.unit_minutes, saved)


@dataclass
class _Found:
    """The cheapest of the plans that were offered."""

    steps: tuple[SharedStep, ...] = ()
    unit_minutes: float = np.inf

    def offer(self, plan: _Plan) -> None:
        if (found := plan.unit_minutes()) < self.unit_minutes:
            self.unit_minutes = found
            self.steps = tuple(plan.shared(step) for step in plan.steps.values())


@dataclass
class _Step:
    minute: int
    level: int
    blocks: frozenset[int]


class _Curve:
    """What a block needs, with the highest need of any span at hand (a sparse table)."""

    def __init__(self, need: Ints, days: int) -> None:
        self.need = need
        self.days = days
        self._tables: list[list[int]] = [need.tolist()]
        width, table = 1, need
        while 2 * width <= len(need):
            table = np.maximum(table[:-width], table[width:])
            self._tables.append(table.tolist())
            width *= 2

    def highest(self, start: int, end: int) -> int:
        if start >= end:
            return 0
        power = (end - start).bit_length() - 1
        table = self._tables[power]
        return max(table[start], table[end - (1 << power)])


@dataclass(frozen=True)
class _Around:
    """A step's surroundings on one block."""

    start: int
    """Minute of the step before, a step's length before the day if there is none."""
    low: int
    """Level of the step before."""
    end: int
    """Minute of the step after, the day's end if there is none."""


@dataclass(frozen=True)
class _Change:
    """Steps `a` and `b` become one; or, where they are the same, that step is left out."""

    cost: float
    minute: int = 0
    level: int = 0
    raised: tuple[Pair, ...] = ()
    """For a step that is left out: the steps before it, and the levels they rise to."""


class _Plan:
    """Steps shared by blocks; every change keeps each block's floor at or above its need."""

    def __init__(
        self, blocks: Sequence[Block], days: Ints, weekdays: Ints, *, allowed: Bools, base: int
    ) -> None:
        self.base = base
        places = np.arange(DAY_MINUTES)
        # The nearest minute at which a step may be: at or before, and at or after.
        self._before = np.maximum.accumulate(np.where(allowed, places, -1)).tolist()
        backwards = np.where(allowed, places, DAY_MINUTES)[::-1]
        self._after = np.minimum.accumulate(backwards)[::-1].tolist()
        self.segments = sorted({(block.first, block.last) for block in blocks})
        self.segment_of = [self.segments.index((block.first, block.last)) for block in blocks]
        self.weekdays = [frozenset(block.weekdays) for block in blocks]
        self._closures: dict[frozenset[int], frozenset[int]] = {}
        self._count = len(days)
        self._rows: list[Ints] = []
        self.curves: list[_Curve] = []
        self.overnight: list[int] = []
        """What a day ends with costs until about this minute of the next day."""
        self.steps: dict[int, _Step] = {}
        self.order: list[list[int]] = []
        for number, block in enumerate(blocks):
            rows = np.arange(block.first, block.last + 1)
            rows = rows[np.isin(weekdays[rows], block.weekdays)]
            self._rows.append(rows)
            self.curves.append(_Curve(days[rows].max(axis=0), len(rows)))
            self.overnight.append(block.steps[0].minute if block.steps else 0)
            self.order.append([])
            for step in block.steps:
                self.order[number].append(len(self.steps))
                self.steps[len(self.steps)] = _Step(step.minute, step.level, frozenset([number]))

    def shared(self, step: _Step) -> SharedStep:
        segments = [self.segments[self.segment_of[block]] for block in step.blocks]
        on = frozenset[int]().union(*(self.weekdays[block] for block in step.blocks))
        first, last = min(segments)[0], max(segments)[1]
        return SharedStep(first, last, tuple(sorted(on)), step.minute, step.level)

    def closure(self, blocks: frozenset[int]) -> frozenset[int]:
        """The fewest blocks with these that are one range of dates and one set of weekdays."""
        if blocks not in self._closures:
            self._closures[blocks] = self._closure(blocks)
        return self._closures[blocks]

    def _closure(self, blocks: frozenset[int]) -> frozenset[int]:
        segments = [self.segment_of[block] for block in blocks]
        first, last = min(segments), max(segments)
        inside = [b for b, segment in enumerate(self.segment_of) if first <= segment <= last]
        on = frozenset[int]().union(*(self.weekdays[block] for block in blocks))
        while True:
            chosen = [block for block in inside if not on.isdisjoint(self.weekdays[block])]
            wider = on.union(*(self.weekdays[block] for block in chosen))
            if wider == on:
                return frozenset(chosen)
            on = wider

    def around(self, block: int, key: int) -> _Around:
        order = self.order[block]
        at = order.index(key)
        end = self.steps[order[at + 1]].minute if at + 1 < len(order) else DAY_MINUTES
        if not at:
            return _Around(-SHORTEST_STEP, self.base, end)
        before = self.steps[order[at - 1]]
        return _Around(before.minute, before.level, end)

    def _moved(self, block: int, key: int, minute: int, level: int) -> float | None:
        """What it costs on one block to change step `key`; None when the block would not hold."""
        around = self.around(block, key)
        if not self._fits(block, around, minute, level):
            return None
        step, end = self.steps[key], self._paid_until(block, around)
        old = around.low * step.minute + step.level * (end - step.minute)
        return (around.low * minute + level * (end - minute) - old) * self.curves[block].days

    def _added(self, block: int, minute: int, level: int) -> float | None:
        """What one step more costs on a block; None when the block would not hold."""
        start, low, end = -SHORTEST_STEP, self.base, DAY_MINUTES
        for key in self.order[block]:
            step = self.steps[key]
            if step.minute > minute:
                end = step.minute
                break
            start, low = step.minute, step.level
        around = _Around(start, low, end)
        if not self._fits(block, around, minute, level):
            return None
        return (level - low) * (self._paid_until(block, around) - minute) * self.curves[block].days

    def _fits(self, block: int, around: _Around, minute: int, level: int) -> bool:
        curve = self.curves[block]
        room = around.end if around.end < DAY_MINUTES else DAY_MINUTES + SHORTEST_STEP
        return (
            minute - around.start >= SHORTEST_STEP
            and room - minute >= SHORTEST_STEP
            and curve.highest(max(around.start, 0), minute) <= around.low
            and curve.highest(minute, around.end) <= level
        )

    def _paid_until(self, block: int, around: _Around) -> int:
        return around.end if around.end < DAY_MINUTES else DAY_MINUTES + self.overnight[block]

    def change(self, a: int, b: int) -> _Change | None:
        """The cheapest way to make one step of two, or to leave one out; None if there is none."""
        return self._left_out(a) if a == b else self._merged(a, b)

    def _merged(self, a: int, b: int) -> _Change | None:
        x, y = self.steps[a], self.steps[b]
        if abs(x.minute - y.minute) > FARTHEST_MINUTES or not x.blocks.isdisjoint(y.blocks):
            return None
        both = x.blocks | y.blocks
        extra = self.closure(both) - both
        if len(extra) > MOST_EXTRA:
            return None
        level = max(x.level, y.level)

        def costs(minute: int) -> Iterator[float | None]:
            for key, step in ((a, x), (b, y)):
                for block in step.blocks:
                    yield self._moved(block, key, minute, level)
            for block in extra:
                yield self._added(block, minute, level)

        best: _Change | None = None
        for minute in sorted({x.minute, y.minute}):
            total = 0.0
            for cost in costs(minute):
                if cost is None:
                    break
                total += cost
            else:
                if best is None or total < best.cost:
                    best = _Change(total, minute, level)
        return best

    def _left_out(self, key: int) -> _Change | None:
        step = self.steps[key]
        levels: dict[int, int] = {}
        total = 0.0
        for block in step.blocks:
            order = self.order[block]
            at = order.index(key)
            if not at or at + 1 == len(order):
                return None
            around = self.around(block, key)
            need = self.curves[block].highest(around.start, around.end)
            levels[order[at - 1]] = max(levels.get(order[at - 1], around.low), need)
            total += (around.low - step.level) * (around.end - step.minute) * (
                self.curves[block].days
            )  # fmt: skip
        for before, level in levels.items():
            rise = level - self.steps[before].level
            for block in self.steps[before].blocks:
                around = self.around(block, key if block in step.blocks else before)
                length = self._paid_until(block, around) - self.steps[before].minute
                total += rise * length * self.curves[block].days
        return _Change(total, raised=tuple(levels.items()))

    def apply(self, a: int, b: int, change: _Change) -> set[int]:
        """Make a change; the blocks that it touched."""
        if a == b:
            touched = set(self.steps[a].blocks)
            for before, level in change.raised:
                self.steps[before].level = level
                touched |= self.steps[before].blocks
            for block in self.steps[a].blocks:
                self.order[block].remove(a)
            del self.steps[a]
            return touched
        blocks = self.closure(self.steps[a].blocks | self.steps[b].blocks)
        for block in self.steps[b].blocks:
            self.order[block].remove(b)
        for block in blocks - self.steps[a].blocks:
            self.order[block].append(a)
        del self.steps[b]
        self.steps[a] = _Step(change.minute, change.level, blocks)
        for block in blocks:
            self.order[block].sort(key=lambda key: self.steps[key].minute)
        return set(blocks)

    def tighten(self, blocks: set[int]) -> set[int]:
        """Lower and move the steps of these blocks, and of those that it touches, as far as all of
        their blocks allow; returns the blocks touched."""
        touched: set[int] = set()
        while blocks:
            keys = sorted({key for block in blocks for key in self.order[block]})
            moved = [key for key in keys if self._tightened(self.steps[key], key)]
            blocks = set[int]().union(*(self.steps[key].blocks for key in moved))
            touched |= blocks
        return touched

    def _tightened(self, step: _Step, key: int) -> bool:
        spans = {block: self.around(block, key) for block in step.blocks}
        level = max(
            self.base,
            *(self.curves[b].highest(step.minute, around.end) for b, around in spans.items()),
        )
        minute = step.minute
        if all(level > around.low for around in spans.values()):
            minute = max(minute, self._before[min(self._latest(step, b, spans) for b in spans)])
        elif all(level < around.low for around in spans.values()):
            earliest = max(self._earliest(step, level, b, spans) for b in spans)
            minute = min(minute, self._after[earliest])
        if (minute, level) == (step.minute, step.level):
            return False
        step.minute, step.level = minute, level
        return True

    def _latest(self, step: _Step, block: int, spans: dict[int, _Around]) -> int:
        """The last minute to which a raise may be put off on a block."""
        around = spans[block]
        room = around.end - SHORTEST_STEP if around.end < DAY_MINUTES else DAY_MINUTES - 1
        over = np.flatnonzero(self.curves[block].need[step.minute : around.end] > around.low)
        return min(room, step.minute + int(over[0])) if len(over) else room

    def _earliest(self, step: _Step, level: int, block: int, spans: dict[int, _Around]) -> int:
        """The first minute at which a drop may be on a block."""
        first = max(spans[block].start, 0)
        over = np.flatnonzero(self.curves[block].need[first : step.minute] > level)
        room = spans[block].start + SHORTEST_STEP
        return max(room, first + int(over[-1]) + 1) if len(over) else room

    def unit_minutes(self) -> float:
        """The floor's area over all days."""
        parts = [
            (rows, [self.steps[k].minute for k in order], [self.steps[k].level for k in order])
            for rows, order in zip(self._rows, self.order, strict=True)
        ]
        return area(parts, self._count, self.base)


def _way_down(plan: _Plan) -> Iterator[None]:
    """Make the cheapest change again and again, and pause after each, until none is possible."""
    costs: dict[Pair, float] = {}
    every = set(range(len(plan.order)))
    touched = plan.tighten(every) | every
    loose = set[int]()
    changes = 0
    while True:
        yield
        _price(plan, costs, touched)
        found = _cheapest(plan, costs)
        if found is None:
            return
        pair, change = found
        touched = plan.apply(*pair, change)
        changes += 1
        loose |= touched
        if changes % TIGHTEN_EVERY == 0 or len(plan.steps) <= TIGHTEN_ALWAYS:
            touched |= plan.tighten(loose)
            loose = set()
        gone = pair[1]
        for old in [known for known in costs if gone in known]:
            del costs[old]


def _cheapest(plan: _Plan, costs: dict[Pair, float]) -> tuple[Pair, _Change] | None:
    """The cheapest change that is still possible at its price; corrects the prices it finds old."""
    while costs:
        pair, price = min(costs.items(), key=lambda item: (item[1], item[0]))
        # Blocks that a merger would take in as well may have changed since.
        change = plan.change(*pair)
        if change is None:
            del costs[pair]
        elif change.cost > price:
            costs[pair] = change.cost
        else:
            return pair, change
    return None


def _price(plan: _Plan, costs: dict[Pair, float], touched: set[int]) -> None:
    """Price every change of a step on the blocks in `touched` anew."""
    keys = {key for block in touched for key in plan.order[block]}
    by_segment: list[set[int]] = [set() for _ in plan.segments]
    for block, order in enumerate(plan.order):
        by_segment[plan.segment_of[block]].update(order)
    for key in sorted(keys):
        segments = {plan.segment_of[block] for block in plan.steps[key].blocks}
        first = max(0, min(segments) - NEIGHBOUR_SEGMENTS)
        near = set[int]().union(*by_segment[first : max(segments) + NEIGHBOUR_SEGMENTS + 1])
        for other in near:
            if other in keys and other < key:
                continue
            pair = (min(key, other), max(key, other))
            change = plan.change(*pair)
            if change is None:
                costs.pop(pair, None)
            else:
                costs[pair] = change.cost
