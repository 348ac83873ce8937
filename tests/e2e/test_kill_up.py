"""`up` is killed with SIGKILL, again and again, and run again: nothing is lost, nothing is double.

Without recovery the same kills were measured to leave two VPCs, and a stack that no run completes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from textwrap import dedent
from typing import Any, Literal

import psutil
import pytest

from tests.e2e.conftest import Firstbell

STACK = dedent(
    """
    config:
      aws:region: eu-north-1
      firstbell:platform:
        domain: lms.example.org
        network: {nat: single, zones: 2}
        tiers: {web: {min: 2, max: 4}}
        database: {replicas: {min: 1, max: 2}}
    """
)
# What dies: firstbell alone (its engine ends by itself), the engine with it (its provider lives on
# and finishes the call that it is in), or all of them in the same instant.
Victims = Literal["firstbell", "engine", "all"]
# How EC2 lists what the stack makes: operation, list, id. (Its tags outlive what was deleted.)
EC2_KINDS = (
    ("describe_vpcs", "Vpcs", "VpcId"),
    ("describe_subnets", "Subnets", "SubnetId"),
    ("describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    ("describe_route_tables", "RouteTables", "RouteTableId"),
    ("describe_addresses", "Addresses", "AllocationId"),
    ("describe_nat_gateways", "NatGateways", "NatGatewayId"),
    ("describe_security_groups", "SecurityGroups", "GroupId"),
    ("describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    ("describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
)


@pytest.fixture(autouse=True)
def state_at_each_step(firstbell: Firstbell) -> None:
    firstbell.checkpoints = True


def checkpoint(firstbell: Firstbell) -> dict[str, Any]:
    """The state as the engine has written it so far."""
    path = firstbell.home / "local/state/.pulumi/stacks/firstbell/killed.json"
    with suppress(FileNotFoundError):
        return json.loads(path.read_text())["checkpoint"].get("latest") or {}
    return {}


def locks(firstbell: Firstbell) -> list[str]:
    folder = firstbell.home / "local/state/.pulumi/locks"
    return [path.name for path in folder.rglob("*.json")]


def kill_up(firstbell: Firstbell, resources: int, victims: Victims) -> int:
    """Start `up` and kill it when the state has so many resources and something is under way.

    Returns the resources there were, or 0 when `up` ended before.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "up", "-s", "killed"],
        env=firstbell.env(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None:
        state = checkpoint(firstbell)
        found = len(state.get("resources") or [])
        if found >= resources and state.get("pending_operations"):
            family = psutil.Process(process.pid).children(recursive=True)
            doomed = {
                "firstbell": [],
                "engine": [each for each in family if each.name().startswith("pulumi")],
                "all": family,
            }[victims]
            process.kill()
            for each in doomed:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
            process.wait()
            return found
        time.sleep(0.005)
    return 0


def live(firstbell: Firstbell) -> Counter[str]:
    """Everything of the stack that is live, by kind; an id that is there twice counts twice."""
    ec2, elb, rds = (firstbell.client(service) for service in ("ec2", "elbv2", "rds"))
    scaling = firstbell.client("autoscaling")
    ours = [{"Name": "tag:stack", "Values": ["killed"]}]
    things = {
        thing[key]: thing
        for operation, members, key in EC2_KINDS
        for thing in getattr(ec2, operation)(Filters=ours)[members]
        if thing.get("State") != "deleted"
    }
    rules = ec2.describe_security_group_rules()["SecurityGroupRules"]
    associations = [
        each
        for thing in things.values()
        for each in thing.get("Associations", [])
        if "RouteTableAssociationId" in each
    ]
    flow_logs = ec2.describe_flow_logs(Filter=ours)["FlowLogs"]
    groups = scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    hooks = [
        hook
        for group in groups
        for hook in scaling.describe_lifecycle_hooks(
            AutoScalingGroupName=group["AutoScalingGroupName"]
        )["LifecycleHooks"]
    ]
    return Counter(
        [*things]
        + [each["SecurityGroupRuleId"] for each in rules if each["GroupId"] in things]
        + [each["RouteTableAssociationId"] for each in associations]
        + [each["LoadBalancerArn"] for each in elb.describe_load_balancers()["LoadBalancers"]]
        + [each["TargetGroupArn"] for each in elb.describe_target_groups()["TargetGroups"]]
        + [each["FlowLogId"] for each in flow_logs]
        + [each["AutoScalingGroupName"] for each in groups]
        + [each["LifecycleHookName"] for each in hooks]
        + [each["PolicyName"] for each in scaling.describe_policies()["ScalingPolicies"]]
        + [each["DBClusterIdentifier"] for each in rds.describe_db_clusters()["DBClusters"]]
        + [each["DBInstanceIdentifier"] for each in rds.describe_db_instances()["DBInstances"]]
        + [
            each["CertificateArn"]
            for each in firstbell.client("acm").list_certificates()["CertificateSummaryList"]
        ]
    )


def recorded(firstbell: Firstbell) -> Counter[str]:
    """The ids of the state, of the kinds that `live` looks at."""
    kinds = (
        "aws:ec2/",
        "aws:vpc/",
        "aws:lb/loadBalancer",
        "aws:lb/targetGroup",
        "aws:autoscaling/",
        "aws:rds/cluster:",
        "aws:rds/clusterInstance:",
        "aws:acm/",
    )
    # A route has no id of its own; Block Public Access is the account's, with an exclusion a VPC;
    # a VPC's default network ACL comes and, but for the emulator's, goes with it.
    others = ("aws:ec2/route:", "aws:ec2/vpcBlockPublicAccess", "aws:ec2/defaultNetworkAcl:")
    return Counter(
        resource["id"]
        for resource in checkpoint(firstbell)["resources"]
        if resource["type"].startswith(kinds) and not resource["type"].startswith(others)
    )


def assert_that_a_duplicate_would_be_seen(firstbell: Firstbell) -> None:
    """The known-bad twin of comparing what is live with what is recorded."""
    ec2 = firstbell.client("ec2")
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "stack", "Value": "killed"}]}]
    double = ec2.create_vpc(CidrBlock="10.20.0.0/16", TagSpecifications=tags)["Vpc"]["VpcId"]
    assert live(firstbell) - recorded(firstbell) == Counter([double])
    ec2.delete_vpc(VpcId=double)


