"""CloudFront: what goes together in a distribution."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from cli.localcloud.provider.rules.base import Request, refuse_unless, rule

if TYPE_CHECKING:
    from cli.localcloud.provider.aws import Cloud

_GLOBAL_REGION: Final = "us-east-1"
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def _config(request: Request) -> Request:
    return request.get("DistributionConfig") or request.get("DistributionConfigWithTags", {}).get(
        "DistributionConfig", {}
    )


def _items(config: Request, member: str) -> list[Any]:
    return (config.get(member) or {}).get("Items") or []


def _behaviours(config: Request) -> Iterator[Request]:
    if "DefaultCacheBehavior" in config:
        yield config["DefaultCacheBehavior"]
    yield from _items(config, "CacheBehaviors")


@rule("cloudfront", "create_distribution", "update_distribution")
def certificate_is_of_us_east_1(_: Cloud, request: Request) -> None:
    config = _config(request)
    viewer = config.get("ViewerCertificate", {})
    arn = viewer.get("ACMCertificateArn", "")
    refuse_unless(
        not arn or arn.split(":")[3] == _GLOBAL_REGION,
        "InvalidViewerCertificate",
        "The specified SSL certificate doesn't exist, isn't in us-east-1 region, isn't valid, or "
        f"doesn't include a valid certificate chain: {arn}",
    )
    refuse_unless(
        not _items(config, "Aliases") or not viewer.get("CloudFrontDefaultCertificate", False),
        "InvalidViewerCertificate",
        "To add an alternate domain name (CNAME), attach a trusted certificate",
    )


@rule("cloudfront", "create_distribution", "update_distribution")
def targets_are_there(_: Cloud, request: Request) -> None:
    config = _config(request)
    groups = {group.get("Id"): group for group in _items(config, "OriginGroups")}
    origins = {origin.get("Id") for origin in _items(config, "Origins")}
    for behaviour in _behaviours(config):
        target = behaviour.get("TargetOriginId")
        refuse_unless(
            target is None or target in origins | groups.keys(),
            "NoSuchOrigin",
            f"One or more of your origins or origin groups do not exist: {target}",
        )
        methods = set(behaviour.get("AllowedMethods", {}).get("Items", []))
        refuse_unless(
            target not in groups or methods <= _READING,
            "InvalidArgument",
            "The parameter AllowedMethods cannot include POST, PUT, PATCH, or DELETE for a cached "
            f"behavior associated with an origin group: {target}",
        )


@rule("cloudfront", "create_distribution", "update_distribution")
def web_acl_is_global(_: Cloud, request: Request) -> None:
    acl = _config(request).get("WebACLId", "")
    refuse_unless(
        not acl.startswith("arn:") or ":global/" in acl,
        "InvalidWebACLId",
        f"Web ACL is not accessible by the requester: {acl} is not of scope CLOUDFRONT",
    )
