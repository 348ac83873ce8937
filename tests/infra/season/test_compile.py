"""Each rule of AWS is enforced in one place, and has a twin that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.season import cron
from infra.season.capacity import Bounds
from infra.season.compile import (
    Request,
    Window,
    application_auto_scaling_action,
    auto_scaling_action,
    check,
)
from infra.season.grid import minute_of, moment_of

STOCKHOLM = ZoneInfo("Europe/Stockholm")
BOUNDS = Bounds(2, 60)
# Two weeks over the end of daylight saving on 25 October 2026.
WEEKDAYS = Window(date(2026, 10, 19), date(2026, 10, 30), (0, 1, 2, 3, 4), 7 * 60 + 54, 22)


def right() -> Request:
    return auto_scaling_action(WEEKDAYS, STOCKHOLM)


def test_a_window_becomes_a_cron_that_follows_daylight_saving() -> None:
    assert right() == {
        "Recurrence": "54 7 * * 1-5",
        "TimeZone": "Europe/Stockholm",
        "StartTime": "2026-10-19T05:54:00Z",
        "EndTime": "2026-10-30T07:54:00Z",
        "MinSize": 22,
    }
    assert application_auto_scaling_action(WEEKDAYS, STOCKHOLM) == {
        "Schedule": "cron(54 7 ? * MON,TUE,WED,THU,FRI *)",
        "Timezone": "Europe/Stockholm",
        "StartTime": "2026-10-19T05:54:00Z",
        "EndTime": "2026-10-30T07:54:00Z",
        "ScalableTargetAction": {"MinCapacity": 22},
    }


def test_a_single_day_becomes_a_cron_of_that_date() -> None:
    day = Window(date(2026, 12, 7), date(2026, 12, 7), (0,), 8 * 60 + 4, 36)
    assert auto_scaling_action(day, STOCKHOLM)["Recurrence"] == "4 8 7 12 *"
    schedule = application_auto_scaling_action(day, STOCKHOLM)["Schedule"]
    assert schedule == "cron(4 8 7 12 ? *)"


def test_sunday_is_0_in_a_cron() -> None:
    weekend = Window(date(2026, 10, 24), date(2026, 10, 25), (5, 6), 9 * 60, 3)
    assert auto_scaling_action(weekend, STOCKHOLM)["Recurrence"] == "0 9 * * 0,6"


def test_what_the_compiler_emits_breaks_no_rule() -> None:
    assert check("autoscaling-group", [right()], BOUNDS) == []


def broken(change: Callable[[Request], object]) -> list[str]:
    request = right()
    change(request)
    return check("autoscaling-group", [request], BOUNDS)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"Recurrence": "54 7 * * 1-5 *"}, "is no cron of five fields"),
        ({"Recurrence": "54 24 * * 1-5"}, "is outside 0-23"),
        ({"TimeZone": "Europe/Stokholm"}, "Stokholm"),
        ({"Recurrence": "55 7 * * 1-5"}, "its StartTime is no occurrence of its cron"),
        ({"StartTime": "2026-10-24T05:54:00Z"}, "its StartTime is no occurrence of its cron"),
        ({"EndTime": "2026-10-30T06:58:00Z"}, "has an occurrence within 5 minutes of EndTime"),
        ({"MinSize": 1}, "sets 1, outside 2 to 60"),
        ({"MaxSize": 61}, "sets 61, outside 2 to 60"),
        ({"MaxSize": 21}, "sets min 22 above max 21"),
        (
            {"Recurrence": "59 3 * * 1-5", "StartTime": "2026-10-19T01:59:00Z"},
            "stands at a local time that daylight saving may skip or double",
        ),
    ],
)
def test_a_rule_of_aws_catches_its_violating_twin(change: Request, expected: str) -> None:
    (found,) = broken(lambda request: request.update(change))
    assert expected in found


def test_an_action_without_a_size_is_caught() -> None:
    assert broken(lambda request: request.pop("MinSize")) == ["54 7 * * 1-5: sets no size"]


def test_an_end_five_minutes_after_the_last_occurrence_is_enough() -> None:
    assert broken(lambda request: request.update(EndTime="2026-10-30T06:59:00Z")) == []


def test_four_in_the_morning_is_safe() -> None:
    four = {"Recurrence": "0 4 * * 1-5", "StartTime": "2026-10-19T02:00:00Z"}
    assert broken(lambda request: request.update(four)) == []


def test_a_zone_that_changes_its_clock_at_night_makes_that_hour_unsafe() -> None:
    # America/Nuuk goes from 23:00 to 24:00 on Saturday 27 March 2027.
    nuuk = ZoneInfo("America/Nuuk")
    window = Window(date(2027, 3, 22), date(2027, 4, 2), (0, 1, 2, 3, 4), 23 * 60 + 30, 3)
    (found,) = check("autoscaling-group", [auto_scaling_action(window, nuuk)], BOUNDS)
    assert "daylight saving may skip or double" in found


def test_125_actions_are_allowed_and_126_are_not() -> None:
    def action(n: int) -> Request:
        return auto_scaling_action(
            Window(date(2026, 10, 19), date(2026, 10, 19), (0,), 300 + n, 3), STOCKHOLM
        )

    assert check("autoscaling-group", [action(n) for n in range(125)], BOUNDS) == []
    assert check("autoscaling-group", [action(n) for n in range(126)], BOUNDS) == [
        "126 scheduled actions and 0 declared elsewhere, AWS allows 125"
    ]
    assert check(
        "autoscaling-group", [action(n) for n in range(120)], BOUNDS, declared_elsewhere=6
    ) == ["120 scheduled actions and 6 declared elsewhere, AWS allows 125"]


def test_a_second_action_at_the_same_start_time_is_caught() -> None:
    other = right() | {"Recurrence": "54 7 * * *", "MinSize": 3}
    found = check("autoscaling-group", [right(), other], BOUNDS)
    assert any("another action has the same StartTime" in text for text in found)


def test_two_actions_that_meet_later_are_caught() -> None:
    tuesday = Window(date(2026, 10, 20), date(2026, 10, 27), (1,), 7 * 60 + 54, 5)
    found = check("autoscaling-group", [right(), auto_scaling_action(tuesday, STOCKHOLM)], BOUNDS)
    assert any("fires together with another at 2026-10-20T05:54:00Z" in text for text in found)


@settings(max_examples=100)
@given(
    text=st.builds(
        "{} {} {} {} {}".format,
        st.integers(0, 59),
        st.integers(4, 23),
        st.sampled_from(["*", "1", "1-10", "28", "29"]),
        st.sampled_from(["*", "2", "1-6", "12"]),
        st.sampled_from(["*", "0", "1-5", "6,0", "7", "mon-fri"]),
    ),
    zone=st.sampled_from(["UTC", "Europe/Stockholm", "Australia/Sydney", "America/New_York"]),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2028, 12, 31)),  # noqa: DTZ001 (made UTC below)
)
def test_occurrences_agree_with_a_cron_library(text: str, zone: str, start: datetime) -> None:
    first = minute_of(start.replace(tzinfo=UTC))
    end = first + 20 * 1440
    local = moment_of(first - 1).astimezone(ZoneInfo(zone))
    library = croniter(text, local)
    expected: list[int] = []
    while (found := minute_of(library.get_next(datetime))) < end:
        expected.append(found)
    assert list(cron.parse(text).occurrences(ZoneInfo(zone), first, end)) == expected
