"""What the hosted zone is, once it was read, and which names nobody points here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infra.checks.base import PLATFORM, Findings, Subject
from infra.errors import Problem
from infra.settings.dns import DnsSettings
from infra.settings.names import DNS_KEY, requested


def check(subject: Subject) -> Findings:
    """Names outside of the zone for which certificates are given: somebody else points them."""
    return Findings(warnings=tuple(_unpointed(subject)))


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
    settings, dns = subject.settings, subject.settings.platform.dns
    if dns is None or not dns.records or requested(settings):
        return
    for host, key in settings.platform.names_and_keys():
        if not dns.holds(host):
            yield (
                f"{PLATFORM}/{key}: {host} is not in the zone {dns.zone}; whoever has it must "
                "point it here"
            )
