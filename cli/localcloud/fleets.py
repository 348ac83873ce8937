"""What the clock moves: Auto Scaling groups and the replicas of databases and caches.

moto marks a unit as in service the moment it exists. When a unit was launched, by the local cloud's
clock, is recorded here; it counts as in service one boot time later.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from cli.localcloud import clock, files
from cli.localcloud.boots import BOOT_TAG, GROUP_BOOT_MINUTES, record_path
from infra.clock import parse
from infra.season.scalable import SCALABLE, Scalable

READER_BOOT_MINUTES: Final = 15.0
# What AWS calls the readers that Application Auto Scaling made; it removes no others.
OWN_READER_PREFIX: Final = "application-autoscaling-"
OWN_READER_PROMOTION_TIER: Final = 15  # AWS gives them the last place in a failover
# A replica of a cache joins when it has copied its primary's memory [M].
CACHE_BOOT_MINUTES: Final = 10.0
# A refresh's preferences where it does not say. EC2 Auto Scaling API reference, RefreshPreferences.
MIN_HEALTHY_PERCENT: Final = 90
MAX_HEALTHY_PERCENT: Final = 100
_LAST: Final = datetime.max.replace(tzinfo=UTC)


class Cloud(Protocol):
    """A running local cloud."""

    def client(self, service: str, region: str) -> Any: ...
    def regions(self) -> list[str]: ...


@dataclass
class Fleet:
    """A group's instances or a cluster's readers. `launched` ascends; the newest goes first."""

    name: str
    region: str
    minimum: int
    maximum: int
    boot: timedelta
    launched: list[datetime]  # of the units that scaling may remove
    quiet_since: datetime  # the last time that a schedule or a scaling changed it
    units: Mapping[str, datetime]  # launch time of each instance or reader there is
    fixed: int = 0  # readers that were not made by scaling
    tracked: bool = False  # a target tracking policy may scale it in
    stuck: str | None = None  # why it cannot change its size now
    suspended: bool = False  # scheduled scaling is switched off
    found: Mapping[str, Any] = field(default_factory=dict[str, Any])  # as the cloud described it

    @property
    def size(self) -> int:
        """Units, whether in service or not."""
        return self.fixed + len(self.launched)

    def resize(self, size: int, at: datetime) -> None:
        """Launch or remove units; what is fixed stays."""
        wanted = max(0, size - self.fixed)
        self.launched = self.launched[:wanted] + [at] * (wanted - len(self.launched))


class Group(Fleet):
    """An Auto Scaling group."""


class Cluster(Fleet):
    """An Aurora cluster's readers under a scalable target."""


class Shards(Fleet):
    """The replicas that each shard of a cache has, under a scalable target."""


def in_service(cloud: Cloud, group: str, at: datetime) -> int:
    """Instances of an Auto Scaling group that are launched and booted at a time of the clock."""
    for region in cloud.regions():
        answer = cloud.client("autoscaling", region).describe_auto_scaling_groups(
            AutoScalingGroupNames=[group]
        )
        for found in answer["AutoScalingGroups"]:
            boot = _boot(found["Tags"], GROUP_BOOT_MINUTES)
            launched = _launched(Record.read(), region, group, _instances(found), clock.read())
            return sum(moment + boot <= at for moment in launched.values())
    return 0


def replicas_in_service(cloud: Cloud, cluster_id: str, at: datetime) -> int:
    """Readers of an Aurora cluster that are launched and booted at a time of the clock."""
    for region in cloud.regions():
        rds = cloud.client("rds", region)
        for found in _pages(rds, "describe_db_clusters", "DBClusters"):
            if found["DBClusterIdentifier"] == cluster_id and found["Status"] == "available":
                boot = _boot(found["TagList"], READER_BOOT_MINUTES)
                launched = _launched(
                    Record.read(), region, cluster_id, _readers(found), clock.read()
                )
                return sum(moment + boot <= at for moment in launched.values())
    return 0


