"""What a season file may say, and how a wrong one is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from infra.errors import InputError, Problems
from infra.season.plan import build_plan, read_season

Season = dict[str, Any]
Write = Callable[[Season], Path]


def problems(path: Path) -> list[str]:
    """Everything that reading and planning the season complains about."""
    with pytest.raises(InputError) as caught:
        build_plan(read_season(path))
    assert caught.value.exit_code == 2
    if isinstance(caught.value, Problems):
        return [str(problem) for problem in caught.value.problems]
    return [str(caught.value)]


def test_the_small_season_is_right(small: Season, write: Write) -> None:
    assert build_plan(read_season(write(small))).targets["web"].verdict["holds"] is True


def test_a_misspelt_key_is_refused_with_the_nearest_known_one(small: Season, write: Write) -> None:
    small["capacity"]["web"]["floor_utilization"] = 0.8
    assert problems(write(small)) == [
        "capacity/web/floor_utilization: unknown key 'floor_utilization' "
        "(did you mean 'floor_utilisation'?)"
    ]


def test_a_minimum_above_the_maximum_is_refused(small: Season, write: Write) -> None:
    small["capacity"]["web"] |= {"min": 61}
    assert problems(write(small)) == ["capacity/web: min 61 is above max 60"]


def test_a_term_that_ends_before_it_starts_is_refused(small: Season, write: Write) -> None:
    small["markets"][0]["terms"][0]["to"] = "2026-08-16"
    assert problems(write(small)) == [
        "markets/sweden/terms/autumn: ends on 2026-08-16, before it starts on 2026-08-17"
    ]


def test_overlapping_terms_are_refused(small: Season, write: Write) -> None:
    small["markets"][0]["terms"].append({"name": "late", "from": "2026-12-18", "to": "2027-01-31"})
    assert problems(write(small)) == [
        "markets/sweden/terms: late starts on 2026-12-18, before autumn ends on 2026-12-18"
    ]


def test_terms_that_follow_each_other_the_next_day_are_fine(small: Season, write: Write) -> None:
    small["markets"][0]["terms"].append({"name": "late", "from": "2026-12-19", "to": "2027-01-31"})
    build_plan(read_season(write(small)))


def test_an_unknown_time_zone_is_refused_with_the_nearest_one(small: Season, write: Write) -> None:
    small["markets"][0]["timezone"] = "Europe/Stokholm"
    assert problems(write(small)) == [
        "markets/sweden/timezone: unknown time zone, did you mean 'Europe/Stockholm'?, "
        "not 'Europe/Stokholm'"
    ]


def test_a_bell_in_the_hour_that_daylight_saving_skips_is_refused(
    small: Season, write: Write
) -> None:
    small["horizon"] = {"from": "2027-03-20", "to": "2027-04-02"}
    small["markets"][0]["terms"][0] |= {"from": "2027-01-11", "to": "2027-06-11"}
    small["demand"]["bursts"][0] |= {"at": "02:30", "days": "all", "logins": 1000}
    assert problems(write(small)) == [
        "demand/bursts/first bell/at: 02:30 does not exist on 2027-03-28 in Europe/Stockholm "
        "(daylight saving begins that night; choose another time or leave the day out)"
    ]


def test_a_bell_in_that_hour_is_fine_in_a_zone_without_daylight_saving(
    small: Season, write: Write
) -> None:
    small["horizon"] = {"from": "2027-03-20", "to": "2027-04-02"}
    small["markets"][0]["terms"][0] |= {"from": "2027-01-11", "to": "2027-06-11"}
    small["markets"][0]["timezone"] = "Atlantic/Reykjavik"
    small["demand"]["bursts"][0] |= {"at": "02:30", "days": "all", "logins": 1000}
    build_plan(read_season(write(small)))


@pytest.mark.parametrize("days", ["school", ["mon", "tue"]])
def test_a_burst_outside_any_term_is_refused(
    small: Season, write: Write, days: str | list[str]
) -> None:
    small["horizon"]["to"] = "2027-01-17"
    small["demand"]["bursts"][0] |= {"days": days, "from": "2026-12-21", "to": "2027-01-03"}
    (problem,) = problems(write(small))
    assert problem.startswith("demand/bursts/first bell: lies outside every term")


def test_a_burst_outside_the_horizon_is_refused(small: Season, write: Write) -> None:
    small["demand"]["bursts"][0] |= {"from": "2026-12-01", "to": "2026-12-04"}
    assert problems(write(small)) == [
        "demand/bursts/first bell: lies outside the horizon, 2026-09-07 to 2026-09-20 "
        "(correct its `from` and `to`, or remove it)"
    ]


def test_every_name_that_nothing_has_is_told_at_once_and_beside_what_is_too_much(
    small: Season, write: Write
) -> None:
    market = small["markets"][0]["name"]
    small["limits"] = {"actions": {"wep": 3}, "instances": {"max": 9, "targets": ["web", "wbe"]}}
    small["capacity"]["web"] |= {"max": 2}
    small["capacity"]["staging"] = small["capacity"]["web"] | {"against": ["weeb"], "units": 1}
    small["capacity"]["north"] = small["capacity"]["web"] | {"markets": ["norway"], "max": 900}
    small["demand"]["bursts"][0] |= {"market": market[:-1]}
    small["demand"]["history"] = [{"file": "nowhere.csv", "market": "norway"}]
    found = problems(write(small))
    known = f"known are {market}"
    for said in (
        "limits/actions/wep: there is no target 'wep' (did you mean 'web'?)",
        "limits/instances/targets: there is no target 'wbe' (did you mean 'web'?)",
        "capacity/staging/against: there is no target 'weeb' (did you mean 'web'?)",
        f"capacity/north/markets: there is no market 'norway' ({known})",
        f"demand/bursts/first bell/market: there is no market {market[:-1]!r} "
        f"(did you mean {market!r}?)",
        f"demand/history/1/market: there is no market 'norway' ({known})",
    ):
        assert said in found
    assert any(problem.startswith("capacity/web/max: ") for problem in found)
    assert len(found) == 7


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "load.csv: is empty (the first line is timestamp,requests_per_second)"),
        (
            "timestamp,requests_per_second\n2026-08-17T00:00,5\n",
            "load.csv:2: '2026-08-17T00:00' has no time zone; write it like "
            "2025-08-18T07:00:00+02:00, or give the history's `timezone`",
        ),
    ],
)
def test_a_history_is_named_once_with_its_line(
    small: Season, write: Write, tmp_path: Path, text: str, problem: str
) -> None:
    (tmp_path / "load.csv").write_text(text)
    small["demand"] = {"history": [{"file": "load.csv", "market": "sweden"}]}
    assert problems(write(small)) == [f"{tmp_path}/{problem}"]


def test_a_country_without_holidays_data_is_refused(small: Season, write: Write) -> None:
    small["markets"][0]["holidays"] = {"country": "XX"}
    (problem,) = problems(write(small))
    assert "markets/sweden/holidays/country: no holidays data for country 'XX'" in problem


def test_a_year_without_holidays_data_is_refused(small: Season, write: Write) -> None:
    small["horizon"] = {"from": "2101-09-01", "to": "2101-09-14"}
    small["markets"][0]["terms"] = [{"from": "2101-08-01", "to": "2101-12-01"}]
    (problem,) = problems(write(small))
    assert "no public holidays data for SE in 2101" in problem
    assert "1953 to 2100" in problem


def test_norway_is_a_country_and_not_a_boolean(small: Season, write: Write) -> None:
    path = write(small)
    path.write_text(path.read_text().replace("country: SE", "country: NO"))
    season = read_season(path)
    assert season.markets[0].holidays is not None
    assert season.markets[0].holidays.country == "NO"


def test_a_time_after_noon_without_quotes_is_a_time(small: Season, write: Write) -> None:
    path = write(small)
    path.write_text(path.read_text().replace("at: 08:10", "at: 12:30"))
    assert read_season(path).demand.bursts[0].at == 12 * 60 + 30


def test_a_key_that_stands_twice_is_refused_with_its_line(small: Season, write: Write) -> None:
    path = write(small)
    path.write_text(path.read_text() + "version: 1\n")
    (problem,) = problems(path)
    assert "key 'version' stands twice" in problem
    assert "line" in problem


def test_all_problems_of_a_file_are_reported_together(small: Season, write: Write) -> None:
    small["markets"][0]["timezone"] = "Mars/Olympus"
    small["markets"][0]["terms"][0]["to"] = "2026-01-01"
    small["capacity"]["web"] |= {"min": 99, "boot": "soon"}
    small["demand"]["bursts"][0]["at"] = "25:00"
    assert [problem.split(":")[0] for problem in problems(write(small))] == [
        "markets/sweden/timezone",
        "markets/sweden/terms/autumn",
        "demand/bursts/first bell/at",
        "capacity/web/boot",
    ]


def test_two_periods_of_equal_rank_on_one_day_are_refused(small: Season, write: Write) -> None:
    small["markets"][0]["periods"] = [
        {"name": "written", "kind": "exam", "from": "2026-09-07", "to": "2026-09-11"},
        {"name": "spoken", "kind": "exam", "from": "2026-09-11", "to": "2026-09-14"},
    ]
    assert problems(write(small)) == [
        "markets/sweden/periods: spoken starts on 2026-09-11, before written ends on 2026-09-11"
    ]


def test_a_market_whose_terms_all_miss_the_horizon_is_refused(small: Season, write: Write) -> None:
    small["markets"][0]["terms"] = [{"name": "old", "from": "2025-08-18", "to": "2025-12-19"}]
    small["demand"]["bursts"] = []
    assert problems(write(small)) == [
        "markets/sweden/terms: no term lies in the horizon 2026-09-07 to 2026-09-20 "
        "(add this year's terms, or leave `terms` out to plan by weekday)"
    ]


def test_a_market_without_terms_is_planned_by_weekday(small: Season, write: Write) -> None:
    del small["markets"][0]["terms"]
    small["horizon"] = {"from": "2026-07-06", "to": "2026-07-12"}
    windows = build_plan(read_season(write(small))).targets["web"].windows
    assert {"mon", "fri"} <= {str(day) for window in windows for day in window["days"]}  # pyright: ignore[reportGeneralTypeIssues]  # JSON


def test_a_burst_beyond_the_maximum_is_refused_with_its_name(small: Season, write: Write) -> None:
    small["demand"]["bursts"][0]["logins"] = 200_000
    assert problems(write(small)) == [
        "capacity/web/max: 75 units are needed on 2026-09-07 08:10 (burst 'first bell'), more "
        "than max 60 (raise max to 75, or spread the load)"
    ]


def test_a_need_that_equals_the_maximum_is_planned(small: Season, write: Write) -> None:
    small["demand"]["bursts"][0]["logins"] = 200_000
    small["capacity"]["web"]["max"] = 75
    assert build_plan(read_season(write(small))).targets["web"].verdict["peak"] == 75


def test_a_budget_too_small_for_the_calendar_is_refused(small: Season, write: Write) -> None:
    small["limits"] = {"actions": {"web": 124}}
    (problem,) = problems(write(small))
    assert "capacity/web: 1 scheduled actions are too few\nwhy: at least 2 are needed" in problem
    small["limits"] = {"actions": {"web": 123}}
    assert build_plan(read_season(write(small))).targets["web"].verdict["actions"] == 2


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "there is no such file" in problems(tmp_path / "none.yaml")[0]


def test_french_school_zones_are_refused_outside_what_the_package_covers(
    small: Season, write: Write
) -> None:
    small["horizon"] = {"from": "2028-09-01", "to": "2028-09-14"}
    small["markets"][0] |= {
        "terms": [{"from": "2028-09-01", "to": "2028-12-20"}],
        "holidays": {"country": "FR", "school_zone": "B"},
    }
    (problem,) = problems(write(small))
    assert "no French school holidays for 2028-09-15" in problem


def test_dates_may_be_texts(small: Season, write: Write) -> None:
    assert read_season(write(small)).horizon.from_ == date(2026, 9, 7)


def test_a_stack_narrower_than_the_season_is_refused(small: Season, write: Write) -> None:
    from infra.season.plan import Bounds

    with pytest.raises(Problems) as caught:
        build_plan(read_season(write(small)), bounds={"web": Bounds(3, 50)})
    assert [str(problem) for problem in caught.value.problems] == [
        "capacity/web/min: 2 is below the stack's minimum of 3 "
        "(raise it here, or lower the stack's)",
        "capacity/web/max: 60 is above the stack's maximum of 50 "
        "(lower it here, or raise the stack's)",
    ]


def test_a_burst_too_early_to_boot_for_is_raised_the_evening_before_and_said(
    small: Season, write: Write
) -> None:
    small["demand"]["bursts"][0]["at"] = "04:20"
    small["capacity"]["web"]["boot"] = "10m"
    plan = build_plan(read_season(write(small)))
    assert plan.warnings == (
        "burst 'first bell' at 04:20: web needs 12 minutes before it, and no action stands between "
        "midnight and 04:15, so it is raised on the evening before",
    )
    small["demand"]["bursts"][0]["at"] = "04:27"
    assert build_plan(read_season(write(small))).warnings == ()


def test_capacity_that_boots_for_half_a_day_is_refused(small: Season, write: Write) -> None:
    small["capacity"]["web"]["boot"] = "721m"
    assert problems(write(small)) == [
        "capacity/web: boots longer than 12 hours: no day's schedule can wait for it"
    ]
    small["capacity"]["web"]["boot"] = "12h"
    build_plan(read_season(write(small)))
