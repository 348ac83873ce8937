"""Learning profiles per kind of day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from infra.errors import InputError
from infra.season.history import Floats, History, utc_offsets, write_history
from infra.season.profiles import learn_file, learn_profiles

STOCKHOLM = ZoneInfo("Europe/Stockholm")
MONDAY = date(2025, 8, 18)
START = int(datetime(2025, 8, 17, 22, tzinfo=UTC).timestamp()) // 60


def days(count: int, first: date = MONDAY) -> list[date]:
    return [first + timedelta(days=n) for n in range(count)]


def week_kinds(count: int) -> dict[date, str]:
    return {day: "weekend" if day.weekday() > 4 else "school" for day in days(count)}


def history(table: Floats, **classes: Floats) -> History:
    """A history at one minute whose row n is the n-th local day from MONDAY (no clock change)."""
    flat = table.ravel()
    return History(
        "load.csv",
        START + np.arange(len(flat)),
        flat,
        {name: values.ravel() for name, values in classes.items()},
        1,
    )


def bell(count: int, height: float = 100.0) -> Floats:
    """Days at 10 requests/s with ten minutes of `height` from 08:10 local time."""
    table = np.full((count, 1440), 10.0)
    table[:, 490:500] = height
    return table


def test_a_profile_is_the_quantile_over_the_days_of_its_kind_in_local_time() -> None:
    table = bell(28)
    weekdays = [n for n in range(28) if n % 7 < 5]
    table[weekdays, 490:500] = np.arange(len(weekdays))[:, None] + 101.0
    learnt = learn_profiles(history(table), week_kinds(28), STOCKHOLM, 0.5, widen_minutes=(0, 0))
    school = learnt.kinds["school"]
    assert school.days == 20
    assert school.rates["total"][490:500].tolist() == [110.5] * 10
    assert school.rates["total"][489] == 10
    assert learnt.notes == ()


def test_the_bell_stays_at_its_local_time_when_the_clocks_change() -> None:
    minutes = START + np.arange(120 * 1440)
    local = (minutes + utc_offsets(minutes, STOCKHOLM)) % 1440
    rates = np.where((local >= 490) & (local < 500), 100.0, 10.0)
    source = History("load.csv", minutes, rates, {}, 1)
    school = learn_profiles(source, week_kinds(120), STOCKHOLM, 1.0, widen_minutes=(0, 0)).kinds[
        "school"
    ]
    assert np.flatnonzero(school.rates["total"] > 50).tolist() == list(range(490, 500))


def test_a_kind_with_few_days_is_widened_further_since_its_earliest_start_is_unknown() -> None:
    """A quiz up to ten minutes off began a minute before the earliest of 25 earlier ones."""
    edges: dict[int, tuple[int, int]] = {}
    for weeks in (6, 7):
        table = bell(7 * weeks)
        source = history(table)
        learnt = learn_profiles(source, week_kinds(7 * weeks), STOCKHOLM, 0.97).kinds["school"]
        high = np.flatnonzero(learnt.rates["total"] > 50)
        edges[learnt.days] = (int(high[0]), int(high[-1]))
    assert edges == {30: (486, 503), 35: (488, 501)}


def test_a_burst_is_widened_on_both_sides() -> None:
    learnt = learn_profiles(
        history(bell(14)), week_kinds(14), STOCKHOLM, 0.97, widen_minutes=(0, 3)
    )
    high = np.flatnonzero(learnt.kinds["school"].rates["total"] > 50)
    assert (high[0], high[-1]) == (487, 502)


def test_classes_are_learnt_apart() -> None:
    table = bell(14)
    learnt = learn_profiles(history(table, login=table / 10), week_kinds(14), STOCKHOLM, 0.97)
    assert learnt.kinds["school"].rates["login"][495] == 10


def test_an_outage_is_left_out_with_the_rush_after_it_and_listed() -> None:
    table = bell(28)
    table[2, 480:540] = 0.1
    table[2, 540:550] = 90.0
    learnt = learn_profiles(history(table), week_kinds(28), STOCKHOLM, 1.0, widen_minutes=(0, 0))
    assert [str(item) for item in learnt.left_out] == [
        "2025-08-20 08:00–09:15: outage on a school day"
    ]
    assert learnt.kinds["school"].rates["total"][545] == 10


def test_four_quiet_minutes_are_no_outage() -> None:
    table = bell(28)
    table[2, 480:484] = 0.1
    assert learn_profiles(history(table), week_kinds(28), STOCKHOLM, 0.97).left_out == ()


def test_an_attack_on_one_day_is_left_out_but_what_happens_twice_is_learnt() -> None:
    table = bell(28)
    table[3, 700:730] = 500.0
    once = learn_profiles(history(table), week_kinds(28), STOCKHOLM, 1.0)
    assert [str(item) for item in once.left_out] == [
        "2025-08-21 11:40–12:10: more than 4 times any other school day"
    ]
    assert once.kinds["school"].rates["total"][715] == 10
    table[10, 700:730] = 500.0
    twice = learn_profiles(history(table), week_kinds(28), STOCKHOLM, 1.0)
    assert twice.left_out == ()
    assert twice.kinds["school"].rates["total"][715] == 500


def test_a_kind_with_two_days_borrows_says_so_and_keeps_its_own_peaks() -> None:
    table = bell(28)
    table[7:9, 600:610] = 300.0
    kinds = week_kinds(28) | dict.fromkeys(days(2, MONDAY + timedelta(days=7)), "exam")
    learnt = learn_profiles(history(table), kinds, STOCKHOLM, 0.97)
    exam = learnt.kinds["exam"]
    assert exam.borrowed_from == "school"
    assert exam.rates["total"][605] == 300
    assert exam.rates["total"][495] == 100
    assert learnt.notes == (
        "load.csv: 2 exam days are too few to learn from; borrowed from school (18 days)",
    )


def test_three_days_are_enough() -> None:
    kinds = week_kinds(28) | dict.fromkeys(days(3, MONDAY + timedelta(days=7)), "exam")
    assert learn_profiles(history(bell(28)), kinds, STOCKHOLM, 0.97).kinds["exam"].days == 3


def test_a_detail_with_too_few_days_learns_from_its_base() -> None:
    kinds = {
        day: f"{kind}/{day:%a}".lower() if kind == "school" else kind
        for day, kind in week_kinds(14).items()
    }
    monday = learn_profiles(history(bell(14)), kinds, STOCKHOLM, 0.97).kinds["school/mon"]
    assert (monday.borrowed_from, monday.days) == ("school", 10)


def test_a_kind_that_the_history_never_saw_is_borrowed_when_wanted() -> None:
    learnt = learn_profiles(
        history(bell(14)), week_kinds(14), STOCKHOLM, 0.97, wanted=["grading", "holiday"]
    )
    assert learnt.kinds["grading"].borrowed_from == "school"
    assert learnt.kinds["holiday"].borrowed_from == "weekend"


def test_growth_is_the_last_year_over_the_one_before_and_profiles_stand_at_the_last() -> None:
    table = bell(730)
    table[365:] *= 1.2
    learnt = learn_profiles(history(table), week_kinds(730), STOCKHOLM, 0.97, widen_minutes=(0, 0))
    assert learnt.growth == pytest.approx(1.2, abs=0.001)
    assert learnt.kinds["school"].rates["total"][495] == pytest.approx(120, rel=0.001)


def test_one_year_tells_nothing_of_growth() -> None:
    assert learn_profiles(history(bell(300)), week_kinds(300), STOCKHOLM, 0.97).growth is None


def test_a_history_in_the_holidays_only_is_refused() -> None:
    kinds = dict.fromkeys(days(14), "break")
    with pytest.raises(InputError, match="lies entirely in break days"):
        learn_profiles(history(bell(14)), kinds, STOCKHOLM, 0.97)


def test_two_hours_of_a_school_day_at_its_end_are_no_school_day() -> None:
    """As where a history in UTC ends at midnight, in a market to the east."""
    kinds = dict.fromkeys(days(14), "break") | {days(15)[-1]: "school"}
    minutes = START + np.arange(14 * 1440 + 120)
    source = History("load.csv", minutes, np.full(len(minutes), 10.0), {}, 1)
    with pytest.raises(InputError, match="lies entirely in break days"):
        learn_profiles(source, kinds, STOCKHOLM, 0.97)


def test_a_history_of_which_the_calendar_knows_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="knows no day"):
        learn_profiles(history(bell(14)), {date(2020, 1, 1): "school"}, STOCKHOLM, 0.97)


def test_days_without_a_kind_are_said() -> None:
    learnt = learn_profiles(history(bell(14)), week_kinds(10), STOCKHOLM, 0.97)
    assert learnt.notes == (
        "load.csv: 4 days without a kind were not learnt from",
        "load.csv: weekend rests on 2 days only, and no other kind is like it",
    )


def test_what_was_learnt_is_remembered_by_content(tmp_path: Path) -> None:
    path, cache = tmp_path / "load.csv", tmp_path / "cache"
    table = bell(28)
    table[2, 480:540] = 0.1
    write_history(history(table), path)

    def learn(quantile: float = 0.97) -> object:
        return learn_file(path, week_kinds(28), STOCKHOLM, quantile, cache=cache, wanted=["exam"])

    def shape(learnt: object) -> str:
        return repr(learnt)

    first = shape(learn())
    assert len(list(cache.iterdir())) == 1
    assert shape(learn()) == first
    assert len(list(cache.iterdir())) == 1
    learn(0.9)
    write_history(history(bell(28)), path)
    assert shape(learn()) != first
    assert len(list(cache.iterdir())) == 3


def test_what_is_learnt_does_not_depend_on_the_folder(tmp_path: Path) -> None:
    learnt: list[str] = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        write_history(history(bell(10)), folder / "load.csv")
        learnt.append(
            repr(
                learn_file(
                    folder / "load.csv", week_kinds(9), STOCKHOLM, 0.97, cache=folder / "cache"
                )
            )
        )
    assert learnt[0] == learnt[1]
    assert str(tmp_path) not in learnt[0]
