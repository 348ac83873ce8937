"""Whether a certificate fits the stack once ACM has described it: issued, valid, for its names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from infra.checks.base import PLATFORM, Findings, Subject
from infra.errors import Problem
from infra.settings.names import SITE_KEY

# ACM renews its own certificates from 60 days before their end (ACM user guide, "Managed
# certificate renewal"): one that is nearer to it than this was not renewed at the first tries.
RENEWED_AHEAD: Final = timedelta(days=45)


def check_described(
    subject: Subject, certificate: Mapping[str, Any], *, now: datetime, key: str = SITE_KEY
) -> Findings:
    """What ACM says of it (`Certificate` of DescribeCertificate): issued, valid, for our names.

    `key` is the setting that names it: the load balancer's, or the CDN's.
    """
    platform = subject.settings.platform
    status = certificate.get("Status")
    if status != "ISSUED":
        return Findings(
            (
                Problem(
                    key,
                    f"is {status}, and only an issued certificate is taken",
                    "finish its validation in ACM (the DNS records it asks for), or name another",
                ),
            )
        )
    names = [str(certificate.get("DomainName")), *certificate.get("SubjectAlternativeNames", ())]
    found = [
        Problem(
            key,
            f"is for {', '.join(dict.fromkeys(names))}, not for {host} ({PLATFORM}/{where})",
            "request one that names it",
        )
        for host, where in dict(platform.names_and_keys()).items()
        if not covered(host, names)
    ]
    return Findings(tuple(found), tuple(_ends_soon(certificate, now, key)))


def _ends_soon(certificate: Mapping[str, Any], now: datetime, key: str) -> Iterator[str]:
    ends = certificate.get("NotAfter")
    if isinstance(ends, datetime) and ends - now < RENEWED_AHEAD:
        yield f"{key} ends on {ends:%Y-%m-%d}: see in ACM why it was not renewed"


def covered(host: str, names: Iterable[str]) -> bool:
    """Whether a certificate's names cover a host; a wildcard stands for one label."""
    return any(
        host == name or (name.startswith("*.") and host.partition(".")[2] == name[2:])
        for name in names
    )
