"""A tenant moves to a tier of its own and back, and the key between CDN and load balancer changes:
added first, removed afterwards, and at no moment is a request refused."""

from __future__ import annotations

from typing import Any

import yaml

from infra.origin_key import HEADER
from tests.e2e.conftest import STACK, Firstbell
from tests.e2e.visitor import Visitor

HOST = "skola.example.org"
SKOLA = {"hosts": [HOST], "min": 1, "max": 3}
# Taken at once, without a step in which its instances come up: what docs/tiers.md warns of.
HASTY_HOST = "gymnasium.example.org"
HASTY = {"hosts": [HASTY_HOST], "min": 1, "max": 3}


def write(firstbell: Firstbell, key_number: int, **tiers: dict[str, Any]) -> None:
    stack = yaml.safe_load(STACK)
    config = stack["config"]
    del config["firstbell:season"]
    platform = config["firstbell:platform"]
    platform["edge"] = {"key_number": key_number}
    platform["tiers"] |= tiers
    (firstbell.stacks / "Pulumi.autumn.yaml").write_text(yaml.safe_dump(stack))


def keys(visitor: Visitor) -> list[set[str]]:
    """The origin keys that each rule takes."""
    return [
        set(condition["HttpHeaderConfig"]["Values"])
        for rule in visitor.rules()
        for condition in rule["Conditions"]
        if condition["Field"] == "http-header"
        and condition["HttpHeaderConfig"]["HttpHeaderName"] == HEADER
    ]


def test_no_request_fails_while_a_tenant_moves_and_the_key_changes(firstbell: Firstbell) -> None:
    # Added beside: only who names the tier reaches it.
    write(firstbell, 1, skola=SKOLA | {"takes_requests": False})
    firstbell("up", "-s", "autumn")
    firstbell("local", "advance", "--by", "10m")  # all boot, and their targets become healthy
    visitor = Visitor(firstbell, HOST)
    assert visitor.ask().startswith("autumn-web")
    first = visitor.headers()[HEADER]
    assert keys(visitor) == [{first}, {first}]

    # Moved.
    write(firstbell, 1, skola=SKOLA)
    with visitor.asking():
        moved = firstbell.json("up", "-s", "autumn")
    assert moved["counts"].pop("same") > 50
    assert moved["counts"] == {"update": 1}, "the rule alone, in place"
    assert visitor.ask().startswith("autumn-skola")
    the_nodes_roles_name_what_they_may_touch(firstbell)
    a_wrong_order_is_seen(firstbell, visitor)

    # Back, and a new key beside the old one, which the CDN may still send for minutes.
    write(firstbell, 2, skola=SKOLA | {"takes_requests": False})
    with visitor.asking():
        firstbell("up", "-s", "autumn")
    assert visitor.ask().startswith("autumn-web")
    second = visitor.headers()[HEADER]
    assert second != first
    assert keys(visitor) == [{second, first}] * 2

    # With a number skipped, the key would be let go while the CDN sends it.
    write(firstbell, 4, skola=SKOLA)
    said = firstbell("up", "-s", "autumn", code=2).stderr
    assert "autumn-origin-2: forbidden: the CDN sends key 2" in said

    # The tier goes and the first key with it; somebody else's tenant comes without care.
    write(firstbell, 3, gymnasium=HASTY)
    hasty = Visitor(firstbell, HASTY_HOST)
    with visitor.asking(), hasty.asking():
        firstbell("up", "-s", "autumn")
    third = visitor.headers()[HEADER]
    assert keys(visitor) == [{third, second}] * 2
    assert (visitor.failed, visitor.asked > 30) == ([], True)
    assert hasty.failed, "its rule took the host before an instance could answer"
    assert not hasty.ask()
    firstbell("local", "advance", "--by", "10m")
    assert hasty.ask().startswith("autumn-gymnasium")


def a_wrong_order_is_seen(firstbell: Firstbell, visitor: Visitor) -> None:
    """Known-bad twins: the rules let go of the key before the CDN does; the targets go before the
    rule does."""
    balancing = firstbell.client("elbv2")
    twin = Visitor(firstbell, HOST)
    rule = next(rule for rule in visitor.rules() if rule["Conditions"])
    target_group = rule["Actions"][0]["TargetGroupArn"]
    conditions = [
        {key: value for key, value in condition.items() if key != "Values"}
        for condition in rule["Conditions"]
    ]
    wrong = [
        {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": HEADER, "Values": ["x"]}}
        if condition["Field"] == "http-header"
        else condition
        for condition in conditions
    ]
    for given, answers in ((wrong, False), (conditions, True)):
        balancing.modify_rule(RuleArn=rule["RuleArn"], Conditions=given)
        assert bool(twin.ask().startswith("autumn-skola")) is answers
    health = balancing.describe_target_health(TargetGroupArn=target_group)
    targets = [found["Target"] for found in health["TargetHealthDescriptions"]]
    balancing.deregister_targets(TargetGroupArn=target_group, Targets=targets)
    assert not twin.ask()
    balancing.register_targets(TargetGroupArn=target_group, Targets=targets)
    assert twin.ask()


def the_nodes_roles_name_what_they_may_touch(firstbell: Firstbell) -> None:
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
