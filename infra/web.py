"""A web tier: launch template, Auto Scaling group and target group behind the load balancer."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from infra.iam import service_role
from infra.season.plan import Bounds
from infra.settings.tiers import TierSettings

# What AWS fills with the balancer and the target group of a request-count policy.
REQUESTS_PER_TARGET: Final = "ALBRequestCountPerTarget"
CPU: Final = "ASGAverageCPUUtilization"
CPU_TARGET_PERCENT: Final = 60.0
HTTPS: Final = 443


@dataclass(frozen=True)
class WebTierArgs:
    """`bounds` is the floor and cap that hold now; `scheduled` says that a season moves them.

    Instances install what they need while they boot: the group waits for `ways_out`.
    """

    tier: str
    settings: TierSettings
    bounds: Bounds
    scheduled: bool
    priority: int
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    ways_out: Sequence[pulumi.Resource]
    listener_arn: pulumi.Input[str]
    balancer_arn_suffix: pulumi.Input[str]
    balancer_security_group_id: pulumi.Input[str]
    tags: Mapping[str, str]


class WebTier(pulumi.ComponentResource):
    """Instances that serve one set of hosts and paths, and scale by themselves."""

    group_name: pulumi.Output[str]
    target_group_arn: pulumi.Output[str]
    security_group_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: WebTierArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:web:WebTier", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = dict(args.tags) | {"tier": args.tier}
        self.security_group_id = self._security_group()
        template = self._launch_template(self.security_group_id, self._instance_profile())
        target_group = self._target_group()
        rule = self._listener_rule(target_group)
        group = self._auto_scaling_group(template, target_group)
        self._target_tracking(group, target_group, rule)
        self.group_name = group.name
        self.target_group_arn = target_group.arn
        self.register_outputs({"group": group.name, "target_group": target_group.arn})

    def _security_group(self) -> pulumi.Output[str]:
        args, name = self._args, self._name
        group = aws.ec2.SecurityGroup(
            name,
            description=f"Instances of tier {args.tier}",
            vpc_id=args.vpc_id,
            tags=self._tags | {"Name": name},
            opts=self._child,
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-from-balancer",
            security_group_id=group.id,
            description="Requests from the load balancer",
            referenced_security_group_id=args.balancer_security_group_id,
            ip_protocol="tcp",
            from_port=args.settings.port,
            to_port=args.settings.port,
            opts=self._child,
        )
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-to-anywhere",
            security_group_id=group.id,
            description="Packages, AWS services, the database",
            cidr_ipv4="0.0.0.0/0",
            ip_protocol="-1",
            opts=self._child,
        )
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-balancer-to",
            security_group_id=args.balancer_security_group_id,
            description=f"Requests to tier {args.tier}",
            referenced_security_group_id=group.id,
            ip_protocol="tcp",
            from_port=args.settings.port,
            to_port=args.settings.port,
            opts=self._child,
        )
        return group.id

    def _instance_profile(self) -> pulumi.Output[str]:
        role = service_role(
            self._name,
            "ec2.amazonaws.com",
            # Session Manager instead of SSH: no port is open and no key exists.
            managed={
                "session-manager": "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
            },
            tags=self._tags,
            opts=self._child,
        )
        return aws.iam.InstanceProfile(
            self._name, role=role.name, tags=self._tags, opts=self._child
        ).name

    def _launch_template(
        self, security_group_id: pulumi.Output[str], profile: pulumi.Output[str]
    ) -> aws.ec2.LaunchTemplate:
        settings, name = self._args.settings, self._name
        user_data = settings.user_data
        return aws.ec2.LaunchTemplate(
            name,
            image_id=settings.image,
            instance_type=settings.instance_types[0],
            update_default_version=True,
            ebs_optimized="true",
            iam_instance_profile=aws.ec2.LaunchTemplateIamInstanceProfileArgs(name=profile),
            metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            monitoring=aws.ec2.LaunchTemplateMonitoringArgs(enabled=True),
            network_interfaces=[
                aws.ec2.LaunchTemplateNetworkInterfaceArgs(
                    device_index=0,
                    associate_public_ip_address="false",
                    security_groups=[security_group_id],
                )
            ],
            block_device_mappings=[
                aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
                    device_name="/dev/xvda",
                    ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                        encrypted="true",
                        volume_type="gp3",
                        volume_size=settings.volume_gib,
                        delete_on_termination="true",
                    ),
                )
            ],
            user_data=base64.b64encode(user_data.encode()).decode() if user_data else None,
            tag_specifications=[
                aws.ec2.LaunchTemplateTagSpecificationArgs(
                    resource_type=kind, tags=self._tags | {"Name": name}
                )
                for kind in ("instance", "volume")
            ],
            tags=self._tags,
            opts=self._child,
        )

    def _target_group(self) -> aws.lb.TargetGroup:
        args, settings = self._args, self._args.settings
        return aws.lb.TargetGroup(
            self._name,
            port=settings.port,
            protocol="HTTP",
            vpc_id=args.vpc_id,
            target_type="instance",
            deregistration_delay=60,
            slow_start=30,
            health_check=aws.lb.TargetGroupHealthCheckArgs(
                path=settings.health_path,
                protocol="HTTP",
                interval=10,
                timeout=5,
                healthy_threshold=2,
                unhealthy_threshold=3,
                matcher="200-399",
            ),
            tags=self._tags,
            opts=self._child,
        )

    def _listener_rule(self, target_group: aws.lb.TargetGroup) -> aws.lb.ListenerRule:
        args, settings = self._args, self._args.settings
        conditions: list[aws.lb.ListenerRuleConditionArgs] = []
        if settings.hosts:
            conditions.append(
                aws.lb.ListenerRuleConditionArgs(
                    host_header=aws.lb.ListenerRuleConditionHostHeaderArgs(
                        values=list(settings.hosts)
                    )
                )
            )
        if settings.paths or not settings.hosts:
            conditions.append(
                aws.lb.ListenerRuleConditionArgs(
                    path_pattern=aws.lb.ListenerRuleConditionPathPatternArgs(
                        values=list(settings.paths) or ["/*"]
                    )
                )
            )
        return aws.lb.ListenerRule(
            self._name,
            listener_arn=args.listener_arn,
            priority=args.priority,
            conditions=conditions,
            actions=[
                aws.lb.ListenerRuleActionArgs(type="forward", target_group_arn=target_group.arn)
            ],
            tags=self._tags,
            opts=self._child,
        )

    def _auto_scaling_group(
        self, template: aws.ec2.LaunchTemplate, target_group: aws.lb.TargetGroup
    ) -> aws.autoscaling.Group:
        args, settings, name = self._args, self._args.settings, self._name
        # Scheduled actions move the group's own MinSize: after its creation, sizes are theirs. `up`
        # puts them right after the engine has run; the engine itself would undo an exam morning.
        ignored = ["desiredCapacity"] + (["minSize", "maxSize"] if args.scheduled else [])
        return aws.autoscaling.Group(
            name,
            min_size=args.bounds.min,
            max_size=args.bounds.max,
            desired_capacity=args.bounds.min,
            vpc_zone_identifiers=args.subnet_ids,
            target_group_arns=[target_group.arn],
            health_check_type="ELB",
            health_check_grace_period=settings.boot_minutes * 60,
            default_instance_warmup=settings.boot_minutes * 60,
            # Instances come from any of the types, in the order given: a type may be short.
            mixed_instances_policy=aws.autoscaling.GroupMixedInstancesPolicyArgs(
                instances_distribution=(
                    aws.autoscaling.GroupMixedInstancesPolicyInstancesDistributionArgs(
                        on_demand_allocation_strategy="prioritized",
                        on_demand_base_capacity=0,
                        on_demand_percentage_above_base_capacity=100,
                    )
                ),
                launch_template=aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateArgs(
                    launch_template_specification=aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateLaunchTemplateSpecificationArgs(
                        launch_template_id=template.id,
                        version=template.latest_version.apply(str),
                    ),
                    overrides=[
                        aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateOverrideArgs(
                            instance_type=kind
                        )
                        for kind in settings.instance_types
                    ],
                ),
            ),
            enabled_metrics=[
                aws.autoscaling.Metric.GROUP_MIN_SIZE,
                aws.autoscaling.Metric.GROUP_DESIRED_CAPACITY,
                aws.autoscaling.Metric.GROUP_IN_SERVICE_INSTANCES,
                aws.autoscaling.Metric.GROUP_PENDING_INSTANCES,
            ],
            metrics_granularity="1Minute",
            wait_for_capacity_timeout="0",
            tags=[
                aws.autoscaling.GroupTagArgs(key=key, value=value, propagate_at_launch=True)
                for key, value in (
                    self._tags
                    | {"Name": name, "firstbell:boot_minutes": str(settings.boot_minutes)}
                ).items()
            ],
            opts=pulumi.ResourceOptions(
                parent=self, ignore_changes=ignored, depends_on=list(args.ways_out)
            ),
        )

    def _target_tracking(
        self,
        group: aws.autoscaling.Group,
        target_group: aws.lb.TargetGroup,
        rule: aws.lb.ListenerRule,
    ) -> None:
        """What exceeds the forecast: requests per instance and, where pages differ, CPU.

        AWS refuses to count the requests of a target group to which no balancer forwards: `rule`
        has to exist before.
        """
        args = self._args
        label = pulumi.Output.concat(args.balancer_arn_suffix, "/", target_group.arn_suffix)
        metrics = {
            "requests": (
                float(args.settings.requests_per_target_per_minute),
                aws.autoscaling.PolicyTargetTrackingConfigurationPredefinedMetricSpecificationArgs(
                    predefined_metric_type=REQUESTS_PER_TARGET, resource_label=label
                ),
            ),
            "cpu": (
                CPU_TARGET_PERCENT,
                aws.autoscaling.PolicyTargetTrackingConfigurationPredefinedMetricSpecificationArgs(
                    predefined_metric_type=CPU
                ),
            ),
        }
        for metric, (target, specification) in metrics.items():
            aws.autoscaling.Policy(
                f"{self._name}-{metric}",
                autoscaling_group_name=group.name,
                policy_type="TargetTrackingScaling",
                estimated_instance_warmup=args.settings.boot_minutes * 60,
                target_tracking_configuration=aws.autoscaling.PolicyTargetTrackingConfigurationArgs(
                    predefined_metric_specification=specification, target_value=target
                ),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[rule]),
            )
