"""Backups of what holds data, in a vault of the stack, and restores that are tried out.

Copies to a recovery Region belong here, too, and are not made yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from infra.iam import Statement, service_role
from infra.settings.backup import BACKUP_TAG, BackupSettings

START_MINUTES: Final = 60
COMPLETION_MINUTES: Final = 8 * 60
# The second Sunday of a month, three hours after the backup: schools are closed. Not the first: the
# alarm of a test that did not run knows its days by their number in the month.
TEST_DAY: Final = "? * 1#2 *"
TEST_DATES: Final = (8, 14)
TEST_DELAY_HOURS: Final = 3
# How long a restored copy stays for a look at it, before it is removed.
VALIDATION_HOURS: Final = 4
# What AWS Backup calls the buckets that it restores into as a test.
RESTORED_BUCKETS: Final = "awsbackup-restore-test-*"


def tested(kinds: Iterable[str], settings: BackupSettings) -> tuple[str, ...]:
    """Which of these kinds are restored as a test; a bucket only where each month's whole copy is
    wanted."""
    if not settings.restore_test:
        return ()
    left_out = () if settings.restore_test_bucket else ("S3",)
    return tuple(kind for kind in kinds if kind not in left_out)


@dataclass(frozen=True)
class BackupArgs:
    """`protected` has the ARN of what holds data, by its kind (`Aurora`, `EFS`, `S3`).

    Each of them carries `BACKUP_TAG` with the name `stack`.
    """

    settings: BackupSettings
    stack: str
    protected: Mapping[str, pulumi.Output[str]]
    tags: Mapping[str, str]


def schedule(hour: int, day: str) -> str:
    """AWS Backup's cron expression for an hour of the day, UTC, on these days."""
    return f"cron(0 {hour % 24} {day})"


