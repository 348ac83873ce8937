"""The clock plays scheduled actions on a real moto server, against timelines worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.localcloud import clock, fleets, server
from cli.localcloud.fleets import in_service, replicas_in_service
from cli.localcloud.play import Played
from cli.localcloud.server import LocalCloud
from infra.errors import FirstbellError, InputError
from infra.season.compile import CAPACITY_CALL

REGION = "eu-north-1"
READERS = {
    "ServiceNamespace": "rds",
    "ResourceId": "cluster:demo-db",
    "ScalableDimension": "rds:cluster:ReadReplicaCount",
}
MONDAY = datetime(2026, 8, 3, tzinfo=UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def cloud(shared: LocalCloud) -> Iterator[LocalCloud]:
    """The module's server, empty, with its clock at midnight of a Monday in August."""
    fleets.record_path().unlink(missing_ok=True)
    clock.write(MONDAY, shared.generation)
    yield shared
    remove_everything(shared)


def remove_everything(cloud: LocalCloud) -> None:
    """As moto's own reset would, which takes seconds."""
    ec2, autoscaling = cloud.client("ec2", REGION), cloud.client("autoscaling", REGION)
    for action in autoscaling.describe_scheduled_actions()["ScheduledUpdateGroupActions"]:
        autoscaling.delete_scheduled_action(
            AutoScalingGroupName="demo-web", ScheduledActionName=action["ScheduledActionName"]
        )
    for found in autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]:
        for policy in autoscaling.describe_policies()["ScalingPolicies"]:
            autoscaling.delete_policy(
                AutoScalingGroupName="demo-web", PolicyName=policy["PolicyName"]
            )
        autoscaling.delete_auto_scaling_group(
            AutoScalingGroupName=found["AutoScalingGroupName"], ForceDelete=True
        )
    for template in ec2.describe_launch_templates()["LaunchTemplates"]:
        ec2.delete_launch_template(LaunchTemplateId=template["LaunchTemplateId"])
    rds, scaling = cloud.client("rds", REGION), cloud.client("application-autoscaling", REGION)
    namespace = {"ServiceNamespace": "rds"}
    for action in scaling.describe_scheduled_actions(**namespace)["ScheduledActions"]:
        scaling.delete_scheduled_action(
            **READERS, ScheduledActionName=action["ScheduledActionName"]
        )
    for policy in scaling.describe_scaling_policies(**namespace)["ScalingPolicies"]:
        scaling.delete_scaling_policy(**READERS, PolicyName=policy["PolicyName"])
    for _ in scaling.describe_scalable_targets(**namespace)["ScalableTargets"]:
        scaling.deregister_scalable_target(**READERS)
    for instance in rds.describe_db_instances()["DBInstances"]:
        rds.delete_db_instance(
            DBInstanceIdentifier=instance["DBInstanceIdentifier"], SkipFinalSnapshot=True
        )
    for found in rds.describe_db_clusters()["DBClusters"]:
        rds.delete_db_cluster(
            DBClusterIdentifier=found["DBClusterIdentifier"], SkipFinalSnapshot=True
        )


@pytest.fixture
def group(cloud: LocalCloud) -> Callable[..., Any]:
    """Makes the group demo-web of 2 to 20 instances and gives it actions; answers its client."""

    def make(*actions: dict[str, Any], **changes: Any) -> Any:
        ec2, autoscaling = cloud.client("ec2", REGION), cloud.client("autoscaling", REGION)
        template = ec2.create_launch_template(
            LaunchTemplateName="web",
            LaunchTemplateData={"ImageId": "ami-12345678", "InstanceType": "m7g.large"},
        )["LaunchTemplate"]["LaunchTemplateId"]
        request: dict[str, Any] = {
            "AutoScalingGroupName": "demo-web",
            "AvailabilityZones": [f"{REGION}a"],
            "LaunchTemplate": {"LaunchTemplateId": template, "Version": "$Latest"},
            "MinSize": 2,
            "MaxSize": 20,
        }
        autoscaling.create_auto_scaling_group(**request | changes)
        for number, action in enumerate(actions):
            autoscaling.put_scheduled_update_group_action(
                AutoScalingGroupName="demo-web", ScheduledActionName=f"a{number}", **action
            )
        return autoscaling

    return make


