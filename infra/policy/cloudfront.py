"""Controls of Amazon CloudFront distributions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from infra.policy.base import (
    Control,
    Fault,
    Faults,
    Resource,
    ResourceControl,
    Stack,
    StackControl,
    UnknownValue,
    is_unknown,
    must_be,
    same,
    value_at,
)
from infra.policy.s3 import BUCKET

DISTRIBUTION: Final = "aws:cloudfront/distribution:Distribution"
LOG_SOURCE: Final = "aws:cloudwatch/logDeliverySource:LogDeliverySource"

# The security policies that CloudFront recommends for certificates of one's own. CloudFront
# developer guide, "Supported protocols and ciphers between viewers and CloudFront".
RECOMMENDED_TLS_POLICIES: Final = ("TLSv1.2_2021", "TLSv1.2_2025", "TLSv1.3_2025")
SOUND_ORIGIN_PROTOCOLS: Final = ("TLSv1.2",)


def _behaviours(distribution: Resource) -> Iterable[tuple[str, Any]]:
    yield "defaultCacheBehavior", distribution.get("defaultCacheBehavior", {})
    for number, behaviour in enumerate(distribution.items("orderedCacheBehaviors")):
        yield f"orderedCacheBehaviors.{number}", behaviour


def _origins(distribution: Resource) -> Iterable[tuple[str, Any]]:
    for number, origin in enumerate(distribution.items("origins")):
        yield f"origins.{number}", origin


def _s3_origins(distribution: Resource) -> Iterable[tuple[str, Any]]:
    return (
        (path, origin)
        for path, origin in _origins(distribution)
        if not value_at(origin, "customOriginConfig") and not value_at(origin, "vpcOriginConfig")
    )


def _has_root_object(distribution: Resource) -> Faults:
    if not distribution.get("defaultRootObject"):
        yield Fault("defaultRootObject", None, "name the page of the bare address")


def _viewers_encrypted(distribution: Resource) -> Faults:
    for path, behaviour in _behaviours(distribution):
        policy = value_at(behaviour, "viewerProtocolPolicy")
        if policy not in ("https-only", "redirect-to-https"):
            yield Fault(f"{path}.viewerProtocolPolicy", policy, "set it to redirect-to-https")


def _fails_over(distribution: Resource) -> Faults:
    groups = distribution.items("originGroups")
    if not any(len(value_at(group, "members") or ()) >= 2 for group in groups):
        yield Fault("originGroups", len(groups), "add a group of two origins")


def _logs_requests(distribution: Resource, stack: Stack) -> Faults:
    """By either kind of standard logging.

    AWS looks at the older one alone (`loggingConfig`), which needs a bucket with ACLs, against
    S3.12; the newer one is a delivery of logs.
    """
    if distribution.get("loggingConfig.bucket"):
        return
    if not stack.naming(distribution, "resourceArn", LOG_SOURCE, where=_of_requests):
        yield Fault("log", None, "deliver its log (cloudwatch.LogDeliverySource with ACCESS_LOGS)")


def _of_requests(source: Resource) -> bool:
    return source.peek("logType") == "ACCESS_LOGS"


def _has_web_acl(distribution: Resource) -> Faults:
    if not distribution.get("webAclId"):
        yield Fault("webAclId", None, "name a web ACL")


def _own_certificate(distribution: Resource) -> Faults:
    named = distribution.get("viewerCertificate.acmCertificateArn") or distribution.get(
        "viewerCertificate.iamCertificateId"
    )
    if not named:
        yield Fault("viewerCertificate", None, "name a certificate for the domain")


def _origins_encrypted(distribution: Resource) -> Faults:
    open_to_http = any(
        value_at(behaviour, "viewerProtocolPolicy") == "allow-all"
        for _, behaviour in _behaviours(distribution)
    )
    for path, origin in _origins(distribution):
        policy = value_at(origin, "customOriginConfig.originProtocolPolicy")
        if policy == "http-only" or (policy == "match-viewer" and open_to_http):
            yield Fault(
                f"{path}.customOriginConfig.originProtocolPolicy", policy, "set it to https-only"
            )


def _origins_modern(distribution: Resource) -> Faults:
    for path, origin in _origins(distribution):
        protocols = value_at(origin, "customOriginConfig.originSslProtocols") or ()
        if old := [each for each in protocols if each not in SOUND_ORIGIN_PROTOCOLS]:
            yield Fault(f"{path}.customOriginConfig.originSslProtocols", old, "leave TLSv1.2 alone")


def _origins_exist(distribution: Resource, stack: Stack) -> Faults:
    """An S3 origin is a bucket of the stack: a name that is nobody's can be taken by anybody."""
    buckets = stack.of(BUCKET)
    known = {
        str(bucket.peek(key))
        for bucket in buckets
        for key in ("bucketRegionalDomainName", "bucketDomainName")
    }
    names = {str(bucket.peek("bucket")) for bucket in buckets}
    for path, origin in _s3_origins(distribution):
        domain = origin.get("domainName") if isinstance(origin, dict) else origin
        if is_unknown(domain):
            if any(
                bucket.urn in distribution.dependencies.get("origins", ()) for bucket in buckets
            ):
                raise UnknownValue(f"{path}.domainName")
        elif domain in known or str(domain).split(".s3", maxsplit=1)[0] in names:
            continue
        yield Fault(f"{path}.domainName", domain, "point it to a bucket of the stack")


