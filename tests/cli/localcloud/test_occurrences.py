"""When scheduled actions fire: timelines worked out by hand from AWS's rules."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice

import pytest

from cli.localcloud.occurrences import (
    UnreadableScheduleError,
    of_group_action,
    of_target_action,
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def texts(moments: Iterable[datetime]) -> list[str]:
    return [f"{moment:%a %m-%d %H:%M}" for moment in moments]


FAR = utc("2027-12-31T00:00")


def test_a_recurring_action_fires_at_its_start_time_and_then_by_its_cron() -> None:
    action = {
        "Recurrence": "30 5 * * 1",
        "StartTime": utc("2026-08-20T09:00"),  # a Thursday: no occurrence of the cron
    }
    fires = of_group_action(action, utc("2026-08-01T00:00"), utc("2026-09-01T00:00"))
    assert texts(fires) == ["Thu 08-20 09:00", "Mon 08-24 05:30", "Mon 08-31 05:30"]


def test_a_start_time_that_is_an_occurrence_fires_once() -> None:
    action = {"Recurrence": "30 5 * * 1", "StartTime": utc("2026-08-24T05:30")}
    fires = of_group_action(action, utc("2026-08-01T00:00"), utc("2026-09-01T00:00"))
    assert texts(fires) == ["Mon 08-24 05:30", "Mon 08-31 05:30"]


def test_a_start_time_before_the_window_does_not_fire_again() -> None:
    action = {"Recurrence": "30 5 * * 1", "StartTime": utc("2026-08-20T09:00")}
    fires = of_group_action(action, utc("2026-08-20T09:00"), utc("2026-08-25T00:00"))
    assert texts(fires) == ["Mon 08-24 05:30"]


def test_the_window_is_open_at_its_begin_and_closed_at_its_end() -> None:
    action = {"Recurrence": "0 6 * * *"}
    fires = of_group_action(action, utc("2026-08-20T06:00"), utc("2026-08-22T06:00"))
    assert texts(fires) == ["Fri 08-21 06:00", "Sat 08-22 06:00"]


def test_nothing_fires_at_or_after_the_end_time() -> None:
    action = {"Recurrence": "0 6 * * *", "EndTime": utc("2026-08-22T06:00")}
    fires = of_group_action(action, utc("2026-08-20T06:00"), utc("2026-08-30T00:00"))
    assert texts(fires) == ["Fri 08-21 06:00"]


def test_a_one_off_action_fires_at_its_start_time_only() -> None:
    action = {"StartTime": utc("2026-12-07T05:45")}
    assert texts(of_group_action(action, utc("2026-08-01T00:00"), FAR)) == ["Mon 12-07 05:45"]
    assert texts(of_group_action(action, utc("2026-12-07T05:45"), FAR)) == []
    assert texts(of_group_action(action, utc("2026-08-01T00:00"), utc("2026-12-07T05:44"))) == []


def test_a_local_time_keeps_its_hour_over_the_end_of_daylight_saving() -> None:
    # Sweden leaves summer time on Sunday 2026-10-25, enters it on 2027-03-28.
    action = {"Recurrence": "45 7 * * *", "TimeZone": "Europe/Stockholm"}
    autumn = of_group_action(action, utc("2026-10-24T00:00"), utc("2026-10-27T00:00"))
    assert texts(autumn) == ["Sat 10-24 05:45", "Sun 10-25 06:45", "Mon 10-26 06:45"]
    spring = of_group_action(action, utc("2027-03-27T00:00"), utc("2027-03-29T12:00"))
    assert texts(spring) == ["Sat 03-27 06:45", "Sun 03-28 05:45", "Mon 03-29 05:45"]


def test_a_utc_cron_does_not_move_with_daylight_saving() -> None:
    action = {"Recurrence": "45 5 * * *"}
    fires = of_group_action(action, utc("2026-10-24T00:00"), utc("2026-10-26T00:00"))
    assert texts(fires) == ["Sat 10-24 05:45", "Sun 10-25 05:45"]


def test_the_start_of_a_local_action_is_utc() -> None:
    action = {
        "Recurrence": "45 7 * * 1-5",
        "TimeZone": "Europe/Paris",
        "StartTime": utc("2026-10-23T05:45"),  # Friday 07:45 summer time
        "EndTime": utc("2026-10-27T06:50"),
    }
    fires = of_group_action(action, utc("2026-08-01T00:00"), FAR)
    assert texts(fires) == ["Fri 10-23 05:45", "Mon 10-26 06:45", "Tue 10-27 06:45"]


def test_days_of_the_week_count_from_sunday_as_one_in_aws_crons() -> None:
    def first_week(weekday: str) -> list[str]:
        action = {"Schedule": f"cron(0 6 ? * {weekday} *)"}
        fires = of_target_action(action, utc("2026-08-02T00:00"), utc("2026-08-09T00:00"))
        return [f"{moment:%a}" for moment in fires]

    assert first_week("1") == ["Sun"]
    assert first_week("2-6") == ["Mon", "Tue", "Wed", "Thu", "Fri"]
    assert first_week("MON-FRI") == ["Mon", "Tue", "Wed", "Thu", "Fri"]
    assert first_week("2,7") == ["Mon", "Sat"]
    assert first_week("2/2") == ["Mon", "Wed", "Fri"]
    assert first_week("3#1") == ["Tue"]
    assert first_week("3#2") == []


def test_an_aws_cron_fires_in_its_years_only() -> None:
    def at_noon_of_new_year(year: str) -> list[int]:
        action = {"Schedule": f"cron(0 12 1 1 ? {year})"}
        fires = of_target_action(action, utc("2026-06-01T00:00"), utc("2031-06-01T00:00"))
        return [moment.year for moment in fires]

    assert at_noon_of_new_year("*") == [2027, 2028, 2029, 2030, 2031]
    assert at_noon_of_new_year("2026") == []
    assert at_noon_of_new_year("2028-2029") == [2028, 2029]
    assert at_noon_of_new_year("2027,2030") == [2027, 2030]
    assert at_noon_of_new_year("2027/2") == [2027, 2029, 2031]


def test_a_recurring_target_action_fires_at_its_start_time_too() -> None:
    action = {
        "Schedule": "cron(35 7 ? * MON *)",
        "Timezone": "Europe/Stockholm",
        "StartTime": utc("2026-10-22T04:00"),
        "EndTime": utc("2026-11-02T08:00"),
    }
    fires = of_target_action(action, utc("2026-08-01T00:00"), FAR)
    assert texts(fires) == ["Thu 10-22 04:00", "Mon 10-26 06:35", "Mon 11-02 06:35"]


def test_an_at_schedule_fires_once_in_its_zone() -> None:
    action = {"Schedule": "at(2026-12-07T07:30:00)", "Timezone": "Europe/Stockholm"}
    assert texts(of_target_action(action, utc("2026-08-01T00:00"), FAR)) == ["Mon 12-07 06:30"]
    utc_action = {"Schedule": "at(2026-12-07T07:30:00)"}
    assert texts(of_target_action(utc_action, utc("2026-08-01T00:00"), FAR)) == ["Mon 12-07 07:30"]


def test_a_rate_counts_from_its_start() -> None:
    action = {"Schedule": "rate(8 hours)", "StartTime": utc("2026-08-01T01:00")}
    fires = of_target_action(action, utc("2026-07-31T00:00"), FAR)
    assert texts(islice(fires, 3)) == ["Sat 08-01 01:00", "Sat 08-01 09:00", "Sat 08-01 17:00"]
    later = of_target_action(action, utc("2026-08-01T09:00"), FAR)
    assert texts(islice(later, 1)) == ["Sat 08-01 17:00"]
    unanchored = of_target_action({"Schedule": "rate(1 day)"}, utc("2026-08-01T09:00"), FAR)
    assert texts(islice(unanchored, 1)) == ["Sun 08-02 00:00"]


@pytest.mark.parametrize(
    "action",
    [
        {"Recurrence": "0 6 * *"},
        {"Recurrence": "0 25 * * *"},
        {"Recurrence": "0 6 * * * *"},
        {"Recurrence": "0 6 * * *", "TimeZone": "Europe/Nowhere"},
    ],
)
def test_an_unreadable_group_action_is_refused(action: dict[str, str]) -> None:
    with pytest.raises(UnreadableScheduleError):
        of_group_action(action, utc("2026-08-01T00:00"), FAR)


@pytest.mark.parametrize(
    "schedule",
    [
        "0 6 * * ? *",
        "cron(0 6 * * ?)",
        "cron(0 6 ? * MON twenty)",
        "at(tomorrow)",
        "rate(0 hours)",
        "rate(5 weeks)",
        "every(5 minutes)",
    ],
)
def test_an_unreadable_schedule_is_refused(schedule: str) -> None:
    with pytest.raises(UnreadableScheduleError):
        of_target_action({"Schedule": schedule}, utc("2026-08-01T00:00"), FAR)