def cache_replicas_in_service(cloud: Cloud, group: str, at: datetime) -> int:
    """Replicas of each shard of a cache that are launched and booted at a time of the clock."""
    for region in cloud.regions():
        for found in _replication_groups(cloud, region):
            if found["ReplicationGroupId"] == group and found["Status"] == "available":
                boot = timedelta(minutes=CACHE_BOOT_MINUTES)
                launched = _launched(
                    Record.read(), region, group, _cache_replicas(found), clock.read()
                )
                return sum(moment + boot <= at for moment in launched.values())
    return 0


@dataclass
class Record:
    """Launch times by Region/name and unit, and since when each has been quiet."""

    launched: dict[str, dict[str, datetime]] = field(default_factory=dict[str, dict[str, datetime]])
    quiet_since: dict[str, datetime] = field(default_factory=dict[str, datetime])

    @classmethod
    def read(cls) -> Record:
        kept = files.read_json(record_path()) or {"launched": {}, "quiet_since": {}}
        where = str(record_path())
        return cls(
            {
                name: {unit: parse(text, where) for unit, text in units.items()}
                for name, units in kept["launched"].items()
            },
            {name: parse(text, where) for name, text in kept["quiet_since"].items()},
        )

    def write(self) -> None:
        files.write_json(
            record_path(),
            {
                "launched": {
                    name: {unit: moment.isoformat() for unit, moment in units.items()}
                    for name, units in self.launched.items()
                },
                "quiet_since": {name: at.isoformat() for name, at in self.quiet_since.items()},
            },
        )


def groups(cloud: Cloud, region: str, record: Record, now: datetime) -> dict[str, Group]:
    """The Auto Scaling groups of a Region by name, as they stand."""
    autoscaling = cloud.client("autoscaling", region)
    found = list(_pages(autoscaling, "describe_auto_scaling_groups", "AutoScalingGroups"))
    policies = _pages(autoscaling, "describe_policies", "ScalingPolicies") if found else ()
    tracked = {policy["AutoScalingGroupName"] for policy in policies if _may_scale_in(policy)}
    answer: dict[str, Group] = {}
    for group in found:
        name = group["AutoScalingGroupName"]
        units = _launched(record, region, name, _instances(group), now)
        suspended = {process["ProcessName"] for process in group["SuspendedProcesses"]}
        fleet = answer[name] = Group(
            name=name,
            region=region,
            minimum=group["MinSize"],
            maximum=group["MaxSize"],
            boot=_boot(group["Tags"], GROUP_BOOT_MINUTES),
            launched=sorted(units.values()),
            quiet_since=record.quiet_since.get(f"{region}/{name}", now),
            units=units,
            tracked=name in tracked and "AlarmNotification" not in suspended,
            suspended="ScheduledActions" in suspended,
            found=group,
        )
        fleet.resize(group["DesiredCapacity"], now)
    return answer


def clusters(cloud: Cloud, region: str, record: Record, now: datetime) -> dict[str, Cluster]:
    """The Aurora clusters of a Region that are scalable targets, by resource id."""
    scalable = SCALABLE["aurora-replicas"]
    targets, tracked = _scalable_targets(cloud, region, scalable)
    if not targets:
        return {}
    answer: dict[str, Cluster] = {}
    for cluster in _pages(cloud.client("rds", region), "describe_db_clusters", "DBClusters"):
        resource = scalable.resource_id(cluster["DBClusterIdentifier"])
        if resource not in targets:
            continue
        target, name = targets[resource], cluster["DBClusterIdentifier"]
        readers = _launched(record, region, name, _readers(cluster), now)
        own = [at for reader, at in readers.items() if reader.startswith(OWN_READER_PREFIX)]
        suspended = target.get("SuspendedState") or {}
        available = cluster["Status"] == "available"
        answer[resource] = Cluster(
            name=name,
            region=region,
            minimum=target["MinCapacity"],
            maximum=target["MaxCapacity"],
            boot=_boot(cluster["TagList"], READER_BOOT_MINUTES),
            launched=sorted(own),
            quiet_since=record.quiet_since.get(f"{region}/{name}", now),
            units=readers,
            fixed=len(readers) - len(own),
            tracked=(resource in tracked and not suspended.get("DynamicScalingInSuspended", False)),
            stuck=None if available else f"cluster {name} is {cluster['Status']}, not available",
            suspended=bool(suspended.get("ScheduledScalingSuspended", False)),
            found=cluster,
        )
    return answer


