"""What CloudWatch measures of a stack: for all that has a capacity its demand, floor and service.

Here: which series of AWS's there are and what they mean. What is shown of them stands in
`dashboard`, what is told in `alarms`.

The scheduled floor of an Auto Scaling group is a series of its own, GroupMinSize, since scheduled
actions move the group's MinSize: it needs no copy of the plan. AWS publishes no such series for the
minimum of a scalable target (Aurora replicas, cache replicas): where a season moves it, `floors`
publishes it; where none does, it is the least that the stack's file allows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi

from infra.settings.cache import CacheSettings

MINUTE: Final = 60
HOUR: Final = 3600
# An alarm on metric math takes ten metrics. CloudWatch user guide, "Creating a CloudWatch alarm
# based on a metric math expression".
MAX_METRICS_OF_AN_ALARM: Final = 10
# What a replica takes to serve, as a season assumes it.
REPLICA_BOOT_MINUTES: Final = 15

# What `floors` publishes: the live MinCapacity of a scalable target.
FLOOR_NAMESPACE: Final = "firstbell"
FLOOR_METRIC: Final = "MinCapacity"
# Where a floor comes from: from the calendar, or, where no season moves it, from the file.
SCHEDULED_FLOOR: Final = "scheduled floor"
FIXED_FLOOR: Final = "least that the stack's file allows"

Dimensions = Mapping[str, pulumi.Input[str]]


@dataclass(frozen=True)
class Metric:
    """One series of CloudWatch's; `period` is in seconds."""

    namespace: str
    name: str
    stat: str
    dimensions: Dimensions
    period: int = MINUTE


def floor_dimensions(stack: str, target: str) -> dict[str, str]:
    """How `floors` names the floor of one scheduled target."""
    return {"Stack": stack, "Target": target}


def floor_metric(stack: str, target: str) -> Metric:
    """The floor that scheduled actions have set, as `floors` publishes it each minute."""
    return Metric(FLOOR_NAMESPACE, FLOOR_METRIC, "Average", floor_dimensions(stack, target))


def used(metrics: Mapping[str, Metric], expression: str) -> dict[str, Metric]:
    """The metrics that an expression names, one by one or by `METRICS("part of their ids")`."""
    parts = re.findall(r'METRICS\("(\w+)"\)', expression)
    words = set(re.findall(r"\b[a-z]\w*\b", expression)) - set(parts)
    return {
        id: metric
        for id, metric in metrics.items()
        if id in words or any(part in id for part in parts)
    }


@dataclass(frozen=True)
class Capacity:
    """One thing that has a capacity.

    `demand`, `serving` and `floor` are expressions over the ids in `metrics`, each in numbers of
    `unit`; a floor that is a number does not move. `boot_minutes` is what a unit takes to serve,
    `floor_is` says where the floor comes from. `watched` is false where there is nothing to tell,
    or the metrics are too many for one alarm.
    """

    name: str
    unit: str
    metrics: Mapping[str, Metric]
    demand: str
    serving: str
    floor: str | int
    floor_is: str
    boot_minutes: int
    watched: bool = True


@dataclass(frozen=True)
class Group:
    """An Auto Scaling group: its season's name and the one that AWS knows."""

    name: str
    group: pulumi.Input[str]
    boot_minutes: int

    def metric(self, name: str, stat: str = "Average") -> Metric:
        """One of the group's own metrics; they cost nothing and come each minute."""
        return Metric("AWS/AutoScaling", name, stat, {"AutoScalingGroupName": self.group})

    def capacity(self, metrics: Mapping[str, Metric], demand: str) -> Capacity:
        own = {
            "least": self.metric("GroupMinSize"),
            "serving": self.metric("GroupInServiceInstances"),
        }
        return Capacity(
            name=self.name,
            unit="instances",
            metrics={**metrics, **own},
            demand=demand,
            serving="serving",
            floor="least",
            floor_is=SCHEDULED_FLOOR,
            boot_minutes=self.boot_minutes,
        )

    def by_cpu(self, target_percent: float) -> Capacity:
        """What its instances would have to be to work at `target_percent`."""
        cpu = Metric("AWS/EC2", "CPUUtilization", "Average", {"AutoScalingGroupName": self.group})
        return self.capacity({"cpu": cpu}, f"cpu * serving / {target_percent:g}")


