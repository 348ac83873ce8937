"""The cheapest recurring schedule whose floor holds, within a budget of actions.

The model. The horizon is cut into *segments* of consecutive days; within a segment, the days of the
week are cut into *groups*; the days of one group share one step function of the time of day, the
upper envelope of their floors. A step is one scheduled action. Each day begins at the `base` level
without an action and ends at or above it, so that the days of one group may follow any other: no
day leans on what the night before left standing, and what is exact below is so among such
schedules.

The search, in four parts:

1. Time of day: at most `SEARCH_CELLS` cells of the day in which all days' floors change least.
2. Segments may begin where a day's curve differs from that of a week before, the largest
   `MAX_CUTS` differences first. Groups come from clustering the days of the week by what sharing
   one envelope would cost.
3. Every segment x group: the K-step upper envelope for each K by dynamic programming; groups and
   segments are put together by a dynamic programme over (day, actions), so that the spread of the
   budget is exact, and what one action more would save is known.
4. The chosen groups are solved again on minutes and the budget is spread over them again.

What is tried is the same for every budget (`BUDGETS`), and a budget takes the cheapest that spends
no more: so one action more never costs, exact or not. It is proven exact (`Solution.exact`) where
no cell, cut or group was left out and the bound from below is reached, as in nearly all small
cases.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from infra.season.grid import DAY_MINUTES, Floats, Ints

SEARCH_CELLS: Final = 32
FINE_CELLS: Final = 160
MAX_CUTS: Final = 96
MAX_STEPS: Final = 16
MAX_GROUPS: Final = 4
# Actions of all groups of a segment together: more were never chosen.
MOST_IN_SEGMENT: Final = 40
# Two actions of a day keep this distance: either may be late by two minutes.
SHORTEST_STEP: Final = 5
CHUNK: Final = 2048
# Budgets whose best segments and groups are tried on fine cells: every small one, then some up to
# more than AWS allows any target, and the largest with what is nearly the best for it.
MOST: Final = 300
BUDGETS: Final = (*range(24), *range(24, 126, 6), *range(132, 205, 12), *range(289, MOST + 1))
# How many of these a choice may spend more than it was made for.
SPEND_MORE: Final = 3
# The second pass moves the cuts of the first one by days.
PASSES: Final = 2
INFINITE: Final = np.float32(1e18)

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Step:
    """From `minute` of the service day on, at least `level` units."""

    minute: int
    level: int


@dataclass(frozen=True)
class Block:
    """Days `first` to `last` (rows of the input, both included) of these `weekdays` (0 Monday)."""

    first: int
    last: int
    weekdays: tuple[int, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Solution:
    base: int
    blocks: tuple[Block, ...]
    unit_minutes: float
    """The area under the floors of all days."""
    one_more_saves: float
    """Unit-minutes that one action more would save; 0 when none would help."""
    exact: bool

    @property
    def actions(self) -> int:
        return sum(len(block.steps) for block in self.blocks)


class BudgetTooSmallError(Exception):
    """No schedule holds within the budget; `least` actions would be needed."""

    def __init__(self, least: int) -> None:
        super().__init__(least)
        self.least = least


@dataclass(frozen=True)
class _Cells:
    """Consecutive cells of the service day; a step may begin at the first minute of each."""

    edges: Ints
    """First minute of each cell, and the end of the day."""
    values: Ints
    """The most of each day in each cell."""

    @property
    def lengths(self) -> Ints:
        return np.diff(self.edges)


def solve(
    days: Ints,
    weekdays: Ints,
    *,
    allowed: Bools,
    least: int,
    budget: int,
    most_steps: int = MAX_STEPS,
) -> Solution:
    """The cheapest schedule for `days` within one budget; see `Solver`.

    Raises:
        BudgetTooSmallError: `budget` actions are too few.
    """
    solver = Solver(days, weekdays, allowed=allowed, least=least, most_steps=most_steps)
    return solver.at(budget)


class Solver:
    """Schedules for `days` (rows: service days, columns: minutes) that hold, for any budget.

    `weekdays[row]` is 0 for Monday; `allowed[minute]` says where an action may stand; no level is
    below `least`; a day has at most `most_steps` actions.
    """

    def __init__(
        self, days: Ints, weekdays: Ints, *, allowed: Bools, least: int, most_steps: int = MAX_STEPS
    ) -> None:
        self.days, self.weekdays = np.maximum(days, least), weekdays
        distinct, row_of = _distinct(self.days)
        weights = np.bincount(row_of, minlength=len(distinct)).astype(np.float64)
        self.base = base = _base_level(distinct, weights, allowed, least)
        every = _cells(distinct, weights, allowed, DAY_MINUTES)
        coarse = _reduce(every, weights, SEARCH_CELLS)
        cuts, all_cuts = _cuts(coarse, row_of)
        groups = _partitions(coarse, row_of, weekdays)
        self.complete = (
            len(coarse.edges) == len(every.edges)
            and all_cuts
            and len(set(weekdays.tolist())) <= MAX_GROUPS
        )
        # What is carried over morning costs until the next day's first action, which the programme
        # does not know: a typical morning finds good schedules, none at all gives a bound from
        # below.
        nights = [_Night(base, _morning(distinct, weights, base))]
        nights += [_Night(base, 0.0)] if self.complete else []
        self.tried: list[_Tried] = []
        for night in nights:
            fine = _Refine(every.values[row_of], every, weekdays, night, most_steps)
            for _ in range(1 if all_cuts else PASSES):
                search = _Search(
                    coarse.values[row_of],
                    coarse,
                    weekdays=weekdays,
                    cuts=cuts,
                    groups=groups,
                    night=night,
                    most_steps=most_steps,
                )
                self.bounds = search.areas
                chosen = search.choices(BUDGETS)
                for choice, budgets in chosen.items():
                    self.tried += fine.tried(choice, budgets)
                if not all_cuts:
                    cuts = _near(next(reversed(chosen)), len(row_of))
        self.tried.sort(key=lambda tried: (tried.unit_minutes, tried.actions))
        self.least_actions = min(tried.actions for tried in self.tried)

    def at(self, budget: int) -> Solution:
        """The cheapest schedule of at most `budget` actions.

        Raises:
            BudgetTooSmallError: `budget` actions are too few.
        """
        found = self._within(budget)
        if found is None:
            raise BudgetTooSmallError(self.least_actions)
        more = self._within(budget + 1) or found
        floor = floor_of(found.blocks, len(self.days), self.weekdays, self.base)
        if np.any(floor < self.days):
            raise AssertionError("the schedule does not hold")
        bound = self.bounds[min(budget, MOST)]
        return Solution(
            base=self.base,
            blocks=found.blocks,
            unit_minutes=found.unit_minutes,
            one_more_saves=found.unit_minutes - more.unit_minutes,
            exact=self.complete and found.unit_minutes == bound,
        )

    def _within(self, budget: int) -> _Tried | None:
        return next((tried for tried in self.tried if tried.actions <= budget), None)


@dataclass(frozen=True)
class _Tried:
    actions: int
    unit_minutes: float
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class _Night:
    """The level at which days begin, and for how many minutes of the next morning a day that ends
    above it is charged."""

    base: int
    carried: float


def _morning(distinct: Ints, weights: Floats, base: int) -> float:
    """Minutes until a day first needs more than the base, on average."""
    above = distinct > base
    first = np.where(above.any(axis=1), above.argmax(axis=1), DAY_MINUTES)
    return float(weights @ first / weights.sum())


def _distinct(days: Ints) -> tuple[Ints, Ints]:
    """The distinct rows in order of appearance, and which of them each row is."""
    seen: dict[bytes, int] = {}
    row_of = np.array([seen.setdefault(row.tobytes(), len(seen)) for row in days])
    firsts = np.unique(row_of, return_index=True)[1]
    return days[firsts], row_of


def _base_level(distinct: Ints, weights: Floats, allowed: Bools, least: int) -> int:
    """The level of the night: cheapest over the hours in which no action may stand."""
    last = int(np.flatnonzero(allowed)[-1])
    first = int(np.flatnonzero(allowed)[0])
    night = distinct[:, last:].max(axis=1)
    morning = distinct[:, : first + 1].max(axis=1)
    hours = (DAY_MINUTES - last) / 60
    levels = np.unique(np.concatenate(([least], night, morning)))
    # A day that starts above the base needs an action at its start: about one unit for an hour.
    cost = [
        float(weights @ (hours * np.maximum(level, night) + (morning > level))) for level in levels
    ]
    return int(levels[int(np.argmin(cost))])


def _cells(rows: Ints, weights: Floats, allowed: Bools, most: int) -> _Cells:
    """Cells that begin wherever a day's floor changes and an action may stand."""
    changes = np.any(rows[:, 1:] != rows[:, :-1], axis=0)
    starts = np.flatnonzero(changes & allowed[1:]) + 1
    edges = np.concatenate(([0], starts, [DAY_MINUTES]))
    # A change where no action may stand is covered from the last place where one may.
    blocked = np.flatnonzero(changes & ~allowed[1:]) + 1
    if len(blocked):
        places = np.flatnonzero(allowed)
        covering = places[np.searchsorted(places, blocked, side="right") - 1]
        edges = np.unique(np.concatenate((edges, covering)))
    values = np.maximum.reduceat(rows, edges[:-1], axis=1)
    return _reduce(_Cells(edges, values), weights, most)


