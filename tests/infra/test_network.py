"""How the VPC's block is cut."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from infra.network import SUBNET_TIERS, subnet_block
from infra.settings.network import NetworkSettings
from tests.e2e.recording_monitor import run_program
from tests.infra.conftest import Record, Recorded


def network(cidr: str, zones: int) -> NetworkSettings:
    return NetworkSettings.model_validate({"cidr": cidr, "zones": zones})


@given(prefix=st.integers(16, 24), third=st.integers(0, 255), zones=st.sampled_from([2, 3]))
def test_subnets_lie_in_the_block_and_do_not_overlap(prefix: int, third: int, zones: int) -> None:
    block = ipaddress.ip_network(f"10.7.{third}.0/{prefix}", strict=False)
    settings = network(str(block), zones)
    subnets = [
        ipaddress.ip_network(subnet_block(settings, tier, zone))
        for tier in SUBNET_TIERS
        for zone in range(zones)
    ]
    assert all(subnet.subnet_of(block) for subnet in subnets)  # pyright: ignore[reportArgumentType] (all are IPv4)
    assert not any(one.overlaps(other) for one in subnets for other in subnets if one is not other)


def test_adding_a_zone_moves_no_subnet() -> None:
    two, three = network("10.20.0.0/16", 2), network("10.20.0.0/16", 3)
    for tier in SUBNET_TIERS:
        assert [subnet_block(two, tier, zone) for zone in range(2)] == [
            subnet_block(three, tier, zone) for zone in range(2)
        ]


def test_the_vpc_is_watched_and_its_defaults_are_closed(record: Record) -> None:
    made = record()
    (flow,) = made.of_type("aws:ec2/flowLog:FlowLog").values()
    assert flow["trafficType"] == "ALL"
    (group,) = made.of_type("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup").values()
    assert (group["ingress"], group["egress"]) == ([], [])
    subnets = made.of_type("aws:ec2/subnet:Subnet").values()
    assert {subnet["mapPublicIpOnLaunch"] for subnet in subnets} == {False}


def opened(acl: Mapping[str, Any], port: int, protocol: str) -> list[str]:
    """From where the network ACL lets a port in."""
    return [
        rule["cidrBlock"]
        for rule in acl["ingress"]
        if rule["action"] == "allow"
        and (
            rule["protocol"] == "-1"
            or (rule["protocol"] == protocol and rule["fromPort"] <= port <= rule["toPort"])
        )
    ]


def test_the_network_acl_lets_in_https_and_answers_but_no_ssh_and_no_rdp(record: Record) -> None:
    (acl,) = record().of_type("aws:ec2/defaultNetworkAcl:DefaultNetworkAcl").values()
    for protocol in ("tcp", "udp"):
        assert opened(acl, 22, protocol) == ["10.20.0.0/16"]
        assert opened(acl, 3389, protocol) == ["10.20.0.0/16"]
        assert "0.0.0.0/0" in opened(acl, 50_000, protocol)
    assert "0.0.0.0/0" in opened(acl, 443, "tcp")


def test_what_aws_and_the_season_move_is_no_change_of_the_program(record: Record) -> None:
    """pulumi-aws would take the default ACL's subnets away at each `up`, in vain, and a reservation
    that the season's call has made, on an exam morning."""
    acl = record().ignored("aws:ec2/defaultNetworkAcl:DefaultNetworkAcl", "tiny-default")
    assert acl == {"subnetIds"}
    balancer = record().ignored("aws:lb/loadBalancer:LoadBalancer", "tiny")
    assert balancer == {"minimumLoadBalancerCapacity"}


def endpoints(made: Recorded, region: str = "eu-north-1") -> dict[str, int]:
    """Interface endpoints by service, with the number of their subnets."""
    return {
        endpoint["serviceName"].removeprefix(f"com.amazonaws.{region}."): len(endpoint["subnetIds"])
        for endpoint in made.of_type("aws:ec2/vpcEndpoint:VpcEndpoint").values()
        if endpoint["vpcEndpointType"] == "Interface"
    }


def test_endpoints_stand_in_one_zone_or_in_all_and_then_those_for_booting_too(
    record: Record,
) -> None:
    controlled = {"ec2", "ecr.api", "ecr.dkr", "ssm", "ssm-contacts", "ssm-incidents"}
    assert endpoints(record()) == dict.fromkeys(controlled, 1)
    everywhere = endpoints(record(network={"endpoint_zones": "all"}))
    boot = {"ec2messages", "logs", "secretsmanager", "ssmmessages"}
    assert everywhere == dict.fromkeys(controlled | boot, 3)


def test_a_region_without_incident_manager_has_no_endpoints_of_it(tmp_path: Path) -> None:
    """AWS refuses an endpoint of a service that is not there, in the middle of `up`."""
    recording, finished = run_program(
        "tiny",
        {"aws:region": "eu-south-1", "firstbell:platform": {"domain": "lms.example.org"}},
        {"FIRSTBELL_HOME": str(tmp_path), "FIRSTBELL_STACKS": str(tmp_path)},
    )
    assert finished.returncode == 0, finished.stderr
    found = endpoints(Recorded(recording), "eu-south-1")
    assert set(found) == {"ec2", "ecr.api", "ecr.dkr", "ssm"}


def test_the_flow_log_is_kept_as_long_as_asked(record: Record) -> None:
    (group,) = (
        group
        for name, group in record(network={"flow_log_days": 90})
        .of_type("aws:cloudwatch/logGroup:LogGroup")
        .items()
        if name == "tiny-flow-log"
    )
    assert group["retentionInDays"] == 90


def test_public_access_is_blocked_but_for_this_vpc_unless_others_share_the_account(
    record: Record,
) -> None:
    options = "aws:ec2/vpcBlockPublicAccessOptions:VpcBlockPublicAccessOptions"
    (blocked,) = record().of_type(options).values()
    assert blocked["internetGatewayBlockMode"] == "block-bidirectional"
    assert record(network={"block_public_access": False}).of_type(options) == {}
