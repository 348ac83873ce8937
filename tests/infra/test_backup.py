"""The backups as the program declares them: what is taken along, how long, and restores tried."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data

from infra.backup import schedule
from infra.settings.backup import BACKUP_TAG
from tests.infra.conftest import Record, as_applied

VAULT = "aws:backup/vault:Vault"
PLAN, SELECTION = "aws:backup/plan:Plan", "aws:backup/selection:Selection"
TESTS = "aws:backup/restoreTestingPlan:RestoreTestingPlan"
TEST_SELECTION = "aws:backup/restoreTestingSelection:RestoreTestingSelection"
CLUSTER, SYSTEM = "aws:rds/cluster:Cluster", "aws:efs/fileSystem:FileSystem"
NAME = "tiny-backup"


def test_the_smallest_stack_backs_its_database_up_and_tries_it_out(record: Record) -> None:
    program = record()
    # What was backed up is not gone with the stack, nor does it stop `destroy` half way.
    (vault,) = (r for r in program.recording.resources.values() if r.type == VAULT)
    assert vault.retained
    (selection,) = program.of_type(SELECTION).values()
    assert selection["selectionTags"] == [
        {"type": "STRINGEQUALS", "key": BACKUP_TAG, "value": "tiny"}
    ]
    assert program.of_type(CLUSTER)["tiny-database"]["tags"][BACKUP_TAG] == "tiny"
    rules = {rule["ruleName"]: rule for rule in program.of_type(PLAN)[NAME]["rules"]}
    assert {name: rule["lifecycle"]["deleteAfter"] for name, rule in rules.items()} == {
        "daily": 35,
        "monthly": 365,
    }
    assert program.of_type(TESTS)[NAME]["scheduleExpression"] == "cron(0 5 ? * 1#2 *)"
    tested = program.of_type(TEST_SELECTION)
    assert [one["protectedResourceType"] for one in tested.values()] == ["Aurora"]


def test_files_are_taken_along_and_tried_out_too(record: Record) -> None:
    program = record(files={})
    assert program.of_type(SYSTEM)["tiny-files"]["tags"][BACKUP_TAG] == "tiny"  # EFS.2
    tested = program.of_type(TEST_SELECTION)
    assert {one["protectedResourceType"] for one in tested.values()} == {"Aurora", "EFS"}


def test_a_bucket_is_tried_out_in_one_of_the_test_s_own_unless_that_costs_too_much(
    record: Record,
) -> None:
    program = record(files={"bucket": {}})
    tested = program.of_type(TEST_SELECTION)
    assert {one["protectedResourceType"] for one in tested.values()} == {"Aurora", "EFS", "S3"}
    without = record(files={"bucket": {}}, backup={"restore_test_bucket": False})
    tested = without.of_type(TEST_SELECTION)
    assert {one["protectedResourceType"] for one in tested.values()} == {"Aurora", "EFS"}


def test_settings_reach_the_plan_and_the_restore_test(record: Record) -> None:
    program = record(
        backup={
            "hour": 22,
            "daily_keep_days": 7,
            "monthly_keep_days": 90,
            "restore_test": False,
        }
    )
    rules = program.of_type(PLAN)[NAME]["rules"]
    assert [rule["schedule"] for rule in rules] == ["cron(0 22 * * ? *)", "cron(0 22 1 * ? *)"]
    assert [rule["lifecycle"]["deleteAfter"] for rule in rules] == [7, 90]
    assert program.of_type(TESTS) == {}
    assert "tiny-backup-restore" not in program.of_type("aws:iam/role:Role")


def test_a_restore_test_after_midnight_keeps_a_real_hour() -> None:
    assert schedule(22 + 3, "? * 1#2 *") == "cron(0 1 ? * 1#2 *)"


# What AWS's own policies for these roles have beside what ours need.
NOT_OURS = {
    # Continuous backups, which no rule of the plan asks for, and restores from them.
    "rds:deletedbclusterautomatedbackup",
    "rds:describedbclusterautomatedbackups",
    "rds:modifydbcluster",
    "rds:restoredbclustertopointintime",
    # Copies for other accounts.
    "rds:modifydbclustersnapshotattribute",
}
OF_WHAT_WE_HAVE = ("backup:tag", "cloudwatch:", "elasticfilesystem:", "events:", "s3:", "tag:")


def actions_of(document: dict[str, Any]) -> Iterator[str]:
    """What a document allows, in small letters: AWS itself writes both cases."""
    for statement in document["Statement"]:
        actions: str | list[str] = statement["Action"]
        yield from (a.lower() for a in ([actions] if isinstance(actions, str) else actions))


@pytest.fixture(scope="module")
def roles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the roles of a stack with files and a bucket may do, as `up` registers it."""
    here = tmp_path_factory.mktemp("stack")
    program = as_applied(here, here, files={"bucket": {}})
    policies = program.of_type("aws:iam/rolePolicy:RolePolicy")
    return {name: policy["policy"] for name, policy in policies.items()}


@pytest.mark.parametrize(
    ("role", "policies"),
    [
        ("tiny-backup", ("ServiceRolePolicyForBackup", "ServiceRolePolicyForS3Backup")),
        ("tiny-backup-restore", ("ServiceRolePolicyForRestores", "ServiceRolePolicyForS3Restore")),
    ],
)
def test_the_roles_may_do_what_aws_s_own_policies_say_that_their_work_needs(
    roles: dict[str, str], role: str, policies: tuple[str, str]
) -> None:
    """Or backups of the files fail, or restores of them do: on the local cloud nobody asks."""
    published: dict[str, Any] = json.loads(aws_managed_policies_data)
    needed = {
        action
        for policy in policies
        for action in actions_of(published[f"AWSBackup{policy}"]["Document"])
        if action.startswith(OF_WHAT_WE_HAVE)
        or (action.startswith("rds:") and ("cluster" in action or "tags" in action))
    }
    assert "elasticfilesystem:tagresource" in needed or "backup:tagresource" in needed
    allowed = set(actions_of(json.loads(roles[role])))
    assert needed - allowed == NOT_OURS & needed
