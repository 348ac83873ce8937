"""The edge: CloudFront before the load balancer, which then takes requests from it alone.

The load balancer refuses what does not carry the origin key (see `origin_key`), so that nobody
walks around the CDN and its web ACL; while `serve_direct` is set, the CDN sends the key and nobody
asks for it yet. Pages are personal: they are passed on with all that the browser sent, and never
cached; only paths that the stack's file calls static are. CloudFront fails over reads alone, so an
LMS cannot be behind an origin group; what is, is the page that visitors see while the load balancer
does not answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from infra.bucket import BucketArgs, ClosedBucket
from infra.firewall import GLOBAL_REGION
from infra.log_bucket import CDN_PREFIX, PAGES_PREFIX, LogBucket
from infra.origin_key import HEADER
from infra.settings.edge import EdgeSettings

# AWS's own policies. CloudFront developer guide, "Use managed cache policies" and "Use managed
# origin request policies".
CACHING_DISABLED: Final = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
CACHING_OPTIMIZED: Final = "658327ea-f89d-4fab-a63d-7e88639e58f6"
ALL_VIEWER: Final = "216adef6-5c7f-47e4-b989-5492eafa07d3"
# What CloudFront recommends. CloudFront developer guide, "Supported protocols and ciphers".
TLS_POLICY: Final = "TLSv1.2_2021"
EVERY_METHOD: Final = ("GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE")
READING: Final = ("GET", "HEAD")
# As long as CloudFront may wait without a raised quota: reports of an LMS take their time.
READ_TIMEOUT_SECONDS: Final = 60
# Longer than the load balancer's idle timeout would find closed connections.
KEEPALIVE_SECONDS: Final = 55
# The load balancer or its instances do not answer. An application says 503 of itself while it is
# maintained, with a page of its own.
UNREACHABLE: Final = (502, 504)
ERROR_CACHE_SECONDS: Final = 5
PAGES: Final = "/firstbell-pages"
UNAVAILABLE: Final = "unavailable.html"
STATIC_SECONDS: Final = 3_600

# It counts as 55 of the 60 rules that a security group may have. CloudFront developer guide, "Use
# the CloudFront managed prefix list".
ORIGIN_FACING: Final = "com.amazonaws.global.cloudfront.origin-facing"

_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Back in a moment</title>
<style>body{font:1.2rem/1.6 sans-serif;max-width:34rem;margin:18vh auto;padding:0 1rem}</style>
<h1>Back in a moment</h1>
<p>The site does not answer just now. What you have saved is safe. Please wait a minute, then try
again: reloading at once, all together, would make it slower.</p>
</html>
"""


def visitors() -> pulumi.Output[str]:
    """The prefix list of what CloudFront asks origins from; every CloudFront, not ours alone."""
    return aws.ec2.get_managed_prefix_list_output(name=ORIGIN_FACING).id


@dataclass(frozen=True)
class EdgeArgs:
    """`aliases` are the site's names, which `certificate_arn` (of us-east-1) covers.

    `origin_key` is the newest; the CDN sends it only once the listener rules, `takers`, take it.
    """

    settings: EdgeSettings
    aliases: Sequence[str]
    default_root_object: str
    certificate_arn: pulumi.Input[str]
    web_acl_arn: pulumi.Input[str]
    balancer_dns_name: pulumi.Input[str]
    origin_key: pulumi.Input[str]
    takers: Sequence[pulumi.Resource]
    logs: LogBucket
    protected: bool
    tags: Mapping[str, str]


