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
    instance_parameters = aws.rds.ParameterGroup(
        "instance-parameters",
        family="aurora-postgresql16",
        parameters=[
            {
                "name": "log_lock_waits",
                "value": variant.either("1", "0"),
                "apply_method": "immediate",
            }
        ],
        tags=variant.tags,
    )
    cluster = aws.rds.Cluster(
        "cluster",
        engine=aws.rds.EngineType.AURORA_POSTGRESQL,
        engine_version=variant.either("16.6", "16.8"),
        allow_major_version_upgrade=True,
        db_instance_parameter_group_name=instance_parameters.name,
        database_name=f"lms{variant.name}",
        master_username="lms",
        master_password=pulumi.Output.secret("correct-horse-battery"),
        db_subnet_group_name=database_subnets.name,
        db_cluster_parameter_group_name=parameters.name,
        vpc_security_group_ids=[shared.security.id],
        backup_retention_period=7 if variant.color == "blue" else 14,
        storage_encrypted=True,
        iam_database_authentication_enabled=True,
        preferred_backup_window="12:00-12:30",
        preferred_maintenance_window=variant.either("sat:22:00-sat:23:00", "sun:22:00-sun:23:00"),
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
        db_parameter_group_name=instance_parameters.name,
        preferred_maintenance_window=variant.either("sat:22:00-sat:23:00", "sun:22:00-sun:23:00"),
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
    proxy = aws.rds.Proxy(
        "proxy",
        engine_family="POSTGRESQL",
        auths=[
            {
                "auth_scheme": "SECRETS",
                "iam_auth": "DISABLED",
                "secret_arn": "arn:aws:secretsmanager:eu-north-1:123456789012:secret:lms",
            }
        ],
        require_tls=True,
        idle_client_timeout=variant.either(900, 1200),
        role_arn=shared.role.arn,
        vpc_subnet_ids=[subnet.id for subnet in shared.subnets],
        vpc_security_group_ids=[shared.security.id],
        tags=variant.tags,
    )
    pool = aws.rds.ProxyDefaultTargetGroup(
        "proxy-pool",
        db_proxy_name=proxy.name,
        connection_pool_config={
            "max_connections_percent": variant.either(90, 80),
            "max_idle_connections_percent": 40,
        },
    )
    aws.rds.ProxyTarget(
        "proxy-target",
        db_proxy_name=proxy.name,
        target_group_name=pool.name,
        db_cluster_identifier=cluster.cluster_identifier,
        opts=pulumi.ResourceOptions(depends_on=[writer]),
    )
    aws.rds.EventSubscription(
        "events",
        sns_topic=shared.topic.arn,
        source_type="db-cluster",
        event_categories=variant.either(["failure", "maintenance"], ["failover", "failure"]),
        tags=variant.tags,
    )


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
    "instance-parameters": lambda c, s: c("rds").modify_db_parameter_group(
        DBParameterGroupName=s["id"],
        Parameters=[
            {
                "ParameterName": "log_lock_waits",
                "ParameterValue": "evil",
                "ApplyMethod": "immediate",
            }
        ],
    ),
    "proxy": lambda c, s: c("rds").modify_db_proxy(DBProxyName=s["id"], RequireTLS=False),
    "proxy-pool": lambda c, s: c("rds").modify_db_proxy_target_group(
        DBProxyName=s["id"],
        TargetGroupName="default",
        ConnectionPoolConfig={"MaxConnectionsPercent": 1},
    ),
    "proxy-target": lambda c, s: c("rds").deregister_db_proxy_targets(
        DBProxyName=s["outputs"]["dbProxyName"],
        DBClusterIdentifiers=[s["outputs"]["dbClusterIdentifier"]],
    ),
    "events": lambda c, s: c("rds").modify_event_subscription(
        SubscriptionName=s["id"], Enabled=False
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

REMOVED: Final = frozenset({"proxy-target"})
COLOURLESS: Final = frozenset({"proxy-target"})


def left_over(client: Client) -> list[Any]:
    rds, app = client("rds"), client("application-autoscaling")
    of_rds = {"ServiceNamespace": "rds"}
    return [
        *rds.describe_db_clusters()["DBClusters"],
        *rds.describe_db_instances()["DBInstances"],
        *rds.describe_db_subnet_groups()["DBSubnetGroups"],
        *rds.describe_db_cluster_parameter_groups()["DBClusterParameterGroups"],
        *(
            group
            for group in rds.describe_db_parameter_groups()["DBParameterGroups"]
            if not group["DBParameterGroupName"].startswith("default.")
        ),
        *rds.describe_db_proxies()["DBProxies"],
        *rds.describe_event_subscriptions()["EventSubscriptionsList"],
        *app.describe_scalable_targets(**of_rds)["ScalableTargets"],
        *app.describe_scaling_policies(**of_rds)["ScalingPolicies"],
        *app.describe_scheduled_actions(**of_rds)["ScheduledActions"],
    ]
