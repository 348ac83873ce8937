"""Amazon RDS and Aurora: clusters, instances, subnet and parameter groups, proxies, events."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from cli.localcloud.provider.rules.base import Request, refuse_unless, rule
from infra import instances
from infra.season.limits import MAX_AURORA_REPLICAS
from infra.settings.database import REGIONS_WITHOUT_PROXY

if TYPE_CHECKING:
    from cli.localcloud.provider.aws import Cloud

_CODE: Final = "InvalidParameterValue"
_COMBINATION: Final = "InvalidParameterCombination"
_IDENTIFIER: Final = re.compile(r"[a-zA-Z](-?[a-zA-Z0-9])*")
# Aurora user guide, "Publishing Aurora logs to CloudWatch Logs".
_LOGS: Final = {
    "aurora-postgresql": {"postgresql", "instance", "iam-db-auth-error"},
    "aurora-mysql": {"audit", "error", "general", "slowquery", "instance", "iam-db-auth-error"},
}
# RDS user guide, "Turning Enhanced Monitoring on": seconds.
_MONITORING_INTERVALS: Final = frozenset({0, 1, 5, 10, 15, 30, 60})
# Names that PostgreSQL and RDS keep to themselves; Aurora user guide, CreateDBCluster.
_RESERVED_USERS: Final = frozenset({"rdsadmin", "admin", "postgres_admin", "public", "none"})


def _check_identifier(request: Request, member: str) -> None:
    name = request.get(member, "a")
    refuse_unless(
        len(name) <= 63 and _IDENTIFIER.fullmatch(name) is not None,
        _CODE,
        f"The parameter {member} is not a valid identifier: {name!r} must begin with a letter, "
        "have at most 63 letters, digits and hyphens, and neither end with a hyphen nor hold two "
        "in a row",
    )


@rule("rds", "create_db_cluster", "create_db_instance")
def identifiers_are_valid(_: Cloud, request: Request) -> None:
    for member in ("DBClusterIdentifier", "DBInstanceIdentifier"):
        _check_identifier(request, member)


@rule("rds", "create_db_cluster", "modify_db_cluster")
def cluster_is_sound(_: Cloud, request: Request) -> None:
    retention = request.get("BackupRetentionPeriod", 1)
    refuse_unless(
        1 <= retention <= 35,
        _CODE,
        f"Invalid backup retention period {retention}. Retention period must be between 1 and 35.",
    )
    port = request.get("Port", 5432)
    refuse_unless(1_150 <= port <= 65_535, _CODE, f"port {port} is not in 1150–65535")
    capacity = request.get("ServerlessV2ScalingConfiguration")
    if capacity:
        _check_serverless(capacity)
    _check_logs(request)
    _check_monitoring(request)
    _check_windows(request)


def _check_serverless(capacity: dict[str, Any]) -> None:
    low, high = capacity.get("MinCapacity"), capacity.get("MaxCapacity")
    for name, units in (("minimum", low), ("maximum", high)):
        refuse_unless(
            units is None or (0 <= units <= 256 and units * 2 == int(units * 2)),
            _CODE,
            f"Serverless v2 {name} capacity {units} must be 0–256 in steps of 0.5",
        )
    refuse_unless(high is None or high >= 1, _CODE, "Serverless v2 maximum capacity is at least 1")
    refuse_unless(
        low is None or high is None or low <= high,
        _CODE,
        f"Serverless v2 maximum capacity {high} is less than minimum capacity {low}",
    )


def _check_logs(request: Request) -> None:
    engine = request.get("Engine")
    if engine in _LOGS:
        unknown = sorted(set(request.get("EnableCloudwatchLogsExports", [])) - _LOGS[engine])
        refuse_unless(
            not unknown,
            _COMBINATION,
            f"You cannot use the log types {unknown} with engine {engine}; it has "
            f"{sorted(_LOGS[engine])}",
        )


@rule("rds", "create_db_cluster", "create_db_instance", live=True)
def monitoring_has_a_role(_: Cloud, request: Request) -> None:
    """Not in previews: the ARN of a role that does not exist yet is left out there."""
    refuse_unless(
        request.get("MonitoringInterval", 0) == 0 or "MonitoringRoleArn" in request,
        _COMBINATION,
        "A MonitoringRoleARN value is required if you specify a MonitoringInterval value other "
        "than 0.",
    )


def _check_monitoring(request: Request) -> None:
    interval = request.get("MonitoringInterval", 0)
    refuse_unless(
        interval in _MONITORING_INTERVALS,
        _CODE,
        f"Invalid monitoring interval {interval}: {sorted(_MONITORING_INTERVALS)}",
    )
    kept = request.get("PerformanceInsightsRetentionPeriod", 7)
    refuse_unless(
        kept in (7, 731) or (kept % 31 == 0 and 31 <= kept <= 713),
        _CODE,
        f"Invalid Performance Insights retention period {kept}: 7, 731 or a multiple of 31",
    )


_WINDOW: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d")
_DAY: Final = "(mon|tue|wed|thu|fri|sat|sun)"
_WEEK_WINDOW: Final = re.compile(rf"{_DAY}:(\d\d:\d\d)-{_DAY}:(\d\d:\d\d)")


def _check_windows(request: Request) -> None:
    backup = request.get("PreferredBackupWindow", "00:00-01:00")
    refuse_unless(
        _WINDOW.fullmatch(backup) is not None,
        _CODE,
        f"Invalid backup window {backup!r}: hh24:mi-hh24:mi, UTC",
    )
    week = request.get("PreferredMaintenanceWindow", "sun:00:00-sun:01:00").lower()
    refuse_unless(
        _WEEK_WINDOW.fullmatch(week) is not None,
        _CODE,
        f"Invalid maintenance window {week!r}: ddd:hh24:mi-ddd:hh24:mi, UTC",
    )


@rule("rds", "create_db_cluster", "modify_db_cluster")
def master_user_is_sound(_: Cloud, request: Request) -> None:
    password, managed = request.get("MasterUserPassword"), request.get("ManageMasterUserPassword")
    refuse_unless(
        not (password and managed),
        _COMBINATION,
        "You can't specify MasterUserPassword when ManageMasterUserPassword is turned on",
    )
    if password is not None:
        longest = 41 if request.get("Engine") == "aurora-mysql" else 99
        # The password itself never stands in a message.
        refuse_unless(
            8 <= len(password) <= longest,
            _CODE,
            f"The parameter MasterUserPassword must have 8 to {longest} characters",
        )
        refuse_unless(
            not set(password) & set('/@" ') and password.isascii() and password.isprintable(),
            _CODE,
            "The parameter MasterUserPassword may hold printable ASCII characters besides "
            "'/', '@', '\"', ' '",
        )
    user = request.get("MasterUsername")
    if user is not None:
        longest = 32 if request.get("Engine") == "aurora-mysql" else 63
        fits = re.fullmatch(rf"[a-zA-Z][a-zA-Z0-9_]{{0,{longest - 1}}}", user)
        refuse_unless(bool(fits), _CODE, f"MasterUsername {user!r} is not a valid name")
        reserved = user.lower() in _RESERVED_USERS and not (
            user.lower() == "admin" and request.get("Engine") == "aurora-mysql"
        )
        refuse_unless(
            not reserved,
            _CODE,
            f"MasterUsername {user} cannot be used as it is a reserved word used by the engine",
        )


@rule("rds", "create_db_cluster")
def database_name_is_valid(_: Cloud, request: Request) -> None:
    name = request.get("DatabaseName", "a")
    longest = 64 if request.get("Engine") == "aurora-mysql" else 63
    fits = re.fullmatch(rf"[a-zA-Z][a-zA-Z0-9_]{{0,{longest - 1}}}", name)
    refuse_unless(
        bool(fits),
        _CODE,
        f"DatabaseName must begin with a letter and contain only alphanumeric characters: {name!r}",
    )


@rule("rds", "create_db_cluster", live=True)
def cluster_has_an_owner(cloud: Cloud, request: Request) -> None:
    restored = "SnapshotIdentifier" in request or "ReplicationSourceIdentifier" in request
    secret = request.get("MasterUserPassword") or request.get("ManageMasterUserPassword")
    refuse_unless(
        restored or bool(request.get("MasterUsername") and secret),
        _COMBINATION,
        "MasterUsername and MasterUserPassword or ManageMasterUserPassword are required",
    )
    clusters = cloud.call("rds", "describe_db_clusters")["DBClusters"]
    name = request["DBClusterIdentifier"]
    refuse_unless(
        all(cluster["DBClusterIdentifier"] != name.lower() for cluster in clusters),
        "DBClusterAlreadyExistsFault",
        f"DB Cluster already exists: {name}",
    )


@rule("rds", "create_db_instance", "modify_db_instance")
def instance_is_sound(cloud: Cloud, request: Request) -> None:
    kind, engine = request.get("DBInstanceClass"), request.get("Engine")
    if kind and kind != "db.serverless":
        engine = engine if engine in _LOGS else "aurora-postgresql"
        problem = instances.problem_with_database_class(kind, engine, cloud.region)
        refuse_unless(problem is None, _CODE, f"Invalid DB Instance class: {problem}")
    tier = request.get("PromotionTier", 0)
    refuse_unless(0 <= tier <= 15, _CODE, f"promotion tier {tier} is not in 0–15")
    _check_monitoring(request)
    _check_windows(request)


@rule("rds", "create_db_instance", live=True)
def cluster_has_room(cloud: Cloud, request: Request) -> None:
    name = request.get("DBClusterIdentifier")
    if name is None:
        return
    cluster = cloud.call("rds", "describe_db_clusters", DBClusterIdentifier=name)["DBClusters"][0]
    members = cluster.get("DBClusterMembers", [])
    refuse_unless(
        len(members) <= MAX_AURORA_REPLICAS,
        "InstanceQuotaExceeded",
        f"an Aurora cluster has a writer and up to {MAX_AURORA_REPLICAS} replicas",
    )
    refuse_unless(
        request.get("Engine") == cluster["Engine"],
        _COMBINATION,
        f"The engine {request.get('Engine')} is not the cluster's: {cluster['Engine']}",
    )


@rule("rds", "delete_db_cluster")
def end_is_thought_of(_: Cloud, request: Request) -> None:
    if request.get("SkipFinalSnapshot"):
        return
    refuse_unless(
        "FinalDBSnapshotIdentifier" in request,
        _COMBINATION,
        "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified",
    )
    _check_identifier(request, "FinalDBSnapshotIdentifier")


@rule("rds", "create_db_subnet_group", "modify_db_subnet_group", live=True)
def subnets_span_two_zones(cloud: Cloud, request: Request) -> None:
    subnets = cloud.call("ec2", "describe_subnets", SubnetIds=request["SubnetIds"])["Subnets"]
    refuse_unless(
        len({subnet["AvailabilityZone"] for subnet in subnets}) >= 2,
        "DBSubnetGroupDoesNotCoverEnoughAZs",
        "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement: at least "
        "two zones",
    )
    refuse_unless(
        len({subnet["VpcId"] for subnet in subnets}) == 1,
        "InvalidSubnet",
        "The subnets of a DB subnet group must lie in one VPC",
    )


@rule("rds", "modify_db_subnet_group", live=True)
def subnets_stay_in_their_vpc(cloud: Cloud, request: Request) -> None:
    groups = cloud.call("rds", "describe_db_subnet_groups")["DBSubnetGroups"]
    present = next(g for g in groups if g["DBSubnetGroupName"] == request["DBSubnetGroupName"])
    subnets = cloud.call("ec2", "describe_subnets", SubnetIds=request["SubnetIds"])["Subnets"]
    refuse_unless(
        subnets[0]["VpcId"] == present["VpcId"],
        _CODE,
        "The new Subnets are not in the same Vpc as the existing subnet group",
    )


# ---- Parameter groups ------------------------------------------------------------------------

# What takes effect only with a restart. Aurora user guide, "Aurora PostgreSQL parameters".
_STATIC: Final = frozenset(
    {"shared_preload_libraries", "max_connections", "rds.logical_replication"}
)


@rule("rds", "modify_db_cluster_parameter_group", "modify_db_parameter_group")
def static_parameters_wait_for_a_restart(_: Cloud, request: Request) -> None:
    for parameter in request.get("Parameters", []):
        refuse_unless(
            parameter.get("ParameterName") not in _STATIC
            or parameter.get("ApplyMethod") == "pending-reboot",
            _COMBINATION,
            f"cannot use immediate apply method for static parameter "
            f"{parameter.get('ParameterName')}",
        )


@rule("rds", "create_db_cluster", "modify_db_cluster", live=True)
def parameters_are_of_the_engine(cloud: Cloud, request: Request) -> None:
    name, engine = request.get("DBClusterParameterGroupName"), request.get("Engine")
    if name is None or engine is None:
        return
    groups = cloud.call(
        "rds", "describe_db_cluster_parameter_groups", DBClusterParameterGroupName=name
    )["DBClusterParameterGroups"]
    version = request.get("EngineVersion", "")
    for family in (group["DBParameterGroupFamily"] for group in groups):
        of = family.removeprefix(engine)
        refuse_unless(
            family.startswith(engine) and (not version or version.startswith(of)),
            _COMBINATION,
            f"The Parameter Group {name} with DBParameterGroupFamily {family} cannot be used for "
            f"this instance. Please use a Parameter Group for {engine} {version}",
        )


# AWS's own words: hashicorp/terraform-provider-aws#17111 has them. Aurora user guide, "Upgrading
# Amazon Aurora PostgreSQL DB clusters" and "Performing an in-place upgrade".
@rule("rds", "modify_db_cluster", live=True)
def a_major_version_is_asked_for_with_parameters_of_its_own(cloud: Cloud, request: Request) -> None:
    version = request.get("EngineVersion")
    if version is None:
        return
    cluster = cloud.call(
        "rds", "describe_db_clusters", DBClusterIdentifier=request["DBClusterIdentifier"]
    )["DBClusters"][0]
    engine = cluster["Engine"]
    if _major(engine, version) == _major(engine, cluster["EngineVersion"]):
        return
    refuse_unless(
        request.get("AllowMajorVersionUpgrade", False),
        _COMBINATION,
        "The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version.",
    )
    given = request.get("DBInstanceParameterGroupName")
    if given is not None:
        group = cloud.call("rds", "describe_db_parameter_groups", DBParameterGroupName=given)
        family = group["DBParameterGroups"][0]["DBParameterGroupFamily"]
        refuse_unless(
            family == f"{engine}{_major(engine, version)}",
            _COMBINATION,
            f"The Parameter Group {given} with DBParameterGroupFamily {family} cannot be used for "
            f"this instance. Please use a Parameter Group for {engine} {version}",
        )
        return
    for member in cluster.get("DBClusterMembers", []):
        instance = cloud.call(
            "rds", "describe_db_instances", DBInstanceIdentifier=member["DBInstanceIdentifier"]
        )["DBInstances"][0]
        for group in instance.get("DBParameterGroups", []):
            name = group["DBParameterGroupName"]
            refuse_unless(
                name.startswith("default."),
                _COMBINATION,
                f"The current DB instance parameter group {name} is custom. You must explicitly "
                "specify a new DB instance parameter group, either default or custom, for the "
                "engine version upgrade.",
            )


def _major(engine: str, version: str) -> str:
    """As in the families of parameter groups: 16 of 16.6, 8.0 of 8.0.mysql_aurora.3.08.0."""
    parts = version.split(".")
    return parts[0] if engine == "aurora-postgresql" else ".".join(parts[:2])


# ---- Proxies ---------------------------------------------------------------------------------

_FAMILIES: Final = {"aurora-postgresql": "POSTGRESQL", "aurora-mysql": "MYSQL"}


@rule("rds", "create_db_proxy", "modify_db_proxy")
def proxy_is_sound(cloud: Cloud, request: Request) -> None:
    _check_identifier(request, "DBProxyName")
    refuse_unless(
        cloud.region not in REGIONS_WITHOUT_PROXY, _CODE, f"{cloud.region} has no RDS Proxy"
    )
    seconds = request.get("IdleClientTimeout", 1800)
    refuse_unless(1 <= seconds <= 28_800, _CODE, f"IdleClientTimeout {seconds} is not in 1–28800")


@rule("rds", "create_db_proxy", live=True)
def proxy_spans_two_zones(cloud: Cloud, request: Request) -> None:
    subnets = cloud.call("ec2", "describe_subnets", SubnetIds=request["VpcSubnetIds"])["Subnets"]
    refuse_unless(
        len({subnet["AvailabilityZone"] for subnet in subnets}) >= 2,
        "InvalidSubnet",
        "The subnets of a DB proxy must lie in at least two Availability Zones",
    )


@rule("rds", "modify_db_proxy_target_group")
def pool_is_sound(_: Cloud, request: Request) -> None:
    # API reference, ConnectionPoolConfiguration.
    pool = request.get("ConnectionPoolConfig", {})
    most = pool.get("MaxConnectionsPercent", 100)
    idle, wait = pool.get("MaxIdleConnectionsPercent", 0), pool.get("ConnectionBorrowTimeout", 120)
    refuse_unless(1 <= most <= 100, _CODE, f"MaxConnectionsPercent {most} is not in 1–100")
    refuse_unless(
        0 <= idle <= most, _CODE, f"MaxIdleConnectionsPercent {idle} is above {most} percent"
    )
    refuse_unless(0 <= wait <= 300, _CODE, f"ConnectionBorrowTimeout {wait} is not in 0–300")


@rule("rds", "register_db_proxy_targets", live=True)
def proxy_fits_its_cluster(cloud: Cloud, request: Request) -> None:
    proxies = cloud.call("rds", "describe_db_proxies", DBProxyName=request["DBProxyName"])
    family = proxies["DBProxies"][0]["EngineFamily"]
    for name in request.get("DBClusterIdentifiers", []):
        found = cloud.call("rds", "describe_db_clusters", DBClusterIdentifier=name)["DBClusters"]
        for cluster in found:
            refuse_unless(
                bool(cluster.get("DBClusterMembers")),
                "InvalidDBClusterStateFault",
                f"DB cluster {name} has no instance that a proxy could connect to",
            )
            refuse_unless(
                _FAMILIES.get(cluster["Engine"]) == family,
                _COMBINATION,
                f"DB cluster {name} is {cluster['Engine']}, and the proxy speaks {family}",
            )


# ---- Events ----------------------------------------------------------------------------------

# DescribeEventCategories; RDS user guide, "Amazon RDS event categories and event messages" [M].
_CATEGORIES: Final = {
    "db-cluster": {
        "configuration change", "creation", "deletion", "failover", "failure", "global-failover",
        "maintenance", "migration", "notification", "serverless",
    },
    "db-instance": {
        "availability", "backtrack", "backup", "configuration change", "creation", "deletion",
        "failover", "failure", "low storage", "maintenance", "notification", "read replica",
        "recovery", "restoration", "security", "security patching",
    },
    "db-parameter-group": {"configuration change"},
    "db-security-group": {"configuration change", "failure"},
}  # fmt: skip


@rule("rds", "create_event_subscription", "modify_event_subscription")
def events_exist(_: Cloud, request: Request) -> None:
    source = request.get("SourceType")
    if source is None:
        return
    refuse_unless(source in _CATEGORIES, _CODE, f"Invalid source type: {source}")
    unknown = sorted(set(request.get("EventCategories", [])) - _CATEGORIES[source])
    refuse_unless(
        not unknown,
        "SubscriptionCategoryNotFoundFault",
        f"{source} has no events {unknown}; it has {sorted(_CATEGORIES[source])}",
    )


@rule("rds", "create_event_subscription", "modify_event_subscription", live=True)
def topic_exists(cloud: Cloud, request: Request) -> None:
    topic = request.get("SnsTopicArn")
    if topic is None:
        return
    topics = cloud.call("sns", "list_topics")["Topics"]
    refuse_unless(
        any(found["TopicArn"] == topic for found in topics),
        "SNSTopicArnNotFoundFault",
        f"SNS topic {topic} does not exist",
    )
