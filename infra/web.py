"""A web tier: launch template, Auto Scaling group and target group behind the load balancer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from infra.applications import NodeArgs, Surroundings, user_data
from infra.fleet import Fleet, FleetArgs
from infra.origin_key import HEADER
from infra.season.plan import Bounds
from infra.settings.tiers import TierSettings

# What AWS fills with the balancer and the target group of a request-count policy.
REQUESTS_PER_TARGET: Final = "ALBRequestCountPerTarget"
# Requests that name a tier here reach it before its hosts and paths are its own.
TIER_HEADER: Final = "x-firstbell-tier"


@dataclass(frozen=True)
class WebTierArgs:
    """`bounds` is the floor and cap that hold now; `scheduled` says that a season moves them.

    Instances install and mount what they need while they boot: the group waits for `boots_after`.
    """

    tier: str
    settings: TierSettings
    bounds: Bounds
    scheduled: bool
    priority: int
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    boots_after: Sequence[pulumi.Resource]
    listener_arn: pulumi.Input[str]
    balancer_arn_suffix: pulumi.Input[str]
    balancer_security_group_id: pulumi.Input[str]
    surroundings: Surroundings
    tags: Mapping[str, str]
    origin_keys: Sequence[pulumi.Input[str]] = ()
    """One of them has to come with each request; without any, whoever asks is served."""


class WebTier(pulumi.ComponentResource):
    """Instances that serve one set of hosts and paths, and scale by themselves."""

    group_name: pulumi.Output[str]
    target_group_arn: pulumi.Output[str]
    target_group_suffix: pulumi.Output[str]
    """What CloudWatch calls the target group."""
    security_group_id: pulumi.Output[str]
    rule: pulumi.Resource

    def __init__(
        self, name: str, args: WebTierArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:web:WebTier", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = dict(args.tags) | {"tier": args.tier}
        target_group = self._target_group()
        rule = self.rule = self._listener_rule(target_group)
        fleet = self._fleet(target_group)
        self._ways_in(fleet)
        self._target_tracking(fleet, target_group, rule)
        self.group_name = fleet.group.name
        self.target_group_arn = target_group.arn
        self.target_group_suffix = target_group.arn_suffix
        self.security_group_id = fleet.security_group.id
        self.register_outputs({"group": fleet.group.name, "target_group": target_group.arn})

    def _fleet(self, target_group: aws.lb.TargetGroup) -> Fleet:
        args, settings = self._args, self._args.settings
        node = NodeArgs(
            role="web",
            name=self._name,
            application=settings.application,
            instance_types=settings.instance_types,
            port=settings.port,
            protocol=settings.protocol,
            health=settings.health,
            host=next((host for host in settings.hosts if "*" not in host), None)
            or args.surroundings.domain,
            concurrency=settings.workers_per_instance,
            behind_cdn=args.surroundings.behind_cdn,
        )
        return Fleet(
            self._name,
            FleetArgs(
                description=f"tier {args.tier}",
                settings=settings,
                bounds=args.bounds,
                scheduled=args.scheduled,
                vpc_id=args.vpc_id,
                subnet_ids=args.subnet_ids,
                boots_after=args.boots_after,
                user_data=user_data(node, args.surroundings),
                statements=args.surroundings.statements,
                tags=self._tags,
                target_group_arns=[target_group.arn],
                warm_pool=settings.warm_pool,
            ),
            self,
        )

    def _ways_in(self, fleet: Fleet) -> None:
        args, name, group = self._args, self._name, fleet.security_group
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
            f"{name}-balancer-to",
            security_group_id=args.balancer_security_group_id,
            description=f"Requests to tier {args.tier}",
            referenced_security_group_id=group.id,
            ip_protocol="tcp",
            from_port=args.settings.port,
            to_port=args.settings.port,
            opts=self._child,
        )

    def _target_group(self) -> aws.lb.TargetGroup:
        args, settings = self._args, self._args.settings
        return aws.lb.TargetGroup(
            self._name,
            port=settings.port,
            protocol=settings.protocol,
            vpc_id=args.vpc_id,
            target_type="instance",
            deregistration_delay=settings.drain_seconds,
            slow_start=settings.slow_start_seconds,
            health_check=aws.lb.TargetGroupHealthCheckArgs(
                path=settings.health,
                protocol=settings.protocol,
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
        if not settings.takes_requests:
            conditions.append(
                aws.lb.ListenerRuleConditionArgs(
                    http_header=aws.lb.ListenerRuleConditionHttpHeaderArgs(
                        http_header_name=TIER_HEADER, values=[args.tier]
                    )
                )
            )
        if args.origin_keys:
            conditions.append(
                aws.lb.ListenerRuleConditionArgs(
                    http_header=aws.lb.ListenerRuleConditionHttpHeaderArgs(
                        http_header_name=HEADER, values=list(args.origin_keys)
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
            opts=pulumi.ResourceOptions(
                parent=self, additional_secret_outputs=["conditions"] if args.origin_keys else []
            ),
        )

    def _target_tracking(
        self, fleet: Fleet, target_group: aws.lb.TargetGroup, rule: aws.lb.ListenerRule
    ) -> None:
        """What exceeds the forecast: requests per instance and, where pages differ, CPU.

        AWS refuses to count the requests of a target group to which no balancer forwards: `rule`
        has to exist before.
        """
        label = pulumi.Output.concat(self._args.balancer_arn_suffix, "/", target_group.arn_suffix)
        fleet.track(
            "requests",
            aws.autoscaling.PolicyTargetTrackingConfigurationArgs(
                predefined_metric_specification=aws.autoscaling.PolicyTargetTrackingConfigurationPredefinedMetricSpecificationArgs(
                    predefined_metric_type=REQUESTS_PER_TARGET, resource_label=label
                ),
                target_value=float(self._args.settings.requests_per_target_per_minute),
            ),
            after=[rule],
        )
        fleet.track_cpu()
