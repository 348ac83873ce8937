"""Reads what is live: the sizes and scheduled actions of everything that a season moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cli.localcloud import fleets
from cli.stack import OpenStack
from infra import clock
from infra.season.compile import CAPACITY_CALL
from infra.season.limits import MAX_RESERVED_CAPACITY_UNITS
from infra.season.plan import Bounds
from infra.season.scalable import SCALABLE, kind_of
from infra.season.season_file import TargetKind

_GROUP: Final = "aws:autoscaling/group:Group"
_SCALABLE_TARGET: Final = "aws:appautoscaling/target:Target"
_CLUSTER: Final = "aws:rds/cluster:Cluster"
_BALANCER: Final = "aws:lb/loadBalancer:LoadBalancer"
_SCHEDULE: Final = "aws:scheduler/schedule:Schedule"

# Of an instance refresh. EC2 Auto Scaling API reference, InstanceRefresh; what is not among them is
# over and went well, or was cancelled by somebody who knows.
_UNDER_WAY: Final = frozenset(
    {"Pending", "InProgress", "Cancelling", "RollbackInProgress", "Baking"}
)
_FAILED: Final = frozenset({"Failed", "RollbackFailed"})
# What AWS adds to an action that was not in the request that made it.
_RESPONSE_ONLY: Final = frozenset({"ScheduledActionARN", "Time", "CreationTime"})


@dataclass(frozen=True)
class LiveTarget:
    """A group or scalable target as AWS describes it. `actions` are keyed by their name."""

    kind: TargetKind
    identifier: str
    bounds: Bounds
    actions: Mapping[str, dict[str, Any]]


def read(stack: OpenStack) -> dict[str, LiveTarget]:
    """Everything of a stack that a season may move, by its season name, as it is now.

    What the state holds and the cloud has lost is left out: `drift` names it.
    """
    found: dict[str, LiveTarget] = {}
    reservations = [
        resource
        for resource in stack.resources()
        if resource["type"] == _SCHEDULE
        and str(resource["outputs"]["target"]["arn"]).endswith(CAPACITY_CALL)
    ]
    for resource in stack.resources():
        name = resource["urn"].rsplit("::", 1)[-1].removeprefix(f"{stack.name}-")
        live: LiveTarget | None = None
        if resource["type"] == _GROUP:
            live = _group(stack, str(resource["id"]))
        elif resource["type"] == _SCALABLE_TARGET:
            kind = kind_of(str(resource["outputs"]["scalableDimension"]))
            if kind is not None:
                live = _scalable_target(stack, kind, str(resource["outputs"]["resourceId"]))
        elif resource["type"] == _BALANCER and reservations:
            name = "balancer"
            live = _balancer(stack, str(resource["id"]), reservations)
        if live is not None:
            found[name] = live
    return found


@dataclass(frozen=True)
class Refresh:
    """A group's instance refresh that is under way or failed; `status` is AWS's word."""

    target: str
    status: str
    percent: int
    started: datetime
    reason: str | None

    @property
    def failed(self) -> bool:
        return self.status in _FAILED

    def to_json(self) -> dict[str, object]:
        return {
            "target": self.target,
            "status": self.status,
            "percent": self.percent,
            "started": self.started.isoformat(),
            "reason": self.reason,
        }


def refreshes(stack: OpenStack, found: Mapping[str, LiveTarget]) -> list[Refresh]:
    """The last instance refresh of each group in `found`, unless it is over and went well."""
    client = stack.client("autoscaling")
    answers = {
        name: client.describe_instance_refreshes(AutoScalingGroupName=target.identifier)
        for name, target in found.items()
        if target.kind == "autoscaling-group"
    }
    return [
        refresh
        for name, answer in answers.items()
        for refresh in unfinished(name, answer["InstanceRefreshes"])
    ]


def unfinished(target: str, described: Sequence[Mapping[str, Any]]) -> Iterator[Refresh]:
    """The newest of a group's refreshes, as DescribeInstanceRefreshes shows them, if it matters."""
    for last in described[:1]:
        if last["Status"] in _UNDER_WAY | _FAILED:
            yield Refresh(
                target,
                last["Status"],
                last.get("PercentageComplete", 0),
                last["StartTime"],
                last.get("StatusReason"),
            )


