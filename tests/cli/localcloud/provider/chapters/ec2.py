"""The life of what ec2 makes."""

from __future__ import annotations

from typing import Any, Final

import pulumi
import pulumi_aws as aws

from tests.cli.localcloud.provider.chapters.base import Client, Drift, Shared, Variant


def _tag(client: Client, state: dict[str, Any]) -> None:
    client("ec2").create_tags(Resources=[state["id"]], Tags=[{"Key": "color", "Value": "evil"}])


def program(variant: Variant, shared: Shared) -> None:
    zones = aws.get_availability_zones_output(state="available").names
    pulumi.export("account", aws.get_caller_identity_output().account_id)
    pulumi.export("region", aws.get_region_output().region)
    vpc = aws.ec2.Vpc("vpc", cidr_block=variant.cidr, enable_dns_hostnames=True, tags=variant.tags)
    prefix = variant.cidr.rpartition(".0.0/")[0]
    subnets = [
        aws.ec2.Subnet(
            f"subnet-{i}",
            vpc_id=vpc.id,
            cidr_block=f"{prefix}.{i}.0/24",
            availability_zone=zones[i],
            map_public_ip_on_launch=i == 0,
            tags=variant.tags,
        )
        for i in range(2)
    ]
    gateway = aws.ec2.InternetGateway("gateway", vpc_id=vpc.id, tags=variant.tags)
    table = aws.ec2.RouteTable("table", vpc_id=vpc.id, tags=variant.tags)
    aws.ec2.Route(
        "route",
        route_table_id=table.id,
        destination_cidr_block="0.0.0.0/0",
        gateway_id=gateway.id,
    )
    aws.ec2.RouteTableAssociation("association", route_table_id=table.id, subnet_id=subnets[0].id)
    address = aws.ec2.Eip(f"address-{variant.name}", domain="vpc", tags=variant.tags)
    aws.ec2.NatGateway(
        "nat",
        allocation_id=address.id,
        subnet_id=subnets[0].id,
        tags=variant.tags,
        opts=pulumi.ResourceOptions(depends_on=[gateway]),
    )
    security = aws.ec2.SecurityGroup(
        "security", vpc_id=vpc.id, description="web", tags=variant.tags
    )
    aws.vpc.SecurityGroupIngressRule(
        "ingress",
        security_group_id=security.id,
        ip_protocol="tcp",
        from_port=80,
        to_port=80,
        cidr_ipv4="10.0.0.0/8",
        description=f"to {variant.color}",
        tags=variant.tags,
    )
    aws.vpc.SecurityGroupEgressRule(
        "egress", security_group_id=security.id, ip_protocol="-1", cidr_ipv4="0.0.0.0/0"
    )
    aws.ec2.VpcEndpoint(
        "endpoint",
        vpc_id=vpc.id,
        service_name="com.amazonaws.eu-north-1.s3",
        route_table_ids=[table.id],
        tags=variant.tags,
    )
    shared.made |= {"vpc": vpc, "subnets": subnets, "gateway": gateway, "security": security}


DRIFTS: Final[dict[str, Drift]] = {
    "vpc": lambda c, s: c("ec2").modify_vpc_attribute(
        VpcId=s["id"], EnableDnsHostnames={"Value": False}
    ),
    "subnet-0": lambda c, s: c("ec2").modify_subnet_attribute(
        SubnetId=s["id"], MapPublicIpOnLaunch={"Value": False}
    ),
    "gateway": _tag,
    "table": _tag,
    "route": lambda c, s: c("ec2").delete_route(
        RouteTableId=s["outputs"]["routeTableId"], DestinationCidrBlock="0.0.0.0/0"
    ),
    "association": lambda c, s: c("ec2").disassociate_route_table(AssociationId=s["id"]),
    "address-a": _tag,
    "nat": _tag,
    "security": _tag,
    "ingress": lambda c, s: c("ec2").modify_security_group_rules(
        GroupId=s["outputs"]["securityGroupId"],
        SecurityGroupRules=[
            {
                "SecurityGroupRuleId": s["id"],
                "SecurityGroupRule": {
                    "IpProtocol": "tcp",
                    "FromPort": 80,
                    "ToPort": 8080,
                    "CidrIpv4": "10.0.0.0/8",
                },
            }
        ],
    ),
    "egress": lambda c, s: c("ec2").revoke_security_group_egress(
        GroupId=s["outputs"]["securityGroupId"], SecurityGroupRuleIds=[s["id"]]
    ),
    "endpoint": lambda c, s: c("ec2").modify_vpc_endpoint(
        VpcEndpointId=s["id"], RemoveRouteTableIds=s["outputs"]["routeTableIds"]
    ),
}
REMOVED: Final = {"route", "association", "egress"}
COLOURLESS: Final = REMOVED
PASSIVE: Final = {"subnet-1"}


def left_over(client: Client) -> list[Any]:
    """The default VPC's own things are moto's."""
    ec2 = client("ec2")
    return [
        *(v for v in ec2.describe_vpcs()["Vpcs"] if not v["IsDefault"]),
        *(s for s in ec2.describe_subnets()["Subnets"] if not s["DefaultForAz"]),
        *ec2.describe_internet_gateways()["InternetGateways"],
        *ec2.describe_nat_gateways()["NatGateways"],
        *ec2.describe_addresses()["Addresses"],
        *(
            g
            for g in ec2.describe_security_groups()["SecurityGroups"]
            if g["GroupName"] != "default"
        ),
        *ec2.describe_vpc_endpoints()["VpcEndpoints"],
    ]
