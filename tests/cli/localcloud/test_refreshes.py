"""Instance refresh by the clock, and target groups that tell the truth, on a real moto server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cli.localcloud import clock, fleets
from cli.localcloud.server import LocalCloud

REGION = "eu-north-1"
MONDAY = datetime(2026, 8, 3, tzinfo=UTC)
GROUP = {"AutoScalingGroupName": "web"}
AHEAD = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 150, "SkipMatching": True}


@dataclass
class World:
    """A group of four instances behind a load balancer; a boot takes four minutes."""

    cloud: LocalCloud
    template: str
    target_group: str

    def __post_init__(self) -> None:
        self.autoscaling: Any = self.cloud.client("autoscaling", REGION)
        self.ec2: Any = self.cloud.client("ec2", REGION)
        self.elb: Any = self.cloud.client("elbv2", REGION)

    def new_version(self, version: str = "2") -> None:
        self.ec2.create_launch_template_version(
            LaunchTemplateId=self.template,
            SourceVersion="1",
            # moto could not launch from a later version with user data.
            LaunchTemplateData={"ImageId": "ami-87654321", "UserData": "IyEvYmluL3NoCg=="},
        )
        self.autoscaling.update_auto_scaling_group(
            **GROUP, LaunchTemplate={"LaunchTemplateId": self.template, "Version": version}
        )

    def start(self, **preferences: Any) -> str:
        answer = self.autoscaling.start_instance_refresh(**GROUP, Preferences=preferences)
        return str(answer["InstanceRefreshId"])

    def to(self, minutes: int) -> int:
        """Advance to so many minutes after midnight; how many are in service then."""
        at = MONDAY + timedelta(minutes=minutes)
        clock.advance(self.cloud, at, lambda _: None)
        return fleets.in_service(self.cloud, "web", at)

    def versions(self) -> dict[str, str]:
        (found,) = self.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
        return {i["InstanceId"]: i["LaunchTemplate"]["Version"] for i in found["Instances"]}

    def targets(self) -> dict[str, str]:
        health = self.elb.describe_target_health(TargetGroupArn=self.target_group)
        return {
            found["Target"]["Id"]: found["TargetHealth"]["State"]
            for found in health["TargetHealthDescriptions"]
        }

    def refreshes(self) -> list[tuple[str, int, int]]:
        found = self.autoscaling.describe_instance_refreshes(**GROUP)["InstanceRefreshes"]
        return [(r["Status"], r["PercentageComplete"], r["InstancesToUpdate"]) for r in found]


@pytest.fixture
def world(shared: LocalCloud) -> Iterator[World]:
    fleets.record_path().unlink(missing_ok=True)
    clock.write(MONDAY - timedelta(hours=1), shared.generation)
    ec2, elb = shared.client("ec2", REGION), shared.client("elbv2", REGION)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    target_group = elb.create_target_group(Name="web", Protocol="HTTPS", Port=443, VpcId=vpc)
    arn = target_group["TargetGroups"][0]["TargetGroupArn"]
    template = ec2.create_launch_template(
        LaunchTemplateName="web",
        LaunchTemplateData={"ImageId": "ami-12345678", "InstanceType": "m7g.large"},
    )["LaunchTemplate"]["LaunchTemplateId"]
    autoscaling = shared.client("autoscaling", REGION)
    autoscaling.create_auto_scaling_group(
        **GROUP,
        LaunchTemplate={"LaunchTemplateId": template, "Version": "1"},
        VPCZoneIdentifier=subnet,
        TargetGroupARNs=[arn],
        MinSize=4,
        MaxSize=9,
    )
    clock.advance(shared, MONDAY, lambda _: None)
    yield World(shared, template, arn)
    autoscaling.delete_auto_scaling_group(**GROUP, ForceDelete=True)
    ec2.delete_launch_template(LaunchTemplateId=template)
    elb.delete_target_group(TargetGroupArn=arn)


def test_a_refresh_replaces_a_few_at_a_time_and_as_many_serve_throughout(world: World) -> None:
    old = set(world.versions())
    world.new_version()
    assert set(world.versions().values()) == {"1"}, "a new template replaces nothing by itself"
    world.start(**AHEAD)
    assert world.refreshes() == [("InProgress", 0, 4)]
    assert world.to(3) == 4
    assert set(world.versions()) == old, "successors boot"
    assert world.to(4) == 4
    assert sorted(world.versions().values()) == ["1", "1", "2", "2"]
    assert world.refreshes() == [("InProgress", 50, 2)]
    assert world.targets() == dict.fromkeys(world.versions(), "healthy")
    assert world.to(8) == 4
    assert set(world.versions().values()) == {"2"}
    assert not old & set(world.versions())
    assert world.refreshes() == [("Successful", 100, 0)]
    assert world.targets() == dict.fromkeys(world.versions(), "healthy")
    health = world.elb.describe_target_health(
        TargetGroupArn=world.target_group, Targets=[{"Id": next(iter(old))}]
    )
    assert health["TargetHealthDescriptions"][0]["TargetHealth"]["State"] == "draining"
    images = {
        instance["ImageId"]
        for reservation in world.ec2.describe_instances(InstanceIds=list(world.versions()))[
            "Reservations"
        ]
        for instance in reservation["Instances"]
    }
    assert images == {"ami-87654321"}


def test_where_no_more_than_all_may_be_healthy_old_ones_go_first(world: World) -> None:
    world.new_version()
    world.start(MinHealthyPercentage=50, MaxHealthyPercentage=100)
    assert world.to(3) == 2
    assert world.to(4) == 4
    assert world.to(5) == 2
    assert world.to(60) == 4
    assert world.refreshes() == [("Successful", 100, 0)]


def test_what_matches_stays_unless_all_are_asked_for(world: World) -> None:
    before = world.versions()
    world.autoscaling.update_auto_scaling_group(
        **GROUP, LaunchTemplate={"LaunchTemplateId": world.template, "Version": "$Latest"}
    )
    world.start(**AHEAD)
    assert world.refreshes() == [("Successful", 100, 0)]
    world.to(60)
    assert world.versions() == before
    world.start(**AHEAD | {"SkipMatching": False})
    world.to(120)
    assert not before.keys() & world.versions().keys()
    assert world.refreshes()[0] == ("Successful", 100, 0)


def test_one_refresh_at_a_time_and_one_that_is_cancelled_leaves_the_rest(world: World) -> None:
    with pytest.raises(ClientError, match="ActiveInstanceRefreshNotFound"):
        world.autoscaling.cancel_instance_refresh(**GROUP)
    world.new_version()
    world.start(**AHEAD)
    with pytest.raises(ClientError, match="InstanceRefreshInProgress"):
        world.start(**AHEAD)
    world.to(4)
    world.autoscaling.cancel_instance_refresh(**GROUP)
    world.to(60)
    assert world.refreshes() == [("Cancelled", 50, 2)]
    assert sorted(world.versions().values()) == ["1", "1", "2", "2"]


def test_what_cannot_go_back_may_not_promise_it(world: World) -> None:
    with pytest.raises(ClientError, match="AutoRollback parameter cannot be set to true"):
        world.start(**AHEAD | {"AutoRollback": True})
    with pytest.raises(ClientError, match="name not found"):
        world.autoscaling.start_instance_refresh(AutoScalingGroupName="wbe")


def test_who_leaves_the_group_leaves_the_target_group_and_who_comes_is_in_it(world: World) -> None:
    gone, *stayed = world.versions()
    world.ec2.terminate_instances(InstanceIds=[gone])
    (came,) = world.versions().keys() - set(stayed)
    assert world.targets() == dict.fromkeys(stayed, "healthy") | {came: "initial"}
    assert world.to(3) == 3
    assert world.targets()[came] == "initial"
    assert world.to(4) == 4
    assert world.targets()[came] == "healthy"
    world.autoscaling.update_auto_scaling_group(**GROUP, MinSize=1, DesiredCapacity=1)
    assert world.targets() == dict.fromkeys(world.versions(), "healthy")
    assert len(world.targets()) == 1
