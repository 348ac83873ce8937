"""The site's names in Route 53: aliases of the load balancer, or of the CDN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True)
class NamesArgs:
    """`hosts` point to what has that DNS name and hosted zone; `ipv6`: it answers there too."""

    zone_id: str
    hosts: Sequence[str]
    target: pulumi.Input[str]
    target_zone_id: pulumi.Input[str]
    ipv6: bool


class Names(pulumi.ComponentResource):
    """One alias a name, and one for IPv6."""

    def __init__(
        self, name: str, args: NamesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:names:Names", name, None, opts)
        for host in args.hosts:
            for kind in ("A", "AAAA") if args.ipv6 else ("A",):
                aws.route53.Record(
                    f"{name}-{host}-{kind}",
                    zone_id=args.zone_id,
                    name=host,
                    type=kind,
                    aliases=[
                        aws.route53.RecordAliasArgs(
                            name=args.target,
                            zone_id=args.target_zone_id,
                            # There is nowhere else to send visitors to.
                            evaluate_target_health=False,
                        )
                    ],
                    opts=pulumi.ResourceOptions(parent=self),
                )
        self.register_outputs({})
