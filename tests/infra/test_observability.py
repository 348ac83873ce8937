"""Dashboard, alarms, addresses and budget as the program declares them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click
import pytest

from cli.main import root
from infra.alarms import COMPOSITES, below_floor
from infra.measures import CacheGroup, Metric, floor_metric, used
from infra.settings.cache import CacheSettings
from infra.settings.observability import ObservabilitySettings
from tests.infra.conftest import Record, Recorded, as_applied

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
COMPOSITE = "aws:cloudwatch/compositeAlarm:CompositeAlarm"
DASHBOARD = "aws:cloudwatch/dashboard:Dashboard"
SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"
BUDGET = "aws:budgets/budget:Budget"
# Whose name a dimension has: resource type, and the output that is its value.
OWNERS: Final = {
    "AutoScalingGroupName": ("aws:autoscaling/group:Group", "name"),
    "LoadBalancer": ("aws:lb/loadBalancer:LoadBalancer", "arnSuffix"),
    "TargetGroup": ("aws:lb/targetGroup:TargetGroup", "arnSuffix"),
    "QueueName": ("aws:sqs/queue:Queue", "name"),
    "DBClusterIdentifier": ("aws:rds/cluster:Cluster", "clusterIdentifier"),
    "ReplicationGroupId": (
        "aws:elasticache/replicationGroup:ReplicationGroup",
        "replicationGroupId",
    ),
    "BackupVaultName": ("aws:backup/vault:Vault", "name"),
    "RuleName": ("aws:cloudwatch/eventRule:EventRule", "name"),
}
FULL: Final[dict[str, Any]] = {
    "tiers": {"web": {}, "nantes": {"hosts": ["nantes.example.org"], "boot_minutes": 20}},
    "workers": {"jobs": {"imports": {"queue": {"jobs_per_instance": 7}}}},
    "cache": {},
    "observability": {"emails": ["ops@example.org", "head@example.org"], "monthly_limit_usd": 4000},
}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return as_applied(tmp_path_factory.mktemp("stacks"), tmp_path_factory.mktemp("home"), **FULL)


def body(program: Recorded) -> dict[str, Any]:
    (board,) = program.of_type(DASHBOARD).values()
    return json.loads(board["dashboardBody"])


def series(program: Recorded) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Every series that the dashboard or an alarm names: where, and its dimensions."""
    for widget in body(program)["widgets"]:
        for line in widget["properties"].get("metrics", []):
            names = [part for part in line if isinstance(part, str)]
            yield widget["properties"]["title"], dict(zip(names[2::2], names[3::2], strict=True))
    for name, alarm in program.of_type(ALARM).items():
        for query in alarm["metricQueries"]:
            yield name, query.get("metric", {}).get("dimensions", {})


def strangers(program: Recorded) -> set[str]:
    """Where a series is named that belongs to no resource of the stack."""
    return {
        f"{where}: {dimension} {value}"
        for where, dimensions in series(program)
        for dimension, value in dimensions.items()
        if dimension not in ("Role", "ResourceType") and value not in _known(program, dimension)
    }


def _known(program: Recorded, dimension: str) -> set[str]:
    if dimension == "CacheClusterId":
        groups = _known(program, "ReplicationGroupId")
        return {f"{group}-{node:03}" for group in groups for node in (1, 2)}
    type, output = OWNERS[dimension]
    # A name that the program gives is the output, too.
    return {
        str(inputs.get(output, f"{name}-{output}"))
        for name, inputs in program.of_type(type).items()
    }


def test_every_series_belongs_to_a_resource_of_the_stack(full: Recorded) -> None:
    assert len(list(series(full))) > 100
    assert strangers(full) == set()


@pytest.mark.parametrize("type", [type for type, _ in OWNERS.values()])
def test_a_resource_of_another_name_is_missed(full: Recorded, type: str) -> None:
    resources = dict(full.recording.resources)
    urn = next(urn for urn, resource in resources.items() if resource.type == type)
    del resources[urn]
    recording = full.recording.__class__(resources)
    assert strangers(Recorded(recording))


