"""ElastiCache: what goes together in a replication group, its users and its parameters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from cli.localcloud.provider.rules.base import Request, refuse_unless, rule
from infra import instances
from infra.season.limits import MAX_ELASTICACHE_REPLICAS

if TYPE_CHECKING:
    from cli.localcloud.provider.aws import Cloud

_SERVICE: Final = "elasticache"
_CODE: Final = "InvalidParameterValue"
_COMBINATION: Final = "InvalidParameterCombination"
# CreateReplicationGroup, CreateUser, CreateUserGroup in the API reference.
_IDENTIFIER: Final = re.compile(r"[a-zA-Z](-?[a-zA-Z0-9])*")
MAX_IDENTIFIER: Final = 40


@rule(_SERVICE, "create_replication_group", "create_user", "create_user_group")
def identifiers_are_valid(_: Cloud, request: Request) -> None:
    for member in ("ReplicationGroupId", "UserId", "UserGroupId"):
        name = request.get(member, "a")
        refuse_unless(
            len(name) <= MAX_IDENTIFIER and _IDENTIFIER.fullmatch(name) is not None,
            _CODE,
            f"The parameter {member} is not a valid identifier: {name!r} must begin with a letter, "
            f"have at most {MAX_IDENTIFIER} letters, digits and hyphens, and neither end with a "
            "hyphen nor hold two in a row",
        )


@rule(_SERVICE, "create_replication_group", "modify_replication_group")
def node_type_is_offered(cloud: Cloud, request: Request) -> None:
    kind = request.get("CacheNodeType")
    problem = instances.problem_with_cache_node_type(kind, cloud.region) if kind else None
    refuse_unless(problem is None, _CODE, f"Invalid CacheNodeType: {problem}")


def _replicas(request: Request) -> int | None:
    if "NumCacheClusters" in request:
        return request["NumCacheClusters"] - 1
    return request.get("ReplicasPerNodeGroup", request.get("NewReplicaCount"))


@rule(_SERVICE, "create_replication_group", "increase_replica_count", "decrease_replica_count")
def replicas_are_not_too_many(_: Cloud, request: Request) -> None:
    replicas = _replicas(request)
    refuse_unless(
        replicas is None or 0 <= replicas <= MAX_ELASTICACHE_REPLICAS,
        _CODE,
        f"{replicas} replicas: a shard has 0 to {MAX_ELASTICACHE_REPLICAS}",
    )
    refuse_unless(
        not {"NumCacheClusters", "ReplicasPerNodeGroup"} <= request.keys(),
        _COMBINATION,
        "NumCacheClusters cannot be used together with ReplicasPerNodeGroup",
    )


@rule(_SERVICE, "create_replication_group")
def failover_has_somewhere_to_go(_: Cloud, request: Request) -> None:
    failover = request.get("AutomaticFailoverEnabled", False)
    replicas = _replicas(request)
    refuse_unless(
        not failover or replicas is None or replicas >= 1,
        _CODE,
        "Automatic failover is not supported for a replication group without a replica",
    )
    refuse_unless(
        not request.get("MultiAZEnabled") or failover,
        _COMBINATION,
        "Automatic failover must be enabled when Multi-AZ is",
    )
    refuse_unless(
        request.get("ClusterMode") != "enabled" or failover,
        _CODE,
        "Redis with cluster mode enabled cannot be created with auto failover turned off.",
    )
    refuse_unless(
        request.get("NumNodeGroups", 1) == 1 or request.get("ClusterMode") == "enabled",
        _COMBINATION,
        "more than one shard needs cluster mode enabled",
    )


@rule(_SERVICE, "create_replication_group")
def users_come_over_tls(_: Cloud, request: Request) -> None:
    encrypted = request.get("TransitEncryptionEnabled", False)
    refuse_unless(
        encrypted or not (request.get("UserGroupIds") or request.get("AuthToken")),
        _COMBINATION,
        "User groups and AUTH tokens are only allowed when encryption-in-transit is enabled",
    )
    refuse_unless(
        not (request.get("UserGroupIds") and request.get("AuthToken")),
        _COMBINATION,
        "A replication group has user groups or an AUTH token, not both",
    )


@rule(_SERVICE, "create_user", "modify_user")
def passwords_are_sound(_: Cloud, request: Request) -> None:
    mode = request.get("AuthenticationMode") or {}
    passwords = request.get("Passwords") or mode.get("Passwords") or []
    refuse_unless(len(passwords) <= 2, _CODE, "a user has at most two passwords")
    # The passwords themselves never stand in a message.
    refuse_unless(
        all(16 <= len(password) <= 128 for password in passwords),
        _CODE,
        "a password has 16 to 128 characters",
    )
    refuse_unless(
        not (passwords and request.get("NoPasswordRequired")),
        _COMBINATION,
        "NoPasswordRequired and Passwords exclude each other",
    )


@rule(_SERVICE, "create_user_group", "modify_user_group", live=True)
def redis_keeps_its_default_user(cloud: Cloud, request: Request) -> None:
    """ElastiCache user guide, "Role-Based Access Control": Valkey needs none."""
    if request.get("Engine", "").lower() != "redis":
        return
    users = cloud.call(_SERVICE, "describe_users")["Users"]
    names = {user["UserName"] for user in users if user["UserId"] in request.get("UserIds", [])}
    refuse_unless(
        "default" in names,
        "DefaultUserRequired",
        "A user group for Redis OSS needs a user with the user name default",
    )


@rule(_SERVICE, "create_cache_subnet_group", "modify_cache_subnet_group", live=True)
def subnets_lie_in_one_vpc(cloud: Cloud, request: Request) -> None:
    subnets = cloud.call("ec2", "describe_subnets", SubnetIds=request["SubnetIds"])["Subnets"]
    refuse_unless(
        len({subnet["VpcId"] for subnet in subnets}) == 1,
        "InvalidSubnet",
        "The subnets of a cache subnet group must lie in one VPC",
    )