@pytest.fixture
def cluster(cloud: LocalCloud) -> Callable[..., Any]:
    """Makes the cluster demo-db, a writer and one reader, with actions; answers its client."""

    def make(*actions: dict[str, Any]) -> Any:
        rds = cloud.client("rds", REGION)
        rds.create_db_cluster(
            DBClusterIdentifier="demo-db",
            Engine="aurora-postgresql",
            MasterUsername="firstbell",
            MasterUserPassword="not-a-secret",
        )
        for name in ("demo-writer", "demo-reader"):
            rds.create_db_instance(
                DBInstanceIdentifier=name,
                DBClusterIdentifier="demo-db",
                Engine="aurora-postgresql",
                DBInstanceClass="db.r6g.xlarge",
            )
        scaling = cloud.client("application-autoscaling", REGION)
        scaling.register_scalable_target(**READERS, MinCapacity=1, MaxCapacity=8)
        for number, action in enumerate(actions):
            scaling.put_scheduled_action(**READERS, ScheduledActionName=f"a{number}", **action)
        return rds

    return make


def advance(cloud: LocalCloud, to: datetime) -> Played:
    return clock.advance(cloud, to, lambda _: None)


def timeline(played: Played) -> list[tuple[str, str, int, int, int]]:
    return [
        (f"{event.at:%a %H:%M}", event.action, event.minimum, event.maximum, event.size)
        for event in played.changes
    ]


def sizes(autoscaling: Any) -> tuple[int, int, int, int]:
    found = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]
    counts = (found["MinSize"], found["MaxSize"], found["DesiredCapacity"])
    return (*counts, len(found["Instances"]))


def actions(autoscaling: Any) -> list[str]:
    found = autoscaling.describe_scheduled_actions()["ScheduledUpdateGroupActions"]
    return sorted(action["ScheduledActionName"] for action in found)


def readers(rds: Any) -> list[str]:
    members = rds.describe_db_clusters()["DBClusters"][0]["DBClusterMembers"]
    return sorted(m["DBInstanceIdentifier"] for m in members if not m["IsClusterWriter"])


def test_a_minimum_above_the_size_lifts_it_and_a_lower_one_leaves_it(
    cloud: LocalCloud, group: Callable[..., Any]
) -> None:
    autoscaling = group(
        {"Recurrence": "30 5 * * 1-5", "MinSize": 12}, {"Recurrence": "0 14 * * 1-5", "MinSize": 3}
    )
    played = advance(cloud, MONDAY + timedelta(hours=20))
    assert timeline(played) == [("Mon 05:30", "a0", 12, 20, 12), ("Mon 14:00", "a1", 3, 20, 12)]
    assert played.fired == 2
    assert played.failures == []
    assert sizes(autoscaling) == (3, 20, 12, 12)
    assert clock.read() == MONDAY + timedelta(hours=20)


def test_a_maximum_below_the_size_cuts_it(cloud: LocalCloud, group: Callable[..., Any]) -> None:
    autoscaling = group(
        {"StartTime": utc("2026-08-03T06:00"), "MinSize": 2, "MaxSize": 5}, DesiredCapacity=9
    )
    played = advance(cloud, MONDAY + timedelta(hours=7))
    assert timeline(played) == [("Mon 06:00", "a0", 2, 5, 5)]
    assert sizes(autoscaling) == (2, 5, 5, 5)


def test_a_desired_capacity_is_set(cloud: LocalCloud, group: Callable[..., Any]) -> None:
    autoscaling = group({"StartTime": utc("2026-08-03T06:00"), "DesiredCapacity": 7})
    advance(cloud, MONDAY + timedelta(hours=7))
    assert sizes(autoscaling) == (2, 20, 7, 7)


def test_actions_fire_in_the_order_of_their_times_not_of_their_making(
    cloud: LocalCloud, group: Callable[..., Any]
) -> None:
    autoscaling = group(
        {"Recurrence": "0 7 * * *", "MinSize": 4, "MaxSize": 4},
        {"Recurrence": "0 6 * * *", "MinSize": 9, "MaxSize": 20},
    )
    played = advance(cloud, MONDAY + timedelta(hours=7))
    assert timeline(played) == [("Mon 06:00", "a1", 9, 20, 9), ("Mon 07:00", "a0", 4, 4, 4)]
    assert sizes(autoscaling) == (4, 4, 4, 4)


