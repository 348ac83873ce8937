"""Elastic Load Balancing: names, zones, health checks, certificates, rules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from cli.localcloud.provider.rules.base import Request, refuse_unless, rule

if TYPE_CHECKING:
    from cli.localcloud.provider.aws import Cloud

_CODE: Final = "ValidationError"
# Application Load Balancers guide, "Quotas".
MAX_CONDITION_VALUES_PER_RULE: Final = 5
_NAME: Final = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?")
# Key -> lowest and highest value; ELB API reference, attributes.
_RANGES: Final = {
    "idle_timeout.timeout_seconds": (1, 4_000),
    "client_keep_alive.seconds": (60, 604_800),
    "deregistration_delay.timeout_seconds": (0, 3_600),
    "stickiness.lb_cookie.duration_seconds": (1, 604_800),
    "stickiness.app_cookie.duration_seconds": (1, 604_800),
}


@rule("elbv2", "create_load_balancer", "create_target_group")
def name_is_valid(_: Cloud, request: Request) -> None:
    name = request.get("Name", "a")
    refuse_unless(
        _NAME.fullmatch(name) is not None and not name.startswith("internal-"),
        _CODE,
        f"The name {name!r} must be at most 32 letters, digits and hyphens, neither begin nor end "
        "with a hyphen, nor begin with internal-",
    )


@rule("elbv2", "create_load_balancer", "set_subnets", live=True)
def subnets_span_two_zones(cloud: Cloud, request: Request) -> None:
    if request.get("Type", "application") != "application" or "Subnets" not in request:
        return
    subnets = cloud.call("ec2", "describe_subnets", SubnetIds=request["Subnets"])["Subnets"]
    zones = {subnet["AvailabilityZone"] for subnet in subnets}
    refuse_unless(
        len(zones) >= 2 and len(zones) == len(subnets),
        _CODE if len(zones) < 2 else "InvalidConfigurationRequest",
        "At least two subnets in two different Availability Zones must be specified"
        if len(zones) < 2
        else "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
    )


@rule("elbv2", "create_load_balancer", live=True)
def vpc_reaches_the_internet(cloud: Cloud, request: Request) -> None:
    if request.get("Scheme", "internet-facing") != "internet-facing" or "Subnets" not in request:
        return
    subnets = cloud.call("ec2", "describe_subnets", SubnetIds=request["Subnets"])["Subnets"]
    attached = {"Name": "attachment.vpc-id", "Values": [subnets[0]["VpcId"]]}
    gateways = cloud.call("ec2", "describe_internet_gateways", Filters=[attached])
    refuse_unless(
        bool(gateways["InternetGateways"]),
        "InvalidSubnet",
        f"VPC {subnets[0]['VpcId']} has no internet gateway (let the load balancer depend on it)",
    )


@rule("elbv2", "create_target_group", "modify_target_group")
def health_check_is_sound(_: Cloud, request: Request) -> None:
    interval = request.get("HealthCheckIntervalSeconds")
    timeout = request.get("HealthCheckTimeoutSeconds")
    refuse_unless(
        interval is None or timeout is None or timeout < interval,
        _CODE,
        f"Health check timeout {timeout} must be smaller than the interval {interval}",
    )
    path = request.get("HealthCheckPath", "/")
    refuse_unless(path.startswith("/"), _CODE, f"Health check path {path!r} must begin with a '/'")
    codes = request.get("Matcher", {}).get("HttpCode", "200")
    refuse_unless(
        re.fullmatch(r"[2-4]\d\d([,-][2-4]\d\d)*", codes) is not None,
        _CODE,
        f"Health check matcher HTTP code {codes!r} must be within 200-499",
    )


@rule("elbv2", "modify_target_group_attributes", "modify_load_balancer_attributes")
def attributes_are_in_range(_: Cloud, request: Request) -> None:
    given = {
        pair["Key"]: pair.get("Value") for pair in request.get("Attributes", []) if "Key" in pair
    }
    for key, (low, high) in _RANGES.items():
        value = given.get(key)
        refuse_unless(
            value is None or (value.isdigit() and low <= int(value) <= high),
            _CODE,
            f"'{key}' must be between {low} and {high}, got {value}",
        )
    slow = given.get("slow_start.duration_seconds") or "0"
    refuse_unless(
        slow == "0" or 30 <= int(slow) <= 900,
        _CODE,
        f"'slow_start.duration_seconds' must be 0 or between 30 and 900, got {slow}",
    )
    refuse_unless(
        slow == "0" or given.get("load_balancing.algorithm.type", "round_robin") == "round_robin",
        _CODE,
        "slow start goes with the round_robin algorithm alone",
    )


@rule("elbv2", "create_listener", "modify_listener")
def https_has_a_certificate(_: Cloud, request: Request) -> None:
    secure = request.get("Protocol") in ("HTTPS", "TLS")
    refuse_unless(
        not secure or request.get("Certificates") != [],
        "CertificateNotFound",
        "A certificate must be specified for HTTPS listeners",
    )
    plain = request.get("Protocol") == "HTTP"
    refuse_unless(
        not (plain and request.get("SslPolicy")),
        "InvalidConfigurationRequest",
        "An SSL policy does not go with protocol HTTP",
    )


@rule("elbv2", "create_listener", "modify_listener", live=True)
def certificate_exists(cloud: Cloud, request: Request) -> None:
    if request.get("Protocol") == "HTTPS" and "Certificates" not in request:
        refuse_unless(
            "ListenerArn" in request,
            "CertificateNotFound",
            "A certificate must be specified for HTTPS listeners",
        )
    for certificate in request.get("Certificates", []):
        arn = certificate["CertificateArn"]
        found = ":acm:" not in arn or _is_there(cloud, arn)
        refuse_unless(found, "CertificateNotFound", f"Certificate '{arn}' not found")
    if policy := request.get("SslPolicy"):
        policies = cloud.call("elbv2", "describe_ssl_policies")["SslPolicies"]
        refuse_unless(
            any(p["Name"] == policy for p in policies),
            "SSLPolicyNotFound",
            f"SSL policy '{policy}' not found",
        )


def _is_there(cloud: Cloud, arn: str) -> bool:
    from cli.localcloud.provider.aws import AwsError  # which imports the rules

    try:
        cloud.call("acm", "describe_certificate", CertificateArn=arn)
    except AwsError as error:
        if not error.not_found:
            raise
        return False
    return True


@rule("elbv2", "create_rule", "modify_rule")
def conditions_are_sound(_: Cloud, request: Request) -> None:
    conditions: list[dict[str, Any]] = request.get("Conditions", [])
    blocks = [v for c in conditions for k, v in c.items() if k.endswith("Config")]
    values = [value for block in blocks for value in block.get("Values", [])]
    refuse_unless(
        len(values) <= MAX_CONDITION_VALUES_PER_RULE,
        _CODE,
        f"A rule can only have '{MAX_CONDITION_VALUES_PER_RULE}' condition values; "
        f"this one has {len(values)}",
    )
    for condition in conditions:
        for host in condition.get("HostHeaderConfig", {}).get("Values", []):
            # Letters alone after the last dot: ELB user guide, "Condition types for
            # listener rules".
            fits = re.fullmatch(r"(?=.{1,128}$)[A-Za-z0-9.*?-]*\.[A-Za-z]+", host)
            refuse_unless(bool(fits), _CODE, f"{host!r} is no host name pattern")
        for path in condition.get("PathPatternConfig", {}).get("Values", []):
            fits = re.fullmatch(r"[A-Za-z0-9_.$/~\"'@:+&*?-]{1,128}", path)
            refuse_unless(bool(fits), _CODE, f"{path!r} is no path pattern of at most 128")
