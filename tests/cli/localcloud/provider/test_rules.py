"""Each rule of AWS with a request that keeps it and a twin that breaks it, with AWS's own code."""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.localcloud.provider.aws import AwsError, Cloud
from tests.cli.localcloud.provider.conftest import NOW, REGION, Moto

ASG, APP = "autoscaling", "application-autoscaling"

Request = dict[str, Any]


def _with(request: Request, path: str, value: Any) -> Request:
    """A copy of a request with one member changed (`A.B`), or removed when the value is None."""
    copy = json.loads(json.dumps(request))
    *parents, last = path.split(".")
    inner = copy
    for parent in parents:
        inner = inner[int(parent)] if isinstance(inner, list) else inner[parent]
    if value is None:
        del inner[last]
    elif isinstance(inner, list):
        inner[int(last)] = value
    else:
        inner[last] = value
    return copy


ACTION: Request = {
    "AutoScalingGroupName": "g",
    "ScheduledActionName": "a",
    "Recurrence": "45 7 * * 1-5",
    "TimeZone": "Europe/Stockholm",
    "StartTime": "2026-08-03T05:45:00Z",
    "EndTime": "2026-12-18T05:50:00Z",
    "MinSize": 2,
    "MaxSize": 4,
    "DesiredCapacity": 3,
}
GROUP: Request = {
    "AutoScalingGroupName": "g",
    "MinSize": 1,
    "MaxSize": 4,
    "DesiredCapacity": 2,
    "HealthCheckType": "EC2,ELB",
    "MaxInstanceLifetime": 86_400,
    "TerminationPolicies": ["Default"],
}
TRACKING: Request = {
    "AutoScalingGroupName": "g",
    "PolicyName": "p",
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingConfiguration": {
        "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
        "TargetValue": 60.0,
    },
}
REPLICAS: Request = {
    "ServiceNamespace": "rds",
    "ResourceId": "cluster:c",
    "ScalableDimension": "rds:cluster:ReadReplicaCount",
}
REPLICA_ACTION: Request = REPLICAS | {
    "ScheduledActionName": "a",
    "Schedule": "cron(30 7 ? * MON-FRI *)",
    "Timezone": "Europe/Stockholm",
    "StartTime": "2026-08-03T05:45:00Z",
    "EndTime": "2026-12-18T05:50:00Z",
    "ScalableTargetAction": {"MinCapacity": 2, "MaxCapacity": 15},
}
RULE: Request = {
    "GroupId": "sg-1",
    "IpPermissions": [
        {
            "IpProtocol": "tcp",
            "FromPort": 80,
            "ToPort": 443,
            "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "AWS services, web"}],
        }
    ],
}
TEMPLATE: Request = {
    "LaunchTemplateName": "web",
    "LaunchTemplateData": {
        "ImageId": "ami-12c6146b",
        "InstanceType": "t3.micro",
        "UserData": base64.b64encode(b"x" * 16_384).decode(),
        "SecurityGroupIds": ["sg-1"],
        "BlockDeviceMappings": [
            {"DeviceName": "/dev/xvda", "Ebs": {"VolumeType": "gp3", "VolumeSize": 8, "Iops": 3000}}
        ],
    },
}
TARGETS: Request = {
    "Name": "a" * 32,
    "HealthCheckPath": "/healthz",
    "HealthCheckIntervalSeconds": 10,
    "HealthCheckTimeoutSeconds": 5,
    "Matcher": {"HttpCode": "200-299,301"},
}
LISTENER_RULE: Request = {
    "ListenerArn": "arn",
    "Priority": 50_000,
    "Actions": [{"Type": "forward"}],
    "Conditions": [
        {"Field": "host-header", "HostHeaderConfig": {"Values": ["a.example.org", "*.b.org"]}},
        {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/a", "/b", "/c*"]}},
    ],
}
LOG_GROUP: str = "arn:aws:logs:eu-north-1:123456789012:log-group:floors"
MACHINE: Request = {
    "name": "floors",
    "definition": "{}",
    "roleArn": "arn:aws:iam::123456789012:role/floors",
    "loggingConfiguration": {
        "level": "ERROR",
        "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": f"{LOG_GROUP}:*"}}],
    },
}
CLUSTER: Request = {
    "DBClusterIdentifier": "c" * 63,
    "Engine": "aurora-postgresql",
    "BackupRetentionPeriod": 35,
    "Port": 5432,
    "MasterUsername": "lms",
    "MasterUserPassword": "longenough",
    "DatabaseName": "lms",
    "EnableCloudwatchLogsExports": ["postgresql"],
    "PreferredBackupWindow": "01:00-02:00",
    "PreferredMaintenanceWindow": "sun:03:00-sun:04:00",
    "ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 256.0},
}
INSTANCE: Request = {
    "DBInstanceIdentifier": "writer-1",
    "DBInstanceClass": "db.r6g.large",
    "Engine": "aurora-postgresql",
    "PromotionTier": 15,
    "MonitoringInterval": 60,
    "MonitoringRoleArn": "arn:aws:iam::123456789012:role/monitoring",
    "PerformanceInsightsRetentionPeriod": 731,
}