def test_what_falls_due_at_the_new_time_has_fired_and_does_not_fire_twice(
    cloud: LocalCloud, group: Callable[..., Any]
) -> None:
    group({"Recurrence": "0 6 * * *", "MinSize": 9})
    assert advance(cloud, MONDAY + timedelta(hours=6)).fired == 1
    assert advance(cloud, MONDAY + timedelta(hours=6)).fired == 0
    assert advance(cloud, MONDAY + timedelta(hours=29)).fired == 0
    assert advance(cloud, MONDAY + timedelta(hours=30)).fired == 1


def test_ended_and_fired_one_off_actions_are_deleted_and_others_stay(
    cloud: LocalCloud, group: Callable[..., Any]
) -> None:
    six = utc("2026-08-03T06:00")
    autoscaling = group(
        {"StartTime": six, "MinSize": 3},
        {"Recurrence": "0 5 * * *", "MinSize": 4, "EndTime": six},
        {"Recurrence": "0 5 * * *", "MinSize": 4, "EndTime": six + timedelta(minutes=1)},
        {"StartTime": six + timedelta(minutes=1), "MinSize": 5},
        {"Recurrence": "0 4 * * *", "MinSize": 2},
    )
    advance(cloud, six - timedelta(minutes=1))
    assert actions(autoscaling) == ["a0", "a1", "a2", "a3", "a4"]
    advance(cloud, six)
    assert actions(autoscaling) == ["a2", "a3", "a4"]
    advance(cloud, six + timedelta(minutes=1))
    assert actions(autoscaling) == ["a4"]


def test_an_action_whose_minimum_exceeds_the_maximum_changes_nothing_and_is_reported(
    cloud: LocalCloud, group: Callable[..., Any]
) -> None:
    autoscaling = group(
        {"Recurrence": "0 6 * * *", "MinSize": 21},
        {"Recurrence": "0 7 * * *", "MinSize": 6},
        {"Recurrence": "0 8 * * *", "DesiredCapacity": 5},
    )
    played = advance(cloud, MONDAY + timedelta(hours=9))
    assert played.failures == [
        "demo-web: action a0 at 2026-08-03 06:00 UTC changed nothing: "
        "minimum 21 is above maximum 20",
        "demo-web: action a2 at 2026-08-03 08:00 UTC changed nothing: "
        "desired 5 is not between 6 and 20",
    ]
    assert sizes(autoscaling) == (6, 20, 6, 6)


def test_suspended_scheduled_actions_do_not_fire(
    cloud: LocalCloud, group: Callable[..., Any]
) -> None:
    autoscaling = group({"Recurrence": "0 6 * * *", "MinSize": 9})
    autoscaling.suspend_processes(
        AutoScalingGroupName="demo-web", ScalingProcesses=["ScheduledActions"]
    )
    assert advance(cloud, MONDAY + timedelta(hours=7)).fired == 0
    assert sizes(autoscaling) == (2, 20, 2, 2)


def test_an_instance_is_in_service_one_boot_after_its_launch(
    cloud: LocalCloud, group: Callable[..., Any]
) -> None:
    tag = {"Key": fleets.BOOT_TAG, "Value": "7", "PropagateAtLaunch": False}
    group({"Recurrence": "30 5 * * *", "MinSize": 12}, Tags=[tag])
    assert in_service(cloud, "demo-web", MONDAY) == 0
    # The first two exist since the clock's midnight.
    assert in_service(cloud, "demo-web", MONDAY + timedelta(minutes=7)) == 2
    advance(cloud, MONDAY + timedelta(hours=5, minutes=36))
    assert in_service(cloud, "demo-web", clock.read()) == 2
    advance(cloud, MONDAY + timedelta(hours=5, minutes=37))
    assert in_service(cloud, "demo-web", clock.read()) == 12
    assert in_service(cloud, "another", clock.read()) == 0


