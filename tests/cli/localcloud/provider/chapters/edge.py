"""The life of what stands at the edge, of several services: it belongs together.

Distributions, web ACLs, records, certificates of us-east-1, deliveries of logs, schedules.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from tests.cli.localcloud.provider.chapters.base import Client, Drift, Shared, Variant

ZONE: Final = "Z0123456789ABCDEFGHIJ"


def rule(name: str, group: str) -> dict[str, Any]:
    return {
        "Name": name,
        "Priority": 1,
        "OverrideAction": {"None": {}},
        "Statement": {"ManagedRuleGroupStatement": {"VendorName": "AWS", "Name": group}},
        "VisibilityConfig": {
            "SampledRequestsEnabled": True,
            "CloudWatchMetricsEnabled": True,
            "MetricName": name,
        },
    }


def program(variant: Variant, _: Shared) -> None:
    stack = pulumi.get_stack()
    balancer = aws.wafv2.WebAcl(
        "acl",
        name=f"{stack}-{variant.name}",
        scope="REGIONAL",
        default_action={"allow": {}},
        rule_json=json.dumps([rule(variant.color, "AWSManagedRulesCommonRuleSet")]),
        visibility_config={
            "cloudwatch_metrics_enabled": True,
            "metric_name": variant.color,
            "sampled_requests_enabled": True,
        },
        tags=variant.tags,
    )
    aws.wafv2.WebAclLoggingConfiguration(
        "acl-logging",
        resource_arn=balancer.arn,
        log_destination_configs=[
            "arn:aws:logs:eu-north-1:123456789012:log-group:"
            f"aws-waf-logs-{stack}{variant.either('', '-2')}"
        ],
        redacted_fields=[{"single_header": {"name": "cookie"}}],
    )
    aws.wafv2.WebAclAssociation(
        "acl-association",
        web_acl_arn=balancer.arn,
        resource_arn=(
            "arn:aws:elasticloadbalancing:eu-north-1:123456789012:loadbalancer/app/"
            f"{stack}/50dc6c495c0c9188"
        ),
    )
    control = aws.cloudfront.OriginAccessControl(
        "control",
        name=f"{stack}-{variant.name}",
        origin_access_control_origin_type="s3",
        signing_behavior="always" if variant.color == "blue" else "no-override",
        signing_protocol="sigv4",
    )
    cached = aws.cloudfront.CachePolicy(
        "cached",
        name=f"{stack}-{variant.name}",
        comment=variant.color,
        default_ttl=3600,
        parameters_in_cache_key_and_forwarded_to_origin={
            "cookies_config": {"cookie_behavior": "none"},
            "headers_config": {"header_behavior": "whitelist", "headers": {"items": ["Host"]}},
            "query_strings_config": {"query_string_behavior": "all"},
            "enable_accept_encoding_gzip": True,
        },
    )
    distribution = aws.cloudfront.Distribution(
        "distribution",
        enabled=True,
        comment=variant.color,
        default_root_object="index.php",
        http_version="http2and3",
        is_ipv6_enabled=True,
        price_class="PriceClass_100",
        aliases=[f"{variant.name}.example.org"],
        web_acl_id=f"arn:aws:wafv2:us-east-1:123456789012:global/webacl/{stack}/1",
        origins=[
            {
                "origin_id": "balancer",
                "domain_name": "balancer.example.org",
                "custom_headers": [
                    {"name": "x-origin-verify", "value": pulumi.Output.secret("hush-hush-hush")}
                ],
                "custom_origin_config": {
                    "http_port": 80,
                    "https_port": 443,
                    "origin_protocol_policy": "https-only",
                    "origin_ssl_protocols": ["TLSv1.2"],
                    "origin_read_timeout": 60,
                },
            },
            {
                "origin_id": "maintenance",
                "domain_name": "pages.s3.eu-north-1.amazonaws.com",
                "origin_access_control_id": control.id,
            },
        ],
        origin_groups=[
            {
                "origin_id": "failover",
                "failover_criteria": {"status_codes": [502, 503, 504]},
                "members": [{"origin_id": "balancer"}, {"origin_id": "maintenance"}],
            }
        ],
        default_cache_behavior={
            "target_origin_id": "balancer",
            "viewer_protocol_policy": "redirect-to-https",
            "allowed_methods": ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"],
            "cached_methods": ["GET", "HEAD"],
            "cache_policy_id": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
            "compress": True,
        },
        ordered_cache_behaviors=[
            {
                "path_pattern": "/theme/*",
                "target_origin_id": "failover",
                "viewer_protocol_policy": "https-only",
                "allowed_methods": ["GET", "HEAD"],
                "cached_methods": ["GET", "HEAD"],
                "cache_policy_id": cached.id,
                "compress": True,
            }
        ],
        custom_error_responses=[
            {"error_code": 503, "response_code": 503, "response_page_path": "/maintenance.html"}
        ],
        restrictions={"geo_restriction": {"restriction_type": "none"}},
        logging_config={"bucket": "logs.s3.amazonaws.com", "prefix": "cdn/"},
        viewer_certificate={
            "acm_certificate_arn": "arn:aws:acm:us-east-1:123456789012:certificate/ID",
            "minimum_protocol_version": "TLSv1.2_2021",
            "ssl_support_method": "sni-only",
        },
        tags=variant.tags,
        opts=pulumi.ResourceOptions(additional_secret_outputs=["origins"]),
    )
    source = aws.cloudwatch.LogDeliverySource(
        "log-source",
        name=f"{stack}-{variant.name}",
        log_type="ACCESS_LOGS",
        resource_arn=distribution.arn,
        region="us-east-1",
        tags=variant.tags,
    )
    destination = aws.cloudwatch.LogDeliveryDestination(
        "log-destination",
        name=f"{stack}-{variant.name}",
        output_format="json",
        delivery_destination_configuration={
            "destination_resource_arn": f"arn:aws:s3:::logs/{variant.color}"
        },
        region="us-east-1",
        tags=variant.tags,
    )
    aws.cloudwatch.LogDelivery(
        "log-delivery",
        delivery_source_name=source.name,
        delivery_destination_arn=destination.arn,
        region="us-east-1",
        tags=variant.tags,
    )
    aws.route53.Record(
        "alias",
        zone_id=ZONE,
        name=f"{variant.name}.{stack}.example.org",
        type="A",
        aliases=[
            {
                "name": distribution.domain_name,
                "zone_id": distribution.hosted_zone_id,
                "evaluate_target_health": variant.either(False, True),
            }
        ],
    )
    aws.route53.Record(
        "text",
        zone_id=ZONE,
        name=f"text.{variant.name}.{stack}.example.org",
        type="TXT",
        records=[f'"{variant.color}"'],
        ttl=300,
    )
    aws.acm.Certificate(
        "issued",
        domain_name=f"edge.{variant.name}.example.org",
        validation_method="DNS",
        region="us-east-1",
        tags=variant.tags,
    )
    aws.scheduler.Schedule(
        "capacity",
        name=f"{stack}-{variant.name}",
        schedule_expression=variant.either("cron(0 6 ? * MON *)", "cron(30 6 ? * MON *)"),
        schedule_expression_timezone="Europe/Stockholm",
        # Once it has begun, the program leaves the start out.
        start_date=variant.either("2026-08-10T04:00:00Z", None),
        end_date="2027-06-20T04:00:00Z",
        flexible_time_window={"mode": "OFF"},
        target={
            "arn": "arn:aws:scheduler:::aws-sdk:elasticloadbalancingv2:modifyCapacityReservation",
            "role_arn": "arn:aws:iam::123456789012:role/capacity",
            "input": json.dumps({"MinimumLoadBalancerCapacity": {"CapacityUnits": 200}}),
            "dead_letter_config": {"arn": "arn:aws:sqs:eu-north-1:123456789012:dead"},
            "retry_policy": {"maximum_event_age_in_seconds": 3600, "maximum_retry_attempts": 10},
        },
    )


def _comment(client: Client, state: dict[str, Any]) -> None:
    cloudfront = client("cloudfront")
    live = cloudfront.get_distribution_config(Id=state["id"])
    cloudfront.update_distribution(
        Id=state["id"],
        IfMatch=live["ETag"],
        DistributionConfig=live["DistributionConfig"] | {"DefaultRootObject": "evil.html"},
    )


def _rules(client: Client, state: dict[str, Any]) -> None:
    waf = client("wafv2")
    key = {"Name": state["inputs"]["name"], "Scope": "REGIONAL", "Id": state["id"]}
    live = waf.get_web_acl(**key)
    waf.update_web_acl(
        **key,
        LockToken=live["LockToken"],
        DefaultAction={"Allow": {}},
        Rules=[rule("evil", "AWSManagedRulesBotControlRuleSet")],
        VisibilityConfig=live["WebACL"]["VisibilityConfig"],
    )


def _record(client: Client, state: dict[str, Any]) -> None:
    inputs = state["inputs"]
    record = {
        "Name": inputs["name"],
        "Type": "TXT",
        "TTL": 5,
        "ResourceRecords": [{"Value": '"evil"'}],
    }
    client("route53").change_resource_record_sets(
        HostedZoneId=ZONE,
        ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]},
    )


def _control(client: Client, state: dict[str, Any]) -> None:
    cloudfront = client("cloudfront")
    live = cloudfront.get_origin_access_control(Id=state["id"])
    config = live["OriginAccessControl"]["OriginAccessControlConfig"]
    cloudfront.update_origin_access_control(
        Id=state["id"],
        IfMatch=live["ETag"],
        OriginAccessControlConfig=config | {"SigningBehavior": "never"},
    )


def _policy(client: Client, state: dict[str, Any]) -> None:
    cloudfront = client("cloudfront")
    live = cloudfront.get_cache_policy(Id=state["id"])
    cloudfront.update_cache_policy(
        Id=state["id"],
        IfMatch=live["ETag"],
        CachePolicyConfig=live["CachePolicy"]["CachePolicyConfig"] | {"Comment": "evil"},
    )


DRIFTS: Final[dict[str, Drift]] = {
    "acl": _rules,
    "acl-logging": lambda c, s: c("wafv2").delete_logging_configuration(ResourceArn=s["id"]),
    "acl-association": lambda c, s: c("wafv2").disassociate_web_acl(
        ResourceArn=s["inputs"]["resourceArn"]
    ),
    "cached": _policy,
    "control": _control,
    "distribution": _comment,
    "text": _record,
    "capacity": lambda c, s: c("scheduler").delete_schedule(Name=s["inputs"]["name"]),
}
REMOVED: Final = frozenset({"acl-logging", "acl-association", "capacity"})
# Another record and certificate; and what stands in a Region that the drifts do not reach.
PASSIVE: Final = frozenset({"alias", "issued", "log-source", "log-destination", "log-delivery"})
COLOURLESS: Final = frozenset({"acl-association"})


def left_over(client: Client) -> list[Any]:
    return [
        *client("wafv2").list_web_acls(Scope="REGIONAL")["WebACLs"],
        *(client("cloudfront").list_distributions()["DistributionList"].get("Items") or []),
        *client("scheduler").list_schedules()["Schedules"],
    ]
