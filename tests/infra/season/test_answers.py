"""Stagger, what-if, diff and export."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from infra.errors import InputError, Problems
from infra.season.diff import diff
from infra.season.export import export
from infra.season.history import History
from infra.season.plan import Bounds, build_plan, read_season
from infra.season.stagger import (
    School,
    busiest_slot,
    quiet_slots,
    read_schools,
    slots,
    spreads,
)
from infra.season.what_if import what_if

Season = dict[str, Any]
Write = Callable[[Season], Path]
AUGUST = datetime(2026, 8, 1, tzinfo=UTC)


# --- stagger -----------------------------------------------------------------------------------


def test_a_longer_burst_needs_a_lower_peak(small: Season, write: Write) -> None:
    found = spreads(read_season(write(small)), (20, 30, 40))
    assert [(row.minutes, row.peak) for row in found] == [(None, 12), (20, 12), (30, 11), (40, 10)]
    # 200 requests/s of pages, and 100,000 of the bell over 20, 30, 40 minutes, at 25 a unit. The
    # hours stay about the same: less for longer.
    assert all(abs(row.instance_hours / found[0].instance_hours - 1) < 0.01 for row in found)


def test_a_burst_that_is_longer_already_stays(small: Season, write: Write) -> None:
    small["demand"]["bursts"][0]["over"] = "1h"
    now, spread = spreads(read_season(write(small)), (30,))
    assert (now.peak, now.instance_hours) == (spread.peak, spread.instance_hours)


def test_schools_get_slots_in_which_few_others_sign_in() -> None:
    schools = [
        School(f"school {n}", pupils, "sweden", 490)
        for n, pupils in enumerate([400, 300, 200, 200, 100])
    ]
    found = slots(schools, over=20, slot_minutes=5)
    assert busiest_slot(found) == 400
    assert {slot.at for slot in found} == {470, 475, 480, 485}
    assert all(slot.at + slot.minutes <= slot.school.bell for slot in found)
    alone = [slot.school.pupils for slot in found if slot.at == 485]
    assert alone == [400]


def test_markets_do_not_crowd_each_other() -> None:
    schools = [School("a", 400, "sweden", 490), School("b", 400, "france", 490)]
    assert {slot.at for slot in slots(schools)} == {485}


def test_a_list_of_schools_is_read(small: Season, write: Write, tmp_path: Path) -> None:
    path = tmp_path / "schools.csv"
    path.write_text("name,pupils,market,bell\nNorra skolan,400,sweden,08:10\n")
    assert read_schools(path, read_season(write(small))) == [
        School("Norra skolan", 400, "sweden", 490)
    ]


def test_every_wrong_line_of_a_list_of_schools_is_named(
    small: Season, write: Write, tmp_path: Path
) -> None:
    season = read_season(write(small))
    path = tmp_path / "schools.csv"
    path.write_text(
        "name,pupils,market,bell\na,many,sweden,08:10\nb,10,norway,08:10\nc,10,sweden,25:10\n"
    )
    with pytest.raises(Problems) as caught:
        read_schools(path, season)
    assert [str(problem).split(" ")[:3] for problem in caught.value.problems] == [
        ["line", "2:", "pupils"],
        ["line", "3:", "market"],
        ["line", "4:", "write"],
    ]
    path.write_text("school,pupils\n")
    with pytest.raises(Problems, match="problem") as caught:
        read_schools(path, season)
    assert "line 1: has no column bell, market, name" in str(caught.value)
    with pytest.raises(Problems):
        read_schools(tmp_path / "none.csv", season)


def test_quiet_slots_are_found_in_local_time() -> None:
    start = int(datetime(2026, 9, 6, 22, tzinfo=UTC).timestamp()) // 60  # Monday 00:00 local
    minutes = start + np.arange(14 * 1440)
    local_hour = np.arange(14 * 1440) // 60 % 24
    rate = np.where(local_hour == 14, 1.0, 10.0 + local_hour)
    history = History("test", minutes, rate, {}, 1)
    found = quiet_slots(history, ZoneInfo("Europe/Stockholm"), per_weekday=2)
    assert [(slot.weekday, slot.at) for slot in found[:2]] == [("mon", "14:00"), ("mon", "07:00")]
    assert found[0].share == pytest.approx(1 / 33)
    assert {slot.days for slot in found} == {2}


# --- what if -----------------------------------------------------------------------------------


def test_what_breaks_first_comes_first(small: Season, write: Write) -> None:
    small["capacity"]["web"]["max"] = 18
    small["capacity"]["database"] = {
        "kind": "aurora-replicas",
        "requests_per_second": 400,
        "boot": "15m",
        "min": 1,
        "max": 2,
    }
    small["limits"] = {"logins_per_second": 10}
    answer = what_if(read_season(write(small)), 2)
    names = [limit.name for limit in answer.limits]
    assert names[:3] == ["identity provider", "web", "database"]
    provider, web, database = answer.limits[:3]
    # 10,000 logins in 20 minutes are 8.33 a second, and twice as many 16.7.
    assert (provider.needed, provider.broken) == (16.67, True)
    assert provider.breaks_at == pytest.approx(1.2)
    assert "8000 people wait" in provider.note
    # 283.3 requests/s at 25 a unit: 12 units now, 23 at twice the demand; 18 are worth 450.
    assert (web.needed, web.limit, web.broken) == (23, 18, True)
    assert web.breaks_at == pytest.approx(450 / 283.33, abs=0.002)
    assert web.when == "2026-09-07 08:10"
    # 500 requests/s a replica.
    assert (database.needed, database.broken) == (2, False)
    assert answer.targets["web"].verdict["peak"] == 23


def test_a_shared_cap_breaks_before_each_maximum(small: Season, write: Write) -> None:
    small["capacity"]["api"] = {**small["capacity"]["web"], "requests_per_second": 40, "min": 1}
    small["capacity"]["staging"] = {
        "kind": "autoscaling-group",
        "against": ["web", "api"],
        "units": 4,
        "min": 3,
        "max": 4,
    }
    small["limits"] = {"instances": {"max": 25, "targets": ["web", "api", "staging"]}}
    answer = what_if(read_season(write(small)), 2)
    staging, together = answer.limits[:2]
    # 283.3 requests/s at 25 and at 50 a unit: 12 and 6 now, 23 and 12 at twice the demand. 22
    # (15 and 7) leave staging its minimum of 3, up to 350 requests/s; 25 hold up to 400.
    assert (staging.name, staging.needed, staging.limit) == (
        "staging under limits/instances",
        38,
        25,
    )
    assert staging.breaks_at == pytest.approx(350 / 283.33, abs=0.002)
    assert (together.name, together.needed, together.broken) == ("limits/instances", 35, True)
    assert together.breaks_at == pytest.approx(400 / 283.33, abs=0.002)
    assert together.when == "2026-09-07 08:04"
    assert together.note == "web and api together"
    calm = what_if(read_season(write(small)), 1.2)
    assert not any(limit.broken for limit in calm.limits)


def test_beyond_what_aws_allows_no_setting_helps_and_it_is_said(
    small: Season, write: Write
) -> None:
    replicas = {"kind": "aurora-replicas", "requests_per_second": 20, "boot": "15m"}
    small["capacity"]["database"] = {**replicas, "min": 1, "max": 15}
    answer = what_if(read_season(write(small)), 2)
    (database,) = [limit for limit in answer.limits if limit.name == "database"]
    assert (database.needed, database.broken) == (23, True)
    assert database.note == "AWS allows at most 15"


def test_nothing_breaks_where_there_is_room(small: Season, write: Write) -> None:
    answer = what_if(read_season(write(small)), 1.5, bounds={"web": Bounds(1, 100)})
    assert not any(limit.broken for limit in answer.limits)


# --- diff --------------------------------------------------------------------------------------


def test_equal_plans_do_not_differ(small: Season, write: Write) -> None:
    plan = build_plan(read_season(write(small)))
    (same,) = diff(plan, plan)
    assert not same.changed
    assert same.hours_before == same.hours_after


def test_a_break_in_the_calendar_changes_actions_and_hours(small: Season, write: Write) -> None:
    old = build_plan(read_season(write(small)))
    small["markets"][0]["breaks"] = [{"name": "x", "from": "2026-09-14", "to": "2026-09-18"}]
    new = build_plan(read_season(write(small)))
    (change,) = diff(old, new)
    assert change.changed
    assert change.hours_after < change.hours_before
    assert (change.peak_before, change.peak_after) == (12, 12)
    assert len(old.targets["web"].actions) - len(change.removed) + len(change.added) == len(
        new.targets["web"].actions
    )


def test_a_higher_load_resizes_without_new_actions(small: Season, write: Write) -> None:
    small["demand"]["profiles"] = {
        "school": {"00:00": 0, "08:00": 2, "15:00": 0},
        "weekend": {"00:00": 0},
    }
    small["demand"]["bursts"] = []
    old = build_plan(read_season(write(small)))
    small["demand"]["surge_factor"] = 1.5
    (change,) = diff(old, build_plan(read_season(write(small))))
    assert (change.added, change.removed) == ((), ())
    assert [(item.before, item.after) for item in change.resized] == [(8, 12)]


# --- export ------------------------------------------------------------------------------------


def exported(small: Season, write: Write, form: Any, kind: str = "autoscaling-group") -> str:
    small["capacity"]["web"] |= {"kind": kind, "max": 15}
    target = build_plan(read_season(write(small))).targets["web"]
    return export(target, target_name="web", group="school-web", now=AUGUST, form=form)


def test_boto3_arguments_are_complete(small: Season, write: Write) -> None:
    calls = json.loads(exported(small, write, "boto3"))
    assert {call["AutoScalingGroupName"] for call in calls} == {"school-web"}
    assert len({call["ScheduledActionName"] for call in calls}) == len(calls)
    assert {"Recurrence", "TimeZone", "StartTime", "EndTime", "MinSize"} <= set(calls[0])


@pytest.mark.parametrize(
    ("kind", "service", "operation"),
    [
        ("autoscaling-group", "autoscaling", "PutScheduledUpdateGroupAction"),
        ("aurora-replicas", "application-autoscaling", "PutScheduledAction"),
    ],
)
def test_boto3_accepts_what_is_exported(
    small: Season, write: Write, kind: str, service: str, operation: str
) -> None:
    from botocore import session
    from botocore.validate import validate_parameters

    calls = json.loads(exported(small, write, "boto3", kind))
    shape = session.get_session().get_service_model(service).operation_model(operation).input_shape
    assert shape is not None
    for call in calls:
        validate_parameters(call, shape)


def test_the_cli_lines_carry_the_same_arguments(small: Season, write: Write) -> None:
    calls = json.loads(exported(small, write, "boto3"))
    lines = exported(small, write, "cli").splitlines()
    assert [json.loads(shlex.split(line)[-1]) for line in lines] == calls
    assert lines[0].startswith("aws autoscaling put-scheduled-update-group-action --cli-input-json")


def test_terraform_leaves_other_sizes_as_they_are(small: Season, write: Write) -> None:
    text = exported(small, write, "terraform")
    assert text.count('resource "aws_autoscaling_schedule"') == len(
        json.loads(exported(small, write, "boto3"))
    )
    assert "  max_size = -1\n  desired_capacity = -1\n" in text
    replicas = exported(small, write, "terraform", "aurora-replicas")
    assert '  resource_id = "cluster:school-web"\n' in replicas
    assert "max_capacity" not in replicas


def test_balancer_schedules_are_not_exported(small: Season, write: Write) -> None:
    small["capacity"]["web"] |= {"requests_per_second": 1, "min": 0}
    small["capacity"]["web"] |= {"kind": "load-balancer-capacity", "max": 1000}
    target = build_plan(read_season(write(small))).targets["web"]
    with pytest.raises(InputError, match="EventBridge"):
        export(target, target_name="web", group="x", now=AUGUST, form="boto3")
