"""The life of what efs makes."""

from __future__ import annotations

import json
from typing import Any, Final

import pulumi_aws as aws

from tests.cli.localcloud.provider.chapters.base import Client, Drift, Shared, Variant


def _policy(arn: str, sid: str) -> str:
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": sid,
                    "Effect": "Deny",
                    "Principal": {"AWS": "*"},
                    "Action": "*",
                    "Resource": arn,
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ],
        }
    )


def program(variant: Variant, shared: Shared) -> None:
    system = aws.efs.FileSystem(
        "files",
        encrypted=True,
        throughput_mode=variant.either("elastic", "bursting"),
        lifecycle_policies=[{"transition_to_ia": variant.either("AFTER_30_DAYS", "AFTER_7_DAYS")}],
        tags=variant.tags,
    )
    aws.efs.MountTarget(
        "files-mount",
        file_system_id=system.id,
        subnet_id=shared.subnets[0].id,
        security_groups=[shared.security.id],
    )
    aws.efs.AccessPoint(
        "files-point",
        file_system_id=system.id,
        posix_user={"uid": 33, "gid": 33},
        root_directory={
            "path": f"/{variant.name}",
            "creation_info": {"owner_uid": 33, "owner_gid": 33, "permissions": "0750"},
        },
        tags=variant.tags,
    )
    aws.efs.FileSystemPolicy(
        "files-policy",
        file_system_id=system.id,
        policy=system.arn.apply(lambda arn: _policy(arn, variant.either("Blue", "Other"))),
    )
    aws.efs.BackupPolicy(
        "files-backup",
        file_system_id=system.id,
        backup_policy={"status": variant.either("ENABLED", "DISABLED")},
    )


DRIFTS: Final[dict[str, Drift]] = {
    "files": lambda c, s: c("efs").put_lifecycle_configuration(
        FileSystemId=s["id"], LifecyclePolicies=[]
    ),
    "files-mount": lambda c, s: c("efs").modify_mount_target_security_groups(
        MountTargetId=s["id"], SecurityGroups=[]
    ),
    "files-point": lambda c, s: c("efs").tag_resource(
        ResourceId=s["id"], Tags=[{"Key": "color", "Value": "evil"}]
    ),
    "files-policy": lambda c, s: c("efs").put_file_system_policy(
        FileSystemId=s["id"], Policy=_policy(s["id"], "Evil")
    ),
    "files-backup": lambda c, s: c("efs").put_backup_policy(
        FileSystemId=s["id"], BackupPolicy={"Status": "DISABLED"}
    ),
}
COLOURLESS: Final = frozenset({"files-mount"})


def left_over(client: Client) -> list[Any]:
    return client("efs").describe_file_systems()["FileSystems"]
