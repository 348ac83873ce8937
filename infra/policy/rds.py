"""Controls of Amazon RDS: Aurora clusters, their instances, and event subscriptions.

An instance of an Aurora cluster takes encryption, authentication, logs and backups from its
cluster, as pulumi-aws's `rds.ClusterInstance` does; such controls look there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from infra.policy.base import (
    Control,
    Fault,
    Faults,
    Resource,
    ResourceCheck,
    ResourceControl,
    Stack,
    StackCheck,
    StackControl,
    UnknownValue,
    is_unknown,
    must_be,
    same,
)
from infra.policy.zones import several_zones

CLUSTER: Final = "aws:rds/cluster:Cluster"
INSTANCE: Final = "aws:rds/clusterInstance:ClusterInstance"
SUBNET_GROUP: Final = "aws:rds/subnetGroup:SubnetGroup"
SUBSCRIPTION: Final = "aws:rds/eventSubscription:EventSubscription"

# Default administrators of AWS's console and engines, which everybody knows.
DEFAULT_ADMINISTRATORS: Final = ("admin", "administrator", "postgres", "root", "rdsadmin")
MINIMUM_BACKUP_DAYS: Final = 7
# Log types by engine, as RDS.9 lists them.
LOGS: Final[Mapping[str, tuple[str, ...]]] = {
    "aurora-mysql": ("audit", "error", "general", "slowquery"),
    "aurora-postgresql": ("postgresql",),
}


def _cluster_of(instance: Resource, stack: Stack) -> Resource:
    """The cluster of an instance.

    Raises:
        UnknownValue: its name is not known yet, or it is not of this stack.
    """
    found = stack.perhaps_named_by(instance, "clusterIdentifier", CLUSTER)
    if is_unknown(instance.peek("clusterIdentifier")) or not found:
        raise UnknownValue("clusterIdentifier")
    return found[0]


def _by_its_cluster(check: ResourceCheck) -> StackCheck:
    """An instance is judged by what its cluster says."""

    def judge(instance: Resource, stack: Stack) -> Faults:
        cluster = _cluster_of(instance, stack)
        for fault in check(cluster):
            yield Fault(f"{cluster.name}/{fault.property}", fault.value, fault.fix)

    return judge


def _is_monitored(instance: Resource) -> Faults:
    if not int(instance.get("monitoringInterval", 0)):
        yield Fault("monitoringInterval", 0, "set it to 60 or less, with a monitoringRoleArn")


def _publishes(engine: str | None, *types: str) -> ResourceCheck:
    """A cluster publishes these logs, or all that RDS.9 lists for its engine."""

    def check(cluster: Resource) -> Faults:
        own = cluster.get("engine")
        if engine is not None and own != engine:
            return
        published = list(cluster.items("enabledCloudwatchLogsExports"))
        for kind in types or LOGS.get(str(own), ()):
            if kind not in published:
                yield Fault(
                    "enabledCloudwatchLogsExports", published, f"publish the log {kind} as well"
                )

    return check


def _is_backed_up(cluster: Resource) -> Faults:
    days = cluster.get("backupRetentionPeriod", 1)
    if int(days) < MINIMUM_BACKUP_DAYS:
        yield Fault(
            "backupRetentionPeriod",
            days,
            f"keep backups for at least {MINIMUM_BACKUP_DAYS} days",
        )


def _has_a_replica(cluster: Resource, stack: Stack) -> Faults:
    """Aurora places the instances of a cluster in different zones where it can."""
    members = [
        instance
        for instance in stack.of(INSTANCE)
        if cluster in stack.perhaps_named_by(instance, "clusterIdentifier", CLUSTER)
    ]
    if len(members) < 2:
        yield Fault(
            "instances",
            len(members),
            "keep a replica (firstbell:platform/database/replicas: {min: 1})",
        )
    unsure = [each for each in members if is_unknown(each.peek("clusterIdentifier"))]
    if len(members) - len(unsure) < 2 <= len(members):
        raise UnknownValue("clusterIdentifier")


def _can_fail_over(instance: Resource, stack: Stack) -> Faults:
    """An instance's zone is one of several that its cluster may use."""
    cluster = _cluster_of(instance, stack)
    groups = stack.perhaps_named_by(cluster, "dbSubnetGroupName", SUBNET_GROUP)
    for group in groups:
        yield from several_zones(group, "subnetIds", stack)
    if not groups or is_unknown(cluster.peek("dbSubnetGroupName")):
        raise UnknownValue("dbSubnetGroupName")


def _is_in_a_vpc(cluster: Resource) -> Faults:
    if not cluster.get("dbSubnetGroupName"):
        yield Fault("dbSubnetGroupName", None, "give the subnets of a VPC")


def _custom_administrator(cluster: Resource) -> Faults:
    if cluster.get("snapshotIdentifier") or cluster.get("replicationSourceIdentifier"):
        return  # the administrator comes with the data
    name = cluster.get("masterUsername")
    if name is None or str(name).lower() in DEFAULT_ADMINISTRATORS:
        yield Fault("masterUsername", name, "choose a name of your own")