def test_without_the_tag_a_boot_takes_four_minutes(
    cloud: LocalCloud, group: Callable[..., Any]
) -> None:
    group()
    assert in_service(cloud, "demo-web", MONDAY + timedelta(minutes=3, seconds=59)) == 0
    assert in_service(cloud, "demo-web", MONDAY + timedelta(minutes=4)) == 2


def test_an_instance_replaced_by_hand_boots_anew(
    cloud: LocalCloud, group: Callable[..., Any]
) -> None:
    autoscaling = group()
    advance(cloud, MONDAY + timedelta(hours=1))
    assert in_service(cloud, "demo-web", clock.read()) == 2
    found = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]
    autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=found["Instances"][0]["InstanceId"], ShouldDecrementDesiredCapacity=False
    )
    assert in_service(cloud, "demo-web", clock.read()) == 1
    advance(cloud, MONDAY + timedelta(hours=1, minutes=4))
    assert in_service(cloud, "demo-web", clock.read()) == 2


def test_target_tracking_removes_what_idles_a_quarter_hour_after_the_floor_fell(
    cloud: LocalCloud, group: Callable[..., Any]
) -> None:
    autoscaling = group(
        {"Recurrence": "30 5 * * *", "MinSize": 12}, {"Recurrence": "0 14 * * *", "MinSize": 3}
    )
    autoscaling.put_scaling_policy(
        AutoScalingGroupName="demo-web",
        PolicyName="cpu",
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
            "TargetValue": 60.0,
        },
    )
    played = advance(cloud, MONDAY + timedelta(hours=14, minutes=14))
    assert timeline(played) == [("Mon 05:30", "a0", 12, 20, 12), ("Mon 14:00", "a1", 3, 20, 12)]
    # In a second step: the clock remembers since when it is quiet.
    played = advance(cloud, MONDAY + timedelta(hours=14, minutes=15))
    assert timeline(played) == [("Mon 14:15", "target tracking", 3, 20, 3)]
    assert sizes(autoscaling) == (3, 20, 3, 3)
    assert in_service(cloud, "demo-web", clock.read()) == 3


def test_a_policy_that_may_not_scale_in_leaves_the_size(
    cloud: LocalCloud, group: Callable[..., Any]
) -> None:
    autoscaling = group({"Recurrence": "30 5 * * *", "MinSize": 2}, DesiredCapacity=6)
    autoscaling.put_scaling_policy(
        AutoScalingGroupName="demo-web",
        PolicyName="cpu",
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
            "TargetValue": 60.0,
            "DisableScaleIn": True,
        },
    )
    advance(cloud, MONDAY + timedelta(days=1))
    assert sizes(autoscaling) == (2, 20, 6, 6)


def test_a_mixed_instances_policy_survives_a_change_of_size(
    cloud: LocalCloud, group: Callable[..., Any]
) -> None:
    autoscaling = group({"Recurrence": "0 6 * * *", "MinSize": 4})
    found = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]
    template = {
        "LaunchTemplateSpecification": {
            "LaunchTemplateId": found["LaunchTemplate"]["LaunchTemplateId"],
            "Version": "$Latest",
        },
        "Overrides": [{"InstanceType": "m7g.large"}, {"InstanceType": "m6g.large"}],
    }
    autoscaling.update_auto_scaling_group(
        AutoScalingGroupName="demo-web", MixedInstancesPolicy={"LaunchTemplate": template}
    )
    advance(cloud, MONDAY + timedelta(hours=7))
    found = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]
    overrides = found["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"]
    assert [override["InstanceType"] for override in overrides] == ["m7g.large", "m6g.large"]
    assert sizes(autoscaling) == (4, 20, 4, 4)
    # A launch template takes its place, as it does at AWS.
    autoscaling.update_auto_scaling_group(
        AutoScalingGroupName="demo-web",
        LaunchTemplate={"LaunchTemplateName": "web", "Version": "$Latest"},
    )
    found = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]
    assert "MixedInstancesPolicy" not in found


def test_a_cluster_can_be_made_anew_in_the_same_minute(
    cloud: LocalCloud, cluster: Callable[..., Any]
) -> None:
    cluster()
    remove_everything(cloud)
    rds = cluster()
    assert readers(rds) == ["demo-reader"]


