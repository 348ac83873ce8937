"""The VPC: public, application and data subnets in each zone, and the ways out of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.errors import InputError
from infra.settings.network import NetworkSettings

# The order is the order of the slots in the block; a row of four slots each.
SUBNET_TIERS = ("public", "application", "data")
ZONE_SLOTS = 4


def subnet_block(settings: NetworkSettings, tier: str, zone: int) -> str:
    """The CIDR block of a subnet; stays the same when a zone is added."""
    block = ipaddress.ip_network(settings.cidr)
    step = 2 ** (block.max_prefixlen - settings.subnet_prefix)
    slot = SUBNET_TIERS.index(tier) * ZONE_SLOTS + zone
    return f"{block.network_address + slot * step}/{settings.subnet_prefix}"


def _enough_zones(names: Sequence[str], wanted: int, region: str) -> list[str]:
    """The zones to use: the first by name.

    Raises:
        InputError: the Region has fewer.
    """
    if len(names) < wanted:
        raise InputError(
            f"{region} has {len(names)} availability zones, not {wanted}",
            where="firstbell:platform/network/zones",
            fix=f"write zones: {len(names)}, or take another Region",
        )
    return sorted(names)[:wanted]


@dataclass(frozen=True)
class NetworkArgs:
    """`tags` go on everything that can carry tags."""

    settings: NetworkSettings
    region: str
    tags: Mapping[str, str]


class Network(pulumi.ComponentResource):
    """A VPC with three rows of subnets; application subnets reach the internet through NAT."""

    vpc_id: pulumi.Output[str]
    internet: pulumi.Resource
    """The route to the internet; what faces it has to wait for it."""
    public_subnet_ids: list[pulumi.Output[str]]
    application_subnet_ids: list[pulumi.Output[str]]
    ways_out: list[pulumi.Resource]
    """Routes of the application subnets to the internet; instances that boot wait for them."""
    data_subnet_ids: list[pulumi.Output[str]]

    def __init__(
        self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:network:Network", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = dict(args.tags)
        settings = args.settings
        vpc = aws.ec2.Vpc(
            name,
            cidr_block=settings.cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=tags | {"Name": name},
            opts=child,
        )
        # Where an account has opted in to Local Zones they are listed too, and sort first.
        zones = aws.get_availability_zones_output(
            state="available",
            filters=[
                aws.GetAvailabilityZonesFilterArgs(name="zone-type", values=["availability-zone"])
            ],
            opts=pulumi.InvokeOutputOptions(parent=self),
        ).names.apply(lambda names: _enough_zones(names, settings.zones, args.region))
        gateway = aws.ec2.InternetGateway(
            name, vpc_id=vpc.id, tags=tags | {"Name": name}, opts=child
        )

        subnets: dict[str, list[aws.ec2.Subnet]] = {
            tier: [
                aws.ec2.Subnet(
                    f"{name}-{tier}-{zone + 1}",
                    vpc_id=vpc.id,
                    cidr_block=subnet_block(settings, tier, zone),
                    availability_zone=zones[zone],
                    map_public_ip_on_launch=False,
                    tags=tags | {"Name": f"{name}-{tier}-{zone + 1}"},
                    opts=child,
                )
                for zone in range(settings.zones)
            ]
            for tier in SUBNET_TIERS
        }

        public = aws.ec2.RouteTable(
            f"{name}-public", vpc_id=vpc.id, tags=tags | {"Name": f"{name}-public"}, opts=child
        )
        self.internet = aws.ec2.Route(
            f"{name}-public-internet",
            route_table_id=public.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway.id,
            opts=child,
        )
        tables = [public]
        nats: list[aws.ec2.NatGateway] = []
        for zone in range(settings.zones if settings.nat == "zone" else 1):
            label = f"{name}-nat-{zone + 1}"
            address = aws.ec2.Eip(label, domain="vpc", tags=tags | {"Name": label}, opts=child)
            nats.append(
                aws.ec2.NatGateway(
                    label,
                    allocation_id=address.id,
                    subnet_id=subnets["public"][zone].id,
                    tags=tags | {"Name": label},
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[gateway]),
                )
            )
        self.ways_out = []
        for zone in range(settings.zones):
            aws.ec2.RouteTableAssociation(
                f"{name}-public-{zone + 1}",
                subnet_id=subnets["public"][zone].id,
                route_table_id=public.id,
                opts=child,
            )
            label = f"{name}-application-{zone + 1}"
            table = aws.ec2.RouteTable(
                label, vpc_id=vpc.id, tags=tags | {"Name": label}, opts=child
            )
            self.ways_out += [
                aws.ec2.Route(
                    f"{label}-nat",
                    route_table_id=table.id,
                    destination_cidr_block="0.0.0.0/0",
                    nat_gateway_id=nats[min(zone, len(nats) - 1)].id,
                    opts=child,
                ),
                aws.ec2.RouteTableAssociation(
                    label,
                    subnet_id=subnets["application"][zone].id,
                    route_table_id=table.id,
                    opts=child,
                ),
            ]
            tables.append(table)
        # The data subnets keep the VPC's main table: no way in or out of the VPC.
        aws.ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=vpc.id,
            service_name=f"com.amazonaws.{args.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in tables],
            tags=tags | {"Name": f"{name}-s3"},
            opts=child,
        )

        self.vpc_id = vpc.id
        self.public_subnet_ids = [subnet.id for subnet in subnets["public"]]
        self.application_subnet_ids = [subnet.id for subnet in subnets["application"]]
        self.data_subnet_ids = [subnet.id for subnet in subnets["data"]]
        self.register_outputs({"vpc_id": vpc.id})
