"""The Application Load Balancer: HTTPS only, one listener, one rule a tier."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from infra.log_bucket import BALANCER_PREFIX, LogBucket
from infra.settings.tiers import TierSettings

# TLS 1.3 with 1.2 for older browsers: what Elastic Load Balancing recommends. ELB user guide,
# "Security policies for your Application Load Balancer".
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
HTTPS = 443
# AWS evaluates rules from the lowest number and knows priorities up to 50000.
LAST_PRIORITY = 50_000
BAND = 10_000


def rule_priorities(tiers: Mapping[str, TierSettings]) -> dict[str, int]:
    """A listener-rule priority for each tier: the more special its rule, the earlier.

    A tier's number comes from its name, so that adding a tier moves no other rule: AWS refuses a
    priority that is in use, and two rules cannot swap theirs.
    """
    taken: set[int] = set()
    priorities: dict[str, int] = {}
    for name in sorted(tiers):
        tier = tiers[name]
        if not tier.hosts and not tier.paths:
            # By its name, too: where a tier takes over from another, both rules stand for a while.
            priorities[name] = LAST_PRIORITY - zlib.crc32(name.encode()) % BAND
            continue
        band = 0 if tier.hosts and tier.paths else 1 if tier.hosts else 2
        slot = zlib.crc32(name.encode()) % BAND
        while band * BAND + slot + 1 in taken:
            slot = (slot + 1) % BAND
        priorities[name] = band * BAND + slot + 1
        taken.add(priorities[name])
    return priorities


@dataclass(frozen=True)
class BalancerArgs:
    """`refusal` is the status of what no rule takes; `visitors` the prefix list that may ask, None
    for all.

    AWS refuses a balancer that faces the internet before its VPC does, and a log bucket that does
    not let it in yet: `internet` and `logs` are waited for.
    """

    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    certificate_arn: pulumi.Input[str]
    refusal: Literal["403", "404"]
    visitors: pulumi.Input[str] | None
    deletion_protection: bool
    logs: LogBucket
    internet: pulumi.Resource
    tags: Mapping[str, str]


class Balancer(pulumi.ComponentResource):
    """Takes HTTPS from the internet; the tiers add their own rules to its listener."""

    arn: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    listener_arn: pulumi.Output[str]
    arn_suffix: pulumi.Output[str]
    dns_name: pulumi.Output[str]
    zone_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: BalancerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:balancer:Balancer", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = dict(args.tags)
        group = aws.ec2.SecurityGroup(
            f"{name}-balancer",
            description="HTTPS from the internet to the load balancer",
            vpc_id=args.vpc_id,
            tags=tags | {"Name": f"{name}-balancer"},
            opts=child,
        )
        aws.vpc.SecurityGroupIngressRule(
            # A rule of its own kind: AWS changes none from a range to a prefix list.
            f"{name}-balancer-{'https' if args.visitors is None else 'cdn'}",
            security_group_id=group.id,
            description="HTTPS",
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            cidr_ipv4="0.0.0.0/0" if args.visitors is None else None,
            prefix_list_id=args.visitors,
            opts=child,
        )
        balancer = aws.lb.LoadBalancer(
            name,
            load_balancer_type="application",
            internal=False,
            security_groups=[group.id],
            subnets=args.subnet_ids,
            drop_invalid_header_fields=True,
            desync_mitigation_mode="defensive",
            enable_deletion_protection=args.deletion_protection,
            access_logs=aws.lb.LoadBalancerAccessLogsArgs(
                bucket=args.logs.bucket, prefix=BALANCER_PREFIX, enabled=True
            ),
            tags=tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[args.internet, args.logs.ready],
                # The season's calls move it: a static one would undo an exam morning's.
                ignore_changes=["minimumLoadBalancerCapacity"],
            ),
        )
        listener = aws.lb.Listener(
            f"{name}-https",
            load_balancer_arn=balancer.arn,
            port=HTTPS,
            protocol="HTTPS",
            ssl_policy=TLS_POLICY,
            certificate_arn=args.certificate_arn,
            default_actions=[
                aws.lb.ListenerDefaultActionArgs(
                    type="fixed-response",
                    fixed_response=aws.lb.ListenerDefaultActionFixedResponseArgs(
                        content_type="text/plain",
                        message_body="no such site",
                        status_code=args.refusal,
                    ),
                )
            ],
            tags=tags,
            opts=child,
        )
        self.arn = balancer.arn
        self.security_group_id = group.id
        self.listener_arn = listener.arn
        self.arn_suffix = balancer.arn_suffix
        self.dns_name = balancer.dns_name
        self.zone_id = balancer.zone_id
        self.register_outputs({"dns_name": balancer.dns_name})