def test_local_mornings_keep_their_hour_when_daylight_saving_ends(
    cloud: LocalCloud, group: Callable[..., Any]
) -> None:
    clock.write(utc("2026-10-23T12:00"), cloud.generation)
    zone = "Europe/Stockholm"
    group(
        {"Recurrence": "45 7 * * 1-5", "TimeZone": zone, "MinSize": 12},
        {"Recurrence": "0 17 * * 1-5", "TimeZone": zone, "MinSize": 2, "MaxSize": 2},
        {"Recurrence": "0 7 * * 1-5", "TimeZone": zone, "MinSize": 2, "MaxSize": 20},
    )
    played = advance(cloud, utc("2026-10-27T00:00"))
    # Friday 17:00 is still summer time, UTC+2; Monday is UTC+1.
    assert timeline(played) == [
        ("Fri 15:00", "a1", 2, 2, 2),
        ("Mon 06:00", "a2", 2, 20, 2),
        ("Mon 06:45", "a0", 12, 20, 12),
        ("Mon 16:00", "a1", 2, 2, 2),
    ]


def test_readers_are_added_and_removed_by_schedule_and_only_its_own(
    cloud: LocalCloud, cluster: Callable[..., Any]
) -> None:
    rds = cluster(
        {"Schedule": "cron(0 5 ? * MON-FRI *)", "ScalableTargetAction": {"MinCapacity": 4}},
        {
            "Schedule": "cron(0 15 ? * MON-FRI *)",
            "ScalableTargetAction": {"MinCapacity": 0, "MaxCapacity": 0},
        },
    )
    played = advance(cloud, MONDAY + timedelta(hours=5, minutes=14))
    assert timeline(played) == [("Mon 05:00", "a0", 4, 8, 4)]
    own = [name for name in readers(rds) if name != "demo-reader"]
    assert len(own) == 3
    assert all(name.startswith("application-autoscaling-") for name in own)
    made = rds.describe_db_instances(DBInstanceIdentifier=own[0])["DBInstances"][0]
    assert made["DBInstanceClass"] == "db.r6g.xlarge"
    assert made["PromotionTier"] == 15
    assert replicas_in_service(cloud, "demo-db", clock.read()) == 1
    assert replicas_in_service(cloud, "demo-db", clock.read() + timedelta(minutes=1)) == 4

    played = advance(cloud, MONDAY + timedelta(hours=16))
    assert timeline(played) == [("Mon 15:00", "a1", 0, 0, 1)]
    assert readers(rds) == ["demo-reader"]
    target = cloud.client("application-autoscaling", REGION).describe_scalable_targets(
        ServiceNamespace="rds"
    )["ScalableTargets"][0]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 0)


def test_readers_that_idle_go_too_but_not_those_that_scaling_did_not_make(
    cloud: LocalCloud, cluster: Callable[..., Any]
) -> None:
    rds = cluster(
        {"Schedule": "cron(0 5 ? * * *)", "ScalableTargetAction": {"MinCapacity": 4}},
        {"Schedule": "cron(0 15 ? * * *)", "ScalableTargetAction": {"MinCapacity": 0}},
    )
    cloud.client("application-autoscaling", REGION).put_scaling_policy(
        **READERS,
        PolicyName="cpu",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 60.0,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "RDSReaderAverageCPUUtilization"
            },
        },
    )
    played = advance(cloud, MONDAY + timedelta(hours=16))
    assert timeline(played) == [
        ("Mon 05:00", "a0", 4, 8, 4),
        ("Mon 15:00", "a1", 0, 8, 4),
        ("Mon 15:15", "target tracking", 0, 8, 1),
    ]
    assert readers(rds) == ["demo-reader"]