def in_service(stack: OpenStack, target: LiveTarget) -> int:  # noqa: PLR0911 (one a kind)
    """Units that serve now: instances in service, or replicas that are available."""
    now = clock.now(stack.settings.cloud)
    match target.kind:
        case "autoscaling-group":
            if stack.local is not None:
                return fleets.in_service(stack.local, target.identifier, now)
            groups = stack.client("autoscaling").describe_auto_scaling_groups(
                AutoScalingGroupNames=[target.identifier]
            )["AutoScalingGroups"]
            return sum(
                instance["LifecycleState"] == "InService"
                for group in groups
                for instance in group["Instances"]
            )
        case "elasticache-replicas":
            group = SCALABLE[target.kind].name(target.identifier)
            if stack.local is not None:
                return fleets.cache_replicas_in_service(stack.local, group, now)
            found = stack.client("elasticache").describe_replication_groups(
                ReplicationGroupId=group
            )["ReplicationGroups"]
            # Of the shard that has the fewest: requests come to all of them. One is the primary.
            return min(
                (
                    len(shard["NodeGroupMembers"]) - 1
                    for each in found
                    for shard in each["NodeGroups"]
                    if shard["Status"] == "available"
                ),
                default=0,
            )
        case "aurora-replicas":
            cluster = SCALABLE[target.kind].name(target.identifier)
            if stack.local is not None:
                return fleets.replicas_in_service(stack.local, cluster, now)
            instances = stack.client("rds").describe_db_instances(
                Filters=[{"Name": "db-cluster-id", "Values": [cluster]}]
            )["DBInstances"]
            available = sum(entry["DBInstanceStatus"] == "available" for entry in instances)
            return max(0, available - 1)  # one of them is the writer
        case "load-balancer-capacity":
            return target.bounds.min
        case kind:
            raise NotImplementedError(f"nothing in a stack is scheduled as {kind}")


def set_bounds(stack: OpenStack, target: LiveTarget, bounds: Bounds) -> None:
    """Move a live target's floor and cap."""
    match target.kind:
        case "autoscaling-group":
            stack.client("autoscaling").update_auto_scaling_group(
                AutoScalingGroupName=target.identifier, MinSize=bounds.min, MaxSize=bounds.max
            )
        case "aurora-replicas" | "elasticache-replicas":
            scalable = SCALABLE[target.kind]
            stack.client("application-autoscaling").register_scalable_target(
                ServiceNamespace=scalable.namespace,
                ScalableDimension=scalable.dimension,
                ResourceId=target.identifier,
                MinCapacity=bounds.min,
                MaxCapacity=bounds.max,
            )
        case "load-balancer-capacity":
            change: dict[str, Any] = {"ResetCapacityReservation": True}
            if bounds.min:
                change = {"MinimumLoadBalancerCapacity": {"CapacityUnits": bounds.min}}
            stack.client("elbv2").modify_capacity_reservation(
                LoadBalancerArn=target.identifier, **change
            )
        case kind:
            raise NotImplementedError(f"nothing in a stack is scheduled as {kind}")


def delete_actions(stack: OpenStack, target: LiveTarget, names: Sequence[str]) -> None:
    """Delete scheduled actions of a live target."""
    for name in names:
        match target.kind:
            case "autoscaling-group":
                stack.client("autoscaling").delete_scheduled_action(
                    AutoScalingGroupName=target.identifier, ScheduledActionName=name
                )
            case "aurora-replicas" | "elasticache-replicas":
                scalable = SCALABLE[target.kind]
                stack.client("application-autoscaling").delete_scheduled_action(
                    ServiceNamespace=scalable.namespace,
                    ScalableDimension=scalable.dimension,
                    ResourceId=target.identifier,
                    ScheduledActionName=name,
                )
            case "load-balancer-capacity":
                stack.client("scheduler").delete_schedule(Name=name)
            case kind:
                raise NotImplementedError(f"nothing in a stack is scheduled as {kind}")


