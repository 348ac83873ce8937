"""The life of what backup makes."""

from __future__ import annotations

from typing import Any, Final

import pulumi
import pulumi_aws as aws

from tests.cli.localcloud.provider.chapters.base import Client, Drift, Shared, Variant


def program(variant: Variant, shared: Shared) -> None:
    name = f"{pulumi.get_stack()}-{variant.name}"
    vault = aws.backup.Vault("vault", name=name, tags=variant.tags)
    plan = aws.backup.Plan(
        "backup-plan",
        name=name,
        rules=[
            {
                "rule_name": "daily",
                "target_vault_name": vault.name,
                "schedule": "cron(0 2 * * ? *)",
                "start_window": 60,
                "completion_window": 480,
                "lifecycle": {"delete_after": variant.either(35, 40)},
            }
        ],
        tags=variant.tags,
    )
    aws.backup.Selection(
        "backup-selection",
        name=name,
        plan_id=plan.id,
        iam_role_arn=shared.role.arn,
        selection_tags=[{"type": "STRINGEQUALS", "key": "stack", "value": variant.name}],
    )
    testing = aws.backup.RestoreTestingPlan(
        "restore-test",
        name=name.replace("-", "_"),
        schedule_expression=variant.either("cron(0 5 ? * 1#1 *)", "cron(0 6 ? * 1#1 *)"),
        recovery_point_selection={
            "algorithm": "LATEST_WITHIN_WINDOW",
            "include_vaults": [vault.arn],
            "recovery_point_types": ["SNAPSHOT"],
        },
        tags=variant.tags,
    )
    aws.backup.RestoreTestingSelection(
        "restore-test-selection",
        name="aurora",
        restore_testing_plan_name=testing.name,
        iam_role_arn=shared.role.arn,
        protected_resource_type="Aurora",
        protected_resource_arns=["*"],
        validation_window_hours=variant.either(4, 8),
    )


DRIFTS: Final[dict[str, Drift]] = {
    "vault": lambda c, s: c("backup").tag_resource(
        ResourceArn=s["outputs"]["arn"], Tags={"color": "evil"}
    ),
    "backup-plan": lambda c, s: c("backup").update_backup_plan(
        BackupPlanId=s["id"],
        BackupPlan={
            "BackupPlanName": s["inputs"]["name"],
            "Rules": [{"RuleName": "evil", "TargetBackupVaultName": "elsewhere"}],
        },
    ),
    "backup-selection": lambda c, s: c("backup").delete_backup_selection(
        BackupPlanId=s["inputs"]["planId"], SelectionId=s["id"]
    ),
    "restore-test": lambda c, s: c("backup").update_restore_testing_plan(
        RestoreTestingPlanName=s["id"],
        RestoreTestingPlan={"ScheduleExpression": "cron(0 9 ? * 1#1 *)"},
    ),
    "restore-test-selection": lambda c, s: c("backup").update_restore_testing_selection(
        RestoreTestingPlanName=s["inputs"]["restoreTestingPlanName"],
        RestoreTestingSelectionName="aurora",
        RestoreTestingSelection={"ValidationWindowHours": 1},
    ),
}
REMOVED: Final = frozenset({"backup-selection"})
COLOURLESS: Final = frozenset({"backup-selection"})


def left_over(client: Client) -> list[Any]:
    backup = client("backup")
    return [
        *backup.list_backup_vaults()["BackupVaultList"],
        *backup.list_backup_plans()["BackupPlansList"],
        *backup.list_restore_testing_plans()["RestoreTestingPlans"],
    ]
