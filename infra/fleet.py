"""What web tiers and workers are made of: security group, role, launch template, group and hook.

Not a component of its own: its resources are children of the tier or of the workers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from infra.iam import Statement, policy_document, service_role
from infra.season.plan import Bounds
from infra.settings.fleet import FleetSettings, WarmPoolSettings

# The hook that holds an instance until it says that its application answers. Its name stands in
# the nodes' scripts as well.
READY_HOOK: Final = "firstbell-ready"
LAUNCHING: Final = "autoscaling:EC2_INSTANCE_LAUNCHING"
# EC2 Auto Scaling API reference, PutLifecycleHook, HeartbeatTimeout: 30 to 7200.
LONGEST_HEARTBEAT_SECONDS: Final = 7200
DAY_SECONDS: Final = 86_400
CPU: Final = "ASGAverageCPUUtilization"
CPU_TARGET_PERCENT: Final = 60.0
METRICS: Final = (
    aws.autoscaling.Metric.GROUP_MIN_SIZE,
    aws.autoscaling.Metric.GROUP_MAX_SIZE,
    aws.autoscaling.Metric.GROUP_DESIRED_CAPACITY,
    aws.autoscaling.Metric.GROUP_IN_SERVICE_INSTANCES,
    aws.autoscaling.Metric.GROUP_PENDING_INSTANCES,
    aws.autoscaling.Metric.GROUP_TOTAL_INSTANCES,
)


@dataclass(frozen=True)
class FleetArgs:
    """`bounds` is the floor and cap that hold now; `scheduled` says that a season moves them.

    Instances install and mount what they need while they boot: the group waits for `boots_after`.
    Without `target_group_arns` AWS itself judges their health.
    """

    description: str
    settings: FleetSettings
    bounds: Bounds
    scheduled: bool
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    boots_after: Sequence[pulumi.Resource]
    user_data: pulumi.Input[str]
    statements: Sequence[Statement]
    tags: Mapping[str, str]
    target_group_arns: Sequence[pulumi.Input[str]] = ()
    warm_pool: WarmPoolSettings | None = None
    # What an instance refresh does with instances that are protected from scale-in.
    protected: str = "Refresh"


class Fleet:
    """The resources, as attributes."""

    def __init__(self, name: str, args: FleetArgs, parent: pulumi.Resource) -> None:
        self._name = name
        self._args = args
        self._parent = parent
        self._child = pulumi.ResourceOptions(parent=parent)
        self.tags = dict(args.tags)
        self.security_group = self._security_group()
        self.role = self._role()
        self.template = self._launch_template()
        self.group = self._group()
        self._hook()
        self._rights_on_own_group()

    def _security_group(self) -> aws.ec2.SecurityGroup:
        args, name = self._args, self._name
        group = aws.ec2.SecurityGroup(
            name,
            description=f"Instances of {args.description}",
            vpc_id=args.vpc_id,
            tags=self.tags | {"Name": name},
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
        return group

    def _role(self) -> aws.iam.Role:
        return service_role(
            self._name,
            "ec2.amazonaws.com",
            statements=self._args.statements,
            # Session Manager instead of SSH: no port is open and no key exists.
            managed={
                "session-manager": "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
            },
            tags=self.tags,
            opts=self._child,
        )

    def _rights_on_own_group(self) -> None:
        """On the group itself, so after it: instances ask again until they are allowed."""
        aws.iam.RolePolicy(
            f"{self._name}-own-group",
            role=self.role.name,
            policy=policy_document(
                [
                    Statement(
                        [
                            "autoscaling:CompleteLifecycleAction",
                            "autoscaling:SetInstanceProtection",
                        ],
                        [self.group.arn],
                    )
                ]
            ),
            opts=self._child,
        )

    def _launch_template(self) -> aws.ec2.LaunchTemplate:
        settings, name = self._args.settings, self._name
        profile = aws.iam.InstanceProfile(
            name, role=self.role.name, tags=self.tags, opts=self._child
        )
        return aws.ec2.LaunchTemplate(
            name,
            image_id=settings.image_id,
            instance_type=settings.instance_types[0],
            update_default_version=True,
            iam_instance_profile=aws.ec2.LaunchTemplateIamInstanceProfileArgs(name=profile.name),
            metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled",
                http_tokens="required",
                http_put_response_hop_limit=1,
                # From a tag of its own an instance knows its group.
                instance_metadata_tags="enabled",
            ),
            monitoring=aws.ec2.LaunchTemplateMonitoringArgs(enabled=True),
            network_interfaces=[
                aws.ec2.LaunchTemplateNetworkInterfaceArgs(
                    device_index=0,
                    associate_public_ip_address="false",
                    security_groups=[self.security_group.id],
                )
            ],
            block_device_mappings=[
                aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
                    device_name=settings.root_device,
                    ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                        encrypted="true",
                        volume_type="gp3",
                        volume_size=settings.volume_gib,
                        delete_on_termination="true",
                    ),
                )
            ],
            user_data=self._args.user_data,
            tag_specifications=[
                aws.ec2.LaunchTemplateTagSpecificationArgs(
                    resource_type=kind, tags=self.tags | {"Name": name}
                )
                for kind in ("instance", "volume")
            ],
            tags=self.tags,
            opts=self._child,
        )

    @property
    def _heartbeat_seconds(self) -> int:
        """Twice what a boot takes: then something is wrong with the instance."""
        return min(2 * 60 * self._args.settings.boot_minutes, LONGEST_HEARTBEAT_SECONDS)

    def _group(self) -> aws.autoscaling.Group:
        args, settings, name = self._args, self._args.settings, self._name
        # Scheduled actions move the group's own MinSize: after its creation, sizes are theirs. `up`
        # puts them right after the engine has run; the engine itself would undo an exam morning.
        # The hook is a resource of its own; given here it holds the very first instances too.
        ignored = ["desiredCapacity", "initialLifecycleHooks"]
        ignored += ["minSize", "maxSize"] if args.scheduled else []
        return aws.autoscaling.Group(
            name,
            min_size=args.bounds.min,
            max_size=args.bounds.max,
            desired_capacity=args.bounds.min,
            vpc_zone_identifiers=args.subnet_ids,
            target_group_arns=args.target_group_arns or None,
            health_check_type="ELB" if args.target_group_arns else "EC2",
            health_check_grace_period=settings.boot_minutes * 60,
            default_instance_warmup=settings.boot_minutes * 60,
            max_instance_lifetime=settings.max_lifetime_days * DAY_SECONDS,
            initial_lifecycle_hooks=[
                aws.autoscaling.GroupInitialLifecycleHookArgs(
                    name=READY_HOOK,
                    lifecycle_transition=LAUNCHING,
                    default_result="ABANDON",
                    heartbeat_timeout=self._heartbeat_seconds,
                )
            ],
            mixed_instances_policy=self._mixed_instances(),
            instance_refresh=self._refresh(),
            warm_pool=self._warm_pool(),
            enabled_metrics=list(METRICS),
            metrics_granularity="1Minute",
            wait_for_capacity_timeout="0",
            tags=[
                aws.autoscaling.GroupTagArgs(key=key, value=value, propagate_at_launch=True)
                for key, value in (
                    self.tags | {"Name": name, "firstbell:boot_minutes": str(settings.boot_minutes)}
                ).items()
            ],
            opts=pulumi.ResourceOptions(
                parent=self._parent, ignore_changes=ignored, depends_on=list(args.boots_after)
            ),
        )

    def _mixed_instances(self) -> aws.autoscaling.GroupMixedInstancesPolicyArgs:
        """Instances come from any of the types, in the order given: a type may be short."""
        return aws.autoscaling.GroupMixedInstancesPolicyArgs(
            instances_distribution=(
                aws.autoscaling.GroupMixedInstancesPolicyInstancesDistributionArgs(
                    on_demand_allocation_strategy="prioritized",
                    on_demand_base_capacity=0,
                    on_demand_percentage_above_base_capacity=100,
                )
            ),
            launch_template=aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateArgs(
                launch_template_specification=aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateLaunchTemplateSpecificationArgs(
                    launch_template_id=self.template.id,
                    version=self.template.latest_version.apply(str),
                ),
                overrides=[
                    aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateOverrideArgs(
                        instance_type=kind
                    )
                    for kind in self._args.settings.instance_types
                ],
            ),
        )

    def _refresh(self) -> aws.autoscaling.GroupInstanceRefreshArgs:
        """Replaces instances a few at a time when the template changes.

        One that fails stops, and does not go back: AWS goes back to what the group launches from,
        and pulumi-aws has given it the new template by then (terraform-provider-aws, issue 34189);
        it refuses to where an image is a parameter of Systems Manager.
        """
        refresh = self._args.settings.refresh
        return aws.autoscaling.GroupInstanceRefreshArgs(
            strategy="Rolling",
            preferences=aws.autoscaling.GroupInstanceRefreshPreferencesArgs(
                min_healthy_percentage=refresh.min_healthy_percent,
                max_healthy_percentage=refresh.max_healthy_percent,
                auto_rollback=False,
                skip_matching=True,
                scale_in_protected_instances=self._args.protected,
            ),
        )

    def _warm_pool(self) -> aws.autoscaling.GroupWarmPoolArgs | None:
        pool = self._args.warm_pool
        if pool is None:
            return None
        return aws.autoscaling.GroupWarmPoolArgs(
            pool_state=pool.state,
            min_size=pool.min,
            max_group_prepared_capacity=pool.max_prepared,
            instance_reuse_policy=aws.autoscaling.GroupWarmPoolInstanceReusePolicyArgs(
                reuse_on_scale_in=pool.reuse_on_scale_in
            ),
        )

    def _hook(self) -> None:
        aws.autoscaling.LifecycleHook(
            f"{self._name}-ready",
            name=READY_HOOK,
            autoscaling_group_name=self.group.name,
            lifecycle_transition=LAUNCHING,
            default_result="ABANDON",
            heartbeat_timeout=self._heartbeat_seconds,
            opts=self._child,
        )

    def track_cpu(self) -> None:
        """Target tracking on CPU: what exceeds the forecast."""
        self.track(
            "cpu",
            aws.autoscaling.PolicyTargetTrackingConfigurationArgs(
                predefined_metric_specification=aws.autoscaling.PolicyTargetTrackingConfigurationPredefinedMetricSpecificationArgs(
                    predefined_metric_type=CPU
                ),
                target_value=CPU_TARGET_PERCENT,
            ),
        )

    def track(
        self,
        metric: str,
        configuration: aws.autoscaling.PolicyTargetTrackingConfigurationArgs,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        """One target-tracking policy; it waits for `after`."""
        aws.autoscaling.Policy(
            f"{self._name}-{metric}",
            autoscaling_group_name=self.group.name,
            policy_type="TargetTrackingScaling",
            estimated_instance_warmup=self._args.settings.boot_minutes * 60,
            target_tracking_configuration=configuration,
            opts=pulumi.ResourceOptions(parent=self._parent, depends_on=list(after)),
        )
