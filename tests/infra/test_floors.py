"""The scheduled floors of replicas as a metric: the state machine, run by an interpreter."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import boto3
import pytest
from moto import mock_aws

from infra.alarms import below_floor
from infra.floors import Floor, definition
from infra.measures import FLOOR_METRIC, FLOOR_NAMESPACE, Cluster, floor_metric
from infra.season.scalable import SCALABLE
from infra.settings.observability import ObservabilitySettings
from tests.infra.conftest import Record

REGION: Final = "eu-north-1"
# Two of one kind: moto scales no caches.
IDS: Final = {"database": "cluster:tiny", "second": "cluster:other"}
REPLICAS: Final = SCALABLE["aurora-replicas"]
MACHINE = "aws:sfn/stateMachine:StateMachine"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        yield


def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION)  # pyright: ignore[reportCallIssue, reportArgumentType] (any service)


def move(name: str, least: int) -> None:
    """What a scheduled action does."""
    client("application-autoscaling").register_scalable_target(
        ServiceNamespace=REPLICAS.namespace,
        ScalableDimension=REPLICAS.dimension,
        ResourceId=IDS[name],
        MinCapacity=least,
        MaxCapacity=8,
    )


def run_once(text: str) -> Any:
    """One run of the state machine, as it ended."""
    machines = client("stepfunctions")
    arn = machines.create_state_machine(
        name="floors", definition=text, roleArn="arn:aws:iam::123456789012:role/floors"
    )["stateMachineArn"]
    run = machines.start_execution(stateMachineArn=arn)["executionArn"]
    until = time.monotonic() + 20
    while (ended := machines.describe_execution(executionArn=run))["status"] == "RUNNING":
        assert time.monotonic() < until
        time.sleep(0.05)
    return ended


def published(name: str) -> list[float]:
    now = datetime.now(UTC)
    points = client("cloudwatch").get_metric_statistics(
        Namespace=FLOOR_NAMESPACE,
        MetricName=FLOOR_METRIC,
        Dimensions=[{"Name": "Stack", "Value": "tiny"}, {"Name": "Target", "Value": name}],
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
        Period=60,
        Statistics=["Average"],
    )["Datapoints"]
    return [point["Average"] for point in points]


def both() -> str:
    floors = [(Floor(name, REPLICAS, id), id) for name, id in IDS.items()]
    # Step Functions calls services as Java's SDK does, moto's interpreter as boto3 does.
    text = json.dumps(definition("tiny", floors))
    return text.replace(":applicationautoscaling:", ":application-autoscaling:")


@pytest.mark.usefixtures("aws")
def test_what_scheduled_actions_have_set_is_published() -> None:
    move("database", 1)
    move("second", 2)
    move("database", 5)
    assert run_once(both())["status"] == "SUCCEEDED"
    assert (published("database"), published("second")) == ([5.0], [2.0])


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("gone", IDS)
def test_a_target_that_is_gone_is_silence_and_keeps_no_other_back(gone: str) -> None:
    """Not a floor of nothing: its own alarm has no data then, and that is told."""
    (other,) = (name for name in IDS if name != gone)
    move(other, 2)
    run = run_once(both())
    assert (run["status"], run["error"]) == ("FAILED", "FloorMissing")
    assert (published(gone), published(other)) == ([], [2.0])


@pytest.mark.usefixtures("aws")
def test_what_aws_refuses_to_tell_or_to_take_of_one_target_keeps_no_other_back() -> None:
    move("database", 1)
    move("second", 2)
    unknown = "rds:cluster:ReadReplicaCount"
    refused = both().replace(unknown, "rds:cluster:Unknown", 1)
    assert run_once(refused)["status"] == "FAILED"
    assert (published("database"), published("second")) == ([], [2.0])


def test_the_alarm_of_a_floor_that_is_not_published_has_no_data_and_tells_so() -> None:
    """Not filled with a number: a floor of nothing would be kept by nobody in service."""
    floor = floor_metric("tiny", "database")
    capacity = Cluster(
        "tiny",
        1,
        has_replicas=True,
        most_connections=None,
        cpu_target_percent=60,
        scheduled_floor=floor,
    ).capacity
    assert capacity is not None
    alarm = below_floor("tiny", capacity, ObservabilitySettings.model_validate({}))
    assert (alarm.expression, alarm.silence) == ("IF(FILL(readers, 0) < least, 1, 0)", "told")
    assert alarm.metrics["least"] == floor
    assert "log group /aws/vendedlogs/states/tiny-floors says why" in alarm.text


def test_a_stack_whose_replicas_no_season_moves_publishes_nothing(record: Record) -> None:
    program = record()
    assert program.of_type(MACHINE) == {}
    (alarm,) = (
        alarm
        for name, alarm in program.of_type("aws:cloudwatch/metricAlarm:MetricAlarm").items()
        if name == "tiny-database-below-floor"
    )
    assert alarm["metricQueries"][-1]["expression"] == "IF(readers < 1, 1, 0)"
