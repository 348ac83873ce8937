"""Whether the site's names can be certified and pointed here, and the CDN's certificate fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from infra.checks.base import PLATFORM, Findings, Subject
from infra.errors import Problem
from infra.settings.dns import DnsSettings, certifiable
from infra.settings.stack import StackSettings

DNS_KEY: Final = f"{PLATFORM}/dns/zone_id"
EDGE_KEY: Final = f"{PLATFORM}/edge/certificate_arn"
# Where CloudFront looks for certificates. CloudFront developer guide, "Requirements for using
# SSL/TLS certificates with CloudFront".
EDGE_REGION: Final = "us-east-1"


def check(subject: Subject) -> Findings:
    """Every name is certifiable, in the zone where it is needed, and the CDN has a certificate."""
    problems = [*_uncertifiable(subject), *_outside_the_zone(subject), *_cdn(subject)]
    return Findings(tuple(problems), tuple(_unpointed(subject)))


def _keys(subject: Subject) -> Iterator[tuple[str, str]]:
    """Each name of the site and the setting that says it."""
    platform = subject.settings.platform
    yield platform.domain, "domain"
    for name, tier in platform.tiers.items():
        for host in tier.hosts:
            yield host.lower(), f"tiers/{name}/hosts"


def requested_regions(settings: StackSettings) -> list[str]:
    """The Regions in which the program requests a certificate for the names, as it does it."""
    platform = settings.platform
    found = [settings.region] if platform.certificate_arn is None else []
    if platform.edge and platform.edge.certificate_arn is None and settings.region != EDGE_REGION:
        found.append(EDGE_REGION)
    return found


def _requested(subject: Subject) -> bool:
    """Whether firstbell has to have a certificate validated for the names."""
    return subject.settings.platform.dns is not None and bool(requested_regions(subject.settings))


def _uncertifiable(subject: Subject) -> Iterator[Problem]:
    platform = subject.settings.platform
    if platform.dns is None and platform.edge is None:
        return
    for host, key in _keys(subject):
        if not certifiable(host):
            yield Problem(
                f"{PLATFORM}/{key}",
                f"{host} can stand in a listener rule, but in no certificate, record or "
                "distribution: there a wildcard is the whole first label",
                "write *.example.org, or each name",
            )


def _outside_the_zone(subject: Subject) -> Iterator[Problem]:
    dns = subject.settings.platform.dns
    if dns is None or not _requested(subject):
        return
    for host, key in _keys(subject):
        if not dns.holds(host):
            yield Problem(
                f"{PLATFORM}/{key}",
                f"{host} is not in the zone {dns.zone} ({PLATFORM}/dns/zone), so that a "
                "certificate for it cannot be validated there",
                "correct the name or the zone; or give certificate_arn (and edge/certificate_arn) "
                "of certificates that name it",
            )


def zone_findings(
    dns: DnsSettings, described: Mapping[str, Any] | None, of_name: Sequence[str]
) -> Findings:
    """What is wrong with the zone that a stack names, which is none of `of_name`.

    `described` is Route 53's `HostedZone` with the id, None where there is none; `of_name` are the
    public zones of the account that have the name.
    """
    fix = (
        f"write {' or '.join(of_name)}, which is {dns.zone}"
        if of_name
        else f"make one: aws route53 create-hosted-zone --name {dns.zone} --caller-reference "
        "firstbell; or give certificate_arn and dns/records: false"
    )
    if described is None:
        what = f"{dns.zone_id} is no hosted zone of this account"
    elif described.get("Config", {}).get("PrivateZone"):
        what = f"{dns.zone_id} is a private zone, which nobody outside sees, ACM neither"
    else:
        what = f"{dns.zone_id} is the zone {described['Name']} and not {dns.zone}"
    return Findings((Problem(DNS_KEY, what, fix),))


def _unpointed(subject: Subject) -> Iterator[str]:
    dns = subject.settings.platform.dns
    if dns is None or not dns.records or _requested(subject):
        return
    for host, key in _keys(subject):
        if not dns.holds(host):
            yield (
                f"{PLATFORM}/{key}: {host} is not in the zone {dns.zone}; whoever has it must "
                "point it here"
            )


def _cdn(subject: Subject) -> Iterator[Problem]:
    settings, platform = subject.settings, subject.settings.platform
    if platform.edge is None:
        return
    arn = platform.edge.certificate_arn
    if arn is None:
        if settings.cloud == "aws" and platform.dns is None and settings.region != EDGE_REGION:
            yield Problem(
                EDGE_KEY,
                f"is missing, and CloudFront takes certificates of {EDGE_REGION} alone",
                f"request one for {', '.join(platform.names)} there and give its ARN; or give dns "
                "with their zone in Route 53, where firstbell validates one",
            )
        return
    region, account = [*arn.split(":"), "", "", ""][3:5]
    if region != EDGE_REGION:
        yield Problem(
            EDGE_KEY,
            f"is of {region or 'no Region'}, and CloudFront takes certificates of {EDGE_REGION} "
            "alone",
            f"request one for {', '.join(platform.names)} in {EDGE_REGION}",
        )
    allowed = settings.allowed_account_ids
    if allowed and account not in allowed:
        yield Problem(
            EDGE_KEY,
            f"is of account {account or 'none'}, and the stack goes to {', '.join(allowed)}",
            "give the ARN of a certificate in that account",
        )