class Backup(pulumi.ComponentResource):
    """A vault, a plan with daily and monthly backups, and a monthly restore test.

    The vault outlives the stack: its recovery points go when their time is over, or by hand.
    """

    vault_arn: pulumi.Output[str]
    vault_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: BackupArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:backup:Backup", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = dict(args.tags)
        # AWS deletes no vault with recovery points: `destroy` would fail when all else is gone.
        kept = pulumi.ResourceOptions(parent=self, retain_on_delete=True)
        vault = aws.backup.Vault(name, tags=self._tags, opts=kept)
        self.vault_arn = vault.arn
        self.vault_name = vault.name
        self._plan(vault)
        if args.settings.restore_test:
            self._restore_test(vault)
        self.register_outputs({"vault": vault.name})

    def _plan(self, vault: aws.backup.Vault) -> None:
        settings, name = self._args.settings, self._name
        plan = aws.backup.Plan(
            name,
            rules=[
                aws.backup.PlanRuleArgs(
                    rule_name=rule,
                    target_vault_name=vault.name,
                    schedule=schedule(settings.hour, day),
                    start_window=START_MINUTES,
                    completion_window=COMPLETION_MINUTES,
                    lifecycle=aws.backup.PlanRuleLifecycleArgs(delete_after=days),
                )
                for rule, day, days in (
                    ("daily", "* * ? *", settings.daily_keep_days),
                    ("monthly", "1 * ? *", settings.monthly_keep_days),
                )
            ],
            tags=self._tags,
            opts=self._child,
        )
        role = service_role(
            name,
            "backup.amazonaws.com",
            statements=self._backing_up(vault),
            tags=self._tags,
            opts=self._child,
        )
        aws.backup.Selection(
            name,
            plan_id=plan.id,
            iam_role_arn=role.arn,
            selection_tags=[
                aws.backup.SelectionSelectionTagArgs(
                    type="STRINGEQUALS", key=BACKUP_TAG, value=self._args.stack
                )
            ],
            opts=self._child,
        )

    def _backing_up(self, vault: aws.backup.Vault) -> list[Statement]:
        found = [
            # Finds what carries the tag; AWS allows naming no resource for it.
            Statement(["tag:GetResources"], ["*"]),
            Statement(["backup:DescribeBackupVault", "backup:CopyIntoBackupVault"], [vault.arn]),
            # A recovery point gets the tags of what it was taken of.
            Statement(["backup:TagResource"], [_beside(vault.arn, "recovery-point:*")]),
        ]
        for kind, arn in self._args.protected.items():
            match kind:
                case "Aurora":
                    actions = [
                        "rds:AddTagsToResource",
                        "rds:CopyDBClusterSnapshot",
                        "rds:CreateDBClusterSnapshot",
                        "rds:DeleteDBClusterSnapshot",
                        "rds:DescribeDBClusterSnapshots",
                        "rds:DescribeDBClusters",
                        "rds:ListTagsForResource",
                    ]
                    snapshots = _beside(arn, "cluster-snapshot:awsbackup:*")
                    found.append(Statement(actions, [arn, snapshots]))
                case "S3":
                    found += _backing_up_a_bucket(arn, self.vault_arn)
                case _:
                    actions = ["elasticfilesystem:Backup", "elasticfilesystem:DescribeTags"]
                    found.append(Statement(actions, [arn]))
        return found

    @property
    def _tested(self) -> dict[str, pulumi.Output[str]]:
        protected = self._args.protected
        return {kind: protected[kind] for kind in tested(protected, self._args.settings)}

    def _restore_test(self, vault: aws.backup.Vault) -> None:
        settings, name = self._args.settings, self._name
        # AWS allows letters, digits and underscores here.
        label = name.replace("-", "_")
        plan = aws.backup.RestoreTestingPlan(
            name,
            name=label,
            schedule_expression=schedule(settings.hour + TEST_DELAY_HOURS, TEST_DAY),
            start_window_hours=24,
            recovery_point_selection=aws.backup.RestoreTestingPlanRecoveryPointSelectionArgs(
                algorithm="LATEST_WITHIN_WINDOW",
                include_vaults=[vault.arn],
                recovery_point_types=["SNAPSHOT"],
                selection_window_days=7,
            ),
            tags=self._tags,
            opts=self._child,
        )
        role = service_role(
            f"{name}-restore",
            "backup.amazonaws.com",
            statements=self._restoring(),
            tags=self._tags,
            opts=self._child,
        )
        for kind, arn in self._tested.items():
            aws.backup.RestoreTestingSelection(
                f"{name}-{kind.lower()}",
                name=f"{label}_{kind.lower()}",
                restore_testing_plan_name=plan.name,
                iam_role_arn=role.arn,
                protected_resource_type=kind,
                protected_resource_arns=[arn],
                validation_window_hours=VALIDATION_HOURS,
                opts=self._child,
            )

    def _restoring(self) -> list[Statement]:
        """Makes copies beside the originals and removes them; it may touch no original."""
        found: list[Statement] = []
        for kind, arn in self._tested.items():
            match kind:
                case "Aurora":
                    actions = [
                        "rds:AddTagsToResource",
                        "rds:DeleteDBCluster",
                        "rds:DescribeDBClusterSnapshots",
                        "rds:DescribeDBClusters",
                        "rds:ListTagsForResource",
                        "rds:RestoreDBClusterFromSnapshot",
                    ]
                    names = (
                        "cluster:awsbackup-restore-test-*",
                        "cluster-snapshot:awsbackup:*",
                        "subgrp:*",
                        "cluster-pg:*",
                    )
                    found.append(Statement(actions, [_beside(arn, name) for name in names]))
                case "S3":
                    found += _restoring_a_bucket()
                case _:
                    actions = [
                        "elasticfilesystem:CreateFilesystem",
                        "elasticfilesystem:DescribeFilesystems",
                        "elasticfilesystem:Restore",
                    ]
                    found.append(Statement(actions, [_beside(arn, "file-system/*")]))
                    # The copy's tags, by which it may be removed again: no original gets them.
                    no_original = {"Null": {f"aws:ResourceTag/{BACKUP_TAG}": "true"}}
                    found.append(
                        Statement(
                            ["elasticfilesystem:TagResource"],
                            [_beside(arn, "file-system/*")],
                            no_original,
                        )
                    )
                    tagged = {"StringLike": {"aws:ResourceTag/awsbackup-restore-test": "*"}}
                    found.append(
                        Statement(
                            ["elasticfilesystem:DeleteFilesystem"],
                            [_beside(arn, "file-system/*")],
                            tagged,
                        )
                    )
        return found


