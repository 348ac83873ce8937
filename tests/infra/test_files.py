"""The shared files as the program declares them: each control, and each setting, on a resource."""

from __future__ import annotations

import json
from pathlib import Path

from tests.infra.conftest import Record, as_applied
from tests.infra.policy.least_privilege import faults_of_identity

SYSTEM, POINT = "aws:efs/fileSystem:FileSystem", "aws:efs/accessPoint:AccessPoint"
MOUNT = "aws:efs/mountTarget:MountTarget"
NAME = "tiny-files"


def test_a_stack_that_names_no_files_has_none(record: Record) -> None:
    assert record().of_type(SYSTEM) == {}


def test_files_pass_the_controls_by_default(record: Record) -> None:
    program = record(files={})
    system = program.of_type(SYSTEM)[NAME]
    assert system["encrypted"] is True  # EFS.1, EFS.8
    assert system["lifecyclePolicies"][0] == {"transitionToIa": "AFTER_30_DAYS"}
    backup = program.of_type("aws:efs/backupPolicy:BackupPolicy")[NAME]
    assert backup["backupPolicy"] == {"status": "ENABLED"}  # EFS.7
    (point,) = program.of_type(POINT).values()
    assert point["rootDirectory"]["path"] == "/data"  # EFS.3
    assert point["posixUser"] == {"uid": 33, "gid": 33}  # EFS.4
    # EFS.6: one in each zone's data subnet, which gives no public address.
    assert set(program.of_type(MOUNT)) == {f"{NAME}-{zone}" for zone in (1, 2, 3)}
    assert "Subnet::tiny-data-1" in program.dependencies(f"MountTarget::{NAME}-1")
    assert NAME in program.of_type("aws:efs/fileSystemPolicy:FileSystemPolicy")
    doors = program.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert doors["tiny-access-files-from-web"]["fromPort"] == 2049


def test_a_bucket_is_closed_versioned_logged_and_reached_by_role_alone(
    stacks: Path, home: Path
) -> None:
    program = as_applied(stacks, home, files={"bucket": {"old_version_days": 60}}, workers={})
    bucket = program.of_type("aws:s3/bucket:Bucket")[NAME]
    assert bucket["forceDestroy"] is False
    assert bucket["tags"]["firstbell:backup"] == "tiny"
    (rule,) = program.of_type("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")[
        NAME
    ]["rules"]
    assert "expiration" not in rule
    assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": 60}
    block = program.of_type("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")[NAME]
    assert {v for k, v in block.items() if k != "bucket"} == {True}
    versioning = program.of_type("aws:s3/bucketVersioning:BucketVersioning")[NAME]
    assert versioning["versioningConfiguration"]["status"] == "Enabled"
    ownership = program.of_type("aws:s3/bucketOwnershipControls:BucketOwnershipControls")[NAME]
    assert ownership["rule"]["objectOwnership"] == "BucketOwnerEnforced"
    assert program.of_type("aws:s3/bucketLogging:BucketLogging")[NAME]["targetPrefix"] == "files/"
    assert NAME in program.of_type("aws:s3/bucketPolicy:BucketPolicy")
    # Nodes of tiers and workers wait for it: their role and their user data name it.
    for node in ("tiny-web", "tiny-workers"):
        assert f"Bucket::{NAME}" in program.dependencies(f"RolePolicy::{node}")
        assert f"Bucket::{NAME}" in program.dependencies(f"LaunchTemplate::{node}")
        allowed = program.of_type("aws:iam/rolePolicy:RolePolicy")[node]["policy"]
        assert [
            s for s in json.loads(allowed)["Statement"] if s["Action"][0].startswith("s3:")
        ] == [
            {
                "Effect": "Allow",
                "Action": ["s3:ListBucket", "s3:GetBucketLocation"],
                "Resource": ["arn:aws:s3:eu-north-1:123456789012:tiny-files"],
            },
            {
                "Effect": "Allow",
                "Action": [
                    "s3:GetObject",
                    "s3:PutObject",
                    "s3:DeleteObject",
                    "s3:AbortMultipartUpload",
                ],
                "Resource": ["arn:aws:s3:eu-north-1:123456789012:tiny-files/*"],
            },
        ]
    for policy in program.of_type("aws:iam/rolePolicy:RolePolicy").values():
        assert faults_of_identity(json.loads(policy["policy"])) == []


def test_without_a_bucket_there_is_none(record: Record) -> None:
    assert NAME not in record(files={}).of_type("aws:s3/bucket:Bucket")


def test_settings_reach_the_file_system_and_its_ways_in(record: Record) -> None:
    program = record(
        files={
            "throughput": "bursting",
            "infrequent_access_days": 1,
            "access_points": {
                "moodledata": {"path": "/moodledata", "uid": 48, "gid": 49, "permissions": "0700"},
                "dumps": {"path": "/dumps"},
            },
        }
    )
    system = program.of_type(SYSTEM)[NAME]
    assert system["throughputMode"] == "bursting"
    assert system["lifecyclePolicies"][0] == {"transitionToIa": "AFTER_1_DAY"}
    points = program.of_type(POINT)
    assert set(points) == {f"{NAME}-moodledata", f"{NAME}-dumps"}
    made = points[f"{NAME}-moodledata"]["rootDirectory"]["creationInfo"]
    assert made == {"ownerUid": 48, "ownerGid": 49, "permissions": "0700"}
