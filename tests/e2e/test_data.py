"""What holds data on the local cloud: a cache whose replicas the season moves, behind a proxy."""

from __future__ import annotations

import json
from typing import Any

import yaml

from tests.e2e.conftest import Firstbell


def with_all_data(firstbell: Firstbell) -> None:
    """The stack gets files, a cache and a proxy, and its season a target for the cache."""
    path = firstbell.stacks / "Pulumi.autumn.yaml"
    stack = yaml.safe_load(path.read_text())
    platform = stack["config"]["firstbell:platform"]
    platform["database"]["proxy"] = True
    platform["files"] = {"bucket": {}}
    platform["cache"] = {
        "cluster_mode": True,
        "node_type": "cache.m7g.large",
        "replicas": {"min": 1, "max": 5},
    }
    path.write_text(yaml.safe_dump(stack))
    path = firstbell.stacks / "seasons" / "autumn.yaml"
    season = yaml.safe_load(path.read_text())
    season["capacity"]["cache"] = {
        "kind": "elasticache-replicas",
        "requests_per_second": 100,
        "utilisation": 0.6,
        "boot": "10m",
    }
    path.write_text(yaml.safe_dump(season))


def shards(firstbell: Firstbell) -> list[int]:
    """How many replicas each shard of the cache has."""
    (group,) = firstbell.client("elasticache").describe_replication_groups()["ReplicationGroups"]
    return [len(shard["NodeGroupMembers"]) - 1 for shard in group["NodeGroups"]]


def cache_of(entries: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = (entry for entry in entries if entry["target"] == "cache")
    return found


def test_a_caches_replicas_follow_the_season(firstbell: Firstbell) -> None:
    with_all_data(firstbell)
    firstbell("local", "start", "--at", "2026-08-01T00:00Z")
    firstbell("season", "plan", "-s", "autumn")
    assert set(firstbell.json("up", "-s", "autumn")["counts"]) == {"create"}
    assert shards(firstbell) == [1]
    bucket = firstbell.json("outputs", "-s", "autumn")["outputs"]["files"]["bucket"]
    firstbell.client("s3").put_object(Bucket=bucket, Key="essay.txt", Body=b"x")
    firstbell("local", "advance", "--to", "2026-12-07T07:30Z")  # 08:30 in Stockholm
    assert shards(firstbell)[0] > 1, "a grading morning needs more than the least"
    status = cache_of(firstbell.json("status", "-s", "autumn")["targets"])
    assert status["in_service"] >= status["required"] > 1

    scaling = firstbell.client("application-autoscaling")
    target = {
        "ServiceNamespace": "elasticache",
        "ScalableDimension": "elasticache:replication-group:Replicas",
    }
    (live,) = scaling.describe_scalable_targets(ServiceNamespace="elasticache")["ScalableTargets"]
    scaling.register_scalable_target(**target, ResourceId=live["ResourceId"], MinCapacity=1)
    assert "cache" in firstbell("drift", "-s", "autumn", code=7).stdout
    again = firstbell.json("up", "-s", "autumn")
    # Only actions that have ended go: neither size nor password changes by itself.
    assert set(again["counts"]) == {"delete", "same"}
    (repaired,) = scaling.describe_scalable_targets(**target)["ScalableTargets"]
    assert repaired["MinCapacity"] == live["MinCapacity"]

    cache = firstbell.json("outputs", "-s", "autumn")["outputs"]["cache"]
    secret = firstbell.client("secretsmanager").get_secret_value(SecretId=cache["secret_arn"])
    password = json.loads(secret["SecretString"])["password"]
    written = "".join(
        path.read_text(errors="replace")
        for path in firstbell.home.rglob("*")
        if path.is_file() and path.suffix in (".json", ".yaml", ".log")
    )
    assert password not in written

    path = firstbell.stacks / "Pulumi.autumn.yaml"
    with_files = path.read_text()
    stack = yaml.safe_load(with_files)
    del stack["config"]["firstbell:platform"]["files"]
    path.write_text(yaml.safe_dump(stack))
    option = "--allow-data-replacement"
    said = firstbell("preview", "-s", "autumn", option, "autumn-files", code=2).stderr
    assert "2 things named 'autumn-files' would lose data" in said
    assert f"{option} aws:efs/fileSystem:FileSystem::autumn-files" in said
    assert f"{option} aws:s3/bucket:Bucket::autumn-files" in said
    path.write_text(with_files)

    said = firstbell("destroy", "-s", "autumn", "--yes").stderr
    assert "autumn-database goes and leaves the snapshot autumn-database-final" in said
    assert "autumn-cache goes and leaves the snapshot autumn-cache-final" in said
    for files in ("with every file", "with every object and its old versions"):
        assert f"autumn-files goes {files}; its recovery points stay in autumn-backup" in said
    assert "autumn-logs goes with every object and its old versions; nothing of it is left" in said
    assert "autumn-backup stays, with its recovery points" in said
    elasticache = firstbell.client("elasticache")
    (left,) = elasticache.describe_snapshots()["Snapshots"]
    assert (left["SnapshotName"], left["SnapshotSource"]) == ("autumn-cache-final", "manual")
    assert elasticache.describe_replication_groups()["ReplicationGroups"] == []
    assert firstbell.client("rds").describe_db_proxies()["DBProxies"] == []
