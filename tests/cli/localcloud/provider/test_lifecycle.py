"""Every resource type through its whole life on the real engine and a real moto server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from cli.localcloud.provider.rows import ROWS
from tests.cli.localcloud.provider.conftest import Bench, Moto
from tests.cli.localcloud.provider.program import Variant, everything

Client = Callable[[str], Any]
Drift = Callable[[Client, dict[str, Any]], object]


def _tag(client: Client, state: dict[str, Any]) -> None:
    client("ec2").create_tags(Resources=[state["id"]], Tags=[{"Key": "color", "Value": "evil"}])


def _by(state: dict[str, Any]) -> dict[str, Any]:
    return {
        "ServiceNamespace": "rds",
        "ResourceId": state["outputs"]["resourceId"],
        "ScalableDimension": "rds:cluster:ReadReplicaCount",
    }


def _new_template(client: Client, state: dict[str, Any]) -> None:
    client("ec2").create_launch_template_version(
        LaunchTemplateId=state["id"],
        SourceVersion="$Latest",
        LaunchTemplateData={"InstanceType": "t3.nano"},
    )


# What somebody does behind our back, by resource.
DRIFTS: dict[str, Drift] = {
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
    "role": lambda c, s: c("iam").update_role(RoleName=s["id"], Description="evil"),
    "attachment": lambda c, s: c("iam").detach_role_policy(
        RoleName=s["outputs"]["role"], PolicyArn=s["outputs"]["policyArn"]
    ),
    "inline": lambda c, s: c("iam").put_role_policy(
        RoleName=s["outputs"]["role"],
        PolicyName=s["outputs"]["name"],
        PolicyDocument=s["outputs"]["policy"].replace("ssm:GetParameter", "ssm:PutParameter"),
    ),
    "profile": lambda c, s: c("iam").remove_role_from_instance_profile(
        InstanceProfileName=s["id"], RoleName=s["outputs"]["role"]
    ),
    "balancer": lambda c, s: c("elbv2").modify_load_balancer_attributes(
        LoadBalancerArn=s["id"],
        Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "61"}],
    ),
    "targets": lambda c, s: c("elbv2").modify_target_group(
        TargetGroupArn=s["id"], HealthCheckPath="/evil"
    ),
    "certificate": lambda c, s: c("acm").add_tags_to_certificate(
        CertificateArn=s["id"], Tags=[{"Key": "color", "Value": "evil"}]
    ),
    "listener": lambda c, s: c("elbv2").modify_listener(
        ListenerArn=s["id"],
        DefaultActions=[
            {
                "Type": "fixed-response",
                "FixedResponseConfig": {"StatusCode": "200", "ContentType": "text/plain"},
            }
        ],
    ),
    "rule": lambda c, s: c("elbv2").modify_rule(
        RuleArn=s["id"],
        Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/evil"]}}],
    ),
    "template": _new_template,
    "group": lambda c, s: c("autoscaling").update_auto_scaling_group(
        AutoScalingGroupName=s["id"], MaxSize=2
    ),
    "tracking": lambda c, s: c("autoscaling").put_scaling_policy(
        AutoScalingGroupName=s["outputs"]["autoscalingGroupName"],
        PolicyName=s["id"],
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
            "TargetValue": 99.0,
        },
    ),
    "morning": lambda c, s: c("autoscaling").put_scheduled_update_group_action(
        AutoScalingGroupName=s["outputs"]["autoscalingGroupName"],
        ScheduledActionName=s["id"],
        Recurrence=s["outputs"]["recurrence"],
        TimeZone="Europe/Stockholm",
        MinSize=1,
    ),
    "database": lambda c, s: c("rds").add_tags_to_resource(
        ResourceName=s["outputs"]["arn"], Tags=[{"Key": "color", "Value": "evil"}]
    ),
    "parameters": lambda c, s: c("rds").modify_db_cluster_parameter_group(
        DBClusterParameterGroupName=s["id"],
        Parameters=[
            {
                "ParameterName": "log_min_duration_statement",
                "ParameterValue": "1",
                "ApplyMethod": "immediate",
            }
        ],
    ),
    "cluster": lambda c, s: c("rds").modify_db_cluster(
        DBClusterIdentifier=s["id"], BackupRetentionPeriod=1
    ),
    "writer": lambda c, s: c("rds").modify_db_instance(
        DBInstanceIdentifier=s["id"], DBInstanceClass="db.r6g.2xlarge", ApplyImmediately=True
    ),
    "scalable": lambda c, s: c("application-autoscaling").register_scalable_target(
        **_by(s), MinCapacity=1, MaxCapacity=15
    ),
    "reader-cpu": lambda c, s: c("application-autoscaling").put_scaling_policy(
        **_by(s),
        PolicyName=s["id"],
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "RDSReaderAverageCPUUtilization"
            },
            "TargetValue": 99,
        },
    ),
    "reader-morning": lambda c, s: c("application-autoscaling").put_scheduled_action(
        **_by(s),
        ScheduledActionName=s["outputs"]["name"],
        Schedule="cron(30 9 ? * MON-FRI *)",
        ScalableTargetAction={"MinCapacity": 2},
    ),
}
# Drift of these means that they are gone.
REMOVED = {"route", "association", "egress", "attachment"}
# Everything but the stack itself, its provider and subnet-1, which is like subnet-0.
PASSIVE = {"subnet-1"}


# How an exported state marks a secret.
SECRET_KEY, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"


@dataclass
class Journey:
    """What the engine said at each step of one long run, and the state after it."""

    counts: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    states: dict[str, dict[str, dict[str, Any]]] = field(
        default_factory=dict[str, dict[str, dict[str, Any]]]
    )
    log: str = ""
    written: str = ""
    left_over: list[str] = field(default_factory=list[str])


@pytest.fixture(scope="module")
def journey(module_bench: Bench, moto: Moto) -> Journey:
    bench, result = module_bench, Journey()

    def step(name: str, run: Callable[[], dict[str, int]]) -> None:
        result.counts[name] = run()
        result.states[name] = bench.resources()

    def be(variant: Variant) -> None:
        bench.program = lambda: everything(variant)

    be(Variant())
    result.counts["preview"] = bench.preview()
    step("up", bench.up)
    step("refresh", bench.refresh)
    step("up again", bench.up)
    for name, drift in DRIFTS.items():
        drift(moto.client, result.states["up again"][name])
    step("refresh after drift", bench.refresh)
    step("repair", bench.up)
    step("refresh after repair", bench.refresh)
    be(Variant(color="red"))
    result.counts["preview of update"] = bench.preview()
    step("update", bench.up)
    step("refresh after update", bench.refresh)
    be(Variant(color="red", name="b", cidr="10.1.0.0/16"))
    result.counts["preview of replacement"] = bench.preview()
    step("replacement", bench.up)
    step("refresh after replacement", bench.refresh)
    bench.destroy()
    result.written = bench.written()
    result.log = "\n".join(bench.log)
    result.left_over = _left_over(moto.client)
    return result


def _left_over(client: Client) -> list[str]:
    """What of ours is still in the cloud. The default VPC's own things are moto's."""
    ec2, rds, scaling = client("ec2"), client("rds"), client("autoscaling")
    app = client("application-autoscaling")
    of_rds = {"ServiceNamespace": "rds"}
    found: list[list[Any]] = [
        [v for v in ec2.describe_vpcs()["Vpcs"] if not v["IsDefault"]],
        [s for s in ec2.describe_subnets()["Subnets"] if not s["DefaultForAz"]],
        ec2.describe_internet_gateways()["InternetGateways"],
        ec2.describe_nat_gateways()["NatGateways"],
        ec2.describe_addresses()["Addresses"],
        [
            g
            for g in ec2.describe_security_groups()["SecurityGroups"]
            if g["GroupName"] != "default"
        ],
        ec2.describe_launch_templates()["LaunchTemplates"],
        ec2.describe_vpc_endpoints()["VpcEndpoints"],
        client("iam").list_roles()["Roles"],
        client("iam").list_instance_profiles()["InstanceProfiles"],
        client("elbv2").describe_load_balancers()["LoadBalancers"],
        client("elbv2").describe_target_groups()["TargetGroups"],
        client("acm").list_certificates()["CertificateSummaryList"],
        scaling.describe_auto_scaling_groups()["AutoScalingGroups"],
        scaling.describe_policies()["ScalingPolicies"],
        scaling.describe_scheduled_actions()["ScheduledUpdateGroupActions"],
        rds.describe_db_clusters()["DBClusters"],
        rds.describe_db_instances()["DBInstances"],
        rds.describe_db_subnet_groups()["DBSubnetGroups"],
        rds.describe_db_cluster_parameter_groups()["DBClusterParameterGroups"],
        app.describe_scalable_targets(**of_rds)["ScalableTargets"],
        app.describe_scaling_policies(**of_rds)["ScalingPolicies"],
        app.describe_scheduled_actions(**of_rds)["ScheduledActions"],
    ]
    ended = {"deleted", "deleting", "terminated"}
    return [str(i) for things in found for i in things if i.get("State") not in ended]


def _ours(states: dict[str, dict[str, Any]]) -> set[str]:
    return {name for name, state in states.items() if state["type"] in ROWS}


def test_the_program_has_every_type_of_the_table(journey: Journey) -> None:
    assert {s["type"] for s in journey.states["up"].values()} >= set(ROWS)


def test_every_resource_has_a_drift(journey: Journey) -> None:
    assert set(DRIFTS) | PASSIVE == _ours(journey.states["up"])


def test_a_preview_promises_what_up_creates(journey: Journey) -> None:
    assert journey.counts["preview"] == journey.counts["up"] == {"create": 34}


@pytest.mark.parametrize(
    "step",
    [
        "refresh",
        "up again",
        "refresh after repair",
        "refresh after update",
        "refresh after replacement",
    ],
)
def test_nothing_changes_when_nothing_was_changed(journey: Journey, step: str) -> None:
    assert journey.counts[step] == {"same": 34}


@pytest.mark.parametrize("name", DRIFTS)
def test_what_is_done_behind_our_back_is_seen(journey: Journey, name: str) -> None:
    before = journey.states["up again"][name]["inputs"]
    after = journey.states["refresh after drift"].get(name)
    if name in REMOVED:
        assert after is None
    else:
        assert after is not None
        assert after["inputs"] != before


@pytest.mark.parametrize("name", DRIFTS)
def test_what_was_done_behind_our_back_is_repaired(journey: Journey, name: str) -> None:
    before = journey.states["up again"][name]["inputs"]
    after = journey.states["refresh after repair"][name]["inputs"]
    if name == "group":
        # The repaired launch template is a new version of it.
        before, after = (
            {k: i[k] for k in i if k != "mixedInstancesPolicy"} for i in (before, after)
        )
    assert after == before


def test_nothing_that_did_not_drift_is_touched(journey: Journey) -> None:
    assert journey.counts["refresh after drift"]["same"] == 34 - len(DRIFTS)
    assert journey.counts["repair"] == {
        "create": len(REMOVED),
        "same": 34 - len(DRIFTS),
        "update": len(DRIFTS) - len(REMOVED),
    }


def test_updates_happen_in_place_and_really(journey: Journey) -> None:
    assert journey.counts["preview of update"] == journey.counts["update"]
    assert journey.counts["update"] == {"same": 6, "update": 28}
    states = journey.states["refresh after update"]
    assert states["group"]["outputs"]["maxSize"] == 8
    assert states["template"]["outputs"]["description"] == "red"
    assert states["rule"]["outputs"]["priority"] == 20
    assert states["cluster"]["outputs"]["backupRetentionPeriod"] == 14
    assert states["scalable"]["outputs"]["maxCapacity"] == 6


def test_replacement_gives_new_things(journey: Journey) -> None:
    assert journey.counts["preview of replacement"] == journey.counts["replacement"]
    for name in ("vpc", "subnet-0", "security", "targets", "cluster", "certificate", "balancer"):
        old, new = (journey.states[s][name]["id"] for s in ("update", "replacement"))
        assert old != new, name


def test_destroy_leaves_nothing_behind(journey: Journey) -> None:
    assert journey.left_over == []


def test_a_secret_is_nowhere_in_plain_text(journey: Journey) -> None:
    assert "correct-horse-battery" not in journey.log + journey.written
    for step in ("up", "refresh", "update"):
        for kind in ("inputs", "outputs"):
            secret = journey.states[step]["cluster"][kind]["masterPassword"]
            assert secret == {SECRET_KEY: SECRET, "plaintext": '"correct-horse-battery"'}


def test_outputs_are_those_of_the_live_things(journey: Journey) -> None:
    states = journey.states["up"]
    assert states["vpc"]["outputs"]["arn"].startswith("arn:aws:ec2:eu-north-1:")
    assert states["vpc"]["outputs"]["mainRouteTableId"].startswith("rtb-")
    assert states["template"]["outputs"]["latestVersion"] == 1
    assert states["writer"]["outputs"]["writer"] is True
    assert states["balancer"]["outputs"]["arnSuffix"].startswith("app/")
    assert states["morning"]["outputs"]["startTime"] == "2026-08-03T05:45:00Z"
    assert states["morning"]["outputs"]["maxSize"] == -1
    assert states["role"]["outputs"]["name"].startswith("role-")
    assert states["vpc"]["outputs"]["tagsAll"] == states["vpc"]["inputs"]["tags"]


def test_a_new_launch_template_reaches_the_group(journey: Journey) -> None:
    group = journey.states["update"]["group"]["outputs"]
    template = journey.states["update"]["template"]["outputs"]
    policy = group["mixedInstancesPolicy"]["launchTemplate"]["launchTemplateSpecification"]
    assert policy["version"] == str(template["latestVersion"])
