"""Searches for resources of acm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from cli.recovery.searches.base import Clients, Inputs, Search


def _certificate(client: Clients, inputs: Inputs) -> Iterator[str]:
    acm, wanted = client("acm"), inputs.get("tags") or {}
    for page in acm.get_paginator("list_certificates").paginate():
        for certificate in page["CertificateSummaryList"]:
            if certificate["DomainName"] == inputs["domainName"]:
                arn = certificate["CertificateArn"]
                tags = acm.list_tags_for_certificate(CertificateArn=arn)["Tags"]
                if wanted.items() <= {tag["Key"]: tag.get("Value") for tag in tags}.items():
                    yield arn


SEARCHES: Final[Mapping[str, Search]] = {
    "aws:acm/certificate:Certificate": _certificate,
}

# An act, not a thing: waiting again changes nothing.
REPEATABLE: Final = frozenset({"aws:acm/certificateValidation:CertificateValidation"})
