"""The calls to AWS DMS: endpoints, their connections, and one task. Every one may be repeated."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from cli.migration.dms import task
from infra.errors import FirstbellError, InputError

# Statuses of a task that pass by themselves. DescribeReplicationTasks, Status.
PASSING: Final = frozenset({"creating", "starting", "stopping", "modifying", "deleting", "testing"})
_TAG: Final = "firstbell:migration"


@dataclass(frozen=True)
class Progress:
    """How far a task is; `percent` of the full load."""

    status: str
    percent: int
    tables_loaded: int
    tables_loading: int
    tables_queued: int
    tables_errored: int
    reason: str

    @property
    def failed(self) -> bool:
        return self.status in ("failed", "failed-move") or "ERROR" in self.reason

    @property
    def full_load_done(self) -> bool:
        return self.percent >= 100 and not (self.tables_loading or self.tables_queued)


@dataclass(frozen=True)
class Instance:
    """A replication instance; CloudWatch knows it by its name, which its ARN need not hold."""

    name: str
    status: str
    version: str


@dataclass
class Service:
    """One migration's things in DMS; everything is named after the migration.

    `client` is a boto3 client of `dms`; `migration` its name.
    """

    client: Any
    migration: str
    instance_arn: str

    @property
    def task_name(self) -> str:
        # Letters, digits and hyphens; CreateReplicationTask, ReplicationTaskIdentifier.
        return f"firstbell-{self.migration.replace('_', '-')}"

    def endpoint_name(self, side: str) -> str:
        return f"{self.task_name}-{side}"

    def instance(self) -> Instance:
        """The replication instance.

        Raises:
            InputError: there is none.
        """
        found = self._one(
            "describe_replication_instances",
            "ReplicationInstances",
            "replication-instance-arn",
            self.instance_arn,
        )
        if found is None:
            raise InputError(
                f"there is no replication instance {self.instance_arn}",
                where="dms.replication_instance_arn",
                fix="create one in the VPC of the target, reachable from the source",
            )
        return Instance(
            str(found["ReplicationInstanceIdentifier"]),
            str(found["ReplicationInstanceStatus"]),
            str(found.get("EngineVersion") or ""),
        )

    # Endpoints

    def endpoint(self, side: str) -> str | None:
        """The ARN of a side's endpoint, or None."""
        found = self._one(
            "describe_endpoints", "Endpoints", "endpoint-id", self.endpoint_name(side)
        )
        return str(found["EndpointArn"]) if found else None

    def ensure_endpoint(self, side: str, engine: str, settings: Mapping[str, Any]) -> str:
        """Create a side's endpoint unless it is there; its ARN.

        Args:
            engine: `oracle`, `sqlserver`, `postgres` or `aurora-postgresql`.
            settings: the engine's block of CreateEndpoint under its own name, with the secret's ARN
                and the role that may read it: no password passes through here.
        """
        if (there := self.endpoint(side)) is not None:
            return there
        made = self.client.create_endpoint(
            EndpointIdentifier=self.endpoint_name(side),
            EndpointType=side,
            EngineName=engine,
            Tags=[{"Key": _TAG, "Value": self.migration}],
            **settings,
        )
        return str(made["Endpoint"]["EndpointArn"])

    def test_connection(self, side: str) -> None:
        """Ask DMS to connect to a side; `connection` tells how it went."""
        self.client.test_connection(
            ReplicationInstanceArn=self.instance_arn, EndpointArn=self.endpoint(side)
        )

    def connection(self, side: str) -> tuple[str, str]:
        """Status of a side's last connection test (`testing`, `successful`, `failed`), and why."""
        found = self._one(
            "describe_connections", "Connections", "endpoint-arn", self.endpoint(side) or ""
        )
        if found is None:
            return "none", ""
        return str(found["Status"]), str(found.get("LastFailureMessage") or "")

    # The task

    def task(self) -> Mapping[str, Any] | None:
        """The task as DMS describes it, or None."""
        return self._one(
            "describe_replication_tasks",
            "ReplicationTasks",
            "replication-task-id",
            self.task_name,
        )

    def ensure_task(self, schemas: Mapping[str, str]) -> str:
        """Create the task (full load and CDC, validated) unless it is there; its ARN.

        Raises:
            FirstbellError: an endpoint is missing, or the task that is there was not made so.
        """
        there = self.task()
        if there is not None:
            if there["TableMappings"] != task.table_mappings(schemas):
                raise FirstbellError(
                    f"the DMS task {self.task_name} has other table mappings than the file says",
                    fix="firstbell migrate abort --discard, then start again",
                )
            return str(there["ReplicationTaskArn"])
        endpoints = {side: self.endpoint(side) for side in ("source", "target")}
        missing = [side for side, arn in endpoints.items() if arn is None]
        if missing:
            raise FirstbellError(f"DMS has no endpoint for the {' and the '.join(missing)}")
        made = self.client.create_replication_task(
            ReplicationTaskIdentifier=self.task_name,
            SourceEndpointArn=endpoints["source"],
            TargetEndpointArn=endpoints["target"],
            ReplicationInstanceArn=self.instance_arn,
            MigrationType="full-load-and-cdc",
            TableMappings=task.table_mappings(schemas),
            ReplicationTaskSettings=task.task_settings(),
            Tags=[{"Key": _TAG, "Value": self.migration}],
        )
        return str(made["ReplicationTask"]["ReplicationTaskArn"])

    def go_on(self) -> str:
        """Start a task that is ready, resume one that was stopped; its status before.

        A task that failed is not started again by itself.
        """
        there = self._task()
        status = str(there["Status"])
        if status in ("ready", "stopped"):
            self.client.start_replication_task(
                ReplicationTaskArn=there["ReplicationTaskArn"],
                StartReplicationTaskType="start-replication"
                if status == "ready"
                else "resume-processing",
            )
        return status

    def halt(self) -> str:
        """Stop the task where it stands; its status before."""
        there = self.task()
        if there is None:
            return "none"
        if there["Status"] == "running":
            self.client.stop_replication_task(ReplicationTaskArn=there["ReplicationTaskArn"])
        return str(there["Status"])

    def progress(self) -> Progress:
        """How far the task is."""
        there = self._task()
        stats = there.get("ReplicationTaskStats") or {}

        def count(name: str) -> int:
            return int(stats.get(name) or 0)

        return Progress(
            status=str(there["Status"]),
            percent=count("FullLoadProgressPercent"),
            tables_loaded=count("TablesLoaded"),
            tables_loading=count("TablesLoading"),
            tables_queued=count("TablesQueued"),
            tables_errored=count("TablesErrored"),
            reason=" ".join(
                str(there[key]) for key in ("StopReason", "LastFailureMessage") if there.get(key)
            ),
        )

    def tables(self) -> list[task.TableStatistics]:
        """The statistics of every table of the task, sorted by name."""
        arn = self._task()["ReplicationTaskArn"]
        pages = self.client.get_paginator("describe_table_statistics").paginate(
            ReplicationTaskArn=arn
        )
        found = [task.read_statistics(each) for page in pages for each in page["TableStatistics"]]
        return sorted(found, key=lambda each: each.name)

    def remove(self) -> list[str]:
        """Delete task and endpoints as far as DMS lets go of them now; what is still there.

        DMS deletes in the background, a task only when it stands still, an endpoint only when no
        task names it: call it until nothing is left.
        """
        there = self.task()
        if there is not None:
            if there["Status"] == "running":
                self.halt()
            elif there["Status"] not in PASSING:
                self.client.delete_replication_task(ReplicationTaskArn=there["ReplicationTaskArn"])
            there = self.task()
        for side in ("source", "target") if there is None else ():
            if (arn := self.endpoint(side)) is not None:
                # It is being deleted already, or the task that names it still is.
                with contextlib.suppress(self.client.exceptions.InvalidResourceStateFault):
                    self.client.delete_endpoint(EndpointArn=arn)
        return self.left()

    def left(self) -> list[str]:
        """The names of what of ours is still in DMS."""
        return ([self.task_name] if self.task() is not None else []) + [
            self.endpoint_name(side)
            for side in ("source", "target")
            if self.endpoint(side) is not None
        ]

    def _task(self) -> Mapping[str, Any]:
        there = self.task()
        if there is None:
            raise FirstbellError(
                f"the DMS task {self.task_name} is gone",
                fix="firstbell migrate abort --discard, then start again",
            )
        return there

    def _one(self, operation: str, answer: str, name: str, value: str) -> Mapping[str, Any] | None:
        """The one thing that a filter finds; DMS answers an error where nothing does."""
        try:
            found = getattr(self.client, operation)(Filters=[{"Name": name, "Values": [value]}])
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "ResourceNotFoundFault":
                return None
            raise
        things = found[answer]
        return things[0] if things else None
