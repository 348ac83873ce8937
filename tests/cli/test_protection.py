"""What stands between `destroy` and a stack."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli import protection
from cli.engine import Engine
from cli.localcloud import server
from cli.stack import OpenStack
from infra.errors import InputError, Problems
from infra.settings.stack import read_stack
from tests.conftest import WriteStack

CLUSTER = {
    "urn": "urn:pulumi:tiny::firstbell::aws:rds/cluster:Cluster::tiny-database",
    "type": "aws:rds/cluster:Cluster",
    "id": "tiny-database-1234567",
    "inputs": {"finalSnapshotIdentifier": "tiny-database-final", "skipFinalSnapshot": False},
    "outputs": {"deletionProtection": True},
}
CACHE = {
    "urn": "urn:pulumi:tiny::firstbell::aws:elasticache/replicationGroup:ReplicationGroup"
    "::tiny-cache",
    "type": "aws:elasticache/replicationGroup:ReplicationGroup",
    "id": "tiny-cache",
    "inputs": {"finalSnapshotIdentifier": "tiny-cache-final"},
    "outputs": {},
}
EFS, BUCKET = "aws:efs/fileSystem:FileSystem", "aws:s3/bucket:Bucket"
VAULT = "aws:backup/vault:Vault"
BALANCER = {
    "urn": "urn:pulumi:tiny::firstbell::aws:lb/loadBalancer:LoadBalancer::tiny",
    "type": "aws:lb/loadBalancer:LoadBalancer",
    "id": "arn",
    "inputs": {},
    "outputs": {"enableDeletionProtection": True},
}
OPEN = {**BALANCER, "outputs": {"enableDeletionProtection": False}}


def on_aws(write_stack: WriteStack, *resources: dict[str, Any]) -> OpenStack:
    """A stack on AWS whose state has these resources."""
    write_stack()
    engine = Engine(Path("/nowhere"), "0", "a test")
    return OpenStack(read_stack("tiny"), engine, None, Path("/nowhere"), {}, [list(resources)])


def test_what_is_protected_is_not_half_destroyed(write_stack: WriteStack) -> None:
    with pytest.raises(InputError, match="protected against deletion") as caught:
        protection.refuse(on_aws(write_stack, CLUSTER, BALANCER))
    assert caught.value.what == "protected against deletion: tiny, tiny-database"
    assert str(caught.value.where).endswith("firstbell:platform/database/deletion_protection")
    protection.refuse(on_aws(write_stack, OPEN))


@pytest.mark.parametrize("typed", [None, "tyni", "TINY", ""])
def test_only_who_names_the_stack_destroys_it(write_stack: WriteStack, typed: str | None) -> None:
    stack = on_aws(write_stack)
    with pytest.raises(InputError) as caught:
        protection.confirm(stack, typed)
    assert "tiny" in str(caught.value.fix)
    protection.confirm(stack, "tiny")


def _database_snapshot(stack: OpenStack) -> None:
    rds = stack.client("rds")
    rds.create_db_cluster(
        DBClusterIdentifier="other",
        Engine="aurora-postgresql",
        MasterUsername="lms",
        MasterUserPassword="correct-horse",
    )
    rds.create_db_cluster_snapshot(
        DBClusterIdentifier="other", DBClusterSnapshotIdentifier="tiny-database-final"
    )


def _cache_snapshot(stack: OpenStack) -> None:
    elasticache = stack.client("elasticache")
    elasticache.create_replication_group(
        ReplicationGroupId="other", ReplicationGroupDescription="Sessions"
    )
    elasticache.delete_replication_group(
        ReplicationGroupId="other", FinalSnapshotIdentifier="tiny-cache-final"
    )


@pytest.mark.parametrize(
    ("resource", "take"), [(CLUSTER, _database_snapshot), (CACHE, _cache_snapshot)]
)
def test_a_final_snapshot_whose_name_is_taken_is_refused_before_anything_is_gone(
    write_stack: WriteStack,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    resource: dict[str, Any],
    take: Callable[[OpenStack], None],
) -> None:
    stack = on_aws(write_stack, resource)
    cloud = server.ensure_started()
    try:
        monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
        protection.make_room_for_final_snapshots(stack, print)
        take(stack)
        with pytest.raises(Problems, match="there is one of that name"):
            protection.make_room_for_final_snapshots(stack, print)
        # On the local cloud the earlier one makes room, once.
        local = replace(stack, local=cloud)
        removed: list[str] = []
        protection.make_room_for_final_snapshots(local, removed.append)
        protection.make_room_for_final_snapshots(local, removed.append)
        name = resource["inputs"]["finalSnapshotIdentifier"]
        assert removed == [f"removing {name} of an earlier life"]
    finally:
        server.stop()


def test_a_name_that_a_cache_would_leave_twice_is_refused_by_the_cloud(home: Path) -> None:
    try:
        client = server.ensure_started().client("elasticache", "eu-north-1")
        last = {"ReplicationGroupId": "tiny", "FinalSnapshotIdentifier": "tiny-cache-final"}
        for _ in range(2):
            client.create_replication_group(
                ReplicationGroupId="tiny", ReplicationGroupDescription="Sessions"
            )
            if client.describe_snapshots()["Snapshots"]:
                with pytest.raises(client.exceptions.SnapshotAlreadyExistsFault):
                    client.delete_replication_group(**last)
            else:
                client.delete_replication_group(**last)
        assert client.describe_replication_groups()["ReplicationGroups"], "it is still there"
    finally:
        server.stop()


def test_what_is_destroyed_is_told_with_what_is_left_of_it(write_stack: WriteStack) -> None:
    start = "urn:pulumi:tiny::firstbell::"
    tags = {"firstbell:backup": "tiny"}
    stack = on_aws(
        write_stack,
        CLUSTER,
        CACHE,
        {"urn": f"{start}{EFS}::tiny-files", "type": EFS, "inputs": {"tags": tags}},
        {"urn": f"{start}{BUCKET}::tiny-files", "type": BUCKET, "inputs": {"tags": tags}},
        {"urn": f"{start}{BUCKET}::tiny-logs", "type": BUCKET, "inputs": {"tags": {}}},
        {"urn": f"{start}{VAULT}::tiny-backup", "type": VAULT, "id": "tiny-backup-1234567"},
        OPEN,
    )
    region = stack.settings.region
    assert protection.outlook(stack) == [
        "tiny-database goes and leaves the snapshot tiny-database-final: aws rds "
        "describe-db-cluster-snapshots --db-cluster-snapshot-identifier tiny-database-final "
        f"--region {region}",
        "tiny-cache goes and leaves the snapshot tiny-cache-final: aws elasticache "
        f"describe-snapshots --snapshot-name tiny-cache-final --region {region}",
        "tiny-files goes with every file; its recovery points stay in tiny-backup",
        "tiny-files goes with every object and its old versions; its recovery points stay in "
        "tiny-backup",
        "tiny-logs goes with every object and its old versions; nothing of it is left",
        "tiny-backup stays, with its recovery points, until you delete it: aws backup "
        "list-recovery-points-by-backup-vault --backup-vault-name tiny-backup-1234567 "
        f"--region {region}",
    ]


def test_a_database_that_leaves_no_snapshot_is_not_said_to(write_stack: WriteStack) -> None:
    inputs = {"finalSnapshotIdentifier": "tiny-database-final", "skipFinalSnapshot": True}
    assert protection.outlook(on_aws(write_stack, {**CLUSTER, "inputs": inputs})) == []


def test_what_shares_its_name_with_something_that_goes_keeps_its_objects(
    write_stack: WriteStack, home: Path
) -> None:
    """A bucket that stays is not emptied because a file system of its name may go."""
    start = "urn:pulumi:tiny::firstbell::firstbell:files:Files$"
    system = f"{start}aws:efs/fileSystem:FileSystem::tiny-files"
    bucket = f"{start}firstbell:bucket:ClosedBucket$aws:s3/bucket:Bucket::tiny-files"
    write_stack()
    resources = [
        {"urn": system, "type": "aws:efs/fileSystem:FileSystem", "id": "fs-1"},
        {"urn": bucket, "type": "aws:s3/bucket:Bucket", "id": "tiny-files"},
    ]
    try:
        cloud = server.ensure_started()
        engine = Engine(Path("/nowhere"), "0", "a test")
        stack = OpenStack(read_stack("tiny"), engine, cloud, Path("/nowhere"), {}, [resources])
        s3 = stack.client("s3")
        where = {"LocationConstraint": stack.settings.region}
        s3.create_bucket(Bucket="tiny-files", CreateBucketConfiguration=where)
        s3.put_object(Bucket="tiny-files", Key="essay", Body=b"1")
        protection.clear(stack, lambda _: None, {system})
        assert s3.list_objects_v2(Bucket="tiny-files")["KeyCount"] == 1
        protection.clear(stack, lambda _: None, {bucket})
        assert s3.list_objects_v2(Bucket="tiny-files")["KeyCount"] == 0
    finally:
        server.stop()


def test_a_log_bucket_stays_empty_while_those_that_log_to_it_are_emptied(home: Path) -> None:
    """It comes first here: what the other bucket's deletions would note came afterwards."""
    try:
        s3 = server.ensure_started().client("s3", "eu-north-1")
        where = {"LocationConstraint": "eu-north-1"}
        for bucket in ("logs", "files"):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        s3.put_bucket_policy(
            Bucket="logs",
            Policy=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "logging.s3.amazonaws.com"},
                            "Action": "s3:PutObject",
                            "Resource": "arn:aws:s3:::logs/*",
                        }
                    ],
                }
            ),
        )
        for bucket in ("logs", "files"):
            enabled = {"TargetBucket": "logs", "TargetPrefix": f"{bucket}/"}
            s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": enabled})
        s3.put_object(Bucket="files", Key="essay", Body=b"1")
        s3.put_object(Bucket="files", Key="essay", Body=b"2")
        assert s3.list_object_versions(Bucket="logs")["Versions"]
        protection.empty(s3, {"logs": "tiny-logs", "files": "tiny-files"}, lambda _: None)
        for bucket in ("files", "logs"):
            s3.delete_bucket(Bucket=bucket)
    finally:
        server.stop()