@dataclass(frozen=True)
class Tier:
    """A web tier behind the load balancer."""

    group: Group
    balancer: pulumi.Input[str]
    target_group: pulumi.Input[str]
    requests_per_minute: int
    """What one instance serves well."""

    def metric(self, name: str, stat: str) -> Metric:
        of = {"LoadBalancer": self.balancer, "TargetGroup": self.target_group}
        return Metric("AWS/ApplicationELB", name, stat, of)

    @property
    def capacity(self) -> Capacity:
        return self.group.capacity(
            {"requests": self.metric("RequestCount", "Sum")},
            f"FILL(requests, 0) / {self.requests_per_minute}",
        )


@dataclass(frozen=True)
class Jobs:
    """A group of workers; without a queue it is measured by CPU.

    `own_hours` says that a season moves it: jobs may wait for its hours.
    """

    group: Group
    queue: pulumi.Input[str] | None
    failed_queue: pulumi.Input[str] | None
    jobs_per_instance: int
    cpu_target_percent: float
    own_hours: bool

    @property
    def capacity(self) -> Capacity:
        if self.queue is None:
            return self.group.by_cpu(self.cpu_target_percent)
        return self.group.capacity(
            {
                "waiting": _of_queue(self.queue, "ApproximateNumberOfMessagesVisible", "Maximum"),
                "taken": _of_queue(self.queue, "ApproximateNumberOfMessagesNotVisible", "Maximum"),
            },
            f"(waiting + taken) / {self.jobs_per_instance}",
        )

    @property
    def oldest_seconds(self) -> Metric | None:
        """Age of the job that has waited longest."""
        if self.queue is None:
            return None
        return _of_queue(self.queue, "ApproximateAgeOfOldestMessage", "Maximum")

    @property
    def failed(self) -> Metric | None:
        """Jobs that were tried too often."""
        if self.failed_queue is None:
            return None
        return _of_queue(self.failed_queue, "ApproximateNumberOfMessagesVisible", "Maximum")


def _of_queue(queue: pulumi.Input[str], name: str, stat: str) -> Metric:
    return Metric("AWS/SQS", name, stat, {"QueueName": queue})


@dataclass(frozen=True)
class Cluster:
    """The Aurora cluster; its replicas are the units. `most_connections` is None where the class's
    memory is not known; `scheduled_floor` where no season moves the floor."""

    identifier: pulumi.Input[str]
    least_replicas: int
    has_replicas: bool
    most_connections: int | None
    cpu_target_percent: float
    scheduled_floor: Metric | None = None

    def metric(self, name: str, stat: str, role: str = "WRITER") -> Metric:
        """Of the writer, or of all readers together. Aurora user guide, "Dimensions for Aurora":
        DBClusterIdentifier, Role."""
        of = {"DBClusterIdentifier": self.identifier, "Role": role}
        return Metric("AWS/RDS", name, stat, of)

    @property
    def capacity(self) -> Capacity | None:
        """Each reader sends one sample a minute, so that their number is the number of readers."""
        if not self.has_replicas:
            return None
        scheduled = self.scheduled_floor
        return Capacity(
            name="database",
            unit="replicas",
            metrics={
                "readers": self.metric("CPUUtilization", "SampleCount", "READER"),
                "cpu": self.metric("CPUUtilization", "Average", "READER"),
            }
            | ({"least": scheduled} if scheduled else {}),
            demand=f"cpu * readers / {self.cpu_target_percent:g}",
            # Without a reader there is no sample: that is none, not silence.
            serving="FILL(readers, 0)" if scheduled else "readers",
            floor="least" if scheduled else self.least_replicas,
            floor_is=SCHEDULED_FLOOR if scheduled else FIXED_FLOOR,
            boot_minutes=REPLICA_BOOT_MINUTES,
            watched=scheduled is not None or self.least_replicas > 0,
        )


