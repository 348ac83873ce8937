"""The life of what elb makes."""

from __future__ import annotations

from typing import Any, Final

import pulumi
import pulumi_aws as aws

from tests.cli.localcloud.provider.chapters.base import Client, Drift, Shared, Variant


def program(variant: Variant, shared: Shared) -> None:
    balancer = aws.lb.LoadBalancer(
        "balancer",
        name=f"{pulumi.get_stack()}-{variant.name}",
        security_groups=[shared.security.id],
        subnets=[subnet.id for subnet in shared.subnets],
        drop_invalid_header_fields=True,
        idle_timeout=120 if variant.color == "blue" else 90,
        tags=variant.tags,
        opts=pulumi.ResourceOptions(depends_on=[shared.gateway]),
    )
    targets = aws.lb.TargetGroup(
        "targets",
        port=80,
        protocol="HTTP",
        vpc_id=shared.vpc.id,
        deregistration_delay=30,
        slow_start=30,
        health_check={"path": f"/{variant.color}", "interval": 10, "matcher": "200-299"},
        stickiness={"type": "lb_cookie", "cookie_duration": 3600, "enabled": True},
        tags=variant.tags,
    )
    certificate = aws.acm.Certificate(
        "certificate",
        domain_name=f"{variant.name}.example.org",
        subject_alternative_names=[f"www.{variant.name}.example.org"],
        validation_method="DNS",
        tags=variant.tags,
    )
    aws.acm.CertificateValidation(
        "validation",
        certificate_arn=certificate.arn,
        validation_record_fqdns=[f"_check.{variant.name}.example.org"],
    )
    listener = aws.lb.Listener(
        "listener",
        load_balancer_arn=balancer.arn,
        port=443,
        protocol="HTTPS",
        ssl_policy="ELBSecurityPolicy-TLS13-1-2-2021-06",
        certificate_arn=certificate.arn,
        default_actions=[
            {
                "type": "fixed-response",
                "fixed_response": {
                    "content_type": "text/plain",
                    "message_body": variant.color,
                    "status_code": "404",
                },
            }
        ],
        tags=variant.tags,
    )
    aws.lb.ListenerRule(
        "rule",
        listener_arn=listener.arn,
        priority=10 if variant.color == "blue" else 20,
        conditions=[
            {"host_header": {"values": [f"{variant.color}.example.org"]}},
            {"path_pattern": {"values": ["/login", "/"]}},
        ],
        actions=[{"type": "forward", "target_group_arn": targets.arn}],
        tags=variant.tags,
    )
    shared.made["targets"] = targets


DRIFTS: Final[dict[str, Drift]] = {
    "balancer": lambda c, s: c("elbv2").modify_load_balancer_attributes(
        LoadBalancerArn=s["id"],
        Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "61"}],
    ),
    "targets": lambda c, s: c("elbv2").modify_target_group(
        TargetGroupArn=s["id"], HealthCheckPath="/evil"
    ),
    "certificate": lambda c, s: c("acm").add_tags_to_certificate(
        CertificateArn=s["id"], Tags=[{"Key": "color", "Value": "evil"}]
    ),
    "listener": lambda c, s: c("elbv2").modify_listener(
        ListenerArn=s["id"],
        DefaultActions=[
            {
                "Type": "fixed-response",
                "FixedResponseConfig": {"StatusCode": "200", "ContentType": "text/plain"},
            }
        ],
    ),
    "rule": lambda c, s: c("elbv2").modify_rule(
        RuleArn=s["id"],
        Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/evil"]}}],
    ),
}
# An act, not a thing.
PASSIVE: Final = frozenset({"validation"})
COLOURLESS: Final = frozenset({"validation"})


def left_over(client: Client) -> list[Any]:
    elb = client("elbv2")
    return [
        *elb.describe_load_balancers()["LoadBalancers"],
        *elb.describe_target_groups()["TargetGroups"],
        *client("acm").list_certificates()["CertificateSummaryList"],
    ]
