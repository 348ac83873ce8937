"""Endpoints and the task on the emulator; its statistics, which the emulator lacks, as recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from moto.dms.models import dms_backends

from cli.migration.dms.service import Instance, Service
from infra.errors import FirstbellError, InputError

SECRET = {
    "SecretsManagerSecretId": "arn:aws:secretsmanager:eu-north-1:111122223333:secret:lms",
    "SecretsManagerAccessRoleArn": "arn:aws:iam::111122223333:role/dms-reads-secret",
}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        client: Any = boto3.client("dms", region_name="eu-north-1")
        instance = client.create_replication_instance(
            ReplicationInstanceIdentifier="lms", ReplicationInstanceClass="dms.r6i.large"
        )["ReplicationInstance"]["ReplicationInstanceArn"]
        yield Service(client, "school_one", instance)


def with_task(service: Service) -> Service:
    service.ensure_endpoint("source", "oracle", {"OracleSettings": SECRET | {"DatabaseName": "X"}})
    service.ensure_endpoint("target", "aurora-postgresql", {"PostgreSQLSettings": SECRET})
    service.ensure_task({"LMS": "lms"})
    # At AWS a new task gets ready by itself; on the emulator somebody has to say so.
    for task in dms_backends[ACCOUNT_ID]["eu-north-1"].replication_tasks.values():
        if task.status == "creating":
            task.ready()
    return service


def test_a_missing_replication_instance_is_named(service: Service) -> None:
    service.instance_arn += "x"
    with pytest.raises(InputError, match="no replication instance"):
        service.instance()


def test_endpoints_and_task_are_made_once_however_often_it_is_asked(service: Service) -> None:
    first = with_task(service)
    assert with_task(service).task_name == first.task_name == "firstbell-school-one"
    assert len(service.client.describe_endpoints()["Endpoints"]) == 2
    assert len(service.client.describe_replication_tasks()["ReplicationTasks"]) == 1


def test_no_password_is_sent_to_dms(service: Service) -> None:
    with_task(service)
    assert "Password" not in json.dumps(service.client.describe_endpoints(), default=str)


def test_the_task_loads_and_follows_and_carries_our_settings(service: Service) -> None:
    task = with_task(service).task()
    assert task is not None
    assert task["MigrationType"] == "full-load-and-cdc"
    assert json.loads(task["ReplicationTaskSettings"])["ValidationSettings"]["EnableValidation"]
    assert "LMS" in task["TableMappings"]


def test_a_task_of_other_schemas_is_not_taken_for_ours(service: Service) -> None:
    with_task(service)
    with pytest.raises(FirstbellError, match="other table mappings"):
        service.ensure_task({"LMS": "lms", "FILES": "files"})


def test_a_task_needs_both_endpoints(service: Service) -> None:
    with pytest.raises(FirstbellError, match="source and the target"):
        service.ensure_task({"LMS": "lms"})


def test_a_connection_is_tested_by_dms_itself(service: Service) -> None:
    with_task(service)
    assert service.connection("source") == ("none", "")
    service.test_connection("source")
    assert service.connection("source")[0] in ("testing", "successful")
    assert service.connection("source")[0] == "successful"


def test_a_task_starts_stops_and_goes_on_where_it_stood(service: Service) -> None:
    with_task(service)
    assert service.go_on() == "ready"
    assert service.progress().status == "running"
    assert service.go_on() == "running"
    assert service.halt() == "running"
    assert service.progress().status == "stopped"
    assert service.go_on() == "stopped"
    assert service.progress().status == "running"


def test_everything_is_removed_also_from_a_running_task(service: Service) -> None:
    with_task(service).go_on()
    assert service.remove() == [
        "firstbell-school-one",
        "firstbell-school-one-source",
        "firstbell-school-one-target",
    ]
    assert service.remove() == []
    assert service.client.describe_endpoints()["Endpoints"] == []
    assert service.client.describe_replication_tasks()["ReplicationTasks"] == []
    assert service.remove() == []
    assert service.halt() == "none"


def test_a_task_that_somebody_deleted_is_named(service: Service) -> None:
    with pytest.raises(FirstbellError, match="is gone"):
        service.progress()


# What the emulator does not have: answers of the shapes that botocore's model documents.

TASK = "arn:aws:dms:eu-north-1:111122223333:task:ABC"


def stubbed(task: dict[str, Any]) -> tuple[Service, Stubber]:
    client: Any = boto3.client(
        "dms", region_name="eu-north-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    stubber = Stubber(client)
    stubber.add_response(
        "describe_replication_tasks",
        {"ReplicationTasks": [{"ReplicationTaskArn": TASK} | task]},
        {"Filters": [{"Name": "replication-task-id", "Values": ["firstbell-lms"]}]},
    )
    stubber.activate()
    return Service(client, "lms", "arn:aws:dms:eu-north-1:111122223333:rep:R"), stubber


def test_cloudwatch_is_asked_by_the_instances_name_which_its_arn_need_not_hold() -> None:
    client: Any = boto3.client(
        "dms", region_name="eu-north-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    arn = "arn:aws:dms:eu-north-1:111122223333:rep:QX7Z"
    found = {"ReplicationInstanceArn": arn, "ReplicationInstanceIdentifier": "lms-prod",
             "ReplicationInstanceStatus": "available", "EngineVersion": "3.6.1"}  # fmt: skip
    with Stubber(client) as stubber:
        stubber.add_response(
            "describe_replication_instances",
            {"ReplicationInstances": [found]},
            {"Filters": [{"Name": "replication-instance-arn", "Values": [arn]}]},
        )
        assert Service(client, "lms", arn).instance() == Instance("lms-prod", "available", "3.6.1")


def test_statistics_of_all_pages_are_read() -> None:
    service, stubber = stubbed({"Status": "running"})
    moment = datetime(2026, 11, 26, tzinfo=UTC)
    for marker, name in ((None, "mdl_user"), ("next", "mdl_course")):
        answer: dict[str, Any] = {
            "ReplicationTaskArn": TASK,
            "TableStatistics": [
                {
                    "SchemaName": "lms",
                    "TableName": name,
                    "TableState": "Table completed",
                    "FullLoadRows": 3,
                    "ValidationState": "Validated",
                    "LastUpdateTime": moment,
                }
            ],
        }
        asked: dict[str, Any] = {"ReplicationTaskArn": TASK}
        if marker is None:
            answer["Marker"] = "next"
        else:
            asked["Marker"] = marker
        stubber.add_response("describe_table_statistics", answer, asked)
    assert [each.name for each in service.tables()] == ["lms.mdl_course", "lms.mdl_user"]
    stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("task", "failed", "done"),
    [
        ({"Status": "running", "ReplicationTaskStats": {"FullLoadProgressPercent": 40}}, 0, 0),
        (
            {
                "Status": "running",
                "ReplicationTaskStats": {"FullLoadProgressPercent": 100, "TablesLoaded": 9},
            },
            0,
            1,
        ),
        (
            {
                "Status": "running",
                "ReplicationTaskStats": {"FullLoadProgressPercent": 100, "TablesQueued": 1},
            },
            0,
            0,
        ),
        ({"Status": "failed", "LastFailureMessage": "out of disk"}, 1, 0),
        ({"Status": "stopped", "StopReason": "Stop Reason FATAL_ERROR Error Level FATAL"}, 1, 0),
        ({"Status": "stopped", "StopReason": "Stop Reason NORMAL"}, 0, 0),
    ],
)
def test_progress_tells_running_done_and_failed_apart(
    task: dict[str, Any], failed: int, done: int
) -> None:
    service, _ = stubbed(task)
    progress = service.progress()
    assert (progress.failed, progress.full_load_done) == (bool(failed), bool(done))