def _reduce(cells: _Cells, weights: Floats, most: int) -> _Cells:
    """Merge neighbouring cells, the cheapest pair first, until there are at most `most`."""
    count = len(cells.edges) - 1
    if count <= most:
        return cells
    starts = list(cells.edges[:-1])
    lengths = list(cells.lengths.astype(np.float64))
    columns = [column.astype(np.float64) for column in cells.values.T]
    following = list(range(1, count + 1))
    previous = list(range(-1, count - 1))

    def price(left: int) -> float:
        right = following[left]
        if right >= count:
            return np.inf
        a, b = columns[left], columns[right]
        top = np.maximum(a, b)
        return float(weights @ ((top - a) * lengths[left] + (top - b) * lengths[right]))

    values = cells.values.astype(np.float64)
    top = np.maximum(values[:, :-1], values[:, 1:])
    width = cells.lengths
    prices = np.append(
        weights @ ((top - values[:, :-1]) * width[:-1] + (top - values[:, 1:]) * width[1:]), np.inf
    )
    for _ in range(count - most):
        left = int(np.argmin(prices))
        right = following[left]
        columns[left] = np.maximum(columns[left], columns[right])
        lengths[left] += lengths[right]
        following[left] = following[right]
        if following[right] < count:
            previous[following[right]] = left
        prices[right] = np.inf
        prices[left] = price(left)
        if previous[left] >= 0:
            prices[previous[left]] = price(previous[left])
    kept: list[int] = []
    at = 0
    while at < count:
        kept.append(at)
        at = following[at]
    edges = np.array([*(starts[cell] for cell in kept), DAY_MINUTES])
    return _Cells(edges, np.array([columns[cell] for cell in kept]).T.astype(np.int64))


