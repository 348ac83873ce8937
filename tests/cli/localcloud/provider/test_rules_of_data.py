"""Rules of what holds data: each with a request that keeps it and a twin that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from cli.localcloud.provider.aws import AwsError, Cloud
from tests.cli.localcloud.provider.conftest import REGION, Moto

Request = dict[str, Any]

PARAMETERS: Final[Request] = {
    "DBClusterParameterGroupName": "lms",
    "Parameters": [
        {"ParameterName": "rds.force_ssl", "ParameterValue": "1", "ApplyMethod": "immediate"}
    ],
}
STATIC: Final = [
    {"ParameterName": "max_connections", "ParameterValue": "9", "ApplyMethod": "immediate"}
]
PROXY: Final[Request] = {
    "DBProxyName": "lms",
    "EngineFamily": "POSTGRESQL",
    "Auth": [{"AuthScheme": "SECRETS", "SecretArn": "arn:aws:secretsmanager:x:1:secret:lms"}],
    "RoleArn": "arn:aws:iam::123456789012:role/proxy",
    "VpcSubnetIds": ["subnet-1", "subnet-2"],
    "IdleClientTimeout": 28_800,
}
POOL: Final[Request] = {
    "DBProxyName": "lms",
    "TargetGroupName": "default",
    "ConnectionPoolConfig": {
        "MaxConnectionsPercent": 90,
        "MaxIdleConnectionsPercent": 90,
        "ConnectionBorrowTimeout": 300,
    },
}
EVENTS: Final[Request] = {
    "SubscriptionName": "lms",
    "SnsTopicArn": "arn:aws:sns:eu-north-1:123456789012:lms",
    "SourceType": "db-parameter-group",
    "EventCategories": ["configuration change"],
}

# (service, operation, good request, what the twin says otherwise, AWS's code)
TWINS: Final[list[tuple[str, str, Request, Request, str]]] = [
    ("rds", "modify_db_cluster_parameter_group", PARAMETERS, {"Parameters": STATIC},
     "InvalidParameterCombination"),
    ("rds", "create_db_proxy", PROXY, {"DBProxyName": "a--b"}, "InvalidParameterValue"),
    ("rds", "create_db_proxy", PROXY, {"EngineFamily": "ORACLE"}, "InvalidParameterValue"),
    ("rds", "create_db_proxy", PROXY, {"IdleClientTimeout": 28_801}, "InvalidParameterValue"),
    ("rds", "modify_db_proxy_target_group", POOL,
     {"ConnectionPoolConfig": {"MaxConnectionsPercent": 101}}, "InvalidParameterValue"),
    ("rds", "modify_db_proxy_target_group", POOL,
     {"ConnectionPoolConfig": {"MaxConnectionsPercent": 50, "MaxIdleConnectionsPercent": 51}},
     "InvalidParameterValue"),
    ("rds", "modify_db_proxy_target_group", POOL,
     {"ConnectionPoolConfig": {"ConnectionBorrowTimeout": 301}}, "InvalidParameterValue"),
    ("rds", "create_event_subscription", EVENTS, {"SourceType": "db-bell"},
     "InvalidParameterValue"),
    ("rds", "create_event_subscription", EVENTS, {"EventCategories": ["failover"]},
     "SubscriptionCategoryNotFoundFault"),
]  # fmt: skip

CACHE: Final[Request] = {
    "ReplicationGroupId": "c" * 40,
    "ReplicationGroupDescription": "sessions",
    "Engine": "valkey",
    "CacheNodeType": "cache.m7g.large",
    "ClusterMode": "enabled",
    "NumNodeGroups": 2,
    "ReplicasPerNodeGroup": 5,
    "AutomaticFailoverEnabled": True,
    "MultiAZEnabled": True,
    "TransitEncryptionEnabled": True,
    "UserGroupIds": ["lms"],
}
USER: Final[Request] = {
    "UserId": "lms",
    "UserName": "lms",
    "Engine": "valkey",
    "AccessString": "on ~* +@all",
    "Passwords": ["p" * 16],
}
REPLICAS: Final[Request] = {
    "ServiceNamespace": "elasticache",
    "ResourceId": "replication-group/lms",
    "ScalableDimension": "elasticache:replication-group:Replicas",
}
TRACKING: Final[Request] = REPLICAS | {
    "PolicyName": "cpu",
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "ElastiCacheReplicaEngineCPUUtilization"
        },
        "TargetValue": 70.0,
    },
}


def _tracking(metric: str, target: float) -> Request:
    specification = {"PredefinedMetricType": metric}
    return {
        "TargetTrackingScalingPolicyConfiguration": {
            "PredefinedMetricSpecification": specification,
            "TargetValue": target,
        }
    }


FILES: Final[Request] = {
    "CreationToken": "lms",
    "Encrypted": True,
    "KmsKeyId": "alias/lms",
    "ThroughputMode": "elastic",
    "PerformanceMode": "generalPurpose",
}
LIFECYCLE: Final[Request] = {
    "FileSystemId": "fs-12345678",
    "LifecyclePolicies": [
        {"TransitionToIA": "AFTER_30_DAYS"},
        {"TransitionToPrimaryStorageClass": "AFTER_1_ACCESS"},
    ],
}
ACCESS_POINT: Final[Request] = {
    "ClientToken": "lms",
    "FileSystemId": "fs-12345678",
    "RootDirectory": {
        "Path": "/a/b/c/d",
        "CreationInfo": {"OwnerUid": 33, "OwnerGid": 33, "Permissions": "0750"},
    },
}
MOUNT: Final[Request] = {
    "FileSystemId": "fs-12345678",
    "SubnetId": "subnet-12345678",
    "SecurityGroups": [f"sg-1234567{n}" for n in range(5)],
}
CREATE: Final = "create_replication_group"
APP: Final = "application-autoscaling"
MORE_TWINS: Final[list[tuple[str, str, Request, Request, str]]] = [
    ("elasticache", CREATE, CACHE, {"ReplicationGroupId": "c" * 41}, "InvalidParameterValue"),
    ("elasticache", CREATE, CACHE, {"CacheNodeType": "cache.m7g.lage"}, "InvalidParameterValue"),
    ("elasticache", CREATE, CACHE, {"ReplicasPerNodeGroup": 6}, "InvalidParameterValue"),
    ("elasticache", CREATE, CACHE, {"ReplicasPerNodeGroup": 0}, "InvalidParameterValue"),
    ("elasticache", CREATE, CACHE, {"NumCacheClusters": 2}, "InvalidParameterCombination"),
    ("elasticache", CREATE, CACHE, {"AutomaticFailoverEnabled": False},
     "InvalidParameterCombination"),
    ("elasticache", CREATE, CACHE | {"MultiAZEnabled": False}, {"AutomaticFailoverEnabled": False},
     "InvalidParameterValue"),
    ("elasticache", CREATE, CACHE, {"ClusterMode": "disabled"}, "InvalidParameterCombination"),
    ("elasticache", CREATE, CACHE, {"TransitEncryptionEnabled": False},
     "InvalidParameterCombination"),
    ("elasticache", CREATE, CACHE, {"AuthToken": "a" * 16}, "InvalidParameterCombination"),
    ("elasticache", "create_user", USER, {"Passwords": ["p" * 15]}, "InvalidParameterValue"),
    ("elasticache", "create_user", USER, {"Passwords": ["p" * 16] * 3}, "InvalidParameterValue"),
    ("elasticache", "create_user", USER, {"NoPasswordRequired": True},
     "InvalidParameterCombination"),
    (APP, "register_scalable_target", REPLICAS, {"MinCapacity": 0}, "ValidationException"),
    (APP, "register_scalable_target", REPLICAS, {"MaxCapacity": 6}, "ValidationException"),
    (APP, "register_scalable_target", REPLICAS, {"ResourceId": "cluster:lms"},
     "ValidationException"),
    (APP, "put_scaling_policy", TRACKING,
     _tracking("ElastiCacheReplicaEngineCPUUtilization", 71.0), "ValidationException"),
    (APP, "put_scaling_policy", TRACKING,
     _tracking("ElastiCachePrimaryEngineCPUUtilization", 50.0), "ValidationException"),
    ("efs", "create_file_system", FILES, {"ThroughputMode": "provisioned"}, "BadRequest"),
    ("efs", "create_file_system", FILES, {"PerformanceMode": "maxIO"}, "BadRequest"),
    ("efs", "create_file_system", FILES, {"Encrypted": False}, "BadRequest"),
    ("efs", "put_lifecycle_configuration", LIFECYCLE,
     {"LifecyclePolicies": [{"TransitionToIA": "AFTER_1_DAY",
                             "TransitionToArchive": "AFTER_90_DAYS"}]}, "BadRequest"),
    ("efs", "create_access_point", ACCESS_POINT, {"RootDirectory": {"Path": "/data"}},
     "BadRequest"),
    ("efs", "create_access_point", ACCESS_POINT,
     {"RootDirectory": ACCESS_POINT["RootDirectory"] | {"Path": "/a/b/c/d/e"}}, "BadRequest"),
    ("efs", "create_mount_target", MOUNT,
     {"SecurityGroups": [f"sg-1234567{n}" for n in range(6)]}, "SecurityGroupLimitExceeded"),
]  # fmt: skip


@pytest.fixture(scope="module")
def offline() -> Cloud:
    """Checks only: nothing is asked."""
    return Cloud("http://127.0.0.1:9", REGION)


@pytest.mark.parametrize(
    ("service", "operation", "good", "change", "code"),
    [*TWINS, *MORE_TWINS],
    ids=[
        f"{operation}-{'-'.join(change)}-{n}"
        for n, (_, operation, _, change, _) in enumerate([*TWINS, *MORE_TWINS])
    ],
)
def test_a_request_that_aws_refuses_is_refused_with_its_code(  # noqa: PLR0917 (one a column)
    offline: Cloud, service: str, operation: str, good: Request, change: Request, code: str
) -> None:
    offline.check(service, operation, good, preview=True)
    with pytest.raises(AwsError) as refusal:
        offline.check(service, operation, good | change, preview=True)
    assert refusal.value.code == code


def test_a_region_without_proxies_refuses_one() -> None:
    with pytest.raises(AwsError, match="ap-southeast-6 has no RDS Proxy"):
        Cloud("http://127.0.0.1:9", "ap-southeast-6").check(
            "rds", "create_db_proxy", PROXY, preview=True
        )


Refused = Callable[..., str]


@pytest.fixture
def cloud(moto: Moto) -> Cloud:
    return Cloud(moto.endpoint, REGION)


@pytest.fixture
def subnets(cloud: Cloud) -> list[str]:
    """One in each of two zones, and a second one in the first."""
    vpc = cloud.call("ec2", "create_vpc", CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    return [
        cloud.call(
            "ec2",
            "create_subnet",
            VpcId=vpc,
            CidrBlock=f"10.7.{number}.0/24",
            AvailabilityZone=f"{REGION}{zone}",
        )["Subnet"]["SubnetId"]
        for number, zone in enumerate("aba")
    ]


def _code(cloud: Cloud, service: str, operation: str, **request: Any) -> str:
    with pytest.raises(AwsError) as refusal:
        cloud.call(service, operation, **request)
    return refusal.value.code


def test_a_proxy_spans_zones_and_speaks_its_clusters_language(
    cloud: Cloud, subnets: list[str]
) -> None:
    request = PROXY | {"DBProxyName": "two-zones", "VpcSubnetIds": [subnets[0], subnets[2]]}
    assert _code(cloud, "rds", "create_db_proxy", **request) == "InvalidSubnet"
    request |= {"VpcSubnetIds": subnets[:2], "EngineFamily": "MYSQL"}
    cloud.call("rds", "create_db_proxy", **request)
    cloud.call(
        "rds",
        "create_db_cluster",
        DBClusterIdentifier="behind-proxy",
        Engine="aurora-postgresql",
        MasterUsername="lms",
        MasterUserPassword="longenough",
    )
    target = {"DBProxyName": "two-zones", "DBClusterIdentifiers": ["behind-proxy"]}
    code = _code(cloud, "rds", "register_db_proxy_targets", **target)
    assert code == "InvalidDBClusterStateFault", "it has no instance yet"
    cloud.call(
        "rds",
        "create_db_instance",
        DBInstanceIdentifier="behind-proxy-1",
        DBClusterIdentifier="behind-proxy",
        DBInstanceClass="db.r6g.large",
        Engine="aurora-postgresql",
    )
    code = _code(cloud, "rds", "register_db_proxy_targets", **target)
    assert code == "InvalidParameterCombination", "it speaks another language"
    cloud.call("rds", "delete_db_proxy", DBProxyName="two-zones")
    cloud.call("rds", "delete_db_instance", DBInstanceIdentifier="behind-proxy-1")
    cloud.call(
        "rds", "delete_db_cluster", DBClusterIdentifier="behind-proxy", SkipFinalSnapshot=True
    )


def test_a_cluster_takes_no_parameters_of_another_engine(cloud: Cloud) -> None:
    name = "of-mysql"
    cloud.call(
        "rds",
        "create_db_cluster_parameter_group",
        DBClusterParameterGroupName=name,
        DBParameterGroupFamily="aurora-mysql8.0",
        Description="of MySQL",
    )
    request = {
        "DBClusterIdentifier": "other-engine",
        "Engine": "aurora-postgresql",
        "MasterUsername": "lms",
        "MasterUserPassword": "longenough",
        "DBClusterParameterGroupName": name,
    }
    assert _code(cloud, "rds", "create_db_cluster", **request) == "InvalidParameterCombination"
    cloud.call("rds", "delete_db_cluster_parameter_group", DBClusterParameterGroupName=name)


def test_another_major_version_is_asked_for_and_brings_parameters_of_its_family(
    cloud: Cloud,
) -> None:
    for family in ("16", "17"):
        cloud.call(
            "rds",
            "create_db_parameter_group",
            DBParameterGroupName=f"upgrade-{family}",
            DBParameterGroupFamily=f"aurora-postgresql{family}",
            Description=family,
        )
    cloud.call(
        "rds",
        "create_db_cluster",
        DBClusterIdentifier="upgrade",
        Engine="aurora-postgresql",
        EngineVersion="16.6",
        MasterUsername="lms",
        MasterUserPassword="longenough",
    )
    cloud.call(
        "rds",
        "create_db_instance",
        DBInstanceIdentifier="upgrade-1",
        DBClusterIdentifier="upgrade",
        DBInstanceClass="db.r6g.large",
        DBParameterGroupName="upgrade-16",
        Engine="aurora-postgresql",
    )

    def refused(**request: Any) -> str:
        with pytest.raises(AwsError) as refusal:
            cloud.call("rds", "modify_db_cluster", DBClusterIdentifier="upgrade", **request)
        return str(refusal.value)

    major, custom = {"EngineVersion": "17.4"}, "upgrade-17"
    assert "AllowMajorVersionUpgrade" in refused(**major, DBInstanceParameterGroupName=custom)
    allowed = major | {"AllowMajorVersionUpgrade": True}
    assert "group upgrade-16 is custom" in refused(**allowed)
    assert "cannot be used" in refused(**allowed, DBInstanceParameterGroupName="upgrade-16")
    minor = {"DBClusterIdentifier": "upgrade", "EngineVersion": "16.8"}
    assert cloud.call("rds", "modify_db_cluster", **minor)["DBCluster"]["EngineVersion"] == "16.8"
    upgrade = {"DBClusterIdentifier": "upgrade", "DBInstanceParameterGroupName": custom} | allowed
    assert cloud.call("rds", "modify_db_cluster", **upgrade)["DBCluster"]["EngineVersion"] == "17.4"
    cloud.call("rds", "delete_db_instance", DBInstanceIdentifier="upgrade-1")
    cloud.call("rds", "delete_db_cluster", DBClusterIdentifier="upgrade", SkipFinalSnapshot=True)
    for family in ("16", "17"):
        cloud.call("rds", "delete_db_parameter_group", DBParameterGroupName=f"upgrade-{family}")


def test_events_go_to_a_topic_that_exists(cloud: Cloud) -> None:
    code = _code(cloud, "rds", "create_event_subscription", **EVENTS)
    assert code == "SNSTopicArnNotFoundFault"


def test_only_large_nodes_in_cluster_mode_are_scaled(cloud: Cloud) -> None:
    register = REPLICAS | {"MinCapacity": 1, "MaxCapacity": 3}
    small = CACHE | {"CacheNodeType": "cache.t4g.small", "ReplicationGroupId": "small"}
    plain = {
        "ReplicationGroupId": "plain",
        "ReplicationGroupDescription": "sessions",
        "CacheNodeType": "cache.m7g.large",
        "NumCacheClusters": 2,
    }
    for request in (small, plain, CACHE | {"ReplicationGroupId": "large"}):
        without_users = {name: v for name, v in request.items() if name != "UserGroupIds"}
        cloud.call("elasticache", CREATE, **without_users)
    code = {
        name: _code(
            cloud,
            APP,
            "register_scalable_target",
            **(register | {"ResourceId": f"replication-group/{name}"}),
        )
        for name in ("small", "plain", "nowhere")
    }
    assert set(code.values()) == {"ValidationException"}
    target = {"ResourceId": "replication-group/large"}
    cloud.call(APP, "register_scalable_target", **(register | target))
    cloud.call(APP, "deregister_scalable_target", **(REPLICAS | target))
    for name in ("small", "plain", "large"):
        cloud.call("elasticache", "delete_replication_group", ReplicationGroupId=name)


def test_a_user_group_of_redis_needs_the_default_user(cloud: Cloud) -> None:
    group = {"UserGroupId": "readers", "Engine": "redis", "UserIds": ["reader"]}
    user = USER | {"UserId": "reader", "Engine": "redis"}
    cloud.call("elasticache", "create_user", **user)
    code = _code(cloud, "elasticache", "create_user_group", **group)
    assert code == "DefaultUserRequired"
    cloud.call("elasticache", "create_user_group", **(group | {"Engine": "valkey"}))
    cloud.call("elasticache", "delete_user_group", UserGroupId="readers")
    cloud.call("elasticache", "delete_user", UserId="reader")