@dataclass(frozen=True)
class CacheGroup:
    """The replication group; its nodes, primaries and replicas, are the units."""

    group: pulumi.Input[str]
    settings: CacheSettings
    cpu_target_percent: float
    scheduled_floor: Metric | None = None
    """Replicas of one shard; None where no season moves them."""

    def nodes(self, shards: Iterable[int]) -> dict[str, pulumi.Input[str]]:
        """Every node that there may be: AWS names them by the group, the shard and a number."""
        settings, found = self.settings, dict[str, pulumi.Input[str]]()
        for shard in shards:
            part = f"-{shard:04}" if settings.cluster_mode else ""
            for node in range(1, settings.replicas.max + 2):
                found[f"{shard}x{node}"] = pulumi.Output.concat(self.group, f"{part}-{node:03}")
        return found

    def metric(self, node: pulumi.Input[str], name: str, stat: str) -> Metric:
        return Metric("AWS/ElastiCache", name, stat, {"CacheClusterId": node})

    @property
    def memory_percent(self) -> Metric:
        """How much of the memory of all shards is taken; beyond it keys are evicted."""
        return Metric(
            "AWS/ElastiCache",
            "DatabaseMemoryUsageCountedForEvictPercentage",
            "Maximum",
            {"ReplicationGroupId": self.group},
        )

    @property
    def capacity(self) -> Capacity:
        """All shards together."""
        return self._capacity("cache", range(1, self.settings.shards + 1))

    @property
    def alarmed(self) -> list[Capacity]:
        """All shards together, or one by one where those are too many metrics for an alarm."""
        together = self.capacity
        if together.watched:
            return [together]
        shards = range(1, self.settings.shards + 1)
        return [self._capacity(f"cache-shard-{shard}", [shard]) for shard in shards]

    def _capacity(self, name: str, shards: Sequence[int]) -> Capacity:
        metrics: dict[str, Metric] = {}
        nodes = self.nodes(shards)
        for number, node in nodes.items():
            metrics[f"node{number}"] = self.metric(node, "EngineCPUUtilization", "SampleCount")
            metrics[f"cpu{number}"] = self.metric(node, "EngineCPUUtilization", "Average")
        floor = self.scheduled_floor
        if floor is not None:
            metrics["least"] = floor
        least = len(shards) * (1 + self.settings.replicas.min)
        # Of nodes that are not there yet AWS has no series, which SUM passes over.
        return Capacity(
            name=name,
            unit="nodes",
            metrics=metrics,
            demand=f'SUM(METRICS("cpu")) / {self.cpu_target_percent:g}',
            serving='SUM(METRICS("node"))',
            floor=f"{len(shards)} * (1 + least)" if floor else least,
            floor_is=SCHEDULED_FLOOR if floor else FIXED_FLOOR,
            boot_minutes=REPLICA_BOOT_MINUTES,
            watched=len(nodes) + (floor is not None) <= MAX_METRICS_OF_AN_ALARM,
        )


@dataclass(frozen=True)
class Watched:
    """Everything of a stack that is looked at."""

    balancer: pulumi.Input[str]
    vault: pulumi.Input[str]
    tiers: Mapping[str, Tier]
    jobs: Mapping[str, Jobs]
    cluster: Cluster
    cache: CacheGroup | None = None
    backed_up: Sequence[str] = ("Aurora",)
    """What is backed up each day, as AWS Backup calls the kinds."""
    restored: Sequence[str] = ("Aurora",)
    """Of which of them restores are tried out each month."""
    refresh_rules: Sequence[pulumi.Input[str]] = ()
    """EventBridge's names of the rules that tell of failed instance refreshes."""

    def of_balancer(self, name: str, stat: str) -> Metric:
        return Metric("AWS/ApplicationELB", name, stat, {"LoadBalancer": self.balancer})

    def of_backups(self, name: str, kind: str | None = None) -> Metric:
        """Jobs of the stack's vault: of all kinds, or of one. CloudWatch user guide, "Supported
        metrics for resource tags for telemetry": the dimensions that are published together."""
        of = {"BackupVaultName": self.vault} | ({"ResourceType": kind} if kind else {})
        return Metric("AWS/Backup", name, "Sum", of, HOUR)

    @property
    def capacities(self) -> list[Capacity]:
        """In the order in which they are shown."""
        found = [tier.capacity for tier in self.tiers.values()]
        found += [jobs.capacity for jobs in self.jobs.values()]
        found += [self.cluster.capacity] if self.cluster.capacity else []
        return found + ([self.cache.capacity] if self.cache else [])

    @property
    def alarmed(self) -> list[Capacity]:
        """What an alarm compares with its floor."""
        found = [each for each in self.capacities if each.name != "cache" and each.watched]
        return found + (self.cache.alarmed if self.cache else [])