# (service, operation, good request, what the twin changes, to what, AWS's code)
TWINS: list[tuple[str, str, Request, str, Any, str]] = [
    # botocore's model: enum, pattern, minimum, maximum, required, type, unknown member
    (APP, "register_scalable_target", REPLICAS, "ScalableDimension", "x", "ValidationException"),
    ("ec2", "create_launch_template", TEMPLATE, "LaunchTemplateData.InstanceType", "t3.mikro",
     "InvalidParameterValue"),
    ("elbv2", "create_rule", LISTENER_RULE, "Priority", 50_001, "ValidationError"),
    ("elbv2", "create_target_group", TARGETS, "HealthCheckIntervalSeconds", 4, "ValidationError"),
    (ASG, "put_scheduled_update_group_action", ACTION, "AutoScalingGroupName", None,
     "ValidationError"),
    (ASG, "put_scheduled_update_group_action", ACTION, "MinSize", "2", "ValidationError"),
    (ASG, "put_scheduled_update_group_action", ACTION, "Minimum", 2, "ValidationError"),
    (ASG, "put_scheduled_update_group_action", ACTION, "StartTime", "monday", "ValidationError"),
    # scheduled actions
    (ASG, "put_scheduled_update_group_action", ACTION, "StartTime", NOW, "ValidationError"),
    (ASG, "put_scheduled_update_group_action", ACTION, "EndTime", "2026-08-03T05:45:00Z",
     "ValidationError"),
    (ASG, "put_scheduled_update_group_action", ACTION, "Recurrence", "45 7 * * 1-5 *",
     "ValidationError"),
    (ASG, "put_scheduled_update_group_action", ACTION, "Recurrence", "61 7 * * 1-5",
     "ValidationError"),
    (ASG, "put_scheduled_update_group_action", ACTION, "TimeZone", "Europe/Malmo",
     "ValidationError"),
    (ASG, "put_scheduled_update_group_action", ACTION, "MinSize", 5, "ValidationError"),
    (ASG, "put_scheduled_update_group_action", ACTION, "DesiredCapacity", 5, "ValidationError"),
    # groups and policies
    (ASG, "create_auto_scaling_group", GROUP, "MinSize", 5, "ValidationError"),
    (ASG, "create_auto_scaling_group", GROUP, "DesiredCapacity", 0, "ValidationError"),
    (ASG, "create_auto_scaling_group", GROUP, "MaxInstanceLifetime", 86_399, "ValidationError"),
    (ASG, "create_auto_scaling_group", GROUP, "HealthCheckType", "ALB", "ValidationError"),
    (ASG, "create_auto_scaling_group", GROUP, "TerminationPolicies", ["Oldest"], "ValidationError"),
    (ASG, "put_scaling_policy", TRACKING, "PolicyType", "TargetTracking", "ValidationError"),
    (ASG, "put_scaling_policy", TRACKING, "TargetTrackingConfiguration", None, "ValidationError"),
    (ASG, "put_scaling_policy", TRACKING, "TargetTrackingConfiguration.TargetValue", 0,
     "ValidationError"),
    (ASG, "put_scaling_policy", TRACKING,
     "TargetTrackingConfiguration.PredefinedMetricSpecification", None, "ValidationError"),
    # Application Auto Scaling
    (APP, "register_scalable_target", REPLICAS | {"MinCapacity": 0, "MaxCapacity": 15},
     "MaxCapacity", 16, "ValidationException"),
    (APP, "register_scalable_target", REPLICAS | {"MinCapacity": 1, "MaxCapacity": 15},
     "MaxCapacity", 0, "ValidationException"),
    (APP, "register_scalable_target", REPLICAS, "ResourceId", "c", "ValidationException"),
    (APP, "put_scheduled_action", REPLICA_ACTION, "Schedule", "30 7 * * 1-5",
     "ValidationException"),
    (APP, "put_scheduled_action", REPLICA_ACTION, "Schedule", "cron(30 7 * * 1-5)",
     "ValidationException"),
    (APP, "put_scheduled_action", REPLICA_ACTION, "Schedule", "cron(30 7 * * MON-FRI *)",
     "ValidationException"),
    (APP, "put_scheduled_action", REPLICA_ACTION, "Schedule", "cron(30 24 ? * MON-FRI *)",
     "ValidationException"),
    (APP, "put_scheduled_action", REPLICA_ACTION | {"Schedule": "at(2026-09-01T08:00:00)"},
     "Schedule", "at(2026-09-31T08:00:00)", "ValidationException"),
    (APP, "put_scheduled_action", REPLICA_ACTION | {"Schedule": "rate(1 minute)"},
     "Schedule", "rate(1 minutes)", "ValidationException"),
    (APP, "put_scheduled_action", REPLICA_ACTION, "Timezone", "Mars/Olympus",
     "ValidationException"),
    (APP, "put_scheduled_action", REPLICA_ACTION, "StartTime", NOW, "ValidationException"),
    (APP, "put_scheduled_action", REPLICA_ACTION, "ScalableTargetAction.MaxCapacity", 1,
     "ValidationException"),
    # ranges
    ("ec2", "create_vpc", {"CidrBlock": "10.0.0.0/16"}, "CidrBlock", "10.0.0.0/15",
     "InvalidVpc.Range"),
    ("ec2", "create_vpc", {"CidrBlock": "10.0.0.0/16"}, "CidrBlock", "10.0.0.1/16",
     "InvalidParameterValue"),
    ("ec2", "create_subnet", {"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/28"}, "CidrBlock",
     "10.0.0.0/29", "InvalidSubnet.Range"),
    # security groups
    ("ec2", "authorize_security_group_ingress", RULE, "IpPermissions.0.IpRanges.0.Description",
     "AWS's services", "InvalidParameterValue"),
    ("ec2", "authorize_security_group_ingress", RULE, "IpPermissions.0.IpRanges.0.CidrIp",
     "10.0.0.1/8", "InvalidParameterValue"),
    ("ec2", "authorize_security_group_ingress", RULE, "IpPermissions.0.FromPort", 444,
     "InvalidParameterValue"),
    ("ec2", "authorize_security_group_ingress", RULE, "IpPermissions.0.IpProtocol", "-1",
     "InvalidParameterValue"),
    ("ec2", "create_security_group", {"GroupName": "web", "Description": "web"}, "GroupName",
     "sg-web", "InvalidParameterValue"),
    ("ec2", "create_security_group", {"GroupName": "web", "Description": "web"}, "Description",
     "für alle", "InvalidParameterValue"),
    # launch templates
    ("ec2", "create_launch_template", TEMPLATE, "LaunchTemplateName", "w!",
     "InvalidLaunchTemplateName.MalformedException"),
    ("ec2", "create_launch_template", TEMPLATE, "LaunchTemplateData.ImageId", "ami-1",
     "InvalidAMIID.Malformed"),
    ("ec2", "create_launch_template", TEMPLATE, "LaunchTemplateData.UserData",
     base64.b64encode(b"x" * 16_385).decode(), "InvalidParameterValue"),
    ("ec2", "create_launch_template", TEMPLATE, "LaunchTemplateData.UserData", "#!/bin/sh",
     "InvalidUserData.Malformed"),
    ("ec2", "create_launch_template", TEMPLATE, "LaunchTemplateData.NetworkInterfaces",
     [{"DeviceIndex": 0}], "InvalidParameterCombination"),
    ("ec2", "create_launch_template", TEMPLATE,
     "LaunchTemplateData.BlockDeviceMappings.0.Ebs.Iops", 2_999, "InvalidParameterValue"),
    # load balancers
    ("elbv2", "create_target_group", TARGETS, "Name", "a" * 33, "ValidationError"),
    ("elbv2", "create_target_group", TARGETS, "Name", "web-", "ValidationError"),
    ("elbv2", "create_target_group", TARGETS, "HealthCheckPath", "healthz", "ValidationError"),
    ("elbv2", "create_target_group", TARGETS, "HealthCheckTimeoutSeconds", 10, "ValidationError"),
    ("elbv2", "create_target_group", TARGETS, "Matcher.HttpCode", "OK", "ValidationError"),
    ("elbv2", "create_rule", LISTENER_RULE, "Conditions.1.PathPatternConfig.Values",
     ["/a", "/b", "/c", "/d"], "ValidationError"),
    ("elbv2", "create_rule", LISTENER_RULE, "Conditions.0.HostHeaderConfig.Values", ["localhost"],
     "ValidationError"),
    ("elbv2", "create_rule", LISTENER_RULE, "Conditions.0.HostHeaderConfig.Values", ["a.org.*"],
     "ValidationError"),
    ("elbv2", "create_rule", LISTENER_RULE, "Conditions.1.PathPatternConfig.Values", ["/a b"],
     "ValidationError"),
    # state machines
    ("stepfunctions", "create_state_machine", MACHINE, "loggingConfiguration.destinations", [],
     "InvalidLoggingConfiguration"),
    ("stepfunctions", "create_state_machine", MACHINE,
     "loggingConfiguration.destinations.0.cloudWatchLogsLogGroup.logGroupArn", LOG_GROUP,
     "InvalidLoggingConfiguration"),
    # databases
    ("rds", "create_db_cluster", CLUSTER, "DBClusterIdentifier", "c" * 64, "InvalidParameterValue"),
    ("rds", "create_db_cluster", CLUSTER, "DBClusterIdentifier", "a--b", "InvalidParameterValue"),
    ("rds", "create_db_cluster", CLUSTER, "BackupRetentionPeriod", 36, "InvalidParameterValue"),
    ("rds", "create_db_cluster", CLUSTER, "Port", 1_149, "InvalidParameterValue"),
    ("rds", "create_db_cluster", CLUSTER, "MasterUsername", "rdsadmin", "InvalidParameterValue"),
    ("rds", "create_db_cluster", CLUSTER, "MasterUserPassword", "1234567", "InvalidParameterValue"),
    ("rds", "create_db_cluster", CLUSTER, "MasterUserPassword", "p@ssword1",
     "InvalidParameterValue"),
    ("rds", "create_db_cluster", CLUSTER, "ManageMasterUserPassword", True,
     "InvalidParameterCombination"),
    ("rds", "create_db_cluster", CLUSTER, "DatabaseName", "my-lms", "InvalidParameterValue"),
    ("rds", "create_db_cluster", CLUSTER, "EnableCloudwatchLogsExports", ["audit"],
     "InvalidParameterCombination"),
    ("rds", "create_db_cluster", CLUSTER, "PreferredBackupWindow", "1:00-2:00",
     "InvalidParameterValue"),
    ("rds", "create_db_cluster", CLUSTER, "PreferredMaintenanceWindow", "sunday",
     "InvalidParameterValue"),
    ("rds", "create_db_cluster", CLUSTER, "ServerlessV2ScalingConfiguration.MinCapacity", 0.7,
     "InvalidParameterValue"),
    ("rds", "create_db_instance", INSTANCE, "DBInstanceClass", "db.r6g.huge",
     "InvalidParameterValue"),
    ("rds", "create_db_instance", INSTANCE, "PromotionTier", 16, "InvalidParameterValue"),
    ("rds", "create_db_instance", INSTANCE, "MonitoringInterval", 20, "InvalidParameterValue"),
    ("rds", "create_db_instance", INSTANCE, "PerformanceInsightsRetentionPeriod", 30,
     "InvalidParameterValue"),
    ("rds", "delete_db_cluster",
     {"DBClusterIdentifier": "c", "FinalDBSnapshotIdentifier": "c-final"},
     "FinalDBSnapshotIdentifier", None, "InvalidParameterCombination"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTBELL_HOME", str(tmp_path))
    monkeypatch.delenv("FIRSTBELL_NOW", raising=False)
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "clock.json").write_text(json.dumps({"now": NOW, "generation": "t"}))


@pytest.fixture(scope="module")
def offline() -> Cloud:
    """A Region with nobody behind it: rules about a request alone must not call it."""
    return Cloud("http://127.0.0.1:9", REGION)


@pytest.mark.parametrize(
    ("service", "operation", "request_", "path", "value", "code"),
    TWINS,
    ids=[f"{operation}-{path}-{value}"[:80] for _, operation, _, path, value, _ in TWINS],
)
def test_a_request_that_aws_refuses_is_refused_with_its_code(  # noqa: PLR0917 (one a column)
    offline: Cloud,
    service: str,
    operation: str,
    request_: Request,
    path: str,
    value: Any,
    code: str,
) -> None:
    offline.check(service, operation, request_, preview=True)
    with pytest.raises(AwsError) as refusal:
        offline.check(service, operation, _with(request_, path, value), preview=True)
    assert refusal.value.code == code


def test_a_monitoring_role_is_asked_for_once_its_arn_can_be_known(offline: Cloud) -> None:
    request = _with(INSTANCE, "MonitoringRoleArn", None)
    offline.check("rds", "create_db_instance", request, preview=True)
    with pytest.raises(AwsError) as refusal:
        offline.check("rds", "create_db_instance", request)
    assert refusal.value.code == "InvalidParameterCombination"


def test_a_password_stands_in_no_message(offline: Cloud) -> None:
    for password in ("sevench", "with space in it", "p@ssw0rd-p@ssw0rd"):
        request = _with(CLUSTER, "MasterUserPassword", password)
        with pytest.raises(AwsError) as refusal:
            offline.check("rds", "create_db_cluster", request, preview=True)
        assert password not in str(refusal.value)


# ---- Rules about what exists already ---------------------------------------------------------


@dataclass(frozen=True)
class World:
    """A VPC, two subnets in different zones, a third beside the first, and two groups."""

    cloud: Cloud
    vpc: str
    subnets: list[str]
    group: str
    other: str


@pytest.fixture
def world(moto: Moto) -> World:
    cloud, name = Cloud(moto.endpoint, REGION), f"t{uuid.uuid4().hex[:7]}"
    vpc = cloud.call("ec2", "create_vpc", CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    zones = [f"{REGION}a", f"{REGION}b", f"{REGION}a"]
    subnets = [
        cloud.call(
            "ec2",
            "create_subnet",
            VpcId=vpc,
            CidrBlock=f"10.9.{i}.0/24",
            AvailabilityZone=zone,
        )["Subnet"]["SubnetId"]
        for i, zone in enumerate(zones)
    ]
    template = cloud.call(
        "ec2", "create_launch_template", **_with(TEMPLATE, "LaunchTemplateName", name)
    )["LaunchTemplate"]["LaunchTemplateId"]
    for group in (f"{name}-a", f"{name}-b"):
        cloud.call(
            ASG,
            "create_auto_scaling_group",
            AutoScalingGroupName=group,
            MinSize=0,
            MaxSize=4,
            VPCZoneIdentifier=subnets[0],
            LaunchTemplate={"LaunchTemplateId": template},
        )
    return World(cloud, vpc, subnets, f"{name}-a", f"{name}-b")


def _put(world: World, group: str, name: str, minute: int, hour: int = 7) -> None:
    world.cloud.call(
        ASG,
        "put_scheduled_update_group_action",
        AutoScalingGroupName=group,
        ScheduledActionName=name,
        Recurrence=f"{minute} {hour} * * *",
        MinSize=1,
    )


def _code(world: World, service: str, operation: str, **request: Any) -> str:
    with pytest.raises(AwsError) as refusal:
        world.cloud.call(service, operation, **request)
    return refusal.value.code


def test_the_126th_scheduled_action_of_a_group_is_refused(world: World) -> None:
    for number in range(125):
        _put(world, world.group, f"{world.group}-{number}", number % 60, number // 60)
    with pytest.raises(AwsError) as refusal:
        _put(world, world.group, f"{world.group}-125", 59, 23)
    assert refusal.value.code == "LimitExceeded"
    _put(world, world.other, f"{world.other}-0", 59, 23)
    world.cloud.call(
        ASG,
        "delete_scheduled_action",
        AutoScalingGroupName=world.group,
        ScheduledActionName=f"{world.group}-7",
    )
    _put(world, world.group, f"{world.group}-125", 59, 23)


def test_two_actions_of_a_group_cannot_start_at_the_same_time(world: World) -> None:
    _put(world, world.group, f"{world.group}-x", 45)
    _put(world, world.group, f"{world.group}-x", 45)  # itself again
    _put(world, world.other, f"{world.other}-x", 45)  # another group
    with pytest.raises(AwsError) as refusal:
        _put(world, world.group, f"{world.group}-y", 45)
    assert refusal.value.code == "AlreadyExists"
    assert "this scheduled start time already exists" in str(refusal.value)
    _put(world, world.group, f"{world.group}-y", 46)


def test_an_action_of_another_groups_name_is_refused_instead_of_replacing_it(world: World) -> None:
    _put(world, world.group, f"{world.group}-x", 45)
    with pytest.raises(AwsError) as refusal:
        _put(world, world.other, f"{world.group}-x", 46)
    assert refusal.value.code == "LocalCloudLimitation"
    answer = world.cloud.call(ASG, "describe_scheduled_actions", AutoScalingGroupName=world.group)
    assert [a["Recurrence"] for a in answer["ScheduledUpdateGroupActions"]] == ["45 7 * * *"]


def test_an_action_without_a_time_or_a_group_is_refused(world: World) -> None:
    names = {"AutoScalingGroupName": world.group, "ScheduledActionName": f"{world.group}-x"}
    put = "put_scheduled_update_group_action"
    assert _code(world, ASG, put, **names, MinSize=1) == "ValidationError"
    names["AutoScalingGroupName"] = "nowhere"
    assert _code(world, ASG, put, **names, MinSize=1, Recurrence="0 1 * * *") == "ValidationError"


def test_a_second_group_of_a_name_is_refused(world: World) -> None:
    request = {"AutoScalingGroupName": world.group, "MinSize": 0, "MaxSize": 1}
    assert _code(world, ASG, "create_auto_scaling_group", **request) == "AlreadyExists"
    request["AutoScalingGroupName"] = f"{world.group}-new"
    assert _code(world, ASG, "create_auto_scaling_group", **request) == "ValidationError"


def test_a_minimum_above_the_maximum_that_stays_is_refused(world: World) -> None:
    update = "update_auto_scaling_group"
    request = {"AutoScalingGroupName": world.group, "MinSize": 5}
    assert _code(world, ASG, update, **request) == "ValidationError"
    world.cloud.call(ASG, update, AutoScalingGroupName=world.group, MinSize=0, MaxSize=5)


def test_a_request_count_policy_needs_a_target_group_of_its_group(world: World) -> None:
    tracking = {
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "ALBRequestCountPerTarget",
            "ResourceLabel": "app/a/1/targetgroup/b/2",
        },
        "TargetValue": 60.0,
    }
    request = TRACKING | {
        "AutoScalingGroupName": world.group,
        "TargetTrackingConfiguration": tracking,
    }
    assert _code(world, ASG, "put_scaling_policy", **request) == "ValidationError"
    world.cloud.call(
        ASG, "put_scaling_policy", **(TRACKING | {"AutoScalingGroupName": world.group})
    )


def test_a_request_count_policy_needs_a_balancer_that_forwards_to_its_target_group(
    world: World,
) -> None:
    call, name = world.cloud.call, world.group
    gateway = call("ec2", "create_internet_gateway")["InternetGateway"]["InternetGatewayId"]
    call("ec2", "attach_internet_gateway", VpcId=world.vpc, InternetGatewayId=gateway)
    balancer = call("elbv2", "create_load_balancer", Name=name, Subnets=world.subnets[:2])
    target_group = call(
        "elbv2", "create_target_group", Name=name, Protocol="HTTP", Port=80, VpcId=world.vpc
    )["TargetGroups"][0]["TargetGroupArn"]
    attach = "attach_load_balancer_target_groups"
    call(ASG, attach, AutoScalingGroupName=name, TargetGroupARNs=[target_group])
    balancer_arn = balancer["LoadBalancers"][0]["LoadBalancerArn"]
    label = f"{balancer_arn.partition('loadbalancer/')[2]}/{target_group.rpartition(':')[2]}"
    metric = {"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": label}
    tracking = {"PredefinedMetricSpecification": metric, "TargetValue": 60.0}
    request = TRACKING | {"AutoScalingGroupName": name, "TargetTrackingConfiguration": tracking}
    with pytest.raises(AwsError, match="does not route traffic to the target group"):
        call(ASG, "put_scaling_policy", **request)
    call(
        "elbv2",
        "create_listener",
        LoadBalancerArn=balancer_arn,
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": target_group}],
    )
    call(ASG, "put_scaling_policy", **request)


@pytest.mark.parametrize(
    ("cidr", "code"),
    [("10.8.0.0/24", "InvalidSubnet.Range"), ("10.9.0.128/25", "InvalidSubnet.Conflict")],
)
def test_a_subnet_outside_its_vpc_or_over_another_is_refused(
    world: World, cidr: str, code: str
) -> None:
    request = {"VpcId": world.vpc, "AvailabilityZone": f"{REGION}a"}
    assert _code(world, "ec2", "create_subnet", **request, CidrBlock=cidr) == code
    world.cloud.call("ec2", "create_subnet", **request, CidrBlock="10.9.100.0/24")


def test_a_zone_of_another_region_is_refused(world: World) -> None:
    request = {"VpcId": world.vpc, "CidrBlock": "10.9.50.0/24"}
    code = _code(world, "ec2", "create_subnet", **request, AvailabilityZone="us-east-1a")
    assert code == "InvalidParameterValue"


def test_the_same_rule_twice_is_refused(world: World) -> None:
    group = world.cloud.call(
        "ec2", "create_security_group", GroupName="web", Description="web", VpcId=world.vpc
    )["GroupId"]
    request = RULE | {"GroupId": group}
    world.cloud.call("ec2", "authorize_security_group_ingress", **request)
    code = _code(world, "ec2", "authorize_security_group_ingress", **request)
    assert code == "InvalidPermission.Duplicate"


def test_a_load_balancer_needs_two_zones_and_a_way_to_the_internet(world: World) -> None:
    name = f"lb-{world.group}"[:32]
    one_zone, two_zones = [world.subnets[0], world.subnets[2]], world.subnets[:2]
    create = "create_load_balancer"
    assert _code(world, "elbv2", create, Name=name, Subnets=one_zone) == "ValidationError"
    assert _code(world, "elbv2", create, Name=name, Subnets=two_zones) == "InvalidSubnet"
    gateway = world.cloud.call("ec2", "create_internet_gateway")["InternetGateway"]
    world.cloud.call(
        "ec2",
        "attach_internet_gateway",
        VpcId=world.vpc,
        InternetGatewayId=gateway["InternetGatewayId"],
    )
    world.cloud.call("elbv2", create, Name=name, Subnets=two_zones)


def test_a_database_subnet_group_needs_two_zones(world: World) -> None:
    request = {"DBSubnetGroupName": world.group, "DBSubnetGroupDescription": "db"}
    code = _code(
        world,
        "rds",
        "create_db_subnet_group",
        **request,
        SubnetIds=[world.subnets[0], world.subnets[2]],
    )
    assert code == "DBSubnetGroupDoesNotCoverEnoughAZs"
    world.cloud.call("rds", "create_db_subnet_group", **request, SubnetIds=world.subnets[:2])


def test_replicas_are_scheduled_for_registered_targets_of_real_clusters_alone(
    world: World,
) -> None:
    replicas = REPLICAS | {"ResourceId": f"cluster:{world.group}"}
    bounds = {"MinCapacity": 0, "MaxCapacity": 2}
    register = "register_scalable_target"
    assert _code(world, APP, register, **replicas, **bounds) == "ValidationException"
    world.cloud.call(
        "rds",
        "create_db_cluster",
        DBClusterIdentifier=world.group,
        Engine="aurora-postgresql",
        MasterUsername="lms",
        MasterUserPassword="longenough",
    )
    with pytest.raises(AwsError, match="has no writer yet"):
        world.cloud.call(APP, register, **replicas, **bounds)
    world.cloud.call(
        "rds",
        "create_db_instance",
        DBInstanceIdentifier=world.group,
        DBClusterIdentifier=world.group,
        DBInstanceClass="db.r6g.large",
        Engine="aurora-postgresql",
    )
    action = REPLICA_ACTION | replicas
    code = _code(world, APP, "put_scheduled_action", **action)
    assert code == "ObjectNotFoundException"
    world.cloud.call(APP, register, **replicas, **bounds)
    for number in range(200):
        world.cloud.call(
            APP, "put_scheduled_action", **(action | {"ScheduledActionName": f"a{number}"})
        )
    code = _code(world, APP, "put_scheduled_action", **(action | {"ScheduledActionName": "b"}))
    assert code == "LimitExceededException"
