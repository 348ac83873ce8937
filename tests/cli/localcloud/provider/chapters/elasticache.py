"""The life of what elasticache and secretsmanager make."""

from __future__ import annotations

from typing import Any, Final

import pulumi
import pulumi_aws as aws

from tests.cli.localcloud.provider.chapters.base import Client, Drift, Shared, Variant


def program(variant: Variant, shared: Shared) -> None:
    name = f"{pulumi.get_stack()}-{variant.name}"
    secret = aws.secretsmanager.Secret(
        "cache-secret", description=f"Of the cache, {variant.color}", tags=variant.tags
    )
    version = aws.secretsmanager.SecretVersion(
        "cache-password",
        secret_id=secret.id,
        secret_string=pulumi.Output.secret("correct-horse-battery-staple"),
    )
    subnets = aws.elasticache.SubnetGroup(
        "cache-subnets",
        name=name,
        subnet_ids=[subnet.id for subnet in shared.subnets],
        tags=variant.tags,
    )
    parameters = aws.elasticache.ParameterGroup(
        "cache-parameters",
        family="valkey8",
        parameters=[
            {"name": "maxmemory-policy", "value": variant.either("volatile-lru", "noeviction")},
            {"name": "cluster-enabled", "value": "yes"},
        ],
        tags=variant.tags,
    )
    user = aws.elasticache.User(
        "cache-user",
        user_id=name,
        user_name="lms",
        engine="valkey",
        access_string=f"on ~{variant.color}* +@all",
        passwords=[version.secret_string.apply(lambda text: text or "")],
        tags=variant.tags,
    )
    users = aws.elasticache.UserGroup(
        "cache-users",
        user_group_id=name,
        engine="valkey",
        user_ids=[user.user_id],
        tags=variant.tags,
    )
    group = aws.elasticache.ReplicationGroup(
        "cache",
        description="Sessions",
        engine="valkey",
        engine_version="8.0",
        node_type="cache.m7g.large",
        cluster_mode="enabled",
        num_node_groups=1,
        replicas_per_node_group=variant.either(1, 2),
        automatic_failover_enabled=True,
        multi_az_enabled=True,
        parameter_group_name=parameters.name,
        subnet_group_name=subnets.name,
        security_group_ids=[shared.security.id],
        user_group_ids=[users.user_group_id],
        transit_encryption_enabled=True,
        at_rest_encryption_enabled=True,
        snapshot_retention_limit=7,
        final_snapshot_identifier=f"{name}-final",
        maintenance_window=variant.either("sat:22:00-sat:23:00", "sun:22:00-sun:23:00"),
        tags=variant.tags,
    )
    aws.appautoscaling.Target(
        "cache-scalable",
        service_namespace="elasticache",
        resource_id=group.replication_group_id.apply(lambda id: f"replication-group/{id}"),
        scalable_dimension="elasticache:replication-group:Replicas",
        min_capacity=1,
        max_capacity=variant.either(3, 4),
    )


def _by(state: dict[str, Any]) -> dict[str, Any]:
    return {
        "ServiceNamespace": "elasticache",
        "ResourceId": state["outputs"]["resourceId"],
        "ScalableDimension": "elasticache:replication-group:Replicas",
    }


DRIFTS: Final[dict[str, Drift]] = {
    "cache-secret": lambda c, s: c("secretsmanager").update_secret(
        SecretId=s["id"], Description="evil"
    ),
    "cache-subnets": lambda c, s: c("elasticache").modify_cache_subnet_group(
        CacheSubnetGroupName=s["id"], SubnetIds=[s["inputs"]["subnetIds"][0]]
    ),
    "cache-parameters": lambda c, s: c("elasticache").modify_cache_parameter_group(
        CacheParameterGroupName=s["id"],
        ParameterNameValues=[{"ParameterName": "maxmemory-policy", "ParameterValue": "evil"}],
    ),
    "cache-user": lambda c, s: c("elasticache").modify_user(
        UserId=s["id"], AccessString="on ~* +@all"
    ),
    "cache-users": lambda c, s: c("elasticache").modify_user_group(
        UserGroupId=s["id"], UserIdsToRemove=s["inputs"]["userIds"]
    ),
    "cache": lambda c, s: c("elasticache").increase_replica_count(
        ReplicationGroupId=s["id"], NewReplicaCount=5, ApplyImmediately=True
    ),
    "cache-scalable": lambda c, s: c("application-autoscaling").register_scalable_target(
        **_by(s), MinCapacity=1, MaxCapacity=5
    ),
}
# A secret's text is what it is: who writes another one makes another version.
PASSIVE: Final = frozenset({"cache-password"})
COLOURLESS: Final = frozenset({"cache-password"})


def left_over(client: Client) -> list[Any]:
    elasticache, secrets = client("elasticache"), client("secretsmanager")
    targets = client("application-autoscaling").describe_scalable_targets(
        ServiceNamespace="elasticache"
    )
    return [
        *elasticache.describe_replication_groups()["ReplicationGroups"],
        *elasticache.describe_cache_subnet_groups()["CacheSubnetGroups"],
        *elasticache.describe_cache_parameter_groups()["CacheParameterGroups"],
        *elasticache.describe_users()["Users"],
        *elasticache.describe_user_groups()["UserGroups"],
        *targets["ScalableTargets"],
        *(s for s in secrets.list_secrets()["SecretList"] if s["Name"].startswith("cache-secret")),
    ]
