"""Who may connect to what: the ways from the instances to the database, the cache and the files.

A component of its own, since the tiers' user data names those endpoints: what holds data is made
before its clients, and opened to them afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True)
class Door:
    """Something that listens, behind its security group."""

    security_group_id: pulumi.Input[str]
    port: int


@dataclass(frozen=True)
class AccessArgs:
    """`clients` are security groups by name; each may connect to every door of `doors`."""

    doors: Mapping[str, Door]
    clients: Mapping[str, pulumi.Input[str]]
    tags: Mapping[str, str]


class Access(pulumi.ComponentResource):
    """One ingress rule a client and door, and nothing else: doors are closed by default."""

    def __init__(
        self, name: str, args: AccessArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:access:Access", name, None, opts)
        for door_name, door in args.doors.items():
            for client, security_group_id in args.clients.items():
                aws.vpc.SecurityGroupIngressRule(
                    f"{name}-{door_name}-from-{client}",
                    security_group_id=door.security_group_id,
                    description=f"Connections from {client}",
                    referenced_security_group_id=security_group_id,
                    ip_protocol="tcp",
                    from_port=door.port,
                    to_port=door.port,
                    tags=dict(args.tags),
                    opts=pulumi.ResourceOptions(parent=self),
                )
        self.register_outputs({})