def remove_added_replicas(stack: OpenStack) -> None:
    """Delete the replicas that Application Auto Scaling added: the engine does not know them.

    The scalable target goes first, or they would come back. Waits until they are gone.
    """
    clusters = [
        str(resource["id"]) for resource in stack.resources() if resource["type"] == _CLUSTER
    ]
    replicas = SCALABLE["aurora-replicas"]
    for cluster in clusters:
        scaling = stack.client("application-autoscaling")
        with suppress(scaling.exceptions.ObjectNotFoundException):
            scaling.deregister_scalable_target(
                ServiceNamespace=replicas.namespace,
                ScalableDimension=replicas.dimension,
                ResourceId=replicas.resource_id(cluster),
            )
        rds = stack.client("rds")
        found = rds.describe_db_instances(Filters=[{"Name": "db-cluster-id", "Values": [cluster]}])
        added = [
            instance["DBInstanceIdentifier"]
            for instance in found["DBInstances"]
            if instance["DBInstanceIdentifier"].startswith(fleets.OWN_READER_PREFIX)
        ]
        for identifier in added:
            rds.delete_db_instance(DBInstanceIdentifier=identifier, SkipFinalSnapshot=True)
        for identifier in added:
            rds.get_waiter("db_instance_deleted").wait(DBInstanceIdentifier=identifier)


def _group(stack: OpenStack, identifier: str) -> LiveTarget | None:
    client = stack.client("autoscaling")
    groups = client.describe_auto_scaling_groups(AutoScalingGroupNames=[identifier])
    if not groups["AutoScalingGroups"]:
        return None
    group = groups["AutoScalingGroups"][0]
    pages = client.get_paginator("describe_scheduled_actions").paginate(
        AutoScalingGroupName=identifier
    )
    actions = {
        action["ScheduledActionName"]: _request(action, {"AutoScalingGroupName"})
        for action in _entries(pages, "ScheduledUpdateGroupActions")
    }
    bounds = Bounds(group["MinSize"], group["MaxSize"])
    return LiveTarget("autoscaling-group", identifier, bounds, actions)


def _scalable_target(stack: OpenStack, kind: TargetKind, identifier: str) -> LiveTarget | None:
    client, scalable = stack.client("application-autoscaling"), SCALABLE[kind]
    targets = client.describe_scalable_targets(
        ServiceNamespace=scalable.namespace, ResourceIds=[identifier]
    )
    if not targets["ScalableTargets"]:
        return None
    target = targets["ScalableTargets"][0]
    pages = client.get_paginator("describe_scheduled_actions").paginate(
        ServiceNamespace=scalable.namespace, ResourceId=identifier
    )
    actions = {
        action["ScheduledActionName"]: _request(
            action, {"ServiceNamespace", "ResourceId", "ScalableDimension"}
        )
        for action in _entries(pages, "ScheduledActions")
    }
    bounds = Bounds(target["MinCapacity"], target["MaxCapacity"])
    return LiveTarget(kind, identifier, bounds, actions)


def _balancer(
    stack: OpenStack, arn: str, schedules: Sequence[Mapping[str, Any]]
) -> LiveTarget | None:
    """A load balancer with the schedules of the state; what it has reserved is its floor.

    It has no cap but AWS's: it scales beyond the reservation by itself.
    """
    balancers, scheduler = stack.client("elbv2"), stack.client("scheduler")
    try:
        found = balancers.describe_capacity_reservation(LoadBalancerArn=arn)
    except balancers.exceptions.LoadBalancerNotFoundException:
        return None
    units = found.get("MinimumLoadBalancerCapacity", {}).get("CapacityUnits", 0)
    actions: dict[str, dict[str, Any]] = {}
    for name in (str(schedule["outputs"]["name"]) for schedule in schedules):
        with suppress(scheduler.exceptions.ResourceNotFoundException):
            actions[name] = scheduler.get_schedule(Name=name)
    bounds = Bounds(units, MAX_RESERVED_CAPACITY_UNITS)
    return LiveTarget("load-balancer-capacity", arn, bounds, actions)


def _entries(pages: Iterator[dict[str, Any]], key: str) -> Iterator[dict[str, Any]]:
    for page in pages:
        yield from page[key]


def _request(action: dict[str, Any], target_keys: set[str]) -> dict[str, Any]:
    """An action as the arguments of the call that makes it, without what names its target."""
    left_out = _RESPONSE_ONLY | target_keys | {"ScheduledActionName"}
    return {key: value for key, value in action.items() if key not in left_out}