def test_a_caches_replicas_come_and_go_by_schedule_in_every_shard(cloud: LocalCloud) -> None:
    elasticache = cloud.client("elasticache", REGION)
    scaling = cloud.client("application-autoscaling", REGION)
    elasticache.create_replication_group(
        ReplicationGroupId="demo-cache",
        ReplicationGroupDescription="sessions",
        Engine="valkey",
        CacheNodeType="cache.m7g.large",
        ClusterMode="enabled",
        NumNodeGroups=2,
        ReplicasPerNodeGroup=1,
        AutomaticFailoverEnabled=True,
    )
    target = {
        "ServiceNamespace": "elasticache",
        "ResourceId": "replication-group/demo-cache",
        "ScalableDimension": "elasticache:replication-group:Replicas",
    }
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=5)
    for name, hour, size in (("bell", 7, 3), ("evening", 16, 2)):
        scaling.put_scheduled_action(
            **target,
            ScheduledActionName=name,
            Schedule=f"cron(0 {hour} ? * MON-FRI *)",
            ScalableTargetAction={"MinCapacity": size, "MaxCapacity": size},
        )

    def replicas() -> list[int]:
        (group,) = elasticache.describe_replication_groups()["ReplicationGroups"]
        return [len(shard["NodeGroupMembers"]) - 1 for shard in group["NodeGroups"]]

    advance(cloud, utc("2026-08-03T07:00"))
    assert replicas() == [3, 3]
    serving = fleets.cache_replicas_in_service
    assert serving(cloud, "demo-cache", utc("2026-08-03T07:09")) == 1
    assert serving(cloud, "demo-cache", utc("2026-08-03T07:10")) == 3
    advance(cloud, utc("2026-08-03T16:00"))
    assert replicas() == [2, 2]
    (found,) = scaling.describe_scalable_targets(ServiceNamespace="elasticache")["ScalableTargets"]
    assert (found["MinCapacity"], found["MaxCapacity"]) == (2, 2)
    scaling.deregister_scalable_target(**target)
    # What `destroy` meets that goes on after one that was stopped.
    with pytest.raises(scaling.exceptions.ObjectNotFoundException):
        scaling.deregister_scalable_target(**target)
    elasticache.delete_replication_group(ReplicationGroupId="demo-cache")


def test_an_at_action_fires_once_in_its_zone(
    cloud: LocalCloud, cluster: Callable[..., Any]
) -> None:
    rds = cluster(
        {
            "Schedule": "at(2026-08-03T07:30:00)",
            "Timezone": "Europe/Stockholm",
            "ScalableTargetAction": {"MinCapacity": 2},
        }
    )
    assert timeline(advance(cloud, MONDAY + timedelta(hours=5, minutes=29))) == []
    played = advance(cloud, MONDAY + timedelta(hours=12))
    assert timeline(played) == [("Mon 05:30", "a0", 2, 8, 2)]
    assert len(readers(rds)) == 2
    assert advance(cloud, MONDAY + timedelta(days=400)).fired == 0


def test_a_cluster_that_is_not_available_keeps_its_readers_and_this_is_said(
    cloud: LocalCloud, cluster: Callable[..., Any]
) -> None:
    rds = cluster(
        {"Schedule": "cron(0 5 ? * * *)", "ScalableTargetAction": {"MinCapacity": 3}},
    )
    rds.stop_db_cluster(DBClusterIdentifier="demo-db")
    played = advance(cloud, MONDAY + timedelta(days=3))
    assert played.failures == ["cluster demo-db is stopped, not available"]
    assert readers(rds) == ["demo-reader"]
    assert replicas_in_service(cloud, "demo-db", clock.read()) == 0
    rds.start_db_cluster(DBClusterIdentifier="demo-db")
    # The minimum stands, and holds as soon as the cluster can follow it.
    advance(cloud, MONDAY + timedelta(days=3, minutes=1))
    assert len(readers(rds)) == 3


def test_a_schedule_that_cannot_be_read_is_reported_and_the_others_fire(
    cloud: LocalCloud, cluster: Callable[..., Any], group: Callable[..., Any]
) -> None:
    cluster({"Schedule": "every(5 minutes)", "ScalableTargetAction": {"MinCapacity": 3}})
    group(
        {"Recurrence": "0 6 * * *", "TimeZone": "Europe/Nowhere", "MinSize": 9},
        {"Recurrence": "0 6 * * *", "MinSize": 8},
    )
    played = advance(cloud, MONDAY + timedelta(hours=7))
    assert played.failures == [
        "demo-web: action a0 cannot fire: 'Europe/Nowhere' is no IANA time zone",
        "demo-db: action a0 cannot fire: 'every(5 minutes)' is none of at(), cron() and rate()",
    ]
    assert timeline(played) == [("Mon 06:00", "a1", 8, 20, 8)]


