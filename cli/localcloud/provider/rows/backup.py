"""AWS Backup: vaults, plans, what they take along, and restores that are tried out."""

from __future__ import annotations

from typing import Any, Final

from cli.localcloud.provider.aws import Cloud
from cli.localcloud.provider.machine import Autoname, Read, Row, Step, Tagging
from cli.localcloud.provider.mapping import to_api
from cli.localcloud.provider.values import Properties

_NAMES: Final = {
    "schedule": "ScheduleExpression",
    "startWindow": "StartWindowMinutes",
    "completionWindow": "CompletionWindowMinutes",
    "targetVaultName": "TargetBackupVaultName",
    "deleteAfter": "DeleteAfterDays",
    "coldStorageAfter": "MoveToColdStorageAfterDays",
    "destinationVaultArn": "DestinationBackupVaultArn",
}


def _tagging(create: str) -> Tagging:
    return Tagging(
        add="tag_resource",
        remove="untag_resource",
        key="ResourceArn",
        keys="TagKeyList",
        create=create,
        read=Read("list_tags", "Tags", {"ResourceArn": "arn"}),
    )


VAULT: Final = Row(
    type="aws:backup/vault:Vault",
    service="backup",
    create=Step("create_backup_vault", "name kmsKeyArn"),
    id="={name}",
    read=Read("describe_backup_vault", "@", {"BackupVaultName": "id"}),
    key={"BackupVaultName": "id"},
    delete="delete_backup_vault",
    names={
        "name": "BackupVaultName",
        "kmsKeyArn": "EncryptionKeyArn",
        "arn": "BackupVaultArn",
        "recoveryPoints": "NumberOfRecoveryPoints",
    },
    replace="name kmsKeyArn",
    defaults={"forceDestroy": False},
    computed="kmsKeyArn",
    ignored="forceDestroy",
    autoname=Autoname(max_length=50),
    tags=_tagging("BackupVaultTags"),
)


def _block(block: str, operation: str, members: dict[str, str], names: dict[str, str]) -> Any:
    """Requests whose properties all stand inside one block."""

    def build(cloud: Cloud, state: Properties, _: frozenset[str]) -> list[dict[str, Any]]:
        shape = cloud.input_shape("backup", operation).members[block]
        return [
            {
                block: {
                    member: to_api(state[prop], shape.members[member], names, prop)
                    for prop, member in members.items()
                    if state.get(prop) is not None
                }
            }
        ]

    return build


_OF_PLANS: Final = {
    "name": "BackupPlanName",
    "rules": "Rules",
    "advancedBackupSettings": "AdvancedBackupSettings",
}

PLAN: Final = Row(
    type="aws:backup/plan:Plan",
    service="backup",
    create=Step(
        "create_backup_plan",
        "name rules",
        build=_block("BackupPlan", "create_backup_plan", _OF_PLANS, _NAMES),
    ),
    id="BackupPlanId",
    read=Read("get_backup_plan", "@", {"BackupPlanId": "id"}),
    key={"BackupPlanId": "id"},
    update=(
        Step(
            "update_backup_plan",
            "rules",
            whole=True,
            build=_block("BackupPlan", "update_backup_plan", _OF_PLANS, _NAMES),
        ),
    ),
    delete="delete_backup_plan",
    names={"arn": "BackupPlanArn", "version": "VersionId"} | _NAMES,
    reads={"name": "BackupPlan.BackupPlanName", "rules": "BackupPlan.Rules"},
    replace="name",
    autoname=Autoname(max_length=50),
    tags=_tagging(""),
)

_SELECTION_NAMES: Final = {
    "type": "ConditionType",
    "key": "ConditionKey",
    "value": "ConditionValue",
}

SELECTION: Final = Row(
    type="aws:backup/selection:Selection",
    service="backup",
    create=Step(
        "create_backup_selection",
        "name iamRoleArn planId resources selectionTags",
        build=lambda cloud, state, changed: [
            {"BackupPlanId": state["planId"], **request}
            for request in _block(
                "BackupSelection",
                "create_backup_selection",
                {
                    "name": "SelectionName",
                    "iamRoleArn": "IamRoleArn",
                    "resources": "Resources",
                    "selectionTags": "ListOfTags",
                },
                _SELECTION_NAMES,
            )(cloud, state, changed)
        ],
    ),
    id="SelectionId",
    read=Read(
        "get_backup_selection",
        "BackupSelection",
        {"BackupPlanId": "planId", "SelectionId": "id"},
    ),
    key={"BackupPlanId": "planId", "SelectionId": "id"},
    delete="delete_backup_selection",
    names={"name": "SelectionName", "selectionTags": "ListOfTags"} | _SELECTION_NAMES,
    replace="name iamRoleArn planId resources selectionTags",
    autoname=Autoname(max_length=50),
    import_id="planId|id",
)

