"""The Aurora cluster: a writer, one replica to fail over to, and more by schedule and by load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from infra.season.plan import Bounds
from infra.settings.database import DatabaseEngine, DatabaseSettings

PORT: Final[dict[DatabaseEngine, int]] = {"aurora-postgresql": 5432, "aurora-mysql": 3306}
LOG_TYPES: Final[dict[DatabaseEngine, list[str]]] = {
    "aurora-postgresql": ["postgresql"],
    "aurora-mysql": ["audit", "error", "slowquery"],
}
READER_CPU_TARGET_PERCENT: Final = 60.0


@dataclass(frozen=True)
class DatabaseArgs:
    """`bounds` is the number of replicas that holds now."""

    settings: DatabaseSettings
    bounds: Bounds
    scheduled: bool
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    tags: Mapping[str, str]


class Database(pulumi.ComponentResource):
    """An Aurora cluster whose replicas Application Auto Scaling adds and removes."""

    resource_id: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    port: int
    outputs: pulumi.Output[dict[str, object]]

    def __init__(
        self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:database:Database", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = dict(args.tags)
        self.port = PORT[args.settings.engine]
        cluster = self._cluster()
        target = self._scalable_target(cluster, self._instances(cluster))
        self.resource_id = target.resource_id
        self.outputs = pulumi.Output.from_input(
            {
                "engine": args.settings.engine,
                "writer_endpoint": cluster.endpoint,
                "reader_endpoint": cluster.reader_endpoint,
                "port": self.port,
                "name": args.settings.name,
                "secret_arn": cluster.master_user_secrets.apply(
                    lambda secrets: secrets[0].secret_arn if secrets else None
                ),
            }
        )
        self.register_outputs({"cluster": cluster.cluster_identifier})

    def _cluster(self) -> aws.rds.Cluster:
        args, settings, name = self._args, self._args.settings, self._name
        subnets = aws.rds.SubnetGroup(
            name, subnet_ids=args.subnet_ids, tags=self._tags, opts=self._child
        )
        self.security_group_id = aws.ec2.SecurityGroup(
            name,
            description="The database, open to the application alone",
            vpc_id=args.vpc_id,
            tags=self._tags | {"Name": name},
            opts=self._child,
        ).id
        return aws.rds.Cluster(
            name,
            engine=aws.rds.EngineType(settings.engine),
            engine_version=settings.engine_version,
            database_name=settings.name,
            master_username="firstbell",
            # RDS makes the password, keeps it in Secrets Manager and rotates it.
            manage_master_user_password=True,
            iam_database_authentication_enabled=True,
            port=self.port,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[self.security_group_id],
            storage_encrypted=True,
            backup_retention_period=settings.backup_days,
            copy_tags_to_snapshot=True,
            enabled_cloudwatch_logs_exports=LOG_TYPES[settings.engine],
            deletion_protection=settings.deletion_protection,
            skip_final_snapshot=not settings.deletion_protection,
            final_snapshot_identifier=f"{name}-final" if settings.deletion_protection else None,
            tags=self._tags,
            opts=self._child,
        )

    def _instances(self, cluster: aws.rds.Cluster) -> list[aws.rds.ClusterInstance]:
        """The writer, and one replica of our own where any is wanted.

        Application Auto Scaling removes only replicas that it added itself, so that this one stays
        for a failover whatever the schedule says. It counts towards the schedule's minimum.
        """
        roles = ["writer"] + (["replica"] if self._args.settings.replicas.min >= 1 else [])
        return [
            aws.rds.ClusterInstance(
                f"{self._name}-{role}",
                cluster_identifier=cluster.cluster_identifier,
                engine=aws.rds.EngineType(self._args.settings.engine),
                instance_class=self._args.settings.instance_class,
                publicly_accessible=False,
                auto_minor_version_upgrade=True,
                copy_tags_to_snapshot=True,
                performance_insights_enabled=True,
                promotion_tier=tier,
                tags=self._tags,
                opts=self._child,
            )
            for tier, role in enumerate(roles)
        ]

    def _scalable_target(
        self, cluster: aws.rds.Cluster, instances: Sequence[aws.rds.ClusterInstance]
    ) -> aws.appautoscaling.Target:
        """Needs the writer: a replica that came first would become it, with no class to copy."""
        bounds = self._args.bounds
        target = aws.appautoscaling.Target(
            self._name,
            service_namespace="rds",
            scalable_dimension="rds:cluster:ReadReplicaCount",
            resource_id=pulumi.Output.concat("cluster:", cluster.cluster_identifier),
            min_capacity=bounds.min,
            max_capacity=bounds.max,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(instances),
                # As with the web tiers: the schedule moves them.
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
                        predefined_metric_type="RDSReaderAverageCPUUtilization"
                    ),
                    target_value=READER_CPU_TARGET_PERCENT,
                    scale_in_cooldown=600,
                    scale_out_cooldown=300,
                )
            ),
            opts=self._child,
        )
        return target
