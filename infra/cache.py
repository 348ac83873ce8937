"""The cache: a replication group for sessions and the application's cache, over several zones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from infra.season.plan import Bounds
from infra.settings.cache import CacheSettings

PORT: Final = 6379
USER: Final = "lms"
# All that an application does, none of what runs a server; what a client asks before it starts and
# the purge of a cache are let through.
ACCESS: Final = (
    "on ~* &* +@all -@admin -@dangerous +info +flushdb +cluster|slots +cluster|shards "
    "+cluster|nodes +cluster|myid"
)
# Redis OSS wants a user named default in every group: switched off.
CLOSED: Final = "off ~keys* -@all +get"
# "You can set the utilization target between 35 percent and 70 percent": ElastiCache user guide,
# "Target tracking scaling policies", read 2026-11.
REPLICA_CPU_TARGET_PERCENT: Final = 60.0
PASSWORD_LENGTH: Final = 32


def _password(text: str | None) -> str:
    """The password in the secret's text."""
    return str(json.loads(text or "{}").get("password"))


@dataclass(frozen=True)
class CacheArgs:
    """`bounds` is the number of replicas of each shard that holds now."""

    settings: CacheSettings
    bounds: Bounds
    scheduled: bool
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    tags: Mapping[str, str]


class Cache(pulumi.ComponentResource):
    """A replication group that asks for TLS and a password, which lies in Secrets Manager."""

    port: int = PORT
    security_group_id: pulumi.Output[str]
    group_id: pulumi.Output[str]
    resource_id: pulumi.Output[str] | None
    """The scalable target's, where replicas come and go."""
    outputs: pulumi.Output[dict[str, object]]

    def __init__(
        self, name: str, args: CacheArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:cache:Cache", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = dict(args.tags)
        security = aws.ec2.SecurityGroup(
            name,
            description="The cache, open to the application alone",
            vpc_id=args.vpc_id,
            tags=self._tags | {"Name": name},
            opts=self._child,
        )
        secret = self._secret()
        group = self._replication_group(security, self._users(secret))
        self.security_group_id = security.id
        self.group_id = group.replication_group_id
        self.resource_id = self._scalable_target(group) if args.settings.scales else None
        shards = args.settings.cluster_mode
        self.outputs = pulumi.Output.from_input(
            {
                "engine": args.settings.engine,
                "cluster_mode": shards,
                "endpoint": (
                    group.configuration_endpoint_address
                    if shards
                    else group.primary_endpoint_address
                ),
                "reader_endpoint": None if shards else group.reader_endpoint_address,
                "port": PORT,
                "user": USER,
                "secret_arn": secret.secret_id,
            }
        )
        self.register_outputs({"replication_group": group.replication_group_id})

    def _secret(self) -> aws.secretsmanager.SecretVersion:
        """The password: made once, kept in Secrets Manager, and secret in state and plan.

        Each run makes another one and throws it away: only the first is ever written.
        """
        secret = aws.secretsmanager.Secret(
            self._name,
            description=f"User {USER} of the cache",
            tags=self._tags,
            opts=self._child,
        )
        password = aws.secretsmanager.get_random_password_output(
            password_length=PASSWORD_LENGTH,
            exclude_punctuation=True,
            opts=pulumi.InvokeOutputOptions(parent=self),
        ).random_password
        return aws.secretsmanager.SecretVersion(
            self._name,
            secret_id=secret.id,
            secret_string=pulumi.Output.secret(
                pulumi.Output.json_dumps({"username": USER, "password": password})
            ),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["secretString"]),
        )

    def _users(self, secret: aws.secretsmanager.SecretVersion) -> aws.elasticache.UserGroup:
        """The application's user, with the password that stands in the secret."""
        name, engine = self._name, self._args.settings.engine
        users = [
            aws.elasticache.User(
                name,
                user_id=name,
                user_name=USER,
                engine=engine,
                access_string=ACCESS,
                passwords=[secret.secret_string.apply(_password)],
                tags=self._tags,
                opts=self._child,
            )
        ]
        if engine == "redis":
            users.append(
                aws.elasticache.User(
                    f"{name}-default",
                    user_id=f"{name}-default",
                    user_name="default",
                    engine=engine,
                    access_string=CLOSED,
                    no_password_required=True,
                    tags=self._tags,
                    opts=self._child,
                )
            )
        return aws.elasticache.UserGroup(
            name,
            user_group_id=name,
            engine=engine,
            user_ids=[user.user_id for user in users],
            tags=self._tags,
            opts=self._child,
        )

    def _replication_group(
        self, security: aws.ec2.SecurityGroup, users: aws.elasticache.UserGroup
    ) -> aws.elasticache.ReplicationGroup:
        args, settings, name = self._args, self._args.settings, self._name
        subnets = aws.elasticache.SubnetGroup(
            name, subnet_ids=args.subnet_ids, tags=self._tags, opts=self._child
        )
        values = {"maxmemory-policy": settings.eviction}
        if settings.cluster_mode:
            values["cluster-enabled"] = "yes"
        parameters = aws.elasticache.ParameterGroup(
            name,
            family=settings.family,
            parameters=[
                aws.elasticache.ParameterGroupParameterArgs(name=key, value=value)
                for key, value in values.items()
            ],
            tags=self._tags,
            opts=self._child,
        )
        return aws.elasticache.ReplicationGroup(
            name,
            description=f"Sessions and cache of {name}",
            engine=settings.engine,
            engine_version=settings.engine_version,
            node_type=settings.node_type,
            port=PORT,
            cluster_mode="enabled" if settings.cluster_mode else "disabled",
            num_node_groups=settings.shards if settings.cluster_mode else None,
            replicas_per_node_group=args.bounds.min if settings.cluster_mode else None,
            num_cache_clusters=None if settings.cluster_mode else args.bounds.min + 1,
            automatic_failover_enabled=True,
            multi_az_enabled=True,
            parameter_group_name=parameters.name,
            subnet_group_name=subnets.name,
            security_group_ids=[security.id],
            user_group_ids=[users.user_group_id],
            transit_encryption_enabled=True,
            at_rest_encryption_enabled=True,
            auto_minor_version_upgrade=True,
            # Else it waits for the weekly maintenance window.
            apply_immediately=True,
            snapshot_retention_limit=settings.snapshot_days,
            # AWS takes the daily backups along with the group.
            final_snapshot_identifier=f"{self._name}-final",
            maintenance_window=settings.maintenance_window,
            tags=self._tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                # Schedule and load move them.
                ignore_changes=["replicasPerNodeGroup"] if settings.scales else [],
            ),
        )

    def _scalable_target(self, group: aws.elasticache.ReplicationGroup) -> pulumi.Output[str]:
        bounds = self._args.bounds
        target = aws.appautoscaling.Target(
            self._name,
            service_namespace="elasticache",
            scalable_dimension="elasticache:replication-group:Replicas",
            resource_id=pulumi.Output.concat("replication-group/", group.replication_group_id),
            min_capacity=bounds.min,
            max_capacity=bounds.max,
            opts=pulumi.ResourceOptions(
                parent=self,
                ignore_changes=["minCapacity", "maxCapacity"] if self._args.scheduled else [],
            ),
        )
        aws.appautoscaling.Policy(
            f"{self._name}-cpu",
            policy_type="TargetTrackingScaling",
            service_namespace=target.service_namespace,
            scalable_dimension=target.scalable_dimension,
            resource_id=target.resource_id,
            target_tracking_scaling_policy_configuration=(
                aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationArgs(
                    predefined_metric_specification=aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationPredefinedMetricSpecificationArgs(
                        predefined_metric_type="ElastiCacheReplicaEngineCPUUtilization"
                    ),
                    target_value=REPLICA_CPU_TARGET_PERCENT,
                    scale_in_cooldown=600,
                    scale_out_cooldown=300,
                )
            ),
            opts=self._child,
        )
        return target.resource_id
