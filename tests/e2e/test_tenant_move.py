"""A tenant moves to a tier of its own: added first, and nothing else is touched."""

from __future__ import annotations

from typing import Any

from tests.e2e.conftest import STACK, Firstbell

TIERS = "tiers: {web: {min: 2, max: 60}}"
SKOLA = "hosts: [skola.example.org], min: 1, max: 3"
BEFORE = f"tiers: {{web: {{min: 2, max: 60}}, skola: {{{SKOLA}, takes_requests: false}}}}"
AFTER = f"tiers: {{web: {{min: 2, max: 60}}, skola: {{{SKOLA}}}}}"


def test_the_new_tiers_instances_are_targets_before_its_rule_takes_the_host(
    firstbell: Firstbell,
) -> None:
    path = firstbell.stacks / "Pulumi.autumn.yaml"
    plain = STACK.replace("  firstbell:season: seasons/autumn.yaml\n", "")
    assert TIERS in plain
    path.write_text(plain.replace(TIERS, BEFORE))
    firstbell("up", "-s", "autumn")
    balancing = firstbell.client("elbv2")
    (group,) = (
        found["TargetGroupArn"]
        for found in balancing.describe_target_groups()["TargetGroups"]
        if found["TargetGroupName"].startswith("autumn-skola")
    )
    assert balancing.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    path.write_text(plain.replace(TIERS, AFTER))
    moved = firstbell.json("up", "-s", "autumn")
    assert moved["counts"].pop("same") > 50
    assert moved["counts"] == {"update": 1}, "the rule alone, in place"
    # What the nodes' roles may do names what it may be done to.
    iam = firstbell.client("iam")
    statements: list[Any] = [
        statement
        for role in iam.list_roles()["Roles"]
        for name in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
        if "skola" in name
        for statement in iam.get_role_policy(RoleName=role["RoleName"], PolicyName=name)[
            "PolicyDocument"
        ]["Statement"]
    ]
    assert len(statements) == 2
    for statement in statements:
        assert not [action for action in statement["Action"] if "*" in action]
        assert all(resource.startswith("arn:aws:") for resource in statement["Resource"])