def _subscribed(source: str, *categories: str) -> StackCheck:
    """Somebody is told about events of a kind of source, all sources of the account.

    AWS passes an account without any subscription; a stack with a database is to have them.
    """

    def check(_: Resource, stack: Stack) -> Faults:
        for subscription in stack.of(SUBSCRIPTION):
            if subscription.get("sourceType") != source:
                continue
            named: Iterable[Any] = subscription.items("eventCategories")
            if (
                same(subscription.get("enabled", True), True)
                and not subscription.items("sourceIds")
                and (not named or set(categories) <= set(named))
            ):
                return
        yield Fault(
            f"event subscription for {source}",
            None,
            f"subscribe to {', '.join(categories)} of all its sources (rds.EventSubscription)",
        )

    return check


CONTROLS: Final[tuple[Control, ...]] = (
    ResourceControl(
        "RDS.2",
        "RDS DB Instances should prohibit public access, as determined by the PubliclyAccessible "
        "configuration",
        (INSTANCE,),
        must_be("publiclyAccessible", False, absent=False),
    ),
    StackControl(
        "RDS.3",
        "RDS DB instances should have encryption at-rest enabled",
        (INSTANCE,),
        _by_its_cluster(must_be("storageEncrypted", True, absent=False)),
    ),
    StackControl(
        "RDS.5",
        "RDS DB instances should be configured with multiple Availability Zones",
        (INSTANCE,),
        _can_fail_over,
    ),
    ResourceControl(
        "RDS.6",
        "Enhanced monitoring should be configured for RDS DB instances",
        (INSTANCE,),
        _is_monitored,
    ),
    ResourceControl(
        "RDS.7",
        "RDS clusters should have deletion protection enabled",
        (CLUSTER,),
        must_be("deletionProtection", True, absent=False),
    ),
    StackControl(
        "RDS.9",
        "RDS DB instances should publish logs to CloudWatch Logs",
        (INSTANCE,),
        _by_its_cluster(_publishes(None)),
    ),
    StackControl(
        "RDS.10",
        "IAM authentication should be configured for RDS instances",
        (INSTANCE,),
        _by_its_cluster(must_be("iamDatabaseAuthenticationEnabled", True, absent=False)),
    ),
    StackControl(
        "RDS.11",
        "RDS instances should have automatic backups enabled",
        (INSTANCE,),
        _by_its_cluster(_is_backed_up),
    ),
    ResourceControl(
        "RDS.12",
        "IAM authentication should be configured for RDS clusters",
        (CLUSTER,),
        must_be("iamDatabaseAuthenticationEnabled", True, absent=False),
    ),
    ResourceControl(
        "RDS.13",
        "RDS automatic minor version upgrades should be enabled",
        (INSTANCE,),
        must_be("autoMinorVersionUpgrade", True, absent=True),
    ),
    StackControl(
        "RDS.15",
        "RDS DB clusters should be configured for multiple Availability Zones",
        (CLUSTER,),
        _has_a_replica,
    ),
    ResourceControl(
        "RDS.16",
        "Aurora DB clusters should be configured to copy tags to DB snapshots",
        (CLUSTER,),
        must_be("copyTagsToSnapshot", True, absent=False),
    ),
    ResourceControl(
        "RDS.17",
        "RDS DB instances should be configured to copy tags to snapshots",
        (INSTANCE,),
        must_be("copyTagsToSnapshot", True, absent=False),
    ),
    StackControl(
        "RDS.18",
        "RDS instances should be deployed in a VPC",
        (INSTANCE,),
        _by_its_cluster(_is_in_a_vpc),
    ),
    StackControl(
        "RDS.19",
        "Existing RDS event notification subscriptions should be configured for critical cluster "
        "events",
        (CLUSTER,),
        _subscribed("db-cluster", "maintenance", "failure"),
    ),
    StackControl(
        "RDS.20",
        "Existing RDS event notification subscriptions should be configured for critical database "
        "instance events",
        (CLUSTER,),
        _subscribed("db-instance", "maintenance", "configuration change", "failure"),
    ),
    StackControl(
        "RDS.21",
        "An RDS event notifications subscription should be configured for critical database "
        "parameter group events",
        (CLUSTER,),
        _subscribed("db-parameter-group", "configuration change"),
    ),
    StackControl(
        "RDS.22",
        "An RDS event notifications subscription should be configured for critical database "
        "security group events",
        (CLUSTER,),
        _subscribed("db-security-group", "configuration change", "failure"),
    ),
    ResourceControl(
        "RDS.24",
        "RDS Database clusters should use a custom administrator username",
        (CLUSTER,),
        _custom_administrator,
    ),
    ResourceControl(
        "RDS.27",
        "RDS DB clusters should be encrypted at rest",
        (CLUSTER,),
        must_be("storageEncrypted", True, absent=False),
    ),
    ResourceControl(
        "RDS.34",
        "Aurora MySQL DB clusters should publish audit logs to CloudWatch Logs",
        (CLUSTER,),
        _publishes("aurora-mysql", "audit"),
    ),
    ResourceControl(
        "RDS.37",
        "Aurora PostgreSQL DB clusters should publish logs to CloudWatch Logs",
        (CLUSTER,),
        _publishes("aurora-postgresql", "postgresql"),
    ),
)
