"""Blocks that share their actions: what comes out holds, is expressible, and costs no more."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.season.grid import Ints
from infra.season.optimise import MOST, SHORTEST_STEP, Block, Step, solve
from infra.season.share import Shared, share

ALLOWED = np.ones(1440, dtype=bool)
BASE = 2


def week(count: int) -> Ints:
    return np.arange(count) % 7


def need(*spans: tuple[int, int, int]) -> Ints:
    """A day at BASE, and higher in each (start, end, level)."""
    day = np.full(1440, BASE)
    for start, end, level in spans:
        day[start:end] = level
    return day


def steps(*pairs: tuple[int, int]) -> tuple[Step, ...]:
    return tuple(Step(minute, level) for minute, level in pairs)


def floor(shared: Shared, weekdays: Ints, base: int = BASE) -> Ints:
    """The floor on every row: levels stay until the next step, over the night too."""
    level = base
    rows: list[Ints] = []
    for row in range(len(weekdays)):
        line = np.full(1440, level)
        for step in sorted(shared.steps, key=lambda step: step.minute):
            if row in step.rows(weekdays):
                line[step.minute :] = level = step.level
        rows.append(line)
    return np.array(rows)


def made(blocks: list[Block], days: Ints, budget: int) -> Shared:
    return share(blocks, days, week(len(days)), allowed=ALLOWED, base=BASE, budget=budget)


def test_equal_steps_of_neighbouring_segments_become_one_over_both() -> None:
    days = np.array([need((300, 600, 9), (600, 900, 5))] * 7 + [need((300, 600, 8))] * 7)
    every = tuple(range(7))
    blocks = [
        Block(0, 6, every, steps((300, 9), (600, 5), (900, BASE))),
        Block(7, 13, every, steps((300, 8), (600, BASE))),
    ]
    shared = made(blocks, days, 4)
    assert len(shared.steps) == 4
    assert (floor(shared, week(14)) >= days).all()
    # The raise is shared: a unit more for five hours on seven days is the cheapest change.
    assert [(s.first, s.last, s.minute, s.level) for s in shared.steps if s.minute == 300] == [
        (0, 13, 300, 9)
    ]
    assert shared.unit_minutes == float(days.sum()) + 7 * 300


def test_groups_of_one_segment_share_what_they_have_in_common() -> None:
    days = np.array([need((300, 600, 9)) if n % 7 < 5 else need((300, 600, 4)) for n in range(14)])
    blocks = [
        Block(0, 13, (0, 1, 2, 3, 4), steps((300, 9), (600, BASE))),
        Block(0, 13, (5, 6), steps((300, 4), (600, BASE))),
    ]
    shared = made(blocks, days, 3)
    assert shared.unit_minutes == float(days.sum())
    assert {s.weekdays for s in shared.steps if s.minute == 600} == {tuple(range(7))}


def test_steps_of_blocks_that_are_no_range_stay_apart() -> None:
    """Mondays of one segment and Tuesdays of the next share nothing: no recurrence says so."""
    monday, tuesday = need((300, 600, 9)), need((300, 600, 9))
    days = np.array([need()] * 14)
    days[0], days[8] = monday, tuesday
    blocks = [
        Block(0, 6, (0,), steps((300, 9), (600, BASE))),
        Block(0, 6, (1, 2, 3, 4, 5, 6), steps((300, 3), (320, 4), (340, BASE))),
        Block(7, 13, (1,), steps((300, 9), (600, BASE))),
        Block(7, 13, (0, 2, 3, 4, 5, 6), steps((300, 3), (320, 4), (340, BASE))),
    ]
    shared = made(blocks, days, 7)
    assert (floor(shared, week(14)) >= days).all()


def test_within_the_budget_nothing_is_given_away() -> None:
    days = np.array([need((300, 600, 9), (700, 800, 5))] * 7)
    block = Block(0, 6, tuple(range(7)), steps((300, 9), (600, BASE), (700, 5), (800, BASE)))
    shared = made([block], days, 10)
    assert len(shared.steps) == 4
    assert shared.unit_minutes == float(days.sum())


def test_a_step_moves_only_to_minutes_that_are_allowed() -> None:
    days = np.array([need((300, 600, 9), (640, 700, 9))] * 7)
    allowed = ALLOWED.copy()
    allowed[290:310] = allowed[595:605] = False
    block = Block(0, 6, tuple(range(7)), steps((200, 9), (900, BASE)))
    shared = share([block], days, week(7), allowed=allowed, base=BASE, budget=5)
    assert [(step.minute, step.level) for step in shared.steps] == [(289, 9), (700, BASE)]


curves = st.lists(
    st.tuples(st.integers(0, 47), st.integers(1, 12), st.integers(3, 40)), min_size=0, max_size=5
)


@st.composite
def years(draw: st.DrawFn) -> Ints:
    """Some weeks whose days are drawn from a few kinds, with one odd day now and then."""
    kinds = [
        need(*((30 * at, 30 * (at + length), level) for at, length, level in draw(curves)))
        for _ in range(draw(st.integers(1, 4)))
    ]
    weeks = draw(st.integers(1, 6))
    chosen = draw(
        st.lists(st.integers(0, len(kinds) - 1), min_size=weeks * 7, max_size=weeks * 7)
        | st.integers(0, len(kinds) - 1).map(lambda kind: [kind] * (weeks * 7))
    )
    return np.array([kinds[kind] for kind in chosen])


@given(years(), st.integers(12, 60))
@settings(max_examples=30)
def test_it_holds_on_every_day_within_the_budget_and_is_the_same_each_time(
    days: Ints, budget: int
) -> None:
    weekdays = week(len(days))
    rich = solve(days, weekdays, allowed=ALLOWED, least=BASE, budget=3 * budget)
    shared = share(rich.blocks, days, weekdays, allowed=ALLOWED, base=rich.base, budget=budget)
    assert len(shared.steps) <= budget
    assert (floor(shared, weekdays, rich.base) >= days).all()
    assert shared == share(
        rich.blocks, days, weekdays, allowed=ALLOWED, base=rich.base, budget=budget
    )
    for row in range(len(days)):
        minutes = sorted(step.minute for step in shared.steps if row in step.rows(weekdays))
        assert all(b - a >= SHORTEST_STEP for a, b in itertools.pairwise(minutes))


@given(years(), st.integers(4, 60))
@settings(max_examples=40)
def test_one_step_more_never_costs_and_saves_what_is_said(days: Ints, budget: int) -> None:
    weekdays = week(len(days))
    rich = solve(days, weekdays, allowed=ALLOWED, least=BASE, budget=MOST)
    found, more = (
        share(rich.blocks, days, weekdays, allowed=ALLOWED, base=rich.base, budget=steps)
        for steps in (budget, budget + 1)
    )
    if len(found.steps) <= budget:
        assert more.unit_minutes <= found.unit_minutes
        assert found.one_more_saves == found.unit_minutes - more.unit_minutes
        assert found.unit_minutes == float(floor(found, weekdays, rich.base).sum())