def test_the_clock_never_goes_back(cloud: LocalCloud) -> None:
    with pytest.raises(InputError, match="never goes back"):
        advance(cloud, MONDAY - timedelta(seconds=1))
    assert clock.read() == MONDAY


def test_when_the_server_is_gone_the_clock_stays(home: Path) -> None:
    gone = server.ensure_started(at=MONDAY)
    server.stop()
    with pytest.raises(FirstbellError, match="is gone"):
        advance(gone, MONDAY + timedelta(days=1))
    assert clock.read() == MONDAY


def test_a_refusal_while_sizes_are_set_is_reported_and_the_clock_stays(
    cloud: LocalCloud, group: Callable[..., Any]
) -> None:
    group({"Recurrence": "0 6 * * *", "MinSize": 9})
    # moto cannot launch from a template that is gone.
    cloud.client("ec2", REGION).delete_launch_template(LaunchTemplateName="web")
    with pytest.raises(FirstbellError, match="setting the size of demo-web failed"):
        advance(cloud, MONDAY + timedelta(hours=7))
    assert clock.read() == MONDAY


def test_a_quarter_of_two_full_schedules_plays_in_order_and_ends_right(
    cloud: LocalCloud, group: Callable[..., Any], cluster: Callable[..., Any]
) -> None:
    at = [divmod(minute, 60) for minute in range(240, 240 + 125 * 9, 9)]
    autoscaling = group(
        *(
            {
                "Recurrence": f"{minute} {hour} * * 1-5",
                "TimeZone": "Europe/Stockholm",
                "MinSize": 2 + number % 18,
            }
            for number, (hour, minute) in enumerate(at)
        )
    )
    rds = cluster(
        *(
            {
                "Schedule": f"cron({minute} {hour} ? * MON-FRI *)",
                "Timezone": "Europe/Stockholm",
                "ScalableTargetAction": {"MinCapacity": 1 + number % 7},
            }
            for number, (hour, minute) in enumerate(at)
        )
    )
    played = advance(cloud, MONDAY + timedelta(weeks=13))
    assert played.fired == 13 * 5 * 125 * 2
    assert played.failures == []
    assert sizes(autoscaling) == (2 + 124 % 18, 20, 19, 19)
    assert len(readers(rds)) == 7


def test_a_reservation_of_a_load_balancer_is_made_when_its_schedule_calls(
    cloud: LocalCloud, group: Callable[..., Any]
) -> None:
    group()
    arn = (
        "arn:aws:elasticloadbalancing:eu-north-1:123456789012:loadbalancer/app/demo/50dc6c495c0c91"
    )
    scheduler, balancers = cloud.client("scheduler", REGION), cloud.client("elbv2", REGION)
    calls: dict[str, tuple[str, dict[str, Any]]] = {
        "up": ("cron(0 6 ? * 2 *)", {"MinimumLoadBalancerCapacity": {"CapacityUnits": 300}}),
        "down": ("cron(0 16 ? * 2 *)", {"ResetCapacityReservation": True}),
    }
    for name, (expression, change) in calls.items():
        scheduler.create_schedule(
            Name=name,
            ScheduleExpression=expression,
            StartDate=MONDAY,
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={
                "Arn": f"arn:aws:scheduler:::aws-sdk{CAPACITY_CALL}",
                "RoleArn": "arn:aws:iam::123456789012:role/r",
                "Input": json.dumps({"LoadBalancerArn": arn} | change),
            },
        )

    def reserved() -> int:
        found = balancers.describe_capacity_reservation(LoadBalancerArn=arn)
        return found.get("MinimumLoadBalancerCapacity", {}).get("CapacityUnits", 0)

    try:
        played = advance(cloud, MONDAY + timedelta(hours=7))
        assert ("Mon 06:00", "up", 300, 300, 300) in timeline(played)
        assert (played.fired, reserved()) == (1, 300)
        advance(cloud, MONDAY + timedelta(hours=17))
        assert reserved() == 0
    finally:
        for name in calls:
            scheduler.delete_schedule(Name=name)
