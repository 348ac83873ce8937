"""Which kind each day is, and the rule that made it so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from infra.errors import InputError
from infra.season.calendar import DayKind, day_kinds
from infra.season.plan import build_plan, read_season
from infra.season.season_file import Market

Season = dict[str, Any]
Write = Callable[[Season], Path]


def market(folder: Path = Path(), **keys: object) -> Market:
    made = Market.model_validate(
        {"name": "sweden", "timezone": "Europe/Stockholm", "holidays": {"country": "SE"}} | keys
    )
    made.placed("UTC", folder)
    return made


def kind(made: Market, day: str) -> DayKind:
    of = date.fromisoformat(day)
    return day_kinds(made, of, of)[of]


TERMS = [{"name": "spring", "from": "2027-01-11", "to": "2027-06-11"}]
BREAKS = [{"name": "sports", "from": "2027-03-01", "to": "2027-03-05"}]
PERIODS: list[dict[str, object]] = [
    {"name": "tests", "kind": "custom:tests", "from": "2027-05-03", "to": "2027-05-31"},
    {"name": "choices", "kind": "enrolment", "from": "2027-05-04", "to": "2027-05-30"},
    {"name": "grades", "kind": "grading", "from": "2027-05-05", "to": "2027-05-29", "factor": 2},
    {"name": "finals", "kind": "exam", "from": "2027-05-06", "to": "2027-05-28"},
]


@pytest.mark.parametrize(
    ("day", "kinds", "rule"),
    [
        ("2027-01-08", ("break", "break"), "outside every term"),
        ("2027-01-11", ("school", "school"), "term spring"),
        ("2027-01-16", ("weekend", "weekend"), "weekend"),
        ("2027-03-02", ("break", "break"), "break sports"),
        ("2027-03-26", ("holiday", "holiday"), "Good Friday"),
        ("2027-05-03", ("custom:tests", "school"), "period tests"),
        ("2027-05-04", ("enrolment", "school"), "period choices"),
        ("2027-05-05", ("grading", "school"), "period grades"),
        ("2027-05-06", ("exam", "holiday"), "period finals"),
        ("2027-05-08", ("exam", "weekend"), "period finals"),
        ("2027-05-31", ("custom:tests", "school"), "period tests"),
        ("2027-06-11", ("school", "school"), "term spring"),
        ("2027-06-12", ("break", "break"), "outside every term"),
    ],
)
def test_the_more_special_rule_wins(day: str, kinds: tuple[str, str], rule: str) -> None:
    found = kind(market(terms=TERMS, breaks=BREAKS, periods=PERIODS), day)
    assert ((found.kind, found.base), found.rule) == (kinds, rule)


def test_an_exception_for_a_single_date_goes_above_everything() -> None:
    exceptions = [
        {"date": "2027-05-06", "kind": "school", "name": "moved holiday"},
        {"date": "2027-05-10", "kind": "break", "name": "flooded"},
        {"date": "2027-05-15", "kind": "exam", "name": "resit", "factor": 1.5},
    ]
    made = market(terms=TERMS, periods=PERIODS, exceptions=exceptions)
    assert kind(made, "2027-05-06") == DayKind("school", "exception moved holiday", "school")
    assert kind(made, "2027-05-10") == DayKind("break", "exception flooded", "break")
    assert kind(made, "2027-05-15") == DayKind("exam", "exception resit", "school", 1.5)


def test_two_exceptions_on_one_date_are_refused() -> None:
    twice = [{"date": "2027-05-06", "kind": "school"}, {"date": "2027-05-06", "kind": "exam"}]
    with pytest.raises(ValueError, match="2027-05-06 has more than one exception"):
        market(exceptions=twice)


def test_a_market_without_holidays_has_none() -> None:
    assert kind(market(holidays=None), "2027-01-01").kind == "school"


def test_a_weekend_may_be_friday_and_saturday() -> None:
    made = market(holidays=None, weekend=["fri", "sat"])
    assert [kind(made, f"2027-01-{day}").kind for day in (14, 15, 16, 17)] == [
        "school",
        "weekend",
        "weekend",
        "school",
    ]


def test_a_term_over_new_year_and_a_leap_day() -> None:
    made = market(terms=[{"name": "winter", "from": "2027-11-01", "to": "2028-03-01"}])
    assert kind(made, "2028-01-03").rule == "term winter"
    assert kind(made, "2028-02-29").rule == "term winter"
    assert kind(made, "2028-03-02").rule == "outside every term"


def test_french_school_zones_differ() -> None:
    def zone(letter: str, day: str) -> str:
        return kind(market(holidays={"country": "FR", "school_zone": letter}), day).rule

    # Winter 2026: A and B from 14 February or 7 February, C from 21 February.
    assert zone("B", "2026-02-17") == "Vacances d'hiver"
    assert zone("C", "2026-02-17") == "weekday"


def test_school_zones_are_for_france_only() -> None:
    with pytest.raises(ValueError, match="school_zone is for country FR only"):
        market(holidays={"country": "SE", "school_zone": "B"})


def test_the_school_category_of_the_library_gives_breaks() -> None:
    made = market(holidays={"country": "DE", "subdivision": "SN", "school": True})
    listed = day_kinds(made, date(2026, 1, 1), date(2026, 12, 31)).values()
    assert {"break", "holiday", "school", "weekend"} == {found.kind for found in listed}


def test_a_country_without_the_school_category_is_refused() -> None:
    with pytest.raises(InputError, match="school"):
        kind(market(holidays={"country": "NL", "school": True}), "2026-10-20")
    with pytest.raises(InputError, match="school"):
        kind(market(holidays={"country": "DE", "school": True}), "2026-10-20")


def test_an_unknown_subdivision_is_refused() -> None:
    with pytest.raises(InputError, match="no subdivision 'XY'"):
        kind(market(holidays={"country": "DE", "subdivision": "XY"}), "2026-10-20")


# --- iCalendar ---------------------------------------------------------------------------------


def calendar(folder: Path, *events: str) -> Market:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN"]
    for number, event in enumerate(events):
        uid = "" if "UID:" in event else f"UID:{number}\n"
        lines += ["BEGIN:VEVENT", *(uid + event).split("\n"), "END:VEVENT"]
    (folder / "school.ics").write_text("\r\n".join([*lines, "END:VCALENDAR", ""]))
    return market(folder, calendars=["school.ics"], holidays=None)


def days_of(made: Market, wanted: str, first: str = "2026-09-01", last: str = "2026-12-31") -> str:
    kinds = day_kinds(made, date.fromisoformat(first), date.fromisoformat(last))
    return " ".join(f"{day:%m-%d}" for day, found in kinds.items() if found.kind == wanted)


def test_categories_give_the_kind_and_the_end_date_is_exclusive(tmp_path: Path) -> None:
    made = calendar(
        tmp_path,
        "SUMMARY:Autumn break\nCATEGORIES:Break\nDTSTART;VALUE=DATE:20261026\n"
        "DTEND;VALUE=DATE:20261031",
    )
    assert days_of(made, "break") == "10-26 10-27 10-28 10-29 10-30"
    assert kind(made, "2026-10-26").rule == "school.ics: Autumn break"


def test_a_recurring_event_leaves_out_its_exceptions(tmp_path: Path) -> None:
    made = calendar(
        tmp_path,
        "SUMMARY:Mock exam\nCATEGORIES:EXAM\nDTSTART;VALUE=DATE:20260904\n"
        "RRULE:FREQ=WEEKLY;COUNT=6\nEXDATE;VALUE=DATE:20260918\nRDATE;VALUE=DATE:20261111",
    )
    assert days_of(made, "exam") == "09-04 09-11 09-25 10-02 10-09 11-11"


def test_a_moved_occurrence_replaces_the_one_it_was(tmp_path: Path) -> None:
    made = calendar(
        tmp_path,
        "UID:a\nCATEGORIES:EXAM\nDTSTART;VALUE=DATE:20260904\nRRULE:FREQ=WEEKLY;COUNT=3",
        "UID:a\nCATEGORIES:EXAM\nDTSTART;VALUE=DATE:20260914\nRECURRENCE-ID;VALUE=DATE:20260911",
    )
    assert days_of(made, "exam") == "09-04 09-14 09-18"


def test_times_are_read_in_the_markets_zone(tmp_path: Path) -> None:
    made = calendar(
        tmp_path,
        "CATEGORIES:EXAM\nDTSTART:20260901T230000Z\nDTEND:20260902T010000Z\n"
        "RRULE:FREQ=DAILY;UNTIL=20260903T230000Z",
    )
    assert days_of(made, "exam") == "09-02 09-03 09-04"


def test_an_event_over_midnight_takes_both_days_and_one_until_midnight_does_not(
    tmp_path: Path,
) -> None:
    made = calendar(
        tmp_path,
        "CATEGORIES:EXAM\nDTSTART;TZID=Europe/Stockholm:20260901T220000\n"
        "DTEND;TZID=Europe/Stockholm:20260902T010000",
        "CATEGORIES:EXAM\nDTSTART;TZID=Europe/Stockholm:20260907T220000\n"
        "DTEND;TZID=Europe/Stockholm:20260908T000000",
    )
    assert days_of(made, "exam") == "09-01 09-02 09-07"


def test_cancelled_events_and_those_without_a_category_are_left_out(tmp_path: Path) -> None:
    made = calendar(
        tmp_path,
        "CATEGORIES:EXAM\nSTATUS:CANCELLED\nDTSTART;VALUE=DATE:20260904",
        "SUMMARY:Staff lunch\nDTSTART;VALUE=DATE:20260907",
    )
    assert days_of(made, "exam") == ""


def test_a_working_saturday_is_a_school_day(tmp_path: Path) -> None:
    made = calendar(tmp_path, "CATEGORIES:SCHOOL\nDTSTART;VALUE=DATE:20260905")
    assert kind(made, "2026-09-05").kind == "school"


def test_an_unknown_category_is_refused_with_the_nearest_kind(tmp_path: Path) -> None:
    made = calendar(tmp_path, "SUMMARY:x\nCATEGORIES:Exams\nDTSTART;VALUE=DATE:20260904")
    with pytest.raises(InputError, match="unknown category 'Exams'") as caught:
        kind(made, "2026-09-04")
    assert caught.value.fix == "did you mean 'exam'?"


def test_an_event_that_meets_a_period_of_equal_rank_is_refused(tmp_path: Path) -> None:
    made = calendar(
        tmp_path,
        "CATEGORIES:EXAM\nSUMMARY:a\nDTSTART;VALUE=DATE:20260904",
        "CATEGORIES:EXAM\nSUMMARY:b\nDTSTART;VALUE=DATE:20260904",
    )
    with pytest.raises(InputError, match="2026-09-04 is in two exam periods"):
        kind(made, "2026-09-04")


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ("CATEGORIES:EXAM", "has no DTSTART"),
        (
            "CATEGORIES:EXAM\nDTSTART;VALUE=DATE:20260904\nDTEND;VALUE=DATE:20260901",
            "ends on 2026-09-01, before it starts",
        ),
        ("CATEGORIES:EXAM\nDTSTART;VALUE=DATE:20260904\nDTEND:20260905T000000Z", "DTEND a time"),
    ],
)
def test_an_event_that_makes_no_sense_is_refused(tmp_path: Path, event: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(calendar(tmp_path, event), "2026-09-04")


@pytest.mark.parametrize("text", ["", "hello", "BEGIN:VCALENDAR"])
def test_a_file_that_is_no_calendar_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "school.ics").write_text(text)
    with pytest.raises(InputError):
        kind(market(tmp_path, calendars=["school.ics"]), "2026-09-04")


def test_a_missing_calendar_is_named_with_the_season(small: Season, write: Write) -> None:
    small["markets"][0]["calendars"] = ["none.ics"]
    with pytest.raises(InputError, match="problem") as caught:
        build_plan(read_season(write(small)))
    assert "none.ics: there is no such file" in str(caught.value)
