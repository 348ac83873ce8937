"""A certificate of ACM for the site's names, validated in their zone where one is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

TTL_SECONDS: Final = 300


@dataclass(frozen=True)
class CertificateArgs:
    """`names`: the first is the certificate's own. Without `region`, in the stack's.

    Without a zone it is only requested: the local cloud takes it for issued. `validation` are the
    records of another certificate for the same names: ACM asks an account for the same ones in
    every Region.
    """

    names: Sequence[str]
    zone_id: str | None
    tags: Mapping[str, str]
    region: str | None = None
    validation: Sequence[aws.route53.Record] = ()


class Certificate(pulumi.ComponentResource):
    """Requested, proven by DNS and waited for, so that a listener never gets a pending one."""

    arn: pulumi.Output[str]
    validation: Sequence[aws.route53.Record]
    """The records by which ACM knows that the names are ours, now and at each renewal."""

    def __init__(
        self, name: str, args: CertificateArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:certificate:Certificate", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        first, *others = args.names
        certificate = aws.acm.Certificate(
            name,
            domain_name=first,
            subject_alternative_names=others or None,
            validation_method="DNS",
            region=args.region,
            tags=args.tags,
            opts=child,
        )
        self.arn, self.validation = certificate.arn, args.validation
        if args.zone_id is not None:
            self.validation = args.validation or [
                _record(f"{name}-{bare}", args.zone_id, certificate, bare, child)
                for bare in dict.fromkeys(each.removeprefix("*.") for each in args.names)
            ]
            self.arn = aws.acm.CertificateValidation(
                name,
                certificate_arn=certificate.arn,
                validation_record_fqdns=[record.fqdn for record in self.validation],
                region=args.region,
                opts=child,
            ).certificate_arn
        self.register_outputs({"arn": self.arn})


def _record(
    name: str,
    zone_id: str,
    certificate: aws.acm.Certificate,
    bare: str,
    opts: pulumi.ResourceOptions,
) -> aws.route53.Record:
    """A name and its wildcard are proven by the same record; ACM lists both."""
    option = certificate.domain_validation_options.apply(
        lambda options: next(
            each for each in options if (each.domain_name or "").removeprefix("*.") == bare
        )
    )
    return aws.route53.Record(
        name,
        zone_id=zone_id,
        name=option.apply(lambda each: (each.resource_record_name or "").rstrip(".")),
        type=option.apply(lambda each: each.resource_record_type or "CNAME"),
        records=[option.apply(lambda each: each.resource_record_value or "")],
        ttl=TTL_SECONDS,
        # Another certificate of this account for the name asks for the same record.
        allow_overwrite=True,
        opts=opts,
    )
