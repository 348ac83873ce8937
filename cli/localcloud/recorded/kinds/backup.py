"""AWS Backup: moto makes plans, but neither changes them nor has selections and restore tests."""

from __future__ import annotations

from typing import Final

from cli.localcloud.recorded.base import CHANGED, NOW, Recorded

_TAGGING: Final = "TagResource UntagResource ListTags"
_ARN: Final = "arn:aws:backup:{region}:{account}"

RECORDED: Final = (
    Recorded(
        service="backup",
        kind="backup plan",
        key="BackupPlanId",
        create="CreateBackupPlan",
        describe="GetBackupPlan",
        update="UpdateBackupPlan",
        delete="DeleteBackupPlan",
        list="ListBackupPlans",
        unique="BackupPlan.BackupPlanName",
        taken="AlreadyExistsException",
        made={
            "BackupPlanArn": _ARN + ":backup-plan:{BackupPlanId}",
            "CreationDate": NOW,
            "VersionId": "1",
        },
        tagging=_TAGGING,
    ),
    Recorded(
        service="backup",
        kind="backup selection",
        key="BackupPlanId SelectionId",
        create="CreateBackupSelection",
        describe="GetBackupSelection",
        delete="DeleteBackupSelection",
        list="ListBackupSelections",
        taken="AlreadyExistsException",
        made={"CreationDate": NOW},
    ),
    Recorded(
        service="backup",
        kind="restore testing plan",
        key="RestoreTestingPlanName",
        create="CreateRestoreTestingPlan",
        describe="GetRestoreTestingPlan",
        update="UpdateRestoreTestingPlan",
        delete="DeleteRestoreTestingPlan",
        list="ListRestoreTestingPlans",
        taken="AlreadyExistsException",
        made={
            "RestoreTestingPlanArn": _ARN + ":restore-testing-plan:{RestoreTestingPlanName}",
            "CreationTime": NOW,
            "UpdateTime": CHANGED,
        },
        tagging=_TAGGING,
    ),
    Recorded(
        service="backup",
        kind="restore testing selection",
        key="RestoreTestingPlanName RestoreTestingSelectionName",
        create="CreateRestoreTestingSelection",
        describe="GetRestoreTestingSelection",
        update="UpdateRestoreTestingSelection",
        delete="DeleteRestoreTestingSelection",
        list="ListRestoreTestingSelections",
        taken="AlreadyExistsException",
        made={"CreationTime": NOW, "UpdateTime": CHANGED},
    ),
)