def test_each_capacity_shows_demand_floor_in_service_and_headroom(full: Recorded) -> None:
    shown = {widget["properties"].get("title"): widget for widget in body(full)["widgets"]}
    for name in ("web", "nantes", "workers", "imports", "database", "cache"):
        properties = shown[f"{name}: demand, floor, in service, headroom"]["properties"]
        labels = [line[-1].get("label") for line in properties["metrics"]]
        marks = [m["label"] for m in properties.get("annotations", {}).get("horizontal", [])]
        floor = ["floor: least that the stack's file allows"]
        if name in ("database", "cache"):
            assert marks == floor
        else:
            assert "scheduled floor" in labels
        assert {"demand", "in service", "headroom"} <= set(labels)


def _expression(program: Recorded, alarm: str) -> str:
    return program.of_type(ALARM)[alarm]["metricQueries"][-1]["expression"]


def test_the_scheduled_floor_is_the_minimum_that_the_schedule_moves(full: Recorded) -> None:
    alarm = full.of_type(ALARM)["tiny-web-below-floor"]
    names = {q["id"]: q["metric"]["metricName"] for q in alarm["metricQueries"][:-1]}
    assert names == {"least": "GroupMinSize", "serving": "GroupInServiceInstances"}
    assert _expression(full, "tiny-web-below-floor") == "IF(serving < least, 1, 0)"
    assert alarm["evaluationPeriods"] == alarm["datapointsToAlarm"] == 10
    assert alarm["threshold"] == 1
    # A group that stops to be measured is told as well.
    assert alarm["treatMissingData"] == "missing"
    assert alarm["insufficientDataActions"]
    (group,) = [
        g for n, g in full.of_type("aws:autoscaling/group:Group").items() if n == "tiny-web"
    ]
    assert {"GroupMinSize", "GroupInServiceInstances"} <= set(group["enabledMetrics"])


def test_a_slow_boot_is_not_taken_for_missing_instances(full: Recorded) -> None:
    assert full.of_type(ALARM)["tiny-nantes-below-floor"]["evaluationPeriods"] == 20 + 5


def test_replicas_and_cache_nodes_are_counted_by_the_samples_they_send(full: Recorded) -> None:
    alarm = full.of_type(ALARM)["tiny-database-below-floor"]
    assert alarm["metricQueries"][0]["metric"]["stat"] == "SampleCount"
    assert alarm["metricQueries"][0]["metric"]["dimensions"]["Role"] == "READER"
    assert _expression(full, "tiny-database-below-floor") == "IF(readers < 1, 1, 0)"
    assert _expression(full, "tiny-cache-below-floor") == 'IF(SUM(METRICS("node")) < 2, 1, 0)'


def test_a_cache_of_more_nodes_than_one_alarm_takes_is_watched_shard_by_shard() -> None:
    """Or the largest caches would be those that nobody watches."""

    def alarmed(shards: int, most: int) -> list[tuple[str, str | int, int]]:
        settings = CacheSettings.model_validate(
            {
                "node_type": "cache.m7g.large",
                "cluster_mode": True,
                "shards": shards,
                "replicas": {"min": 1, "max": most},
            }
        )
        found = CacheGroup("tiny", settings, 60, floor_metric("tiny", "cache")).alarmed
        alarms = [
            below_floor("tiny", each, ObservabilitySettings.model_validate({})) for each in found
        ]
        return [
            (alarm.name, each.floor, len(alarm.metrics))
            for alarm, each in zip(alarms, found, strict=True)
        ]

    # Nine nodes and the floor are the ten metrics that AWS allows.
    assert alarmed(3, 2) == [("cache-below-floor", "3 * (1 + least)", 10)]
    assert alarmed(2, 4) == [
        ("cache-shard-1-below-floor", "1 * (1 + least)", 6),
        ("cache-shard-2-below-floor", "1 * (1 + least)", 6),
    ]