class Edge(pulumi.ComponentResource):
    """A distribution, its log, and the page for when nothing answers."""

    domain_name: pulumi.Output[str]
    zone_id: pulumi.Output[str]
    outputs: pulumi.Output[dict[str, object]]

    def __init__(
        self, name: str, args: EdgeArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:edge:Edge", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        pages = ClosedBucket(
            f"{name}-pages", BucketArgs(None, args.protected, args.tags), self._child
        )
        distribution = self._distribution(pages)
        ready = pages.let_in([_may_read(pages, distribution)])
        pages.log_to(args.logs.bucket, PAGES_PREFIX, args.logs.ready)
        aws.s3.BucketObjectv2(
            f"{name}-unavailable",
            bucket=pages.name,
            key=f"{PAGES.strip('/')}/{UNAVAILABLE}",
            content=_PAGE,
            content_type="text/html; charset=utf-8",
            opts=pulumi.ResourceOptions(parent=self, depends_on=[ready]),
        )
        self._log(distribution)
        self.domain_name = distribution.domain_name
        self.zone_id = distribution.hosted_zone_id
        self.outputs = pulumi.Output.from_input(
            {"distribution": distribution.id, "dns_name": distribution.domain_name}
        )
        self.register_outputs({"dns_name": distribution.domain_name})

    def _distribution(self, pages: ClosedBucket) -> aws.cloudfront.Distribution:
        args, name = self._args, self._name
        control = aws.cloudfront.OriginAccessControl(
            name,
            name=name,
            description=f"The CDN reads the error pages of {name}",
            origin_access_control_origin_type="s3",
            signing_behavior="always",
            signing_protocol="sigv4",
            opts=self._child,
        )
        return aws.cloudfront.Distribution(
            name,
            enabled=True,
            # It has no name, and this is what it is found by.
            comment=name,
            aliases=args.aliases,
            default_root_object=args.default_root_object,
            http_version="http2and3",
            is_ipv6_enabled=True,
            price_class=args.settings.price_class,
            web_acl_id=args.web_acl_arn,
            origins=[
                self._balancer(),
                aws.cloudfront.DistributionOriginArgs(
                    origin_id="pages",
                    domain_name=pages.domain_name,
                    origin_access_control_id=control.id,
                ),
            ],
            origin_groups=[
                aws.cloudfront.DistributionOriginGroupArgs(
                    origin_id="pages-or-balancer",
                    failover_criteria=aws.cloudfront.DistributionOriginGroupFailoverCriteriaArgs(
                        status_codes=[403, 404, 500, 502, 503, 504]
                    ),
                    members=[
                        aws.cloudfront.DistributionOriginGroupMemberArgs(origin_id=origin)
                        for origin in ("pages", "balancer")
                    ],
                )
            ],
            default_cache_behavior=aws.cloudfront.DistributionDefaultCacheBehaviorArgs(
                target_origin_id="balancer",
                viewer_protocol_policy="redirect-to-https",
                allowed_methods=list(EVERY_METHOD),
                cached_methods=list(READING),
                cache_policy_id=CACHING_DISABLED,
                origin_request_policy_id=ALL_VIEWER,
                compress=True,
            ),
            ordered_cache_behaviors=[
                self._reading(f"{PAGES}/*", "pages-or-balancer", CACHING_OPTIMIZED),
                *self._static(),
            ],
            custom_error_responses=[
                aws.cloudfront.DistributionCustomErrorResponseArgs(
                    error_code=code,
                    response_code=code,
                    response_page_path=f"{PAGES}/{UNAVAILABLE}",
                    error_caching_min_ttl=ERROR_CACHE_SECONDS,
                )
                for code in UNREACHABLE
            ],
            restrictions=aws.cloudfront.DistributionRestrictionsArgs(
                geo_restriction=aws.cloudfront.DistributionRestrictionsGeoRestrictionArgs(
                    restriction_type="none"
                )
            ),
            viewer_certificate=aws.cloudfront.DistributionViewerCertificateArgs(
                acm_certificate_arn=args.certificate_arn,
                minimum_protocol_version=TLS_POLICY,
                ssl_support_method="sni-only",
            ),
            tags=args.tags,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=list(args.takers), additional_secret_outputs=["origins"]
            ),
        )

    def _balancer(self) -> aws.cloudfront.DistributionOriginArgs:
        """By its own name; its certificate is checked against the site's, which is passed on."""
        return aws.cloudfront.DistributionOriginArgs(
            origin_id="balancer",
            domain_name=self._args.balancer_dns_name,
            custom_headers=[
                aws.cloudfront.DistributionOriginCustomHeaderArgs(
                    name=HEADER, value=self._args.origin_key
                )
            ],
            custom_origin_config=aws.cloudfront.DistributionOriginCustomOriginConfigArgs(
                http_port=80,
                https_port=443,
                origin_protocol_policy="https-only",
                origin_ssl_protocols=["TLSv1.2"],
                origin_read_timeout=READ_TIMEOUT_SECONDS,
                origin_keepalive_timeout=KEEPALIVE_SECONDS,
            ),
        )

    def _static(self) -> list[aws.cloudfront.DistributionOrderedCacheBehaviorArgs]:
        if not self._args.settings.static_paths:
            return []
        key: aws.cloudfront.CachePolicyParametersInCacheKeyAndForwardedToOriginArgsDict = {
            "cookies_config": {"cookie_behavior": "none"},
            # Tenants share the balancer: without the host one would get another's files.
            "headers_config": {"header_behavior": "whitelist", "headers": {"items": ["Host"]}},
            "query_strings_config": {"query_string_behavior": "all"},
            "enable_accept_encoding_brotli": True,
            "enable_accept_encoding_gzip": True,
        }
        policy = aws.cloudfront.CachePolicy(
            f"{self._name}-static",
            name=f"{self._name}-static",
            comment="Static files, by host and query",
            default_ttl=STATIC_SECONDS,
            parameters_in_cache_key_and_forwarded_to_origin=key,
            opts=self._child,
        )
        return [
            self._reading(path, "balancer", policy.id) for path in self._args.settings.static_paths
        ]

    def _reading(
        self, path: str, origin: str, cache_policy_id: pulumi.Input[str]
    ) -> aws.cloudfront.DistributionOrderedCacheBehaviorArgs:
        return aws.cloudfront.DistributionOrderedCacheBehaviorArgs(
            path_pattern=path,
            target_origin_id=origin,
            viewer_protocol_policy="redirect-to-https",
            allowed_methods=list(READING),
            cached_methods=list(READING),
            cache_policy_id=cache_policy_id,
            compress=True,
        )

    def _log(self, distribution: aws.cloudfront.Distribution) -> None:
        """Standard logging (v2): the older kind needs a bucket with ACLs, which ours has not."""
        name, args = self._name, self._args
        source = aws.cloudwatch.LogDeliverySource(
            name,
            name=name,
            log_type="ACCESS_LOGS",
            resource_arn=distribution.arn,
            region=GLOBAL_REGION,
            tags=args.tags,
            opts=self._child,
        )
        destination = aws.cloudwatch.LogDeliveryDestination(
            name,
            name=name,
            output_format="json",
            delivery_destination_configuration={
                "destination_resource_arn": args.logs.arn.apply(lambda arn: f"{arn}/{CDN_PREFIX}")
            },
            region=GLOBAL_REGION,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[args.logs.ready]),
        )
        aws.cloudwatch.LogDelivery(
            name,
            delivery_source_name=source.name,
            delivery_destination_arn=destination.arn,
            region=GLOBAL_REGION,
            tags=args.tags,
            opts=self._child,
        )


def _may_read(
    pages: ClosedBucket, distribution: aws.cloudfront.Distribution
) -> Mapping[str, object]:
    return {
        "Effect": "Allow",
        "Principal": {"Service": "cloudfront.amazonaws.com"},
        "Action": "s3:GetObject",
        "Resource": pages.arn.apply(lambda arn: f"{arn}/*"),
        "Condition": {"StringEquals": {"AWS:SourceArn": distribution.arn}},
    }