def caches(cloud: Cloud, region: str, record: Record, now: datetime) -> dict[str, Shards]:
    """The replication groups of a Region that are scalable targets, by resource id."""
    scalable = SCALABLE["elasticache-replicas"]
    targets, tracked = _scalable_targets(cloud, region, scalable)
    if not targets:
        return {}
    answer: dict[str, Shards] = {}
    for group in _replication_groups(cloud, region):
        name = group["ReplicationGroupId"]
        resource = scalable.resource_id(name)
        if resource not in targets:
            continue
        target, units = targets[resource], _cache_replicas(group)
        launched = _launched(record, region, name, units, now)
        suspended = target.get("SuspendedState") or {}
        available = group["Status"] == "available"
        answer[resource] = Shards(
            name=name,
            region=region,
            minimum=target["MinCapacity"],
            maximum=target["MaxCapacity"],
            boot=timedelta(minutes=CACHE_BOOT_MINUTES),
            launched=sorted(launched.values()),
            quiet_since=record.quiet_since.get(f"{region}/{name}", now),
            units=launched,
            tracked=(resource in tracked and not suspended.get("DynamicScalingInSuspended", False)),
            stuck=None if available else f"cache {name} is {group['Status']}, not available",
            suspended=bool(suspended.get("ScheduledScalingSuspended", False)),
            found=group,
        )
    return answer


def _scalable_targets(
    cloud: Cloud, region: str, scalable: Scalable
) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """The targets of a kind by resource id, and which of them load may scale in."""
    scaling = cloud.client("application-autoscaling", region)
    targets = {
        target["ResourceId"]: target
        for target in _pages(
            scaling,
            "describe_scalable_targets",
            "ScalableTargets",
            ServiceNamespace=scalable.namespace,
            ScalableDimension=scalable.dimension,
        )
    }
    if not targets:
        return {}, set()
    policies = _pages(
        scaling,
        "describe_scaling_policies",
        "ScalingPolicies",
        ServiceNamespace=scalable.namespace,
    )
    return targets, {policy["ResourceId"] for policy in policies if _may_scale_in(policy)}


def _replication_groups(cloud: Cloud, region: str) -> Iterator[dict[str, Any]]:
    yield from _pages(
        cloud.client("elasticache", region), "describe_replication_groups", "ReplicationGroups"
    )


def _cache_replicas(group: Mapping[str, Any]) -> list[str]:
    """Names for the replicas that every shard has: all shards have as many."""
    return [f"replica-{n}" for n in range(1, len(group["NodeGroups"][0]["NodeGroupMembers"]))]


def apply_group(cloud: Cloud, group: Group) -> dict[str, datetime]:
    """Give a group in moto its sizes; returns the launch time of each instance."""
    autoscaling = cloud.client("autoscaling", group.region)
    found = group.found
    sizes = {
        "MinSize": group.minimum,
        "MaxSize": group.maximum,
        "DesiredCapacity": len(group.launched),
    }
    if any(found[key] != value for key, value in sizes.items()):
        autoscaling.update_auto_scaling_group(AutoScalingGroupName=group.name, **sizes)
        answer = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group.name])
        found = answer["AutoScalingGroups"][0]
    # Which instances stay is moto's choice; the oldest times go to the oldest of them.
    known = group.units
    instances = sorted(_instances(found), key=lambda unit: known.get(unit, _LAST))
    return dict(zip(instances, group.launched, strict=False))