def test_a_night_without_any_backup_is_an_alarm_although_aws_sends_no_metric(
    full: Recorded,
) -> None:
    alarm = full.of_type(ALARM)["tiny-backup-missing"]
    assert alarm["treatMissingData"] == "breaching"
    (query, result) = alarm["metricQueries"]
    assert query["metric"]["metricName"] == "NumberOfBackupJobsCompleted"
    assert result["expression"] == "IF(completed >= 1, 0, 1)"
    # Only the database is backed up: what the vault counts is that.
    assert set(query["metric"]["dimensions"]) == {"BackupVaultName"}
    assert "Not one backup of the database of tiny" in alarm["alarmDescription"]
    # From the completion of one daily backup to that of the next at the latest, and an hour.
    (plan,) = full.of_type("aws:backup/plan:Plan").values()
    latest = plan["rules"][0]["startWindow"] + plan["rules"][0]["completionWindow"]
    assert alarm["evaluationPeriods"] * query["metric"]["period"] == (24 * 60 + latest + 60) * 60
    # What says nothing of failures is no such alarm: without jobs nothing has failed.
    assert full.of_type(ALARM)["tiny-backup-failed"]["treatMissingData"] == "notBreaching"


# Of three years: the second Sunday of each month.
SUNDAYS: Final = [
    next(day for day in days if day.isoweekday() == 7)
    for year in (2026, 2027, 2028)
    for month in range(1, 13)
    for days in [[datetime(year, month, day, tzinfo=UTC) for day in range(8, 15)]]
]


def alarming(expression: str, periods: int, restored: set[datetime]) -> list[datetime]:
    """When an alarm on restores would be on in those years, hour by hour."""
    code = compile(expression.replace(" AND ", " and "), "expression", "eval")
    found, in_a_row = list[datetime](), 0
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)
    for hour in (start + timedelta(hours=n) for n in range((end - start).days * 24)):
        names: dict[str, Any] = {
            "IF": lambda condition, yes, no: yes if condition else no,
            "FILL": lambda series, value: series or value,
            "DAY": datetime.isoweekday,
            "DATE": lambda hour: hour.day,
            "completed": hour in restored,
            "hourly": hour,
        }
        in_a_row = in_a_row + 1 if eval(code, names) else 0  # noqa: S307 (our own expression)
        if in_a_row >= periods:
            found.append(hour + timedelta(hours=1))
    return found


@pytest.mark.parametrize(
    ("after_hours", "told_hours"),
    [(0, 0), (5, 0), (3 * 24 - 1, 0), (3 * 24, 1), (3 * 24 + 9, 10)],
)
def test_a_restore_test_that_ran_is_no_alarm_but_until_it_ran_late(
    full: Recorded, after_hours: int, told_hours: int
) -> None:
    """From Sunday 00:00 on, the earliest, until Wednesday 00:00, when it is told."""
    alarm = full.of_type(ALARM)["tiny-restore-test-missing"]
    expression, periods = alarm["metricQueries"][-1]["expression"], alarm["evaluationPeriods"]
    restored = {sunday + timedelta(hours=after_hours) for sunday in SUNDAYS}
    assert len(alarming(expression, periods, restored)) == told_hours * len(SUNDAYS)
    # An hour less, and a test that ran at once would be told each month.
    if after_hours == 0:
        assert len(alarming(expression, periods - 1, restored)) == len(SUNDAYS)


def test_a_restore_test_that_never_ran_is_an_alarm_for_two_days_of_its_month(
    full: Recorded,
) -> None:
    alarm = full.of_type(ALARM)["tiny-restore-test-missing"]
    assert alarm["treatMissingData"] == "notBreaching"
    (completed, hourly, result) = alarm["metricQueries"]
    assert completed["metric"]["metricName"] == "NumberOfRestoreJobsCompleted"
    assert {completed["metric"]["period"], hourly["metric"]["period"]} == {3600}
    # AWS looks back for a week at most.
    assert alarm["evaluationPeriods"] <= 7 * 24
    (plan,) = full.of_type("aws:backup/restoreTestingPlan:RestoreTestingPlan").values()
    assert plan["scheduleExpression"].endswith(" ? * 1#2 *)")
    found = alarming(result["expression"], alarm["evaluationPeriods"], set())
    # From Wednesday 00:00, the end of the hour before, until Thursday is over.
    wednesdays = [sunday + timedelta(days=3) for sunday in SUNDAYS]
    assert found == [day + timedelta(hours=n) for day in wednesdays for n in range(49)]


def test_without_restore_tests_none_is_missed(record: Record) -> None:
    alarms = record(backup={"restore_test": False}).of_type(ALARM)
    assert "tiny-restore-test-missing" not in alarms
    assert "tiny-backup-missing" in alarms