def _cuts(cells: _Cells, row_of: Ints) -> tuple[Ints, bool]:
    """Rows at which a segment may begin, with the end; and whether none was left out."""
    count = len(row_of)
    if count <= MAX_CUTS // 2:
        return np.arange(count + 1), True
    values = cells.values[row_of]
    change = np.abs(values[7:] - values[:-7]) @ cells.lengths
    places = np.flatnonzero(change) + 7
    strongest = places[np.argsort(-change[places - 7], kind="stable")][:MAX_CUTS]
    return np.unique(np.concatenate(([0], strongest, [count]))), len(places) <= MAX_CUTS


def _near(chosen: Sequence[_Chosen], count: int) -> Ints:
    """Cuts of another pass: the chosen ones and the days around them."""
    kept = np.unique([first for first, _, _ in chosen])
    reach = max(1, (MAX_CUTS // len(kept) - 1) // 2)
    around = (kept[:, None] + np.arange(-reach, reach + 1)).ravel()
    return np.unique(np.concatenate(([0], around[(around > 0) & (around < count)], [count])))


@dataclass(frozen=True)
class _Groups:
    subsets: tuple[tuple[int, ...], ...]
    partitions: tuple[tuple[int, ...], ...]
    """Each a tuple of indices into `subsets`."""


def _partitions(cells: _Cells, row_of: Ints, weekdays: Ints) -> _Groups:
    """Partitions of the days of the week: all where there are few, else nested ones that put the
    most alike together first."""
    present = sorted(set(weekdays.tolist()))
    if len(present) <= MAX_GROUPS:
        return _every_partition(present)
    clusters: list[tuple[int, ...]] = [(day,) for day in present]
    values = cells.values[row_of].astype(np.float64)
    weeks = (np.arange(len(row_of)) + int(weekdays[0])) // 7
    table = np.zeros((int(weeks[-1]) + 1, 7, len(cells.lengths)))
    table[weeks, weekdays] = values
    subsets: list[tuple[int, ...]] = []
    partitions: list[tuple[int, ...]] = []

    def index(cluster: tuple[int, ...]) -> int:
        if cluster not in subsets:
            subsets.append(cluster)
        return subsets.index(cluster)

    def price(cluster: tuple[int, ...]) -> float:
        top = table[:, list(cluster)].max(axis=1)
        return float(
            ((top * len(cluster) - table[:, list(cluster)].sum(axis=1)) @ cells.lengths).sum()
        )

    while True:
        # Clusters that cost nothing to join are one.
        if len(clusters) <= MAX_GROUPS:
            partitions.append(tuple(index(cluster) for cluster in clusters))
        if len(clusters) == 1:
            return _Groups(tuple(subsets), tuple(partitions))
        own = {cluster: price(cluster) for cluster in clusters}
        pairs = [(a, b) for i, a in enumerate(clusters) for b in clusters[i + 1 :]]
        joined = min(
            pairs,
            key=lambda pair: (
                price(tuple(sorted(pair[0] + pair[1]))) - own[pair[0]] - own[pair[1]],
                pair,
            ),
        )
        clusters = sorted(
            [cluster for cluster in clusters if cluster not in joined]
            + [tuple(sorted(joined[0] + joined[1]))]
        )


def _every_partition(days: Sequence[int]) -> _Groups:
    subsets: list[tuple[int, ...]] = []
    partitions: list[tuple[int, ...]] = []

    def extend(left: Sequence[int], chosen: list[int]) -> None:
        if not left:
            partitions.append(tuple(chosen))
            return
        first, others = left[0], left[1:]
        for size in range(len(others) + 1):
            for more in itertools.combinations(others, size):
                subset = (first, *more)
                if subset not in subsets:
                    subsets.append(subset)
                rest = [day for day in others if day not in more]
                extend(rest, [*chosen, subsets.index(subset)])

    extend(days, [])
    return _Groups(tuple(subsets), tuple(partitions))


def _envelope_costs(values: Ints, cells: _Cells, night: _Night, most: int) -> NDArray[np.float32]:
    """Area of the cheapest envelope with exactly k steps, for each row and k = 0..most."""
    count, base = len(cells.lengths), night.base
    result = np.full((len(values), most + 1), INFINITE, dtype=np.float32)
    starts = cells.edges[:-1]
    for begin in range(0, len(values), CHUNK):
        rows = values[begin : begin + CHUNK].astype(np.float32).T.copy()
        batch = rows.shape[1]
        # pieces[i][j]: area of one step over cells i..j (both included).
        pieces = np.empty((count, count, batch), dtype=np.float32)
        for j in range(count):
            level = np.maximum.accumulate(rows[j::-1], axis=0)[::-1]
            width = (cells.edges[j + 1] - starts[: j + 1]).astype(np.float32)
            if j == count - 1:
                level = np.maximum(level, base)
                pieces[j, : j + 1] = level * width[:, None] + (level - base) * night.carried
            else:
                pieces[j, : j + 1] = level * width[:, None]
            if j < count - 1:
                pieces[j, : j + 1][width < SHORTEST_STEP] = INFINITE
        free = np.full((count + 1, batch), INFINITE, dtype=np.float32)
        free[0] = 0
        below = np.logical_and.accumulate(rows <= base, axis=0)
        free[1:][below] = (base * cells.edges[1:].astype(np.float32))[:, None].repeat(batch, 1)[
            below
        ]
        result[begin : begin + batch, 0] = free[count]
        for k in range(1, most + 1):
            after = np.full((count + 1, batch), INFINITE, dtype=np.float32)
            for j in range(k - 1, count):
                np.min(free[: j + 1] + pieces[j, : j + 1], axis=0, out=after[j + 1])
            free = after
            result[begin : begin + batch, k] = free[count]
    return result


_Chosen: TypeAlias = tuple[int, int, tuple[int, ...]]
"""First row, end row and weekdays of a group."""


class _Search:
    """Segments, groups and the spread of the budget on the coarse cells."""

    def __init__(
        self,
        values: Ints,
        cells: _Cells,
        *,
        weekdays: Ints,
        cuts: Ints,
        groups: _Groups,
        night: _Night,
        most_steps: int,
    ) -> None:
        self.most_steps = most_steps
        self.cuts, self.groups = cuts, groups
        count = len(cuts) - 1
        self.pairs = [(i, j) for j in range(1, count + 1) for i in range(j)]
        self.pair_index = {pair: index for index, pair in enumerate(self.pairs)}
        # Per cut interval and weekday: the most of its days, and how many there are.
        top = np.zeros((count, 7, len(cells.lengths)), dtype=np.int64)
        number = np.zeros((count, 7), dtype=np.int64)
        interval = np.searchsorted(cuts, np.arange(len(values)), side="right") - 1
        np.maximum.at(top, (interval, weekdays), values)
        np.add.at(number, (interval, weekdays), 1)
        self.costs = self._segment_costs(top, number, cells, night)
        self._spread()

    def _segment_costs(self, top: Ints, number: Ints, cells: _Cells, night: _Night) -> list[Floats]:
        """By partition: cost of each segment (rows) with k actions (columns), and its choices."""
        subsets = self.groups.subsets
        rows = np.empty((len(self.pairs), len(subsets), top.shape[2]), dtype=np.int64)
        days = np.empty((len(self.pairs), len(subsets)), dtype=np.int64)
        summed = np.concatenate((np.zeros((1, 7), dtype=np.int64), number.cumsum(axis=0)))
        members = [list(subset) for subset in subsets]
        at = 0
        for j in range(1, len(self.cuts)):
            running = np.maximum.accumulate(top[j - 1 :: -1], axis=0)[::-1]
            span = summed[j] - summed[:j]
            for s, member in enumerate(members):
                rows[at : at + j, s] = running[:, member].max(axis=1)
                days[at : at + j, s] = span[:, member].sum(axis=1)
            at += j
        distinct, inverse = _distinct(rows.reshape(-1, rows.shape[2]))
        areas = _envelope_costs(distinct, cells, night, self.most_steps)[inverse]
        areas = areas.reshape(len(self.pairs), len(subsets), self.most_steps + 1)
        self.group_costs = np.where(days[:, :, None] > 0, areas * days[:, :, None], 0.0).astype(
            np.float64
        )
        # No day of the group in the segment: nothing to do, and nothing to pay for.
        empty = days == 0
        self.group_costs[empty, 1:] = INFINITE
        combined: list[Floats] = []
        for partition in self.groups.partitions:
            total = self.group_costs[:, partition[0]]
            for subset in partition[1:]:
                total, _ = _min_plus(total, self.group_costs[:, subset])
            combined.append(total)
        return combined

    def _spread(self) -> None:
        """The least area of every number of actions, and how it is reached."""
        width = max(cost.shape[1] for cost in self.costs)
        padded = np.full((len(self.costs), len(self.pairs), width), np.inf)
        for p, cost in enumerate(self.costs):
            padded[p, :, : cost.shape[1]] = cost
        self._partition = padded.argmin(axis=0)
        segment = padded.min(axis=0)
        count = len(self.cuts) - 1
        best = np.full((count + 1, MOST + 1), np.inf)
        best[0] = 0
        self._came = np.zeros((count + 1, MOST + 1, 2), dtype=np.int64)
        columns = np.arange(MOST + 1)
        for j in range(1, count + 1):
            pairs = segment[[self.pair_index[i, j] for i in range(j)]]
            for k in range(min(width, MOST_IN_SEGMENT + 1)):
                cost = np.full((j, MOST + 1), np.inf)
                cost[:, k:] = best[:j, : MOST + 1 - k] + pairs[:, k : k + 1]
                i = cost.argmin(axis=0)
                value = cost[i, columns]
                better = value < best[j]
                best[j][better] = value[better]
                self._came[j][better] = np.column_stack((i, np.full_like(i, k)))[better]
        self.areas = best[count]
        """By number of actions."""

    def choices(self, budgets: Sequence[int]) -> dict[tuple[_Chosen, ...], tuple[int, ...]]:
        """The best groups of each budget, and what may be spent on them."""
        found: dict[tuple[_Chosen, ...], tuple[int, ...]] = {}
        for place, budget in enumerate(budgets):
            if self.areas[budget] < INFINITE:
                more = budgets[place : place + 1 + SPEND_MORE]
                choice = self._choice(budget)
                found[choice] = tuple(dict.fromkeys((*found.pop(choice, ()), *more)))
        return found

    def _choice(self, budget: int) -> tuple[_Chosen, ...]:
        choice: list[_Chosen] = []
        j, left = len(self.cuts) - 1, budget
        while j > 0:
            i, k = (int(value) for value in self._came[j, left])
            chosen = self.groups.partitions[int(self._partition[self.pair_index[i, j], k])]
            choice += [
                (int(self.cuts[i]), int(self.cuts[j]), self.groups.subsets[s]) for s in chosen
            ]
            j, left = i, left - k
        return tuple(sorted(choice))


def _min_plus(a: Floats, b: Floats) -> tuple[Floats, Ints]:
    """Row by row: the cheapest way to spend k on a and b together, and what a gets."""
    width = a.shape[1] + b.shape[1] - 1
    total = np.full((len(a), width), np.inf)
    pick = np.zeros((len(a), width), dtype=np.int64)
    for k in range(b.shape[1]):
        cost = a + b[:, k : k + 1]
        part = total[:, k : k + a.shape[1]]
        better = cost < part
        part[better] = cost[better]
        pick[:, k : k + a.shape[1]][better] = np.broadcast_to(np.arange(a.shape[1]), cost.shape)[
            better
        ]
    return total, pick


class _Refine:
    """Solves chosen groups on fine cells, and spreads the budget over them again."""

    def __init__(
        self, values: Ints, cells: _Cells, weekdays: Ints, night: _Night, most_steps: int
    ) -> None:
        self.values, self.cells, self.weekdays, self.night = values, cells, weekdays, night
        self.most_steps = most_steps
        self.envelopes: dict[bytes, _Envelope] = {}

    def tried(self, chosen: Sequence[_Chosen], budgets: Sequence[int]) -> list[_Tried]:
        """The best blocks of these groups for each budget, with it spread over them."""
        members: list[tuple[_Chosen, _Envelope, Ints]] = []
        most = max(budgets)
        total, picks = np.zeros((1, 1)), list[Ints]()
        for group in chosen:
            first, end, subset = group
            rows = np.flatnonzero(np.isin(self.weekdays[first:end], subset)) + first
            if len(rows):
                envelope = self._envelope(self.values[rows].max(axis=0))
                members.append((group, envelope, rows))
                total, pick = _min_plus(total, envelope.costs[None] * len(rows))
                total, pick = total[:, : most + 1], pick[:, : most + 1]
                picks.append(pick[0])
        found: dict[int, _Tried] = {}
        for budget in budgets:
            spent = int(total[0, : budget + 1].argmin())
            if total[0, spent] >= INFINITE or spent in found:
                continue
            blocks: list[Block] = []
            rows_of_blocks: list[Ints] = []
            left = spent
            for (group, envelope, rows), pick in zip(members[::-1], picks[::-1], strict=True):
                before = int(pick[left])
                first, end, subset = group
                blocks.append(Block(first, end - 1, subset, envelope.steps(left - before)))
                rows_of_blocks.append(rows)
                left = before
            area = self._area(blocks, rows_of_blocks)
            found[spent] = _Tried(spent, area, tuple(reversed(blocks)))
        return list(found.values())

    def _area(self, blocks: Sequence[Block], rows_of_blocks: Sequence[Ints]) -> float:
        parts = [
            (rows, [step.minute for step in block.steps], [step.level for step in block.steps])
            for block, rows in zip(blocks, rows_of_blocks, strict=True)
        ]
        return area(parts, len(self.values), self.night.base)

    def _envelope(self, curve: Ints) -> _Envelope:
        key = curve.tobytes()
        if key not in self.envelopes:
            changes = _only_changes(curve, self.cells)
            self.envelopes[key] = _Envelope(
                _reduce(changes, np.ones(1), FINE_CELLS), self.night, self.most_steps
            )
        return self.envelopes[key]


def _only_changes(curve: Ints, cells: _Cells) -> _Cells:
    keep = np.concatenate(([True], curve[1:] != curve[:-1]))
    edges = np.append(cells.edges[:-1][keep], DAY_MINUTES)
    return _Cells(edges, curve[keep][None])


class _Envelope:
    """The cheapest K-step upper envelope of one day, for every K up to `MAX_STEPS`."""

    def __init__(self, cells: _Cells, night: _Night, most_steps: int) -> None:
        self.cells, base = cells, night.base
        curve = cells.values[0].astype(np.float64)
        count = len(curve)
        edges = cells.edges.astype(np.float64)
        level = np.full((count, count), np.inf)
        for j in range(count):
            level[: j + 1, j] = np.maximum.accumulate(curve[j::-1])[::-1]
        level[:, count - 1] = np.maximum(level[:, count - 1], base)
        width = edges[None, 1:] - edges[:-1, None]
        self.level = level
        with np.errstate(invalid="ignore"):
            pieces = np.where(np.isfinite(level), level * width, np.inf)
        pieces[:, count - 1] += (level[:, count - 1] - base) * night.carried
        pieces[:, : count - 1][(width < SHORTEST_STEP)[:, : count - 1]] = np.inf
        free = np.full(count + 1, np.inf)
        free[0] = 0
        below = np.logical_and.accumulate(curve <= base)
        free[1:][below] = (base * edges[1:])[below]
        most = min(most_steps, count)
        self.costs = np.full(most_steps + 1, np.inf)
        self.costs[0] = free[count]
        self.from_cell = np.zeros((most_steps + 1, count + 1), dtype=np.int64)
        for k in range(1, most + 1):
            options = free[:count, None] + pieces
            came = options.argmin(axis=0)
            self.from_cell[k, 1:] = came
            free = np.concatenate(([np.inf], options[came, np.arange(count)]))
            self.costs[k] = free[count]

    def steps(self, number: int) -> tuple[Step, ...]:
        found: list[Step] = []
        end = len(self.cells.lengths)
        for k in range(number, 0, -1):
            start = int(self.from_cell[k, end])
            found.append(Step(int(self.cells.edges[start]), int(self.level[start, end - 1])))
            end = start
        return tuple(reversed(found))


def rows_of(block: Block, weekdays: Ints) -> Iterator[int]:
    for row in range(block.first, block.last + 1):
        if int(weekdays[row]) in block.weekdays:
            yield row


def floor_of(blocks: Sequence[Block], count: int, weekdays: Ints, base: int) -> Ints:
    """The floor that the blocks set: a row for each day; a level holds until the next step."""
    level = np.full((count, DAY_MINUTES), -1, dtype=np.int64)
    for block in blocks:
        rows = list(rows_of(block, weekdays))
        for step in block.steps:
            level[rows, step.minute] = step.level
    flat = level.ravel()
    at = np.where(flat >= 0, np.arange(len(flat)), -1)
    np.maximum.accumulate(at, out=at)
    return np.where(at >= 0, flat[at], base).reshape(count, DAY_MINUTES)


def area(
    parts: Sequence[tuple[Ints, Sequence[int], Sequence[int]]], count: int, base: int
) -> float:
    """Unit-minutes of `count` days that begin at `base`: rows, and the minutes and levels of the
    steps that happen on each of them. A level holds until the next step, over the night too."""
    at = [(rows[:, None] * DAY_MINUTES + np.array(minutes)).ravel() for rows, minutes, _ in parts]
    levels = [np.tile(np.array(level), len(rows)) for rows, _, level in parts]
    minutes = np.concatenate([np.zeros(1), *at])
    order = np.argsort(minutes, kind="stable")
    held = np.diff(np.append(minutes[order], count * DAY_MINUTES))
    return float(held @ np.concatenate([np.array([base]), *levels])[order])
