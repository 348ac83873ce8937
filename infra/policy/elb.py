"""Controls of Elastic Load Balancing: balancers, listeners and target groups."""

from __future__ import annotations

from typing import Final

from infra.policy.base import (
    Control,
    Fault,
    Faults,
    Resource,
    ResourceControl,
    Stack,
    StackControl,
    must_be,
    same,
    value_at,
)
from infra.policy.zones import several_zones

BALANCER: Final = "aws:lb/loadBalancer:LoadBalancer"
LISTENER: Final = "aws:lb/listener:Listener"
TARGET_GROUP: Final = "aws:lb/targetGroup:TargetGroup"
WEB_ACL_ASSOCIATION: Final = "aws:wafv2/webAclAssociation:WebAclAssociation"

# The parameter `sslPolicies` of ELB.17; read in the guide of November 2026.
RECOMMENDED_TLS_POLICIES: Final = (
    "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
    "ELBSecurityPolicy-TLS13-1-2-Res-FIPS-2023-04",
    "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
    "ELBSecurityPolicy-TLS13-1-2-Res-FIPS-PQ-2025-09",
    "ELBSecurityPolicy-TLS13-1-3-2021-06",
    "ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04",
    "ELBSecurityPolicy-TLS13-1-3-PQ-2025-09",
    "ELBSecurityPolicy-TLS13-1-3-FIPS-PQ-2025-09",
)


def _application(balancer: Resource) -> bool:
    return balancer.get("loadBalancerType", "application") == "application"


def _http_redirects(listener: Resource) -> Faults:
    if listener.get("protocol", "HTTP") != "HTTP":
        return
    for number, action in enumerate(listener.items("defaultActions")):
        path = f"defaultActions.{number}"
        if listener.get(f"{path}.redirect.protocol") != "HTTPS":
            yield Fault(
                path, value_at(action, "type"), "redirect it to HTTPS, or leave port 80 out"
            )


def _drops_invalid_headers(balancer: Resource) -> Faults:
    if _application(balancer):
        yield from must_be("dropInvalidHeaderFields", True, absent=False)(balancer)


def _logs_requests(balancer: Resource) -> Faults:
    if not same(balancer.get("accessLogs.enabled", False), True):
        yield Fault(
            "accessLogs.enabled",
            balancer.get("accessLogs.enabled"),
            "write access logs to a bucket: accessLogs with enabled: true",
        )


def _mitigates_desync(balancer: Resource) -> Faults:
    mode = balancer.get("desyncMitigationMode", "defensive")
    if _application(balancer) and mode not in ("defensive", "strictest"):
        yield Fault("desyncMitigationMode", mode, "set it to defensive or strictest")


def _in_several_zones(balancer: Resource, stack: Stack) -> Faults:
    yield from several_zones(balancer, "subnets", stack)


def _has_web_acl(balancer: Resource, stack: Stack) -> Faults:
    if _application(balancer) and not stack.naming(balancer, "resourceArn", WEB_ACL_ASSOCIATION):
        yield Fault("web ACL", None, "associate a WAF web ACL with it (wafv2.WebAclAssociation)")


def _recommended_tls(listener: Resource) -> Faults:
    if listener.get("protocol") not in ("HTTPS", "TLS"):
        return
    policy = listener.get("sslPolicy")
    if policy not in RECOMMENDED_TLS_POLICIES:
        yield Fault("sslPolicy", policy, f"set it to {RECOMMENDED_TLS_POLICIES[0]}")


def _encrypts(listener: Resource) -> Faults:
    protocol = listener.get("protocol", "HTTP")
    if protocol not in ("HTTPS", "TLS"):
        yield Fault("protocol", protocol, "set it to HTTPS")


def _checks_health_encrypted(group: Resource) -> Faults:
    protocol = group.get("healthCheck.protocol", "HTTP")
    if group.get("targetType", "instance") != "lambda" and protocol != "HTTPS":
        yield Fault("healthCheck.protocol", protocol, "set it to HTTPS")


def _reaches_targets_encrypted(group: Resource) -> Faults:
    protocol = group.get("protocol")
    if group.get("targetType", "instance") in ("lambda", "alb") or protocol == "GENEVE":
        return
    if protocol not in ("HTTPS", "TLS", "QUIC"):
        yield Fault("protocol", protocol, "set it to HTTPS, and let the instances serve TLS")


CONTROLS: Final[tuple[Control, ...]] = (
    ResourceControl(
        "ELB.1",
        "Application Load Balancer should be configured to redirect all HTTP requests to HTTPS",
        (LISTENER,),
        _http_redirects,
    ),
    ResourceControl(
        "ELB.4",
        "Application Load Balancer should be configured to drop invalid http headers",
        (BALANCER,),
        _drops_invalid_headers,
    ),
    ResourceControl(
        "ELB.5",
        "Application and Classic Load Balancers logging should be enabled",
        (BALANCER,),
        _logs_requests,
    ),
    ResourceControl(
        "ELB.6",
        "Application, Gateway, and Network Load Balancers should have deletion protection enabled",
        (BALANCER,),
        must_be("enableDeletionProtection", True, absent=False),
    ),
    ResourceControl(
        "ELB.12",
        "Application Load Balancer should be configured with defensive or strictest desync "
        "mitigation mode",
        (BALANCER,),
        _mitigates_desync,
    ),
    StackControl(
        "ELB.13",
        "Application, Network and Gateway Load Balancers should span multiple Availability Zones",
        (BALANCER,),
        _in_several_zones,
    ),
    StackControl(
        "ELB.16",
        "Application Load Balancers should be associated with an AWS WAF web ACL",
        (BALANCER,),
        _has_web_acl,
    ),
    ResourceControl(
        "ELB.17",
        "Application and Network Load Balancers with listeners should use recommended security "
        "policies",
        (LISTENER,),
        _recommended_tls,
    ),
    ResourceControl(
        "ELB.18",
        "Application and Network Load Balancer listeners should use secure protocols to encrypt "
        "data in transit",
        (LISTENER,),
        _encrypts,
    ),
    ResourceControl(
        "ELB.21",
        "Application and Network Load Balancer target groups should use encrypted health check "
        "protocols",
        (TARGET_GROUP,),
        _checks_health_encrypted,
    ),
    ResourceControl(
        "ELB.22",
        "ELB target groups should use encrypted transport protocols",
        (TARGET_GROUP,),
        _reaches_targets_encrypted,
    ),
)