@pytest.mark.parametrize(
    ("files", "backup", "backed_up", "restored"),
    [
        (None, {}, {""}, {""}),
        ({}, {}, {"-aurora", "-efs"}, {"-aurora", "-efs"}),
        ({"bucket": {}}, {}, {"-aurora", "-efs", "-s3"}, {"-aurora", "-efs", "-s3"}),
        (
            {"bucket": {}},
            {"restore_test_bucket": False},
            {"-aurora", "-efs", "-s3"},
            {"-aurora", "-efs"},
        ),
        ({}, {"restore_test": False}, {"-aurora", "-efs"}, set()),
    ],
    ids=["database", "files", "bucket", "bucket not restored", "nothing restored"],
)
def test_each_kind_that_is_backed_up_has_its_alarm_and_no_other(
    record: Record,
    files: dict[str, Any] | None,
    backup: dict[str, Any],
    backed_up: set[str],
    restored: set[str],
) -> None:
    program = record(backup=backup, **({} if files is None else {"files": files}))
    alarms = program.of_type(ALARM)
    for name, wanted in (("backup-missing", backed_up), ("restore-test-missing", restored)):
        start = f"tiny-{name}"
        assert {n.removeprefix(start) for n in alarms if n.startswith(start)} == wanted
        for suffix in wanted:
            dimensions = alarms[start + suffix]["metricQueries"][0]["metric"]["dimensions"]
            kind = {"-aurora": "Aurora", "-efs": "EFS", "-s3": "S3"}.get(suffix)
            assert dimensions.get("ResourceType") == kind
    # They are those of the tests themselves, as AWS Backup spells them.
    selections = program.of_type("aws:backup/restoreTestingSelection:RestoreTestingSelection")
    if len(restored) > 1:
        kinds = {f"-{s['protectedResourceType'].lower()}" for s in selections.values()}
        assert kinds == restored


def test_one_cause_is_told_once(full: Recorded) -> None:
    told = [name for name, alarm in full.of_type(ALARM).items() if alarm.get("alarmActions")]
    assert told == []
    composites = full.of_type(COMPOSITE)
    assert set(composites) == {f"tiny-{name}" for name, _ in COMPOSITES.values()}
    watched = {
        alarm
        for composite in composites.values()
        for alarm in re.findall(r'ALARM\("([^"]+)"\)', composite["alarmRule"])
    }
    assert watched == set(full.of_type(ALARM))
    (topic,) = {*(a for c in composites.values() for a in c["alarmActions"] + c["okActions"])}
    assert topic == full.of_type(SUBSCRIPTION)["tiny-ops@example.org"]["topic"]


def test_users_are_hurt_by_errors_latency_or_instances_that_fail(full: Recorded) -> None:
    rule = full.of_type(COMPOSITE)["tiny-users-are-hurt"]["alarmRule"]
    kinds = ("errors", "latency", "unhealthy")
    names = [f"tiny-{tier}-{kind}" for tier in ("web", "nantes") for kind in kinds]
    wanted = " OR ".join(f'ALARM("{name}")' for name in [*names, "tiny-balancer-errors"])
    assert rule == wanted


def test_alarms_reach_the_addresses_through_a_topic_that_lets_them_in(full: Recorded) -> None:
    subscriptions = full.of_type(SUBSCRIPTION).values()
    assert {s["endpoint"] for s in subscriptions} == {"ops@example.org", "head@example.org"}
    assert {s["protocol"] for s in subscriptions} == {"email"}
    (topic,) = full.of_type("aws:sns/topic:Topic").values()
    assert topic["kmsMasterKeyId"].endswith(":tiny-notices")
    (key,) = full.of_type("aws:kms/key:Key").values()
    (policy,) = full.of_type("aws:sns/topicPolicy:TopicPolicy").values()
    services = {"budgets.amazonaws.com", "cloudwatch.amazonaws.com", "events.rds.amazonaws.com"}
    for document in (key["policy"], policy["policy"]):
        principals = [s["Principal"] for s in json.loads(document)["Statement"]]
        assert services <= set(principals[-1]["Service"])
    assert key["enableKeyRotation"]


