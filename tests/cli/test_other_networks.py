"""Blocking public access would cut off the VPCs of others: they are found and named first."""

from __future__ import annotations

from pathlib import Path

from cli.checking import other_networks
from cli.localcloud import server


def test_a_vpc_with_a_gateway_that_is_not_the_stacks_is_found(home: Path) -> None:
    assert home
    try:
        ec2 = server.ensure_started().client("ec2", "eu-north-1")
        vpcs = [ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"] for _ in ("ours", "theirs")]
        for stack, vpc in zip(("school", "shop"), vpcs, strict=True):
            tags = [
                {"ResourceType": "internet-gateway", "Tags": [{"Key": "stack", "Value": stack}]}
            ]
            gateway = ec2.create_internet_gateway(TagSpecifications=tags)["InternetGateway"]
            ec2.attach_internet_gateway(VpcId=vpc, InternetGatewayId=gateway["InternetGatewayId"])
        assert other_networks(ec2, "school") == [vpcs[1]]
    finally:
        server.stop()