def _backing_up_a_bucket(arn: pulumi.Output[str], vault: pulumi.Output[str]) -> list[Statement]:
    """AWS Backup developer guide, "Amazon S3 backups": it reads the objects and, to know what has
    changed, an inventory of its own and the bucket's events, by rules that it makes itself."""
    events = vault.apply(
        lambda text: ":".join(
            [*text.split(":")[:2], "events", *text.split(":")[3:5], "rule/AwsBackupManagedRule*"]
        )
    )
    return [
        Statement(
            [
                "s3:GetBucketAcl",
                "s3:GetBucketLocation",
                "s3:GetBucketNotification",
                "s3:GetBucketTagging",
                "s3:GetBucketVersioning",
                "s3:GetInventoryConfiguration",
                "s3:ListBucket",
                "s3:ListBucketVersions",
                "s3:ListTagsForResource",
                "s3:PutBucketNotification",
                "s3:PutInventoryConfiguration",
            ],
            [arn],
        ),
        Statement(
            [
                "s3:GetObject",
                "s3:GetObjectAcl",
                "s3:GetObjectTagging",
                "s3:GetObjectVersion",
                "s3:GetObjectVersionAcl",
                "s3:GetObjectVersionTagging",
            ],
            [arn.apply(lambda text: f"{text}/*")],
        ),
        Statement(
            [
                "events:DeleteRule",
                "events:DescribeRule",
                "events:DisableRule",
                "events:EnableRule",
                "events:ListTargetsByRule",
                "events:PutRule",
                "events:PutTargets",
                "events:RemoveTargets",
            ],
            [events],
        ),
        # AWS allows naming no resource for these.
        Statement(["cloudwatch:GetMetricData", "events:ListRules", "s3:ListAllMyBuckets"], ["*"]),
    ]


def _restoring_a_bucket() -> list[Statement]:
    """Into a bucket of the test's own, which AWS Backup makes and, by its service-linked role,
    removes. AWS Backup developer guide, "Restore testing inferred metadata" for the name, "Managed
    policies for AWS Backup" (AWSBackupServiceRolePolicyForS3Restore) for the actions."""
    return [
        Statement(
            [
                "s3:CreateBucket",
                "s3:GetBucketLocation",
                "s3:GetBucketOwnershipControls",
                "s3:GetBucketVersioning",
                "s3:ListBucket",
                "s3:ListBucketVersions",
                "s3:PutBucketOwnershipControls",
                "s3:PutBucketVersioning",
            ],
            [f"arn:aws:s3:::{RESTORED_BUCKETS}"],
        ),
        Statement(
            [
                "s3:DeleteObject",
                "s3:GetObject",
                "s3:GetObjectAcl",
                "s3:GetObjectTagging",
                "s3:GetObjectVersion",
                "s3:GetObjectVersionAcl",
                "s3:ListMultipartUploadParts",
                "s3:PutObject",
                "s3:PutObjectAcl",
                "s3:PutObjectTagging",
                "s3:PutObjectVersionAcl",
            ],
            [f"arn:aws:s3:::{RESTORED_BUCKETS}/*"],
        ),
    ]


def _beside(arn: pulumi.Output[str], name: str) -> pulumi.Output[str]:
    """The ARN of another resource of the same service, Region and account."""
    return arn.apply(lambda text: ":".join([*text.split(":")[:5], name]))
