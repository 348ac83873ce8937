"""Searches for resources of backup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cli.recovery.searches.base import Clients, Inputs, Search, named


def _plan(client: Clients, inputs: Inputs) -> list[str]:
    found = client("backup").list_backup_plans()["BackupPlansList"]
    backup = client("backup")
    return [
        plan["BackupPlanId"]
        for plan in found
        if backup.get_backup_plan(BackupPlanId=plan["BackupPlanId"])["BackupPlan"]["BackupPlanName"]
        == inputs["name"]
    ]


def _selection(client: Clients, inputs: Inputs) -> list[str]:
    plan, backup = inputs["planId"], client("backup")
    found = backup.list_backup_selections(BackupPlanId=plan)["BackupSelectionsList"]
    return [
        selection["SelectionId"]
        for selection in found
        if selection["SelectionName"] == inputs["name"]
    ]


def _test_selection(client: Clients, inputs: Inputs) -> list[str]:
    plan, name = inputs["restoreTestingPlanName"], inputs["name"]
    found = client("backup").get_restore_testing_selection(
        RestoreTestingPlanName=plan, RestoreTestingSelectionName=name
    )
    return [f"{plan}:{name}"] if found.get("RestoreTestingSelection") else []


SEARCHES: Final[Mapping[str, Search]] = {
    "aws:backup/vault:Vault": named(
        "backup", "describe_backup_vault", "BackupVaultName", "name", "one"
    ),
    "aws:backup/plan:Plan": _plan,
    "aws:backup/selection:Selection": _selection,
    "aws:backup/restoreTestingPlan:RestoreTestingPlan": named(
        "backup", "get_restore_testing_plan", "RestoreTestingPlanName", "name", "one"
    ),
    "aws:backup/restoreTestingSelection:RestoreTestingSelection": _test_selection,
}
