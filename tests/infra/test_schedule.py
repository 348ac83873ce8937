"""The load balancer's capacity by EventBridge Scheduler, as whom, and where failures go."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.scheduling import bounds_for
from infra.season.plan import build_plan, read_season
from infra.settings.stack import read_stack
from tests.conftest import WriteStack
from tests.e2e.recording_monitor import run_program
from tests.infra.conftest import Recorded

SEASON: dict[str, Any] = {
    "version": 1,
    "timezone": "Europe/Stockholm",
    "horizon": {"from": "2026-08-17", "to": "2026-09-13"},
    "markets": [
        {
            "name": "sweden",
            "timezone": "Europe/Stockholm",
            "users": 100_000,
            "weekend": ["sat", "sun"],
            "holidays": {"country": "SE"},
            "source": "assumed",
            "terms": [{"name": "autumn", "from": "2026-08-17", "to": "2026-12-18"}],
        }
    ],
    "demand": {
        "profiles": {
            "school": {"00:00": 0.02, "08:00": 4.0, "16:00": 0.1},
            "weekend": {"00:00": 0.02},
            "break": {"00:00": 0.02},
        }
    },
    "capacity": {
        "balancer": {
            "kind": "load-balancer-capacity",
            "requests_per_second": 2,
            "utilisation": 0.6,
            "boot": "60m",
            "min": 0,
            "max": 1000,
        },
        "database": {
            "kind": "aurora-replicas",
            "requests_per_second": 200,
            "utilisation": 0.6,
            "boot": "15m",
        },
        "cache": {
            "kind": "elasticache-replicas",
            "requests_per_second": 400,
            "utilisation": 0.6,
            "boot": "15m",
        },
    },
}
BEFORE = datetime(2026, 8, 1, tzinfo=UTC)


@pytest.fixture
def made(stacks: Path, home: Path, write_stack: WriteStack) -> Recorded:
    config = {
        "firstbell:season": "seasons/tiny.yaml",
        "firstbell:platform": {
            "domain": "lms.example.org",
            "quotas": {"reserved_capacity_units": 1000},
            "cache": {
                "node_type": "cache.m7g.large",
                "cluster_mode": True,
                "shards": 2,
                "replicas": {"min": 1, "max": 3},
            },
        },
    }
    write_stack("tiny", **config)
    file = stacks / "seasons" / "tiny.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(SEASON))
    season = read_season(file)
    plan = build_plan(season, bounds=bounds_for(read_stack("tiny"), season))
    file.with_suffix(".plan.json").write_text(plan.to_json())
    recording, finished = run_program(
        "tiny",
        {"aws:region": "eu-north-1", **config},
        {
            "FIRSTBELL_HOME": str(home),
            "FIRSTBELL_STACKS": str(stacks),
            "FIRSTBELL_NOW": BEFORE.isoformat(),
        },
    )
    assert finished.returncode == 0, finished.stderr
    return Recorded(recording)


def test_reservations_are_calls_by_a_role_that_may_do_nothing_else(made: Recorded) -> None:
    schedules = made.of_type("aws:scheduler/schedule:Schedule")
    del schedules["tiny-floors"]
    assert len(schedules) >= 2
    assert len({each["name"] for each in schedules.values()}) == len(schedules)
    for name, each in schedules.items():
        assert each["target"]["arn"].endswith(":elasticloadbalancingv2:modifyCapacityReservation")
        assert each["startDate"] > BEFORE.isoformat()
        depends = made.dependencies(f"Schedule::{name}")
        assert {
            "LoadBalancer::tiny",
            "Role::tiny-balancer",
            "Queue::tiny-balancer-failed",
        } <= depends
    (policy,) = (
        each
        for name, each in made.of_type("aws:iam/rolePolicy:RolePolicy").items()
        if name == "tiny-balancer"
    )
    assert "policy" in policy
    trust = json.loads(made.of_type("aws:iam/role:Role")["tiny-balancer"]["assumeRolePolicy"])
    assert trust["Statement"][0]["Principal"] == {"Service": "scheduler.amazonaws.com"}


def test_floors_that_aws_does_not_measure_are_published_and_alarmed_of(made: Recorded) -> None:
    """Or the database could miss the replicas of an exam morning, and no alarm would tell."""
    each_minute = made.of_type("aws:scheduler/schedule:Schedule")["tiny-floors"]
    assert each_minute["scheduleExpression"] == "rate(1 minute)"
    assert made.of_type("aws:sfn/stateMachine:StateMachine")["tiny-floors"]["type"] == "EXPRESS"
    assert {"Target::tiny-database", "Target::tiny-cache"} <= made.dependencies(
        "StateMachine::tiny-floors"
    )
    log = "/aws/vendedlogs/states/tiny-floors"
    alarms = made.of_type("aws:cloudwatch/metricAlarm:MetricAlarm")
    wanted = {
        "database": "IF(FILL(readers, 0) < least, 1, 0)",
        "cache": 'IF(SUM(METRICS("node")) < 2 * (1 + least), 1, 0)',
    }
    for name, expression in wanted.items():
        alarm = alarms[f"tiny-{name}-below-floor"]
        queries = {query["id"]: query for query in alarm["metricQueries"]}
        assert queries["result"]["expression"] == expression
        least = queries["least"]["metric"]
        assert (least["namespace"], least["metricName"]) == ("firstbell", "MinCapacity")
        assert least["dimensions"] == {"Stack": "tiny", "Target": name}
        # That nobody publishes any more is told as well.
        assert alarm["insufficientDataActions"]
        assert f"the log group {log} says why" in alarm["alarmDescription"]
        assert alarm["evaluationPeriods"] == 20
    # A group's floor is AWS's own metric: that log says nothing of it.
    assert log not in alarms["tiny-web-below-floor"]["alarmDescription"]
    the_runs_that_failed_are_logged(made, log)


def the_runs_that_failed_are_logged(made: Recorded, log: str) -> None:
    """An express run leaves no history of its own."""
    group = made.of_type("aws:cloudwatch/logGroup:LogGroup")["tiny-floors"]
    assert (group["name"], group["retentionInDays"]) == (log, 90)
    machine = made.of_type("aws:sfn/stateMachine:StateMachine")["tiny-floors"]
    assert machine["loggingConfiguration"]["level"] == "ERROR"
    # AWS refuses a state machine whose role may not yet do so.
    wanted = {"LogGroup::tiny-floors", "RolePolicy::tiny-floors-log"}
    assert wanted <= made.dependencies("StateMachine::tiny-floors")
