"""What a change of a stack's file does, previewed and applied on the real engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.e2e.conftest import Firstbell

SMALL = """
config:
  aws:region: eu-north-1
  firstbell:platform:
    domain: lms.example.org
    network: {{nat: single, zones: {zones}, cidr: {cidr}}}
    tiers: {{{tier}: {{min: 1, image: {image}, instance_types: [{instance}, m5.large]}}}}
    database: {{version: "{version}", instance_class: {klass}, name: {name}}}
"""
PRICES = """
version: 1
currency: USD
prices:
  - {region: eu-north-1, item: m7i.large, per_hour: 0.5, source: a test, date: 2026-07-01}
  - {region: eu-north-1, item: db.r6g.large, per_hour: 0.25, source: a test, date: 2026-07-01}
"""
DEFAULTS = {
    "zones": "2",
    "cidr": "10.20.0.0/16",
    "tier": "web",
    "image": "ami-0123456789abcdef0",
    "instance": "m7i.large",
    "version": "16",
    "klass": "db.r6g.large",
    "name": "lms",
}


def write(path: Path, **changes: str) -> None:
    path.write_text(SMALL.format(**(DEFAULTS | changes)))


def effects(previewed: dict[str, Any]) -> dict[str, str]:
    return {f"{e['type'].split(':')[-1]} {e['name']}": e["what"] for e in previewed["effects"]}


def clusters(firstbell: Firstbell) -> list[str]:
    found = firstbell.client("rds").describe_db_clusters()["DBClusters"]
    return [cluster["DBClusterIdentifier"] for cluster in found]


def instances(firstbell: Firstbell) -> dict[str, tuple[str, str]]:
    """The web tier's instances with the version that they were launched with, and as targets."""
    (group,) = firstbell.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    (arn,) = group["TargetGroupARNs"]
    health = firstbell.client("elbv2").describe_target_health(TargetGroupArn=arn)
    states = {
        found["Target"]["Id"]: found["TargetHealth"]["State"]
        for found in health["TargetHealthDescriptions"]
    }
    versions = {i["InstanceId"]: i["LaunchTemplate"]["Version"] for i in group["Instances"]}
    assert states.keys() == versions.keys()
    return {instance: (version, states[instance]) for instance, version in versions.items()}


def refresh(firstbell: Firstbell) -> dict[str, Any]:
    autoscaling = firstbell.client("autoscaling")
    (group,) = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    (found,) = autoscaling.describe_instance_refreshes(
        AutoScalingGroupName=group["AutoScalingGroupName"]
    )["InstanceRefreshes"]
    return found


