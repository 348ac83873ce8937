"""The VPC: public, application and data subnets in each zone, the ways out of it, its guards."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from infra.errors import InputError
from infra.iam import Statement, all_log_groups, service_role
from infra.settings.network import NetworkSettings

# The order is the order of the slots in the block; a row of four slots each.
SUBNET_TIERS = ("public", "application", "data")
ZONE_SLOTS = 4

HTTPS: Final = 443
# Free, so always there.
GATEWAY_SERVICES: Final = ("s3", "dynamodb")
# What comes back to a connection that began inside: clients take these ports, NAT gateways from
# 1024. EC2.21 forbids 3389 (RDP) from everywhere, which costs one source port in 64,000. VPC user
# guide, "Ephemeral ports".
EPHEMERAL_PORTS: Final = ((1024, 3388), (3390, 65535))


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
        for service in GATEWAY_SERVICES:
            aws.ec2.VpcEndpoint(
                f"{name}-{service}",
                vpc_id=vpc.id,
                service_name=f"com.amazonaws.{args.region}.{service}",
                vpc_endpoint_type="Gateway",
                route_table_ids=[table.id for table in tables],
                tags=tags | {"Name": f"{name}-{service}"},
                opts=child,
            )
        self._name, self._args, self._child, self._tags = name, args, child, tags
        self._interface_endpoints(vpc, subnets["application"])
        self._flow_log(vpc)
        self._close_defaults(vpc)
        if settings.blocks_public_access:
            self._block_public_access(vpc)

        self.vpc_id = vpc.id
        self.public_subnet_ids = [subnet.id for subnet in subnets["public"]]
        self.application_subnet_ids = [subnet.id for subnet in subnets["application"]]
        self.data_subnet_ids = [subnet.id for subnet in subnets["data"]]
        self.register_outputs({"vpc_id": vpc.id})

    def _interface_endpoints(self, vpc: aws.ec2.Vpc, subnets: Sequence[aws.ec2.Subnet]) -> None:
        everywhere = self._args.settings.endpoint_zones == "all"
        label = f"{self._name}-endpoints"
        group = aws.ec2.SecurityGroup(
            label,
            description="HTTPS from the VPC to the endpoints of AWS services",
            vpc_id=vpc.id,
            tags=self._tags | {"Name": label},
            opts=self._child,
        )
        aws.vpc.SecurityGroupIngressRule(
            label,
            security_group_id=group.id,
            description="HTTPS from the VPC",
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            cidr_ipv4=self._args.settings.cidr,
            opts=self._child,
        )
        for service in self._args.settings.interface_endpoints(self._args.region):
            label = f"{self._name}-{service}"
            aws.ec2.VpcEndpoint(
                label,
                vpc_id=vpc.id,
                service_name=f"com.amazonaws.{self._args.region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=[subnet.id for subnet in (subnets if everywhere else subnets[:1])],
                security_group_ids=[group.id],
                tags=self._tags | {"Name": label},
                opts=self._child,
            )

    def _flow_log(self, vpc: aws.ec2.Vpc) -> None:
        label = f"{self._name}-flow-log"
        group = aws.cloudwatch.LogGroup(
            label,
            name=f"/firstbell/{self._name}/vpc-flow-log",
            retention_in_days=self._args.settings.flow_log_days,
            tags=self._tags,
            opts=self._child,
        )
        role = service_role(
            label,
            "vpc-flow-logs.amazonaws.com",
            statements=[
                Statement(
                    ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
                    (group.arn.apply(lambda arn: f"{arn}:*"),),
                ),
                Statement(("logs:DescribeLogGroups",), (all_log_groups(group.arn),)),
            ],
            tags=self._tags,
            opts=self._child,
        )
        aws.ec2.FlowLog(
            label,
            vpc_id=vpc.id,
            traffic_type="ALL",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            tags=self._tags | {"Name": label},
            opts=self._child,
        )

    def _close_defaults(self, vpc: aws.ec2.Vpc) -> None:
        """Nothing may use the default security group; from outside only HTTPS and answers come."""
        aws.ec2.DefaultSecurityGroup(
            f"{self._name}-default",
            vpc_id=vpc.id,
            ingress=[],
            egress=[],
            tags=self._tags | {"Name": f"{self._name}-default-closed"},
            opts=self._child,
        )
        anywhere = "0.0.0.0/0"
        # (protocol, source, first port, last port)
        allowed = [("-1", self._args.settings.cidr, 0, 0), ("tcp", anywhere, HTTPS, HTTPS)]
        allowed += [
            (protocol, anywhere, first, last)
            for protocol in ("tcp", "udp")
            for first, last in EPHEMERAL_PORTS
        ]
        ingress = [
            aws.ec2.DefaultNetworkAclIngressArgs(
                rule_no=100 + 10 * index,
                protocol=protocol,
                action="allow",
                cidr_block=source,
                from_port=first,
                to_port=last,
            )
            for index, (protocol, source, first, last) in enumerate(allowed)
        ]
        # "Packet too big": without it connections hang where a path takes smaller packets.
        ingress.append(
            aws.ec2.DefaultNetworkAclIngressArgs(
                rule_no=200,
                protocol="icmp",
                action="allow",
                cidr_block=anywhere,
                from_port=0,
                to_port=0,
                icmp_type=3,
                icmp_code=4,
            )
        )
        aws.ec2.DefaultNetworkAcl(
            f"{self._name}-default",
            default_network_acl_id=vpc.default_network_acl_id,
            ingress=ingress,
            egress=[
                aws.ec2.DefaultNetworkAclEgressArgs(
                    rule_no=100,
                    protocol="-1",
                    action="allow",
                    cidr_block=anywhere,
                    from_port=0,
                    to_port=0,
                )
            ],
            tags=self._tags | {"Name": f"{self._name}-default"},
            # Every subnet without an ACL of its own is the default one's; pulumi-aws takes those
            # that are not listed for ones to remove, which AWS does not: a change at each `up`.
            # Terraform registry, aws_default_network_acl, "Managing Subnets".
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["subnetIds"]),
        )

    def _block_public_access(self, vpc: aws.ec2.Vpc) -> None:
        """No VPC of the account's Region reaches the internet, but for this one."""
        exclusion = aws.ec2.VpcBlockPublicAccessExclusion(
            f"{self._name}-public-access",
            vpc_id=vpc.id,
            internet_gateway_exclusion_mode="allow-bidirectional",
            opts=self._child,
        )
        aws.ec2.VpcBlockPublicAccessOptions(
            f"{self._name}-public-access",
            internet_gateway_block_mode="block-bidirectional",
            # The account's, and so every stack's in it: removing this one must not lift it.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[exclusion], retain_on_delete=True),
        )