def wait_until_gone(firstbell: Firstbell) -> None:
    """No engine and no provider of a killed run may stay behind."""

    def ours(process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            is_part = "cli.localcloud.provider" in process.cmdline() or process.name() == "pulumi"
            return is_part and process.environ().get("FIRSTBELL_HOME") == str(firstbell.home)
        return False

    deadline = time.monotonic() + 30
    while left := [process.pid for process in psutil.process_iter() if ours(process)]:
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.2)


THREE: list[tuple[int, Victims]] = [(8, "all"), (22, "engine"), (35, "firstbell")]
TEN: list[tuple[int, Victims]] = [
    (1, "all"),
    (6, "engine"),
    (10, "all"),
    (15, "firstbell"),
    (20, "all"),
    (25, "engine"),
    (30, "all"),
    (36, "firstbell"),
    (42, "all"),
    (46, "engine"),
]


@pytest.mark.parametrize(
    "kills",
    [pytest.param(THREE, id="three"), pytest.param(TEN, id="ten", marks=pytest.mark.slow)],
)
def test_up_completes_after_it_was_killed_and_leaves_no_duplicates(
    firstbell: Firstbell, kills: list[tuple[int, Victims]]
) -> None:
    (firstbell.stacks / "Pulumi.killed.yaml").write_text(STACK)
    firstbell("local", "start")
    killed = [kill_up(firstbell, resources, victims) for resources, victims in kills]
    assert all(killed), "up ended before it could be killed"

    firstbell("up", "-s", "killed")
    assert locks(firstbell) == []
    assert not checkpoint(firstbell).get("pending_operations")
    assert live(firstbell) == recorded(firstbell)
    wait_until_gone(firstbell)
    assert_that_a_duplicate_would_be_seen(firstbell)
    again = firstbell.json("up", "-s", "killed")
    assert set(again["counts"]) == {"same"}

    firstbell("destroy", "-s", "killed", "--yes")
    assert live(firstbell) == Counter()