def refresh(
    cloud: Cloud, group: Group, launched: Mapping[str, datetime], window: tuple[datetime, datetime]
) -> dict[str, datetime]:
    """Replace what an instance refresh under way replaces in a window of time.

    `launched` has the launch time of each instance of the group as it is; returns what it is then.
    Instances go in batches, one boot time after the other. Where more than 100 % may be healthy, an
    old one goes once its successor is in service, else the successor is launched when it has gone.
    """
    autoscaling = cloud.client("autoscaling", group.region)
    name = {"AutoScalingGroupName": group.name}
    answer = autoscaling.describe_instance_refreshes(**name)["InstanceRefreshes"]
    running = next((found for found in answer if found["Status"] == "InProgress"), None)
    if running is None:
        return dict(launched)
    described = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group.name])
    (found,) = described["AutoScalingGroups"]
    preferences, started = running["Preferences"], running["StartTime"]
    wanted = _launch_template(cloud, group.region, found)
    times = {unit: launched.get(unit, window[1]) for unit in _instances(found)}
    outdated = [
        instance["InstanceId"]
        for instance in sorted(found["Instances"], key=lambda i: times[i["InstanceId"]])
        if times[instance["InstanceId"]] <= started
        and not (preferences.get("SkipMatching") and instance.get("LaunchTemplate") == wanted)
    ]
    size, ahead = _batch(found["DesiredCapacity"], preferences)
    for launch in _batches(started, group.boot, window, ahead=ahead):
        for old in outdated[:size]:
            autoscaling.terminate_instance_in_auto_scaling_group(
                InstanceId=old, ShouldDecrementDesiredCapacity=False
            )
            described = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group.name])
            units = _instances(described["AutoScalingGroups"][0])
            times = {unit: times.get(unit, launch) for unit in units}
        outdated = outdated[size:]
        if not outdated:
            break
    return times


