"""The Aurora cluster: a writer, one replica to fail over to, and more by schedule and by load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from infra import database_parameters as parameters
from infra.iam import Statement, service_role
from infra.season.plan import Bounds
from infra.settings.database import DatabaseEngine, DatabaseSettings

PORT: Final[dict[DatabaseEngine, int]] = {"aurora-postgresql": 5432, "aurora-mysql": 3306}
LOG_TYPES: Final[dict[DatabaseEngine, list[str]]] = {
    "aurora-postgresql": ["postgresql"],
    "aurora-mysql": ["audit", "error", "general", "slowquery"],
}
PROXY_FAMILY: Final[dict[DatabaseEngine, str]] = {
    "aurora-postgresql": "POSTGRESQL",
    "aurora-mysql": "MYSQL",
}
READER_CPU_TARGET_PERCENT: Final = 60.0
# When Aurora closes a day's backup, which costs no time: by day, since AWS takes no other window
# near it, neither that of maintenance nor that of AWS Backup, which are at night.
BACKUP_WINDOW: Final = "12:00-12:30"
# A change waits for the weekly maintenance window else, is a difference until then at each `drift`,
# and cuts connections at a time that nobody chose. `preview` says what it does, `up` does it.
APPLY_IMMEDIATELY: Final = True
# What the proxy leaves of the writer's connections to those who connect without it.
PROXY_CONNECTIONS_PERCENT: Final = 90
# A page waits no longer than this for a connection; the balancer gives up after 60.
PROXY_BORROW_SECONDS: Final = 30
# What the events of RDS are told of, by subscription: kind of source and categories. AWS's controls
# RDS.19 to RDS.22 name theirs; failovers have one of their own, since scanners hold RDS.19 to just
# its two.
EVENTS: Final[Mapping[str, tuple[str, Sequence[str]]]] = {
    "cluster": ("db-cluster", ["failure", "maintenance"]),
    "failover": ("db-cluster", ["failover"]),
    "instance": ("db-instance", ["configuration change", "failure", "maintenance"]),
    "parameter-group": ("db-parameter-group", ["configuration change"]),
    "security-group": ("db-security-group", ["configuration change", "failure"]),
}
_MONITORING_POLICY: Final = "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"


@dataclass(frozen=True)
class DatabaseArgs:
    """`bounds` is the number of replicas that holds now; it takes no clients: see access.py.

    `topic_arn` is where RDS sends its events; `backup_tags` mark the cluster for AWS Backup.
    """

    settings: DatabaseSettings
    bounds: Bounds
    scheduled: bool
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    topic_arn: pulumi.Input[str]
    tags: Mapping[str, str]
    backup_tags: Mapping[str, str]


class Database(pulumi.ComponentResource):
    """An Aurora cluster whose replicas Application Auto Scaling adds and removes."""

    resource_id: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    port: int
    arn: pulumi.Output[str]
    cluster_identifier: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    """Where applications write: the proxy where there is one."""
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
        group = self._security_group()
        self.security_group_id = group.id
        instance_parameters = self._instance_parameters()
        cluster = self._cluster(group, instance_parameters)
        instances = self._instances(cluster, instance_parameters)
        target = self._scalable_target(cluster, instances)
        secret_arn = cluster.master_user_secrets.apply(
            lambda secrets: str(secrets[0].secret_arn) if secrets else ""
        )
        proxy = self._proxy(cluster, group, secret_arn, instances) if args.settings.proxy else None
        self._event_subscriptions()
        self.resource_id = target.resource_id
        self.arn = cluster.arn
        self.cluster_identifier = cluster.cluster_identifier
        self.endpoint = proxy.endpoint if proxy else cluster.endpoint
        self.outputs = pulumi.Output.from_input(
            {
                "engine": args.settings.engine,
                "writer_endpoint": cluster.endpoint,
                "reader_endpoint": cluster.reader_endpoint,
                "proxy_endpoint": proxy.endpoint if proxy else None,
                "port": self.port,
                "name": args.settings.name,
                "secret_arn": secret_arn,
            }
        )
        self.register_outputs({"cluster": cluster.cluster_identifier})

    def _security_group(self) -> aws.ec2.SecurityGroup:
        """Closed; who may come in is said elsewhere, save the proxy, which stands inside."""
        args, name = self._args, self._name
        group = aws.ec2.SecurityGroup(
            name,
            description="The database, open to the application alone",
            vpc_id=args.vpc_id,
            tags=self._tags | {"Name": name},
            opts=self._child,
        )
        if args.settings.proxy:
            for rule in (aws.vpc.SecurityGroupIngressRule, aws.vpc.SecurityGroupEgressRule):
                rule(
                    f"{name}-from-proxy",
                    security_group_id=group.id,
                    description="From the proxy to the database",
                    referenced_security_group_id=group.id,
                    ip_protocol="tcp",
                    from_port=self.port,
                    to_port=self.port,
                    tags=self._tags,
                    opts=self._child,
                )
        return group

    def _instance_parameters(self) -> aws.rds.ParameterGroup:
        settings, name = self._args.settings, self._name
        return aws.rds.ParameterGroup(
            name,
            family=parameters.family(settings),
            description=f"{name}: waits and deadlocks are logged",
            parameters=[
                aws.rds.ParameterGroupParameterArgs(
                    name=parameter.name, value=parameter.value, apply_method=parameter.applied
                )
                for parameter in parameters.instance_parameters(settings)
            ],
            tags=self._tags,
            opts=self._child,
        )

    def _cluster(
        self, group: aws.ec2.SecurityGroup, instance_parameters: aws.rds.ParameterGroup
    ) -> aws.rds.Cluster:
        args, settings, name = self._args, self._args.settings, self._name
        subnets = aws.rds.SubnetGroup(
            name, subnet_ids=args.subnet_ids, tags=self._tags, opts=self._child
        )
        cluster_parameters = aws.rds.ClusterParameterGroup(
            name,
            family=parameters.family(settings),
            description=f"{name}: TLS only, slow statements logged",
            parameters=[
                aws.rds.ClusterParameterGroupParameterArgs(
                    name=parameter.name, value=parameter.value, apply_method=parameter.applied
                )
                for parameter in parameters.cluster_parameters(settings)
            ],
            tags=self._tags,
            opts=self._child,
        )
        return aws.rds.Cluster(
            name,
            engine=aws.rds.EngineType(settings.engine),
            engine_version=settings.engine_version,
            # AWS refuses another major version without this, and without the parameter group that
            # its instances then have. `preview` says what an upgrade is, and forbids the way back.
            allow_major_version_upgrade=True,
            db_instance_parameter_group_name=instance_parameters.name,
            apply_immediately=APPLY_IMMEDIATELY,
            database_name=settings.name,
            master_username=settings.admin_user,
            # RDS makes the password, keeps it in Secrets Manager and rotates it.
            manage_master_user_password=True,
            iam_database_authentication_enabled=True,
            port=self.port,
            db_subnet_group_name=subnets.name,
            db_cluster_parameter_group_name=cluster_parameters.name,
            vpc_security_group_ids=[group.id],
            storage_encrypted=True,
            backup_retention_period=settings.backup_days,
            preferred_backup_window=BACKUP_WINDOW,
            preferred_maintenance_window=settings.maintenance_window,
            copy_tags_to_snapshot=True,
            enabled_cloudwatch_logs_exports=LOG_TYPES[settings.engine],
            deletion_protection=settings.deletion_protection,
            skip_final_snapshot=False,
            final_snapshot_identifier=f"{name}-final",
            tags=self._tags | dict(args.backup_tags),
            opts=self._child,
        )

    def _log_groups(self, cluster: aws.rds.Cluster) -> list[aws.cloudwatch.LogGroup]:
        """Where the engine's logs go. RDS makes a missing group when an instance first writes to
        it, and keeps what is in it for ever: so they come before the instances."""
        return [
            aws.cloudwatch.LogGroup(
                f"{self._name}-{kind}",
                name=pulumi.Output.concat(
                    "/aws/rds/cluster/", cluster.cluster_identifier, f"/{kind}"
                ),
                retention_in_days=self._args.settings.log_days,
                tags=self._tags,
                opts=self._child,
            )
            for kind in LOG_TYPES[self._args.settings.engine]
        ]

    def _instances(
        self, cluster: aws.rds.Cluster, instance_parameters: aws.rds.ParameterGroup
    ) -> list[aws.rds.ClusterInstance]:
        """The writer, and one replica of our own where any is wanted.

        Application Auto Scaling removes only replicas that it added itself, so that this one stays
        for a failover whatever the schedule says. It counts towards the schedule's minimum. It
        comes, and changes, after the writer: the first instance becomes the writer, and two that
        restart at once leave nothing to fail over to.
        """
        name, settings = self._name, self._args.settings
        monitoring = service_role(
            f"{name}-monitoring",
            "monitoring.rds.amazonaws.com",
            managed={"enhanced": _MONITORING_POLICY},
            tags=self._tags,
            opts=self._child,
        )
        roles = ["writer"] + (["replica"] if settings.replicas.min >= 1 else [])
        after: list[pulumi.Resource] = [*self._log_groups(cluster)]
        made: list[aws.rds.ClusterInstance] = []
        for tier, role in enumerate(roles):
            made.append(
                aws.rds.ClusterInstance(
                    f"{name}-{role}",
                    cluster_identifier=cluster.cluster_identifier,
                    engine=aws.rds.EngineType(settings.engine),
                    instance_class=settings.instance_class,
                    db_parameter_group_name=instance_parameters.name,
                    publicly_accessible=False,
                    auto_minor_version_upgrade=True,
                    preferred_maintenance_window=settings.maintenance_window,
                    apply_immediately=APPLY_IMMEDIATELY,
                    copy_tags_to_snapshot=True,
                    performance_insights_enabled=parameters.has_performance_insights(settings),
                    monitoring_interval=settings.monitoring_seconds,
                    monitoring_role_arn=monitoring.arn,
                    promotion_tier=tier,
                    tags=self._tags,
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[*after, *made]),
                )
            )
        return made

    def _proxy(
        self,
        cluster: aws.rds.Cluster,
        group: aws.ec2.SecurityGroup,
        secret_arn: pulumi.Output[str],
        instances: Sequence[aws.rds.ClusterInstance],
    ) -> aws.rds.Proxy:
        """Shares the writer's connections; its role reads the master user's secret alone."""
        name = self._name
        role = service_role(
            f"{name}-proxy",
            "rds.amazonaws.com",
            statements=[
                Statement(
                    ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"],
                    [secret_arn],
                )
            ],
            tags=self._tags,
            opts=self._child,
        )
        proxy = aws.rds.Proxy(
            name,
            engine_family=PROXY_FAMILY[self._args.settings.engine],
            auths=[
                aws.rds.ProxyAuthArgs(
                    auth_scheme="SECRETS", iam_auth="DISABLED", secret_arn=secret_arn
                )
            ],
            require_tls=True,
            role_arn=role.arn,
            vpc_subnet_ids=self._args.subnet_ids,
            vpc_security_group_ids=[group.id],
            tags=self._tags,
            opts=self._child,
        )
        pool = aws.rds.ProxyDefaultTargetGroup(
            name,
            db_proxy_name=proxy.name,
            connection_pool_config=aws.rds.ProxyDefaultTargetGroupConnectionPoolConfigArgs(
                max_connections_percent=PROXY_CONNECTIONS_PERCENT,
                max_idle_connections_percent=PROXY_CONNECTIONS_PERCENT // 2,
                connection_borrow_timeout=PROXY_BORROW_SECONDS,
            ),
            opts=self._child,
        )
        aws.rds.ProxyTarget(
            name,
            db_proxy_name=proxy.name,
            target_group_name=pool.name,
            db_cluster_identifier=cluster.cluster_identifier,
            # A cluster without an instance cannot be registered.
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(instances)),
        )
        return proxy

    def _event_subscriptions(self) -> None:
        """Failures, failovers, maintenance and changes of configuration, told to the topic."""
        for subscription, (source, categories) in EVENTS.items():
            aws.rds.EventSubscription(
                f"{self._name}-{subscription}",
                sns_topic=self._args.topic_arn,
                source_type=source,
                event_categories=list(categories),
                tags=self._tags,
                opts=self._child,
            )

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