def test_every_change_previews_as_what_happens_and_data_goes_only_by_name(
    firstbell: Firstbell,
) -> None:
    file = firstbell.stacks / "Pulumi.small.yaml"
    write(file)
    prices = firstbell.stacks / "prices.yaml"
    prices.write_text(PRICES)
    cost = firstbell.json("up", "-s", "small", "--prices", str(prices))["cost_a_month"]
    # One instance and a writer with its replica, 730 hours each; amounts invented.
    assert (cost["scheduled"], cost["unpriced"]) == (730 * (0.5 + 2 * 0.25), [])
    (cluster,) = clusters(firstbell)
    # Without a season there is a floor and what serves, and no demand that anybody foresees.
    shown = firstbell.json("status", "-s", "small")["targets"]
    database, web = sorted(shown, key=lambda target: str(target["target"]))
    assert (web["target"], web["scheduled_floor"], web["required"]) == ("web", 1, None)
    assert (database["target"], database["headroom"]) == ("database", None)
    hint = "web, database: what was started serves once it has booted, by the local cloud's clock"
    assert hint in firstbell("status", "-s", "small").stderr

    def preview(code: int = 0, **changes: str) -> dict[str, str]:
        write(file, **changes)
        return effects(firstbell.json("preview", "-s", "small", code=code))

    # Changes of one file, each of another resource.
    found = preview(klass="db.r6g.xlarge", zones="3", image="ami-0fedcba9876543210")
    assert "with a restart" in found["ClusterInstance small-database-writer"]
    assert found["SubnetGroup small-database"].startswith("in place")
    assert found["Group small-web"].startswith("rolling")
    assert "a new version" in found["LaunchTemplate small-web"]
    found = preview(version="17", instance="m6i.large")
    assert "no way back but a restore" in found["Cluster small-database"]
    assert found["Group small-web"].startswith("rolling")
    assert "a new version" in found["LaunchTemplate small-web"]
    found = preview(tier="site")
    assert found["Group small-web"] == "removed"
    write(file, version="15", cidr="10.30.0.0/16")
    said = firstbell("preview", "-s", "small", code=2).stderr
    assert "forbidden: the engine cannot go back from version 16 to 15" in said
    assert "forbidden: a VPC's block cannot change" in said

    write(file, name="school")
    for command in ("preview", "up"):
        said = firstbell(command, "-s", "small", code=2).stderr
        assert "small-database: would be replaced" in said, command
        assert "for databaseName, the old goes, and the database with it" in said
        assert "--allow-data-replacement small-database" in said
    assert clusters(firstbell) == [cluster]
    said = firstbell("up", "-s", "small", "--allow-data-replacement", "small-databse", code=2)
    assert "did you mean small-database?" in said.stderr
    # In the same run another image: the group's instances are replaced as the clock moves on.
    (old,) = instances(firstbell).items()
    assert old[1] == ("1", "initial"), "the clock stands still, so it boots"
    write(file, name="school", image="ami-0fedcba9876543210")
    firstbell("up", "-s", "small", "--allow-data-replacement", "small-database")
    assert refresh(firstbell)["Status"] == "InProgress"
    assert refresh(firstbell)["Preferences"]["MaxHealthyPercentage"] == 110
    assert tuple(instances(firstbell).items()) == (old,), "its successor boots"
    (told,) = firstbell.json("status", "-s", "small")["refreshes"]
    assert (told["target"], told["status"], told["percent"]) == ("web", "InProgress", 0)
    firstbell("local", "advance", "--by", "10m")
    assert refresh(firstbell)["Status"] == "Successful"
    assert hint not in firstbell("status", "-s", "small").stderr
    (new,) = instances(firstbell).items()
    assert new[0] != old[0]
    assert new[1] == ("2", "healthy")
    ec2 = firstbell.client("ec2")
    described = ec2.describe_instances(InstanceIds=[new[0]])["Reservations"][0]["Instances"]
    assert described[0]["ImageId"] == "ami-0fedcba9876543210"

    (replaced,) = clusters(firstbell)
    assert replaced != cluster
    snapshots = firstbell.client("rds").describe_db_cluster_snapshots()["DBClusterSnapshots"]
    assert "small-database-final" in [s["DBClusterSnapshotIdentifier"] for s in snapshots]

    # A tier of another name: the new one is there before the old one goes. And the database's next
    # major version, with parameter groups of its family.
    write(file, name="school", tier="site", version="17")
    firstbell("up", "-s", "small")
    (upgraded,) = firstbell.client("rds").describe_db_clusters()["DBClusters"]
    assert (upgraded["DBClusterIdentifier"], upgraded["EngineVersion"]) == (replaced, "17")
    firstbell("drift", "-s", "small")

    # Its buckets hold objects, versions of them and markers of deleted ones.
    s3 = firstbell.client("s3")
    buckets = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert buckets
    for bucket in buckets:
        for key in ("kept", "kept", "deleted"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"a log")
        s3.delete_object(Bucket=bucket, Key="deleted")

    # Protection is on: on the local cloud it is lifted, and a second life ends as well.
    said = firstbell("destroy", "-s", "small", "--yes").stderr
    assert "on the local cloud protection is lifted: small, small-database" in said
    assert clusters(firstbell) == []
    assert s3.list_buckets()["Buckets"] == []
