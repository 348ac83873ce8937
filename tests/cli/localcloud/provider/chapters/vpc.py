"""The life of what guards a VPC."""

from __future__ import annotations

import json
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from tests.cli.localcloud.provider.chapters.base import Client, Drift, Shared, Variant


def _tag(client: Client, state: dict[str, Any]) -> None:
    client("ec2").create_tags(Resources=[state["id"]], Tags=[{"Key": "color", "Value": "evil"}])


def _open(client: Client, state: dict[str, Any]) -> None:
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    client("ec2").authorize_security_group_ingress(GroupId=state["id"], IpPermissions=everything)


def program(variant: Variant, _: Shared) -> None:
    vpc = aws.ec2.Vpc("guarded", cidr_block=variant.cidr, tags=variant.tags)
    trust = {"Effect": "Allow", "Principal": {"Service": "vpc-flow-logs.amazonaws.com"}}
    role = aws.iam.Role(
        "flow-role",
        assume_role_policy=json.dumps(
            {"Version": "2012-10-17", "Statement": [trust | {"Action": "sts:AssumeRole"}]}
        ),
        tags=variant.tags,
    )
    group = aws.cloudwatch.LogGroup(
        "flow-group", name=f"/firstbell/{pulumi.get_stack()}/flow", tags=variant.tags
    )
    aws.ec2.FlowLog(
        "flow",
        vpc_id=vpc.id,
        traffic_type="ALL",
        log_destination=group.arn,
        iam_role_arn=role.arn,
        tags=variant.tags,
    )
    aws.ec2.DefaultSecurityGroup(
        "default-group", vpc_id=vpc.id, ingress=[], egress=[], tags=variant.tags
    )
    aws.ec2.DefaultNetworkAcl(
        "default-acl",
        default_network_acl_id=vpc.default_network_acl_id,
        ingress=[
            {
                "rule_no": 100,
                "protocol": "tcp",
                "action": "allow",
                "cidr_block": "0.0.0.0/0",
                "from_port": variant.either(443, 8443),
                "to_port": variant.either(443, 8443),
            },
            {
                "rule_no": 110,
                "protocol": "icmp",
                "action": "allow",
                "cidr_block": "0.0.0.0/0",
                "from_port": 0,
                "to_port": 0,
                "icmp_type": 3,
                "icmp_code": 4,
            },
        ],
        egress=[
            {
                "rule_no": 100,
                "protocol": "-1",
                "action": "allow",
                "cidr_block": "0.0.0.0/0",
                "from_port": 0,
                "to_port": 0,
            }
        ],
        tags=variant.tags,
    )
    aws.ec2.VpcBlockPublicAccessOptions(
        "public-access",
        internet_gateway_block_mode=variant.either("block-bidirectional", "block-ingress"),
    )
    aws.ec2.VpcBlockPublicAccessExclusion(
        "exclusion",
        vpc_id=vpc.id,
        internet_gateway_exclusion_mode=variant.either("allow-bidirectional", "allow-egress"),
    )


DRIFTS: Final[dict[str, Drift]] = {
    "flow": _tag,
    "default-group": _open,
    "default-acl": lambda c, s: c("ec2").replace_network_acl_entry(
        NetworkAclId=s["id"],
        RuleNumber=100,
        Protocol="-1",
        RuleAction="allow",
        CidrBlock="0.0.0.0/0",
        Egress=False,
    ),
    "public-access": lambda c, s: c("ec2").modify_vpc_block_public_access_options(
        InternetGatewayBlockMode="off"
    ),
    "exclusion": lambda c, s: c("ec2").delete_vpc_block_public_access_exclusion(
        ExclusionId=s["id"]
    ),
}
REMOVED: Final = frozenset({"exclusion"})
# Each is of a type whose drift another chapter shows.
PASSIVE: Final = frozenset({"guarded", "flow-role", "flow-group"})


def left_over(client: Client) -> list[Any]:
    ec2 = client("ec2")
    return [
        *ec2.describe_flow_logs()["FlowLogs"],
        *ec2.describe_vpc_block_public_access_exclusions()["VpcBlockPublicAccessExclusions"],
    ]
