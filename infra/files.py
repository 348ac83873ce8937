"""The shared files: an EFS file system, reached through access points alone, and a bucket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from infra.bucket import BucketArgs, ClosedBucket
from infra.log_bucket import FILES_PREFIX, LogBucket
from infra.settings.files import FilesSettings

PORT: Final = 2049  # NFS


@dataclass(frozen=True)
class FilesArgs:
    """`subnet_ids` are one of each zone: EFS has one mount target a zone.

    `backup_tags` mark file system and bucket for AWS Backup; `protected` keeps a bucket that holds
    any files, and `logs` takes the record of who used it.
    """

    settings: FilesSettings
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    tags: Mapping[str, str]
    backup_tags: Mapping[str, str]
    protected: bool
    logs: LogBucket


class Files(pulumi.ComponentResource):
    """A file system, encrypted, mounted over TLS, as one user below one folder a way in."""

    port: int = PORT
    security_group_id: pulumi.Output[str]
    arn: pulumi.Output[str]
    access_points: dict[str, aws.efs.AccessPoint]
    bucket: ClosedBucket | None
    mount_targets: list[pulumi.Resource]
    """Who mounts the files waits for them."""
    outputs: pulumi.Output[dict[str, object]]

    def __init__(
        self, name: str, args: FilesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:files:Files", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = dict(args.tags)
        security = aws.ec2.SecurityGroup(
            name,
            description="The shared files, open to the application alone",
            vpc_id=args.vpc_id,
            tags=self._tags | {"Name": name},
            opts=self._child,
        )
        system = self._file_system()
        self.access_points = self._ways_in(system)
        self._policy(system)
        self.mount_targets = [
            aws.efs.MountTarget(
                f"{name}-{zone}",
                file_system_id=system.id,
                subnet_id=subnet,
                security_groups=[security.id],
                opts=self._child,
            )
            for zone, subnet in enumerate(args.subnet_ids, start=1)
        ]
        self.security_group_id = security.id
        self.arn = system.arn
        self.bucket = self._bucket()
        self.outputs = pulumi.Output.from_input(
            {
                "efs_id": system.id,
                "access_points": {key: point.id for key, point in self.access_points.items()},
                "bucket": self.bucket.name if self.bucket else None,
            }
        )
        self.register_outputs({"efs_id": system.id})

    def _bucket(self) -> ClosedBucket | None:
        """Nobody is let in by its policy: nodes come by their role."""
        args, settings = self._args, self._args.settings.bucket
        if settings is None:
            return None
        bucket = ClosedBucket(
            self._name,
            BucketArgs(
                keep_days=None,
                protected=args.protected,
                tags=self._tags | dict(args.backup_tags),
                old_version_days=settings.old_version_days,
            ),
            self._child,
        )
        bucket.let_in([])
        bucket.log_to(args.logs.bucket, FILES_PREFIX, args.logs.ready)
        return bucket

    def _file_system(self) -> aws.efs.FileSystem:
        settings = self._args.settings
        days = settings.infrequent_access_days
        system = aws.efs.FileSystem(
            self._name,
            encrypted=True,
            throughput_mode=settings.throughput,
            lifecycle_policies=[
                aws.efs.FileSystemLifecyclePolicyArgs(
                    transition_to_ia=f"AFTER_{days}_DAY{'S' if days > 1 else ''}"
                ),
                # What is read again comes back, or every page would pay for it.
                aws.efs.FileSystemLifecyclePolicyArgs(
                    transition_to_primary_storage_class="AFTER_1_ACCESS"
                ),
            ],
            tags=self._tags | {"Name": self._name} | dict(self._args.backup_tags),
            opts=self._child,
        )
        aws.efs.BackupPolicy(
            self._name,
            file_system_id=system.id,
            backup_policy=aws.efs.BackupPolicyBackupPolicyArgs(status="ENABLED"),
            opts=self._child,
        )
        return system

    def _ways_in(self, system: aws.efs.FileSystem) -> dict[str, aws.efs.AccessPoint]:
        return {
            key: aws.efs.AccessPoint(
                f"{self._name}-{key}",
                file_system_id=system.id,
                posix_user=aws.efs.AccessPointPosixUserArgs(uid=point.uid, gid=point.gid),
                root_directory=aws.efs.AccessPointRootDirectoryArgs(
                    path=point.path,
                    creation_info=aws.efs.AccessPointRootDirectoryCreationInfoArgs(
                        owner_uid=point.uid, owner_gid=point.gid, permissions=point.permissions
                    ),
                ),
                tags=self._tags | {"Name": f"{self._name}-{key}"},
                opts=self._child,
            )
            for key, point in self._args.settings.access_points.items()
        }

    def _policy(self, system: aws.efs.FileSystem) -> None:
        """Through a mount target of ours, an access point of ours, over TLS; nothing else.

        EFS user guide, "Using IAM to control file system data access". A client without IAM
        credentials is anyone ("*"): the conditions say which.
        """
        everyone = {"AWS": "*"}
        aws.efs.FileSystemPolicy(
            self._name,
            file_system_id=system.id,
            policy=pulumi.Output.json_dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Sid": "ThroughOurAccessPoints",
                            "Effect": "Allow",
                            "Principal": everyone,
                            "Action": [
                                "elasticfilesystem:ClientMount",
                                "elasticfilesystem:ClientWrite",
                            ],
                            "Resource": system.arn,
                            "Condition": {
                                "Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"},
                                "StringEquals": {
                                    "elasticfilesystem:AccessPointArn": [
                                        point.arn for point in self.access_points.values()
                                    ]
                                },
                            },
                        },
                        {
                            "Sid": "OverTlsAlone",
                            "Effect": "Deny",
                            "Principal": everyone,
                            "Action": "*",
                            "Resource": system.arn,
                            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                        },
                    ],
                }
            ),
            opts=self._child,
        )
