"""A stack's life on the real engine and the local cloud: planned, applied, drifted, destroyed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from cli.localcloud import server
from cli.migration import stack_target
from tests.e2e.conftest import Firstbell
from tests.evaluator import evaluate

WEB = "autumn-web"
# An action's arguments but for its sizes and its start, which lies in the past.
LEFT_ALONE = ("ScheduledActionName", "AutoScalingGroupName", "Recurrence", "TimeZone", "EndTime")


def group(firstbell: Firstbell) -> dict[str, Any]:
    groups = firstbell.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    (found,) = (entry for entry in groups if entry["AutoScalingGroupName"].startswith(WEB))
    return found


def live_actions(firstbell: Firstbell) -> dict[str, list[dict[str, Any]]]:
    """All live actions, read with boto3 and nothing of ours."""
    web = firstbell.client("autoscaling").get_paginator("describe_scheduled_actions")
    database = firstbell.client("application-autoscaling").get_paginator(
        "describe_scheduled_actions"
    )
    return {
        "web": [
            action for page in web.paginate() for action in page["ScheduledUpdateGroupActions"]
        ],
        "database": [
            action
            for page in database.paginate(ServiceNamespace="rds")
            for action in page["ScheduledActions"]
        ],
    }


def measured_things(firstbell: Firstbell) -> dict[str, set[str]]:
    """The things that the live dashboard shows series of, by dimension."""
    board = firstbell.client("cloudwatch").get_dashboard(DashboardName="autumn")
    found: dict[str, set[str]] = {}
    for widget in json.loads(board["DashboardBody"])["widgets"]:
        for line in widget["properties"].get("metrics", []):
            names = [part for part in line if isinstance(part, str)]
            for dimension, value in zip(names[2::2], names[3::2], strict=True):
                found.setdefault(dimension, set()).add(value)
    return found


@pytest.fixture(autouse=True)
def as_its_users_run_it(firstbell: Firstbell) -> None:
    firstbell.checkpoints = True


def test_planned_in_august_applied_in_november_nothing_changes_a_week_later(
    firstbell: Firstbell,
) -> None:
    firstbell("local", "start", "--at", "2026-08-01T00:00Z")
    firstbell("season", "plan", "-s", "autumn")
    firstbell("local", "advance", "--to", "2026-11-04T11:00Z")
    applied = firstbell.json("up", "-s", "autumn")
    assert set(applied["counts"]) == {"create"}
    floor = group(firstbell)["MinSize"]
    assert floor > 2, "the floor of a school day's noon, not the tier's minimum"
    gaps = evaluate(
        firstbell.stacks / "seasons" / "autumn.yaml",
        live_actions(firstbell),
        since=datetime(2026, 11, 4, 11, tzinfo=UTC),
        initial={"web": floor, "database": 8},
    )
    assert gaps == []
    shown = measured_things(firstbell)
    assert shown["AutoScalingGroupName"] == {group(firstbell)["AutoScalingGroupName"]}
    (cluster,) = firstbell.client("rds").describe_db_clusters()["DBClusters"]
    assert shown["DBClusterIdentifier"] == {cluster["DBClusterIdentifier"]}
    (balancer,) = firstbell.client("elbv2").describe_load_balancers()["LoadBalancers"]
    assert {balancer["LoadBalancerArn"].partition("loadbalancer/")[2]} == shown["LoadBalancer"]
    firstbell("local", "advance", "--by", "7d")
    again = firstbell.json("up", "-s", "autumn")
    assert set(again["counts"]) == {"same"}
    assert again["repaired"] == []
    assert firstbell.json("drift", "-s", "autumn")["differences"] == []


def test_up_on_a_grading_morning_keeps_every_floor(firstbell: Firstbell) -> None:
    firstbell("local", "start", "--at", "2026-08-01T00:00Z")
    firstbell("season", "plan", "-s", "autumn")
    firstbell("up", "-s", "autumn")
    firstbell("local", "advance", "--to", "2026-12-07T07:30Z")  # 08:30 in Stockholm
    before = group(firstbell)
    assert before["MinSize"] == 12, "300 requests/s, 25 an instance"
    outcome = firstbell.json("up", "-s", "autumn")
    after = group(firstbell)
    assert (after["MinSize"], after["MaxSize"]) == (before["MinSize"], before["MaxSize"])
    assert len(after["Instances"]) >= before["MinSize"]
    assert outcome["repaired"] == []
    status = {
        entry["target"]: entry for entry in firstbell.json("status", "-s", "autumn")["targets"]
    }
    for target in ("web", "database"):
        entry = status[target]
        assert entry["headroom"] == entry["in_service"] - entry["required"] >= 0
    # What a migration with `target: {stack: autumn}` goes by.
    target = stack_target.connection_string("autumn@10.0.0.9:5432", "school.yaml: target")
    assert re.fullmatch(r"postgresql://\w+:[^@/]+@10\.0\.0\.9:5432/lms", target)


def test_what_was_changed_behind_its_back_is_named_and_repaired(firstbell: Firstbell) -> None:
    firstbell("local", "start", "--at", "2026-08-01T00:00Z")
    firstbell("season", "plan", "-s", "autumn")
    firstbell("up", "-s", "autumn")
    firstbell("local", "advance", "--to", "2026-11-04T11:00Z")
    autoscaling = firstbell.client("autoscaling")
    actions = {
        action["ScheduledActionName"]: action
        for action in live_actions(firstbell)["web"]
        if action["StartTime"] < datetime(2026, 11, 4, 11, tzinfo=UTC)
    }
    deleted, lowered = sorted(actions, key=lambda name: -actions[name]["MinSize"])[:2]
    name = group(firstbell)["AutoScalingGroupName"]
    autoscaling.delete_scheduled_action(AutoScalingGroupName=name, ScheduledActionName=deleted)
    changed = {key: value for key, value in actions[lowered].items() if key in LEFT_ALONE}
    autoscaling.put_scheduled_update_group_action(
        **changed, MinSize=actions[lowered]["MinSize"] - 1
    )
    autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=0)

    firstbell("season", "verify", "-s", "autumn", code=3)
    found = firstbell.json("drift", "-s", "autumn", code=7)
    named = {(entry["name"], entry["property"]) for entry in found["differences"]}
    assert named == {(deleted, "the resource"), (lowered, "minSize"), (WEB, "minSize")}

    repaired = firstbell.json("up", "-s", "autumn")
    mended = {
        entry["name"] for entry in repaired["changes"] if entry["operation"] in ("create", "update")
    }
    assert mended == {deleted, lowered}
    # What else changes are actions of the autumn break, which are over.
    assert all(
        entry["operation"] == "delete"
        for entry in repaired["changes"]
        if entry["name"] not in mended
    )
    assert len(repaired["repaired"]) == 1
    assert firstbell.json("drift", "-s", "autumn")["differences"] == []
    firstbell("season", "verify", "-s", "autumn")


def test_destroy_leaves_nothing_whatever_the_schedule_has_added(firstbell: Firstbell) -> None:
    firstbell("local", "start", "--at", "2026-08-01T00:00Z")
    firstbell("season", "plan", "-s", "autumn")
    firstbell("up", "-s", "autumn")
    firstbell("local", "advance", "--to", "2026-09-02T08:00Z")
    instances = firstbell.client("rds").describe_db_instances()["DBInstances"]
    assert len(instances) > 2, "the schedule has added replicas"
    firstbell("destroy", "-s", "autumn", "--yes")
    assert firstbell.client("rds").describe_db_instances()["DBInstances"] == []
    assert firstbell.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert live_actions(firstbell) == {"web": [], "database": []}
    vpcs = firstbell.client("ec2").describe_vpcs()["Vpcs"]
    assert [vpc for vpc in vpcs if not vpc["IsDefault"]] == []


def test_a_server_killed_between_two_commands_is_explained(firstbell: Firstbell) -> None:
    firstbell("season", "plan", "-s", "autumn")
    firstbell("local", "start", "--at", "2026-08-01T00:00Z")
    firstbell("up", "-s", "autumn")
    cloud = server.running()
    assert cloud is not None
    os.kill(cloud.pid, signal.SIGKILL)
    failed = firstbell("up", "-s", "autumn", code=2)
    assert "the local cloud was restarted and lost the resources of stack autumn" in failed.stderr
    assert "firstbell local reset" in failed.stderr
    firstbell("local", "reset")
    firstbell("local", "start", "--at", "2026-08-01T00:00Z")
    assert set(firstbell.json("up", "-s", "autumn")["counts"]) == {"create"}


def test_an_interrupted_up_lets_the_engine_finish_what_it_has_begun(firstbell: Firstbell) -> None:
    firstbell("season", "plan", "-s", "autumn")
    firstbell("local", "start", "--at", "2026-08-01T00:00Z")
    running = subprocess.Popen(
        [sys.executable, "-m", "cli", "up", "-s", "autumn"],
        env=firstbell.env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # as from a pipeline: no terminal passes the signal on
    )
    deadline = time.monotonic() + 120
    while not any(not vpc["IsDefault"] for vpc in firstbell.client("ec2").describe_vpcs()["Vpcs"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    running.send_signal(signal.SIGTERM)  # what a pipeline that is cancelled sends
    _, said = running.communicate(timeout=120)
    assert running.returncode == 130
    assert "applying autumn: stopping after what is under way; Ctrl-C again leaves" in said
    assert "interrupted: what was done is in the state; run the same command to go on" in said
    assert "Traceback" not in said
    locks = firstbell.home / "local" / "state" / ".pulumi" / "locks"
    assert list(locks.rglob("*.json")) == []
    again = firstbell("up", "-s", "autumn")
    assert "left behind by a run that was killed" not in again.stderr
    vpcs = [v for v in firstbell.client("ec2").describe_vpcs()["Vpcs"] if not v["IsDefault"]]
    assert len(vpcs) == 1