_OF_TESTS: Final = {
    "name": "RestoreTestingPlanName",
    "recoveryPointSelection": "RecoveryPointSelection",
    "scheduleExpression": "ScheduleExpression",
    "scheduleExpressionTimezone": "ScheduleExpressionTimezone",
    "startWindowHours": "StartWindowHours",
}
_TEST: Final = "RestoreTestingPlan"

RESTORE_TESTING_PLAN: Final = Row(
    type="aws:backup/restoreTestingPlan:RestoreTestingPlan",
    service="backup",
    create=Step(
        "create_restore_testing_plan",
        " ".join(_OF_TESTS),
        build=_block(_TEST, "create_restore_testing_plan", _OF_TESTS, {}),
    ),
    id="={name}",
    read=Read("get_restore_testing_plan", _TEST, {"RestoreTestingPlanName": "id"}),
    key={"RestoreTestingPlanName": "id"},
    update=(
        Step(
            "update_restore_testing_plan",
            " ".join(prop for prop in _OF_TESTS if prop != "name"),
            whole=True,
            build=_block(
                _TEST,
                "update_restore_testing_plan",
                {prop: member for prop, member in _OF_TESTS.items() if prop != "name"},
                {},
            ),
        ),
    ),
    delete="delete_restore_testing_plan",
    names={"name": "RestoreTestingPlanName", "arn": "RestoreTestingPlanArn"},
    replace="name",
    computed="startWindowHours scheduleExpressionTimezone",
    tags=_tagging("Tags"),
)

_OF_TEST_SELECTIONS: Final = {
    "name": "RestoreTestingSelectionName",
    "iamRoleArn": "IamRoleArn",
    "protectedResourceArns": "ProtectedResourceArns",
    "protectedResourceConditions": "ProtectedResourceConditions",
    "protectedResourceType": "ProtectedResourceType",
    "restoreMetadataOverrides": "RestoreMetadataOverrides",
    "validationWindowHours": "ValidationWindowHours",
}
_TEST_SELECTION: Final = "RestoreTestingSelection"

RESTORE_TESTING_SELECTION: Final = Row(
    type="aws:backup/restoreTestingSelection:RestoreTestingSelection",
    service="backup",
    create=Step(
        "create_restore_testing_selection",
        " ".join(["restoreTestingPlanName", *_OF_TEST_SELECTIONS]),
        build=lambda cloud, state, changed: [
            {"RestoreTestingPlanName": state["restoreTestingPlanName"], **request}
            for request in _block(
                _TEST_SELECTION, "create_restore_testing_selection", _OF_TEST_SELECTIONS, {}
            )(cloud, state, changed)
        ],
    ),
    id="={restoreTestingPlanName}:{name}",
    read=Read("get_restore_testing_selection", _TEST_SELECTION),
    key={"RestoreTestingPlanName": "restoreTestingPlanName", "RestoreTestingSelectionName": "name"},
    update=(
        Step(
            "update_restore_testing_selection",
            "iamRoleArn protectedResourceArns protectedResourceConditions "
            "restoreMetadataOverrides validationWindowHours",
            whole=True,
            build=_block(
                _TEST_SELECTION,
                "update_restore_testing_selection",
                {
                    prop: member
                    for prop, member in _OF_TEST_SELECTIONS.items()
                    if prop not in ("name", "protectedResourceType")
                },
                {},
            ),
        ),
    ),
    delete="delete_restore_testing_selection",
    names={"name": "RestoreTestingSelectionName"},
    replace="name restoreTestingPlanName protectedResourceType",
    computed="validationWindowHours restoreMetadataOverrides",
    import_id="restoreTestingPlanName:name",
)

ROWS: Final = (VAULT, PLAN, SELECTION, RESTORE_TESTING_PLAN, RESTORE_TESTING_SELECTION)
