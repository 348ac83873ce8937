"""Searches for resources of ec2."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Final

from cli.recovery.searches.base import Clients, Inputs, Search


def _tagged(prefix: str) -> Search:
    """Anything of EC2 whose ids begin so, by all the tags that it was to be created with."""

    def search(client: Clients, inputs: Inputs) -> Iterator[str]:
        wanted = {(key, value) for key, value in (inputs.get("tags") or {}).items()}
        if not wanted:
            return  # without tags anything would match
        # The name tells most apart; EC2 pages through the rest.
        key, value = next((tag for tag in sorted(wanted) if tag[0] == "Name"), min(wanted))
        candidates = {tag[0] for tag in _tags(client, key=key, value=value)}
        candidates = {id for id in candidates if id.startswith(f"{prefix}-")}
        if not candidates:
            return
        tags = list(_tags(client, **{"resource-id": candidates}))
        for id in candidates:
            if wanted <= {tag[1:] for tag in tags if tag[0] == id}:
                yield id

    return search


def _tags(client: Clients, **filters: str | set[str]) -> Iterator[tuple[str, str, str]]:
    """Resource id, key and value of EC2's tags."""
    asked = [
        {"Name": name, "Values": [value] if isinstance(value, str) else sorted(value)}
        for name, value in filters.items()
    ]
    for page in client("ec2").get_paginator("describe_tags").paginate(Filters=asked):
        for tag in page["Tags"]:
            yield tag["ResourceId"], tag["Key"], tag["Value"]


def _security_group_rule(*, egress: bool) -> Search:
    def search(client: Clients, inputs: Inputs) -> Iterator[str]:
        group = {"Name": "group-id", "Values": [inputs["securityGroupId"]]}
        found = client("ec2").describe_security_group_rules(Filters=[group])
        # EC2 gives -1 where a rule is for all ports.
        wanted = (
            inputs["ipProtocol"],
            inputs.get("fromPort", -1),
            inputs.get("toPort", -1),
            inputs.get("cidrIpv4"),
            inputs.get("cidrIpv6"),
            inputs.get("prefixListId"),
            inputs.get("referencedSecurityGroupId"),
        )
        for rule in found["SecurityGroupRules"]:
            there = (
                rule["IpProtocol"],
                rule.get("FromPort", -1),
                rule.get("ToPort", -1),
                rule.get("CidrIpv4"),
                rule.get("CidrIpv6"),
                rule.get("PrefixListId"),
                rule.get("ReferencedGroupInfo", {}).get("GroupId"),
            )
            if rule["IsEgress"] == egress and there == wanted:
                yield rule["SecurityGroupRuleId"]

    return search


def _route(client: Clients, inputs: Inputs) -> Iterator[str]:
    table = inputs["routeTableId"]
    destination = next(
        inputs[name]
        for name in ("destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId")
        if inputs.get(name)
    )
    keys = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")
    for found in client("ec2").describe_route_tables(RouteTableIds=[table])["RouteTables"]:
        if any(route.get(key) == destination for route in found["Routes"] for key in keys):
            # As the AWS provider names it.
            yield f"r-{table}{zlib.crc32(destination.encode())}"


def _association(client: Clients, inputs: Inputs) -> Iterator[str]:
    by_subnet = {"Name": "association.subnet-id", "Values": [inputs["subnetId"]]}
    for table in client("ec2").describe_route_tables(Filters=[by_subnet])["RouteTables"]:
        for association in table["Associations"]:
            if (
                association.get("SubnetId") == inputs["subnetId"]
                and table["RouteTableId"] == inputs["routeTableId"]
            ):
                yield association["RouteTableAssociationId"]


def _exclusion(client: Clients, inputs: Inputs) -> Iterator[str]:
    found = client("ec2").describe_vpc_block_public_access_exclusions()
    for exclusion in found["VpcBlockPublicAccessExclusions"]:
        if exclusion["ResourceArn"].endswith(f"/{inputs['vpcId']}"):
            yield exclusion["ExclusionId"]


SEARCHES: Final[Mapping[str, Search]] = {
    "aws:ec2/vpc:Vpc": _tagged("vpc"),
    "aws:ec2/subnet:Subnet": _tagged("subnet"),
    "aws:ec2/internetGateway:InternetGateway": _tagged("igw"),
    "aws:ec2/routeTable:RouteTable": _tagged("rtb"),
    "aws:ec2/route:Route": _route,
    "aws:ec2/routeTableAssociation:RouteTableAssociation": _association,
    "aws:ec2/eip:Eip": _tagged("eipalloc"),
    "aws:ec2/natGateway:NatGateway": _tagged("nat"),
    "aws:ec2/securityGroup:SecurityGroup": _tagged("sg"),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _security_group_rule(egress=False),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _security_group_rule(egress=True),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _tagged("vpce"),
    "aws:ec2/launchTemplate:LaunchTemplate": _tagged("lt"),
    "aws:ec2/flowLog:FlowLog": _tagged("fl"),
    "aws:ec2/vpcBlockPublicAccessExclusion:VpcBlockPublicAccessExclusion": _exclusion,
}

# What every VPC or account has is taken over and set, which can be repeated.
REPEATABLE: Final = frozenset(
    {
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        "aws:ec2/defaultNetworkAcl:DefaultNetworkAcl",
        "aws:ec2/vpcBlockPublicAccessOptions:VpcBlockPublicAccessOptions",
    }
)