def test_the_budget_is_what_the_user_stated(full: Recorded) -> None:
    budget = full.of_type(BUDGET)["tiny"]
    assert (budget["limitAmount"], budget["limitUnit"]) == ("4000.00", "USD")
    told = [(n["notificationType"], n["threshold"]) for n in budget["notifications"]]
    assert told == [("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100)]
    assert all(n["subscriberSnsTopicArns"] for n in budget["notifications"])


def test_without_a_limit_there_is_no_budget_and_without_an_address_no_subscription(
    record: Record,
) -> None:
    program = record(database={"replicas": {"min": 0, "max": 0}})
    assert program.of_type(BUDGET) == {}
    assert program.of_type(SUBSCRIPTION) == {}
    assert "tiny-database-below-floor" not in program.of_type(ALARM)
    assert "tiny-database-lag" not in program.of_type(ALARM)
    assert len(program.of_type(DASHBOARD)) == 1


def test_thresholds_are_the_settings(stacks: Path, home: Path) -> None:
    program = as_applied(
        stacks,
        home,
        workers={},
        observability={
            "below_floor_minutes": 12,
            "error_percent": 3,
            "latency_seconds": 4,
            "unhealthy_percent": 50,
            "job_wait_minutes": 90,
        },
    )
    alarms = program.of_type(ALARM)
    assert alarms["tiny-web-below-floor"]["evaluationPeriods"] == 12
    thresholds = {
        name: alarms[f"tiny-{name}"]["threshold"]
        for name in ("web-errors", "balancer-errors", "web-latency", "web-unhealthy",
                     "workers-waiting", "workers-failed", "database-connections")
    }  # fmt: skip
    assert thresholds == {
        "web-errors": 3,
        "balancer-errors": 3,
        "web-latency": 4,
        "web-unhealthy": 50,
        "workers-waiting": 90,
        "workers-failed": 1,
        "database-connections": 1441,  # 80 % of db.r6g.large's 1,802
    }


@pytest.mark.slow
def test_more_alarms_than_aws_takes_in_one_are_told_in_two_layers(record: Record) -> None:
    tiers = {f"t{n}": {"hosts": [f"t{n}.example.org"], "min": 0, "max": 1} for n in range(34)}
    program = record(
        tiers={"web": {}} | tiers, quotas={"standard_vcpus": 1000, "certificate_names": 40}
    )
    names = [name for name in program.of_type(COMPOSITE) if "users" in name]
    assert sorted(names) == [
        "tiny-users-are-hurt",
        "tiny-users-are-hurt-1",
        "tiny-users-are-hurt-2",
    ]
    assert program.of_type(COMPOSITE)["tiny-users-are-hurt"]["alarmActions"]
    assert "alarmActions" not in program.of_type(COMPOSITE)["tiny-users-are-hurt-1"]


def commands(text: str) -> list[list[str]]:
    return [found.split() for found in re.findall(r"`firstbell ([^`]+)`", text)]


def unknown(words: list[str]) -> str | None:
    """What of a command line the command does not know."""
    command: click.Command = root
    with click.Context(root) as context:
        for word in words:
            if isinstance(command, click.Group) and not word.startswith("-"):
                found = command.get_command(context, word)
                if found is None:
                    return word
                command = found
    return None


def test_each_alarm_says_what_to_do_next(full: Recorded) -> None:
    for name, alarm in (full.of_type(ALARM) | full.of_type(COMPOSITE)).items():
        text = alarm["alarmDescription"]
        assert len(text) <= 1024, name
        assert commands(text), name
        assert [unknown(words) for words in commands(text)] == [None] * len(commands(text)), name
    assert all("Next: " in a["alarmDescription"] for a in full.of_type(ALARM).values())


def test_a_command_that_there_is_not_is_found() -> None:
    assert unknown(["season", "verfy", "-s", "tiny"]) == "verfy"


def test_an_expression_uses_what_it_names() -> None:
    metric = Metric("AWS/SQS", "x", "Sum", {})
    metrics = {"node1": metric, "node2": metric, "cpu1": metric, "floor": metric}
    assert set(used(metrics, 'SUM(METRICS("node"))')) == {"node1", "node2"}
    assert set(used(metrics, "IF(FILL(floor, 0) > 1, cpu1, 0)")) == {"floor", "cpu1"}
