"""The cache as the program declares it: safe by default, and each setting reaches a resource."""

from __future__ import annotations

import json

from tests.e2e.recording_monitor import PASSWORD
from tests.infra.conftest import Record

GROUP = "aws:elasticache/replicationGroup:ReplicationGroup"
TARGET = "aws:appautoscaling/target:Target"
USER = "aws:elasticache/user:User"
# How Pulumi marks what must not be shown.
SIGNATURE = "4dabf18193072939515e22adb298388d"
NAME = "tiny-cache"


def test_a_stack_that_names_no_cache_has_none(record: Record) -> None:
    assert record().of_type(GROUP) == {}


def test_a_cache_passes_the_controls_by_default(record: Record) -> None:
    program = record(cache={})
    group = program.of_type(GROUP)[NAME]
    assert {
        "snapshotRetentionLimit": 7,  # ElastiCache.1
        "finalSnapshotIdentifier": f"{NAME}-final",
        "autoMinorVersionUpgrade": True,  # ElastiCache.2
        "applyImmediately": True,  # not in some maintenance window
        "maintenanceWindow": "sat:22:00-sat:23:00",
        "automaticFailoverEnabled": True,  # ElastiCache.3
        "multiAzEnabled": True,
        "atRestEncryptionEnabled": True,  # ElastiCache.4
        "transitEncryptionEnabled": True,  # ElastiCache.5
        "numCacheClusters": 2,
        "clusterMode": "disabled",
        "userGroupIds": [NAME],  # ElastiCache.6: users instead of one AUTH token
    }.items() <= group.items()
    assert "subnetGroupName" in group  # ElastiCache.7: a subnet group of its own
    assert NAME not in program.of_type(TARGET)
    doors = program.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert doors["tiny-access-cache-from-web"]["fromPort"] == 6379


def test_the_password_is_a_secret_wherever_it_is_used(record: Record) -> None:
    program = record(cache={})
    version = program.of_type("aws:secretsmanager/secretVersion:SecretVersion")[NAME]
    user = program.of_type(USER)[NAME]
    for value in (version["secretString"], user["passwords"]):
        marked = json.dumps(value)
        assert PASSWORD in marked
        assert SIGNATURE in marked


def test_redis_gets_its_default_user_switched_off(record: Record) -> None:
    program = record(cache={"engine": "redis"})
    assert program.of_type(USER)[f"{NAME}-default"]["accessString"].startswith("off ")
    users = program.of_type("aws:elasticache/userGroup:UserGroup")[NAME]["userIds"]
    assert users == [NAME, f"{NAME}-default"]


def test_replicas_between_bounds_make_a_scalable_target(record: Record) -> None:
    program = record(
        cache={
            "cluster_mode": True,
            "node_type": "cache.r7g.large",
            "shards": 2,
            "replicas": {"min": 1, "max": 4},
            "eviction": "allkeys-lru",
        }
    )
    group = program.of_type(GROUP)[NAME]
    shape = ("numNodeGroups", "replicasPerNodeGroup", "clusterMode")
    assert [group[name] for name in shape] == [2, 1, "enabled"]
    target = program.of_type(TARGET)[NAME]
    assert (target["minCapacity"], target["maxCapacity"]) == (1, 4)
    assert target["scalableDimension"] == "elasticache:replication-group:Replicas"
    parameters = program.of_type("aws:elasticache/parameterGroup:ParameterGroup")[NAME]
    values = {p["name"]: p["value"] for p in parameters["parameters"]}
    assert values == {"maxmemory-policy": "allkeys-lru", "cluster-enabled": "yes"}