def _batch(desired: int, preferences: Mapping[str, Any]) -> tuple[int, bool]:
    """How many instances are replaced at a time, and whether the new ones come first."""
    least = preferences.get("MinHealthyPercentage", MIN_HEALTHY_PERCENT)
    most = preferences.get("MaxHealthyPercentage", MAX_HEALTHY_PERCENT)
    if most > MAX_HEALTHY_PERCENT or least == most:
        return max(1, desired * (most - MAX_HEALTHY_PERCENT) // 100), True
    return max(1, desired - math.ceil(desired * least / 100)), False


def _batches(
    started: datetime, boot: timedelta, window: tuple[datetime, datetime], *, ahead: bool
) -> Iterator[datetime]:
    """When the new instances of each batch are launched that changes the group in the window.

    The group changes when the old ones go: with the launch, or a boot after it where new ones come
    `ahead`.
    """
    now, until = window
    launch, boot = started, max(boot, timedelta(minutes=1))
    while True:
        change = launch + boot if ahead else launch
        if change > until or (not ahead and change == until):
            return
        if change > now or (not ahead and change == now):
            yield launch
        launch += boot


def _launch_template(cloud: Cloud, region: str, group: Mapping[str, Any]) -> dict[str, str]:
    """What the group launches from, as its instances show it: with the version's number.

    By AWS's API, from outside; `refreshes` asks the same of moto's own objects in the server.
    """
    policy = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    named = group.get("LaunchTemplate") or policy["LaunchTemplateSpecification"]
    versions = cloud.client("ec2", region).describe_launch_template_versions(
        LaunchTemplateId=named["LaunchTemplateId"], Versions=[named.get("Version", "$Default")]
    )
    return named | {"Version": str(versions["LaunchTemplateVersions"][0]["VersionNumber"])}


def apply_cluster(cloud: Cloud, cluster: Cluster, target: tuple[int, int]) -> dict[str, datetime]:
    """Give a scalable target its bounds and a cluster its readers; returns their launch times.

    `target` is the minimum and maximum that the target had.
    """
    _set_bounds(cloud, cluster, target, SCALABLE["aurora-replicas"])
    own = sorted(
        (at, reader) for reader, at in cluster.units.items() if reader.startswith(OWN_READER_PREFIX)
    )
    rds = cloud.client("rds", cluster.region)
    readers = {r: at for r, at in cluster.units.items() if not r.startswith(OWN_READER_PREFIX)}
    names = [reader for _, reader in own]
    for surplus in names[len(cluster.launched) :]:
        rds.delete_db_instance(DBInstanceIdentifier=surplus, SkipFinalSnapshot=True)
    missing = len(cluster.launched) - len(names)
    if missing > 0:
        names += _add_readers(rds, cluster, missing)
    return readers | dict(zip(names, cluster.launched, strict=False))


def apply_cache(cloud: Cloud, cache: Shards, target: tuple[int, int]) -> dict[str, datetime]:
    """Give a scalable target its bounds and a cache its replicas; returns their launch times."""
    _set_bounds(cloud, cache, target, SCALABLE["elasticache-replicas"])
    elasticache = cloud.client("elasticache", cache.region)
    if cache.size != len(cache.units):
        more = cache.size > len(cache.units)
        change = elasticache.increase_replica_count if more else elasticache.decrease_replica_count
        change(ReplicationGroupId=cache.name, NewReplicaCount=cache.size, ApplyImmediately=True)
    return {f"replica-{n}": at for n, at in enumerate(cache.launched, start=1)}


def _set_bounds(cloud: Cloud, fleet: Fleet, had: tuple[int, int], scalable: Scalable) -> None:
    if had != (fleet.minimum, fleet.maximum):
        cloud.client("application-autoscaling", fleet.region).register_scalable_target(
            ServiceNamespace=scalable.namespace,
            ScalableDimension=scalable.dimension,
            ResourceId=scalable.resource_id(fleet.name),
            MinCapacity=fleet.minimum,
            MaxCapacity=fleet.maximum,
        )


def _add_readers(rds: Any, cluster: Cluster, count: int) -> list[str]:
    members = cluster.found["DBClusterMembers"]
    writer = next(m["DBInstanceIdentifier"] for m in members if m["IsClusterWriter"])
    described = rds.describe_db_instances(DBInstanceIdentifier=writer)["DBInstances"][0]
    names = [f"{OWN_READER_PREFIX}{uuid.uuid4()}" for _ in range(count)]
    for name in names:
        rds.create_db_instance(
            DBInstanceIdentifier=name,
            DBClusterIdentifier=cluster.name,
            DBInstanceClass=described["DBInstanceClass"],
            Engine=described["Engine"],
            PromotionTier=OWN_READER_PROMOTION_TIER,
            Tags=[
                {"Key": "application-autoscaling:resourceId", "Value": f"cluster:{cluster.name}"}
            ],
        )
    return names


def _launched(
    record: Record, region: str, name: str, units: list[str], now: datetime
) -> dict[str, datetime]:
    """Launch time of each unit; the clock stands still, so unknown ones were launched now."""
    known = record.launched.get(f"{region}/{name}", {})
    return {unit: known.get(unit, now) for unit in units}


def _instances(group: Mapping[str, Any]) -> list[str]:
    return [instance["InstanceId"] for instance in group["Instances"]]


def _readers(cluster: Mapping[str, Any]) -> list[str]:
    return [
        member["DBInstanceIdentifier"]
        for member in cluster["DBClusterMembers"]
        if not member["IsClusterWriter"]
    ]


def _may_scale_in(policy: Mapping[str, Any]) -> bool:
    """Whether a policy of either service is target tracking that may also scale in."""
    settings = policy.get("TargetTrackingConfiguration") or policy.get(
        "TargetTrackingScalingPolicyConfiguration"
    )
    return bool(settings) and not settings.get("DisableScaleIn", False)


def _boot(tags: list[dict[str, str]], default_minutes: float) -> timedelta:
    minutes = next((tag["Value"] for tag in tags if tag["Key"] == BOOT_TAG), default_minutes)
    return timedelta(minutes=float(minutes))


def _pages(client: Any, operation: str, key: str, **request: Any) -> Iterator[dict[str, Any]]:
    for page in client.get_paginator(operation).paginate(**request):
        yield from page[key]
