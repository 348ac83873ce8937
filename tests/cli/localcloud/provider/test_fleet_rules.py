"""What AWS demands of lifecycle hooks, warm pools, metric math and queues, with known-bad twins."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from cli.localcloud.provider.aws import AwsError, Cloud
from tests.cli.localcloud.provider.conftest import REGION, Moto

Request = dict[str, Any]

HOOK: Request = {
    "AutoScalingGroupName": "g",
    "LifecycleHookName": "ready",
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
    "DefaultResult": "ABANDON",
    "HeartbeatTimeout": 480,
}
GROUP: Request = {
    "AutoScalingGroupName": "g",
    "MinSize": 1,
    "MaxSize": 4,
    "LifecycleHookSpecificationList": [
        {k: v for k, v in HOOK.items() if k != "AutoScalingGroupName"}
    ],
}
METRICS = "TargetTrackingConfiguration.CustomizedMetricSpecification.Metrics"
BACKLOG: Request = {
    "AutoScalingGroupName": "g",
    "PolicyName": "p",
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingConfiguration": {
        "TargetValue": 10.0,
        "CustomizedMetricSpecification": {
            "Metrics": [
                {
                    "Id": "waiting",
                    "MetricStat": {
                        "Metric": {
                            "Namespace": "AWS/SQS",
                            "MetricName": "ApproximateNumberOfMessagesVisible",
                            "Dimensions": [{"Name": "QueueName", "Value": "jobs"}],
                        },
                        "Stat": "Sum",
                    },
                    "ReturnData": False,
                },
                {"Id": "backlog", "Expression": "IF(waiting > 0, waiting, 0)"},
            ]
        },
    },
}
QUEUE: Request = {
    "QueueName": "jobs",
    "Attributes": {
        "VisibilityTimeout": "1800",
        "MessageRetentionPeriod": "1209600",
        "ReceiveMessageWaitTimeSeconds": "20",
        "RedrivePolicy": '{"deadLetterTargetArn": "arn:aws:sqs:x:1:f", "maxReceiveCount": 3}',
    },
}
VALIDATION, ATTRIBUTE = "ValidationError", "InvalidAttributeValue"
TWINS: list[tuple[str, str, Request, str, Any, str]] = [
    ("autoscaling", "put_lifecycle_hook", HOOK, "LifecycleTransition", "launching", VALIDATION),
    ("autoscaling", "put_lifecycle_hook", HOOK, "DefaultResult", "WAIT", VALIDATION),
    ("autoscaling", "put_lifecycle_hook", HOOK, "HeartbeatTimeout", 29, VALIDATION),
    ("autoscaling", "put_lifecycle_hook", HOOK, "HeartbeatTimeout", 7201, VALIDATION),
    ("autoscaling", "put_lifecycle_hook", HOOK, "RoleARN", "arn:aws:iam::1:role/r", VALIDATION),
    ("autoscaling", "create_auto_scaling_group", GROUP,
     "LifecycleHookSpecificationList.0.HeartbeatTimeout", 7201, VALIDATION),
    ("autoscaling", "put_scaling_policy", BACKLOG, f"{METRICS}.0.Id", "Waiting", VALIDATION),
    ("autoscaling", "put_scaling_policy", BACKLOG, f"{METRICS}.1.Id", "waiting", VALIDATION),
    ("autoscaling", "put_scaling_policy", BACKLOG, f"{METRICS}.0.ReturnData", True, VALIDATION),
    ("autoscaling", "put_scaling_policy", BACKLOG, f"{METRICS}.1.Expression", "jobs / 2",
     VALIDATION),
    ("autoscaling", "put_scaling_policy", BACKLOG, f"{METRICS}.0.Expression", "1", VALIDATION),
    ("sqs", "create_queue", QUEUE, "Attributes.VisibilityTimeout", "43201", ATTRIBUTE),
    ("sqs", "create_queue", QUEUE, "Attributes.MessageRetentionPeriod", "59", ATTRIBUTE),
    ("sqs", "create_queue", QUEUE, "Attributes.ReceiveMessageWaitTimeSeconds", "21", ATTRIBUTE),
    ("sqs", "create_queue", QUEUE, "Attributes.RedrivePolicy", '{"maxReceiveCount": 0}', ATTRIBUTE),
]  # fmt: skip


def changed(request: Request, path: str, value: Any) -> Request:
    result = copy.deepcopy(request)
    *parents, last = path.split(".")
    inner: Any = result
    for parent in parents:
        inner = inner[int(parent)] if isinstance(inner, list) else inner[parent]
    inner[last] = value
    return result


@pytest.mark.parametrize(
    ("service", "operation", "request_", "path", "value", "code"),
    TWINS,
    ids=[f"{operation}-{path}-{value}"[:90] for _, operation, _, path, value, _ in TWINS],
)
def test_a_request_that_aws_refuses_is_refused_with_its_code(  # noqa: PLR0917 (one a column)
    service: str, operation: str, request_: Request, path: str, value: Any, code: str
) -> None:
    offline = Cloud("http://127.0.0.1:9", REGION)
    offline.check(service, operation, request_, preview=True)
    with pytest.raises(AwsError) as refusal:
        offline.check(service, operation, changed(request_, path, value), preview=True)
    assert refusal.value.code == code


def refused(cloud: Cloud, operation: str, **request: Any) -> str | None:
    try:
        cloud.call("autoscaling", operation, **request)
    except AwsError as error:
        return str(error)
    return None


@pytest.fixture
def cloud(moto: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    monkeypatch.setenv("FIRSTBELL_HOME", str(tmp_path))
    return Cloud(moto.endpoint, REGION)


@pytest.fixture
def make_group(cloud: Cloud) -> Generator[Any]:
    """Makes groups of mixed instances, and removes them afterwards."""
    vpc = cloud.call("ec2", "create_vpc", CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
    subnet = cloud.call("ec2", "create_subnet", VpcId=vpc, CidrBlock="10.77.0.0/24")["Subnet"]
    made: list[str] = []

    def make(on_demand_percent: int = 100) -> str:
        name = f"g-{uuid.uuid4().hex[:8]}"
        template = cloud.call(
            "ec2",
            "create_launch_template",
            LaunchTemplateName=name,
            LaunchTemplateData={"ImageId": "ami-12c6146b", "InstanceType": "t3.micro"},
        )["LaunchTemplate"]
        cloud.call(
            "autoscaling",
            "create_auto_scaling_group",
            AutoScalingGroupName=name,
            MinSize=0,
            MaxSize=4,
            VPCZoneIdentifier=subnet["SubnetId"],
            MixedInstancesPolicy={
                "InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": on_demand_percent},
                "LaunchTemplate": {
                    "LaunchTemplateSpecification": {
                        "LaunchTemplateId": template["LaunchTemplateId"],
                        "Version": "1",
                    },
                    "Overrides": [{"InstanceType": "t3.micro"}, {"InstanceType": "t3.large"}],
                },
            },
        )
        made.append(name)
        return name

    yield make
    for name in made:
        cloud.call(
            "autoscaling", "delete_auto_scaling_group", AutoScalingGroupName=name, ForceDelete=True
        )
        cloud.call("ec2", "delete_launch_template", LaunchTemplateName=name)
    cloud.call("ec2", "delete_subnet", SubnetId=subnet["SubnetId"])
    cloud.call("ec2", "delete_vpc", VpcId=vpc)


def test_a_warm_pool_goes_with_mixed_instances_but_not_with_spot(
    cloud: Cloud, make_group: Any
) -> None:
    pool = {"PoolState": "Stopped", "MaxGroupPreparedCapacity": 3}
    on_demand, spot = make_group(), make_group(50)
    assert refused(cloud, "put_warm_pool", AutoScalingGroupName=on_demand, **pool) is None
    found = refused(cloud, "put_warm_pool", AutoScalingGroupName=spot, **pool)
    assert found is not None
    assert "ValidationError" in found
    assert "Spot Instances" in found


def test_a_hook_needs_a_group_and_a_new_one_a_transition(cloud: Cloud, make_group: Any) -> None:
    put = "put_lifecycle_hook"
    nowhere = HOOK | {"AutoScalingGroupName": "nowhere"}
    assert "not found" in str(refused(cloud, put, **nowhere))
    hook = HOOK | {"AutoScalingGroupName": make_group()}
    without = {k: v for k, v in hook.items() if k != "LifecycleTransition"}
    assert "needs a LifecycleTransition" in str(refused(cloud, put, **without))
    assert refused(cloud, put, **hook) is None
    assert refused(cloud, put, **without) is None


def test_the_51st_hook_of_a_group_is_refused(cloud: Cloud, make_group: Any) -> None:
    hook = HOOK | {"AutoScalingGroupName": make_group()}
    for number in range(50):
        assert (
            refused(cloud, "put_lifecycle_hook", **hook | {"LifecycleHookName": f"h{number}"})
            is None
        )
    assert "LimitExceeded" in str(refused(cloud, "put_lifecycle_hook", **hook))
