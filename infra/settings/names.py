"""The site's names against zone and certificates: what is wrong between `domain`, the tiers'
hosts, `dns` and `edge`, each of which may be right by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from infra.errors import Problem
from infra.settings.dns import certifiable
from infra.settings.platform import PLATFORM, PlatformSettings

SITE_KEY: Final = f"{PLATFORM}/certificate_arn"
EDGE_KEY: Final = f"{PLATFORM}/edge/certificate_arn"
DNS_KEY: Final = f"{PLATFORM}/dns/zone_id"
# Where CloudFront looks for certificates. CloudFront developer guide, "Requirements for using
# SSL/TLS certificates with CloudFront".
EDGE_REGION: Final = "us-east-1"


def names_and_keys(platform: PlatformSettings) -> Iterator[tuple[str, str]]:
    """Each name of the site and the setting that says it."""
    yield platform.domain, "domain"
    for name, tier in platform.tiers.items():
        for host in tier.hosts:
            yield host.lower(), f"tiers/{name}/hosts"


def requested(platform: PlatformSettings, region: str) -> dict[str, str]:
    """The Regions in which the program requests a certificate for the names, each by the setting
    that would name one."""
    found = {SITE_KEY: region} if platform.certificate_arn is None else {}
    if platform.edge and platform.edge.certificate_arn is None and region != EDGE_REGION:
        found[EDGE_KEY] = EDGE_REGION
    return found


def problems_with_names(
    platform: PlatformSettings,
    region: str | None,
    *,
    on_aws: bool,
    accounts: Collection[str],
    broken: Collection[str],
) -> Iterator[Problem]:
    """Every name is certifiable and in the zone where it is needed; load balancer and CDN have a
    certificate of their Region and of one of `accounts`, or on AWS a zone to get one.

    `region` is None where the file gives none, `accounts` are empty where it does not bound them.
    `broken` are the keys that were left out of `platform` because they have errors of their own:
    they are not missing.
    """
    wanted = {key for key in requested(platform, region or "") if not _within(key, broken)}
    yield from _uncertifiable(platform)
    if wanted:
        yield from _outside_the_zone(platform)
    if on_aws and platform.dns is None and not _within(f"{PLATFORM}/dns", broken):
        yield from _unvalidated(platform, wanted)
    yield from _of_another_place(platform, region, accounts)


def _within(key: str, broken: Collection[str]) -> bool:
    """Whether a key, what it stands in or something below it was left out."""
    return any(f"{where}/".startswith(f"{key}/") or key.startswith(f"{where}/") for where in broken)


def _uncertifiable(platform: PlatformSettings) -> Iterator[Problem]:
    if platform.dns is None and platform.edge is None:
        return
    for host, key in names_and_keys(platform):
        if not certifiable(host):
            yield Problem(
                f"{PLATFORM}/{key}",
                f"{host} can stand in a listener rule, but in no certificate, record or "
                "distribution: there a wildcard is the whole first label",
                "write *.example.org, or each name",
            )


def _outside_the_zone(platform: PlatformSettings) -> Iterator[Problem]:
    dns = platform.dns
    if dns is None:
        return
    for host, key in names_and_keys(platform):
        if not dns.holds(host):
            yield Problem(
                f"{PLATFORM}/{key}",
                f"{host} is not in the zone {dns.zone} ({PLATFORM}/dns/zone), so that a "
                "certificate for it cannot be validated there",
                "correct the name or the zone; or give certificate_arn (and edge/certificate_arn) "
                "of certificates that name it",
            )


def _unvalidated(platform: PlatformSettings, wanted: Collection[str]) -> Iterator[Problem]:
    """Certificates that AWS would have validated, and no zone to do it in."""
    if SITE_KEY in wanted:
        yield Problem(
            SITE_KEY,
            "is missing, and AWS takes no listener without an issued certificate",
            "request one for the domain in ACM, validate it, and give its ARN; or give dns with "
            "the domain's zone in Route 53, where firstbell validates one",
        )
    if EDGE_KEY in wanted:
        yield Problem(
            EDGE_KEY,
            f"is missing, and CloudFront takes certificates of {EDGE_REGION} alone",
            f"request one for {', '.join(platform.names)} there and give its ARN; or give dns "
            "with their zone in Route 53, where firstbell validates one",
        )


def _of_another_place(
    platform: PlatformSettings, region: str | None, accounts: Collection[str]
) -> Iterator[Problem]:
    """What the ARNs alone tell: load balancers and CDNs take certificates of their own Region."""
    at_site = f"the stack is in {region}"
    at_edge = f"CloudFront takes certificates of {EDGE_REGION} alone"
    edge = platform.edge
    for key, arn, wanted, reason in (
        (SITE_KEY, platform.certificate_arn, region, at_site),
        (EDGE_KEY, edge and edge.certificate_arn, EDGE_REGION, at_edge),
    ):
        if arn is None or wanted is None:
            continue
        given, account = [*arn.split(":"), "", "", ""][3:5]
        if given != wanted:
            yield Problem(
                key,
                f"is of {given or 'no Region'}, and {reason}",
                f"request one for {', '.join(platform.names)} in {wanted}",
            )
        if accounts and account not in accounts:
            yield Problem(
                key,
                f"is of account {account or 'none'}, and the stack goes to {', '.join(accounts)}",
                "give the ARN of a certificate in that account",
            )