def _origins_closed(distribution: Resource) -> Faults:
    for path, origin in _s3_origins(distribution):
        if not value_at(origin, "originAccessControlId"):
            yield Fault(f"{path}.originAccessControlId", None, "name an origin access control")


def _modern_tls(distribution: Resource) -> Faults:
    if same(distribution.get("viewerCertificate.cloudfrontDefaultCertificate", False), True):
        return  # CloudFront's own certificate has one policy: CloudFront.7 judges that
    version = distribution.get("viewerCertificate.minimumProtocolVersion", "TLSv1")
    if version not in RECOMMENDED_TLS_POLICIES:
        yield Fault(
            "viewerCertificate.minimumProtocolVersion",
            version,
            f"set it to {RECOMMENDED_TLS_POLICIES[0]}",
        )


CONTROLS: Final[tuple[Control, ...]] = (
    ResourceControl(
        "CloudFront.1",
        "CloudFront distributions should have a default root object configured",
        (DISTRIBUTION,),
        _has_root_object,
    ),
    ResourceControl(
        "CloudFront.3",
        "CloudFront distributions should require encryption in transit",
        (DISTRIBUTION,),
        _viewers_encrypted,
    ),
    ResourceControl(
        "CloudFront.4",
        "CloudFront distributions should have origin failover configured",
        (DISTRIBUTION,),
        _fails_over,
    ),
    StackControl(
        "CloudFront.5",
        "CloudFront distributions should have logging enabled",
        (DISTRIBUTION,),
        _logs_requests,
    ),
    ResourceControl(
        "CloudFront.6",
        "CloudFront distributions should have WAF enabled",
        (DISTRIBUTION,),
        _has_web_acl,
    ),
    ResourceControl(
        "CloudFront.7",
        "CloudFront distributions should use custom SSL/TLS certificates",
        (DISTRIBUTION,),
        _own_certificate,
    ),
    ResourceControl(
        "CloudFront.8",
        "CloudFront distributions should use SNI to serve HTTPS requests",
        (DISTRIBUTION,),
        must_be("viewerCertificate.sslSupportMethod", "sni-only"),
    ),
    ResourceControl(
        "CloudFront.9",
        "CloudFront distributions should encrypt traffic to custom origins",
        (DISTRIBUTION,),
        _origins_encrypted,
    ),
    ResourceControl(
        "CloudFront.10",
        "CloudFront distributions should not use deprecated SSL protocols between edge locations "
        "and custom origins",
        (DISTRIBUTION,),
        _origins_modern,
    ),
    StackControl(
        "CloudFront.12",
        "CloudFront distributions should not point to non-existent S3 origins",
        (DISTRIBUTION,),
        _origins_exist,
    ),
    ResourceControl(
        "CloudFront.13",
        "CloudFront distributions should use origin access control",
        (DISTRIBUTION,),
        _origins_closed,
    ),
    ResourceControl(
        "CloudFront.15",
        "CloudFront distributions should use the recommended TLS security policy",
        (DISTRIBUTION,),
        _modern_tls,
    ),
)
