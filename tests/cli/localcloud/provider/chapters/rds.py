"""The life of what rds makes."""

from __future__ import annotations

from typing import Any, Final

import pulumi
import pulumi_aws as aws

from tests.cli.localcloud.provider.chapters.base import Client, Drift, Shared, Variant


def _by(state: dict[str, Any]) -> dict[str, Any]:
    return {
        "ServiceNamespace": "rds",
        "ResourceId": state["outputs"]["resourceId"],
        "ScalableDimension": "rds:cluster:ReadReplicaCount",
    }


def program(variant: Variant, shared: Shared) -> None:
    database_subnets = aws.rds.SubnetGroup(
        "database",
        name=f"{pulumi.get_stack()}-{variant.name}",
        subnet_ids=[subnet.id for subnet in shared.subnets],
        tags=variant.tags,
    )
    parameters = aws.rds.ClusterParameterGroup(
        "parameters",
        family="aurora-postgresql16",
        parameters=[
            {
                "name": "log_min_duration_statement",
                "value": "500" if variant.color == "blue" else "900",
                "apply_method": "immediate",
            }
        ],
        tags=variant.tags,
    )
    cluster = aws.rds.Cluster(
        "cluster",
        engine=aws.rds.EngineType.AURORA_POSTGRESQL,
        engine_version="16.6",
        database_name=f"lms{variant.name}",
        master_username="lms",
        master_password=pulumi.Output.secret("correct-horse-battery"),
        db_subnet_group_name=database_subnets.name,
        db_cluster_parameter_group_name=parameters.name,
        vpc_security_group_ids=[shared.security.id],
        backup_retention_period=7 if variant.color == "blue" else 14,
        storage_encrypted=True,
        iam_database_authentication_enabled=True,
        enabled_cloudwatch_logs_exports=["postgresql"],
        serverlessv2_scaling_configuration={"min_capacity": 0.5, "max_capacity": 4},
        skip_final_snapshot=True,
        tags=variant.tags,
    )
    writer = aws.rds.ClusterInstance(
        "writer",
        cluster_identifier=cluster.cluster_identifier,
        engine=aws.rds.EngineType.AURORA_POSTGRESQL,
        instance_class="db.r6g.large" if variant.color == "blue" else "db.r6g.xlarge",
        performance_insights_enabled=True,
        tags=variant.tags,
    )
    scalable = aws.appautoscaling.Target(
        "scalable",
        service_namespace="rds",
        resource_id=cluster.cluster_identifier.apply(lambda name: f"cluster:{name}"),
        scalable_dimension="rds:cluster:ReadReplicaCount",
        min_capacity=1,
        max_capacity=5 if variant.color == "blue" else 6,
        opts=pulumi.ResourceOptions(depends_on=[writer]),
    )
    aws.appautoscaling.Policy(
        "reader-cpu",
        service_namespace=scalable.service_namespace,
        resource_id=scalable.resource_id,
        scalable_dimension=scalable.scalable_dimension,
        policy_type="TargetTrackingScaling",
        target_tracking_scaling_policy_configuration={
            "predefined_metric_specification": {
                "predefined_metric_type": "RDSReaderAverageCPUUtilization"
            },
            "target_value": 60 if variant.color == "blue" else 55,
            "scale_in_cooldown": 300,
        },
    )
    aws.appautoscaling.ScheduledAction(
        "reader-morning",
        service_namespace=scalable.service_namespace,
        resource_id=scalable.resource_id,
        scalable_dimension=scalable.scalable_dimension,
        schedule="cron(30 7 ? * MON-FRI *)",
        timezone="Europe/Stockholm",
        scalable_target_action={"min_capacity": 2 if variant.color == "blue" else 3},
    )
    shared.made["cluster"] = cluster


DRIFTS: Final[dict[str, Drift]] = {
    "database": lambda c, s: c("rds").add_tags_to_resource(
        ResourceName=s["outputs"]["arn"], Tags=[{"Key": "color", "Value": "evil"}]
    ),
    "parameters": lambda c, s: c("rds").modify_db_cluster_parameter_group(
        DBClusterParameterGroupName=s["id"],
        Parameters=[
            {
                "ParameterName": "log_min_duration_statement",
                "ParameterValue": "1",
                "ApplyMethod": "immediate",
            }
        ],
    ),
    "cluster": lambda c, s: c("rds").modify_db_cluster(
        DBClusterIdentifier=s["id"], BackupRetentionPeriod=1
    ),
    "writer": lambda c, s: c("rds").modify_db_instance(
        DBInstanceIdentifier=s["id"], DBInstanceClass="db.r6g.2xlarge", ApplyImmediately=True
    ),
    "scalable": lambda c, s: c("application-autoscaling").register_scalable_target(
        **_by(s), MinCapacity=1, MaxCapacity=15
    ),
    "reader-cpu": lambda c, s: c("application-autoscaling").put_scaling_policy(
        **_by(s),
        PolicyName=s["id"],
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "RDSReaderAverageCPUUtilization"
            },
            "TargetValue": 99,
        },
    ),
    "reader-morning": lambda c, s: c("application-autoscaling").put_scheduled_action(
        **_by(s),
        ScheduledActionName=s["outputs"]["name"],
        Schedule="cron(30 9 ? * MON-FRI *)",
        ScalableTargetAction={"MinCapacity": 2},
    ),
}


def left_over(client: Client) -> list[Any]:
    rds, app = client("rds"), client("application-autoscaling")
    of_rds = {"ServiceNamespace": "rds"}
    return [
        *rds.describe_db_clusters()["DBClusters"],
        *rds.describe_db_instances()["DBInstances"],
        *rds.describe_db_subnet_groups()["DBSubnetGroups"],
        *rds.describe_db_cluster_parameter_groups()["DBClusterParameterGroups"],
        *app.describe_scalable_targets(**of_rds)["ScalableTargets"],
        *app.describe_scaling_policies(**of_rds)["ScalingPolicies"],
        *app.describe_scheduled_actions(**of_rds)["ScheduledActions"],
    ]
