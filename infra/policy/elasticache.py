"""Controls of Amazon ElastiCache replication groups."""

from __future__ import annotations

from typing import Final

from infra.policy.base import (
    Control,
    Fault,
    Faults,
    Resource,
    ResourceControl,
    must_be,
)

REPLICATION_GROUP: Final = "aws:elasticache/replicationGroup:ReplicationGroup"
# Redis OSS has users and access control lists from this version on. ElastiCache.6.
FIRST_VERSION_WITH_USERS: Final = 6


def _is_backed_up(group: Resource) -> Faults:
    days = group.get("snapshotRetentionLimit", 0)
    if int(days) < 1:
        yield Fault("snapshotRetentionLimit", days, "keep snapshots for a day or longer")


def _old_ones_ask_for_a_password(group: Resource) -> Faults:
    version = str(group.get("engineVersion", FIRST_VERSION_WITH_USERS))
    if group.get("engine", "redis") != "redis" or not version[:1].isdigit():
        return
    if int(version.split(".", maxsplit=1)[0]) < FIRST_VERSION_WITH_USERS and not group.get(
        "authToken"
    ):
        yield Fault("authToken", None, f"set one, or take version {FIRST_VERSION_WITH_USERS}")


def _has_its_own_subnets(group: Resource) -> Faults:
    name = group.get("subnetGroupName")
    if name in (None, "default"):
        yield Fault("subnetGroupName", name, "name a subnet group of your own")


CONTROLS: Final[tuple[Control, ...]] = (
    ResourceControl(
        "ElastiCache.1",
        "ElastiCache (Redis OSS) clusters should have automatic backups enabled",
        (REPLICATION_GROUP,),
        _is_backed_up,
    ),
    ResourceControl(
        "ElastiCache.2",
        "ElastiCache clusters should have automatic minor version upgrades enabled",
        (REPLICATION_GROUP,),
        must_be("autoMinorVersionUpgrade", True, absent=True),
    ),
    ResourceControl(
        "ElastiCache.3",
        "ElastiCache replication groups should have automatic failover enabled",
        (REPLICATION_GROUP,),
        must_be("automaticFailoverEnabled", True, absent=False),
    ),
    ResourceControl(
        "ElastiCache.4",
        "ElastiCache replication groups should be encrypted at rest",
        (REPLICATION_GROUP,),
        must_be("atRestEncryptionEnabled", True, absent=False),
    ),
    ResourceControl(
        "ElastiCache.5",
        "ElastiCache replication groups should be encrypted in transit",
        (REPLICATION_GROUP,),
        must_be("transitEncryptionEnabled", True, absent=False),
    ),
    ResourceControl(
        "ElastiCache.6",
        "ElastiCache (Redis OSS) replication groups of earlier versions should have Redis OSS AUTH "
        "enabled",
        (REPLICATION_GROUP,),
        _old_ones_ask_for_a_password,
    ),
    ResourceControl(
        "ElastiCache.7",
        "ElastiCache clusters should not use the default subnet group",
        (REPLICATION_GROUP,),
        _has_its_own_subnets,
    ),
)
