"""The site's names against zone and certificates: what is wrong between `domain`, the tiers'
hosts, `dns` and `edge`, each of which may be right by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from infra.errors import Problem
from infra.settings.base import sound
from infra.settings.dns import certifiable
from infra.settings.platform import PLATFORM

if TYPE_CHECKING:
    from infra.settings.stack import StackSettings

SITE_KEY: Final = f"{PLATFORM}/certificate_arn"
EDGE_KEY: Final = f"{PLATFORM}/edge/certificate_arn"
DNS_KEY: Final = f"{PLATFORM}/dns/zone_id"
# Where CloudFront looks for certificates. CloudFront developer guide, "Requirements for using
# SSL/TLS certificates with CloudFront".
EDGE_REGION: Final = "us-east-1"
# ACM API reference, RequestCertificate, DomainName.
MAX_FIRST_NAME: Final = 64


def requested(settings: StackSettings) -> dict[str, str]:
    """The Regions in which the program requests a certificate for the names, each by the setting
    that would name one."""
    return dict(sound(_requested_for_site(settings))) | dict(sound(_requested_for_edge(settings)))


def _requested_for_site(settings: StackSettings) -> Iterator[tuple[str, str]]:
    if settings.platform.certificate_arn is None:
        yield SITE_KEY, settings.region_or("REGION")


def _requested_for_edge(settings: StackSettings) -> Iterator[tuple[str, str]]:
    edge = settings.platform.edge
    if edge and edge.certificate_arn is None and settings.region != EDGE_REGION:
        yield EDGE_KEY, EDGE_REGION


def _uncertifiable(settings: StackSettings) -> Iterator[Problem]:
    platform = settings.platform
    if platform.dns is None and platform.edge is None:
        return
    for host, key in platform.names_and_keys():
        if not certifiable(host):
            yield Problem(
                f"{PLATFORM}/{key}",
                f"{host} can stand in a listener rule, but in no certificate, record or "
                "distribution: there a wildcard is the whole first label",
                "write *.example.org, or each name",
            )


def _too_long_for_a_certificate(settings: StackSettings) -> Iterator[Problem]:
    domain = settings.platform.domain
    if len(domain) > MAX_FIRST_NAME and requested(settings):
        yield Problem(
            f"{PLATFORM}/domain",
            f"{domain} has {len(domain)} characters, and the first name of a certificate that ACM "
            f"makes {MAX_FIRST_NAME} at most",
            "take a shorter domain and name this one in a tier's hosts, or give certificate_arn",
        )


def _outside_the_zone(settings: StackSettings) -> Iterator[Problem]:
    platform, dns = settings.platform, settings.platform.dns
    if dns is None or not requested(settings):
        return
    for host, key in platform.names_and_keys():
        if not dns.holds(host):
            yield Problem(
                f"{PLATFORM}/{key}",
                f"{host} is not in the zone {dns.zone} ({PLATFORM}/dns/zone), so that a "
                "certificate for it cannot be validated there",
                "correct the name or the zone; or give certificate_arn (and edge/certificate_arn) "
                "of certificates that name it",
            )


def _unvalidated(settings: StackSettings) -> Iterator[Problem]:
    """Certificates that AWS would have validated, and no zone to do it in."""
    if settings.cloud != "aws" or settings.platform.dns is not None:
        return
    wanted = requested(settings)
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
            f"request one for {', '.join(settings.platform.names)} there and give its ARN; or give "
            "dns with their zone in Route 53, where firstbell validates one",
        )


def _sites_of_another_region(settings: StackSettings) -> Iterator[Problem]:
    arn, reason = settings.platform.certificate_arn, f"the stack is in {settings.region}"
    yield from _of_another_region(settings, SITE_KEY, arn, settings.region, reason)


def _edges_of_another_region(settings: StackSettings) -> Iterator[Problem]:
    edge = settings.platform.edge
    reason = f"CloudFront takes certificates of {EDGE_REGION} alone"
    yield from _of_another_region(
        settings, EDGE_KEY, edge and edge.certificate_arn, EDGE_REGION, reason
    )


def _of_another_region(
    settings: StackSettings, key: str, arn: str | None, wanted: str, reason: str
) -> Iterator[Problem]:
    """What the ARN alone tells."""
    if arn is not None and (given := _place(arn)[0]) != wanted:
        yield Problem(
            key,
            f"is of {given or 'no Region'}, and {reason}",
            f"request one for {', '.join(settings.platform.names)} in {wanted}",
        )


def _sites_of_another_account(settings: StackSettings) -> Iterator[Problem]:
    yield from _of_another_account(settings, SITE_KEY, settings.platform.certificate_arn)


def _edges_of_another_account(settings: StackSettings) -> Iterator[Problem]:
    edge = settings.platform.edge
    yield from _of_another_account(settings, EDGE_KEY, edge and edge.certificate_arn)


def _of_another_account(settings: StackSettings, key: str, arn: str | None) -> Iterator[Problem]:
    accounts = settings.allowed_account_ids
    if arn is not None and accounts and (given := _place(arn)[1]) not in accounts:
        yield Problem(
            key,
            f"is of account {given or 'none'}, and the stack goes to {', '.join(accounts)}",
            "give the ARN of a certificate in that account",
        )


def _place(arn: str) -> tuple[str, str]:
    """The Region and the account of an ARN."""
    region, account = [*arn.split(":"), "", "", ""][3:5]
    return region, account


CHECKS: Final = (
    _uncertifiable,
    _too_long_for_a_certificate,
    _outside_the_zone,
    _unvalidated,
    _sites_of_another_region,
    _edges_of_another_region,
    _sites_of_another_account,
    _edges_of_another_account,
)
