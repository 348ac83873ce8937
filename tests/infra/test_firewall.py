"""The web ACL challenges before it blocks, and never what cannot answer."""

from __future__ import annotations

import json
from typing import Any

from infra.firewall import front_rules
from infra.settings.firewall import FirewallSettings
from tests.infra.conftest import Record

DEFAULT = FirewallSettings.model_validate({})
WEB_ACL = "aws:wafv2/webAcl:WebAcl"


def rules(cookie: str | None = "MoodleSession", **given: Any) -> dict[str, dict[str, Any]]:
    found = front_rules(FirewallSettings.model_validate(given), cookie)
    assert [rule["Priority"] for rule in found] == list(range(len(found)))
    return {rule["Name"]: rule for rule in found}


def rate(rule: dict[str, Any]) -> dict[str, Any]:
    return rule["Statement"]["RateBasedStatement"]


def test_an_address_is_challenged_long_before_it_is_blocked() -> None:
    found = rules(requests_per_address=50_000, block_at=4)
    assert rate(found["address-challenged"])["Limit"] == 50_000
    assert found["address-challenged"]["Action"] == {"Challenge": {}}
    assert rate(found["address-blocked"])["Limit"] == 200_000
    blocking = [name for name, rule in found.items() if "Block" in rule.get("Action", {})]
    assert blocking == ["address-blocked"]


def test_pupils_behind_one_address_are_counted_by_session() -> None:
    session = rate(rules()["session-challenged"])
    assert session["AggregateKeyType"] == "CUSTOM_KEYS"
    assert [next(iter(key)) for key in session["CustomKeys"]] == ["Cookie", "IP"]
    assert session["CustomKeys"][0]["Cookie"]["Name"] == "MoodleSession"
    assert "session-challenged" not in rules(cookie=None)


def test_only_requests_that_a_browser_can_answer_are_challenged() -> None:
    """A form that is sent, a SAML answer or an app's call would be lost."""
    found = rules(unchallenged_paths=["/auth/saml2/"])
    challenging = [rule for rule in found.values() if "Challenge" in json.dumps(rule)]
    assert {rule["Name"] for rule in challenging} == {
        "address-challenged",
        "session-challenged",
        "reputation",
    }
    for rule in challenging:
        (statement,) = rule["Statement"].values()
        method, outside = statement["ScopeDownStatement"]["AndStatement"]["Statements"]
        assert method["ByteMatchStatement"]["SearchString"] == "GET"
        inner = outside["NotStatement"]["Statement"]["ByteMatchStatement"]
        assert (inner["SearchString"], inner["PositionalConstraint"]) == (
            "/auth/saml2/",
            "STARTS_WITH",
        )


def test_what_essays_and_uploads_look_like_is_only_counted() -> None:
    group = rules()["common"]["Statement"]["ManagedRuleGroupStatement"]
    counted = {
        override["Name"]: override["ActionToUse"] for override in group["RuleActionOverrides"]
    }
    assert counted["SizeRestrictions_BODY"] == {"Count": {}}
    assert set(counted) == set(DEFAULT.counted_rules)


def test_the_load_balancer_is_guarded_and_the_log_hides_what_lets_its_reader_in(
    record: Record,
) -> None:
    made = record(firewall={"log_days": 90})
    (acl,) = made.of_type(WEB_ACL).values()
    assert acl["scope"] == "REGIONAL"
    assert json.loads(acl["ruleJson"]) == front_rules(DEFAULT, None)
    association = "WebAclAssociation::tiny-balancer"
    assert {"LoadBalancer::tiny", "WebAcl::tiny-balancer"} <= made.dependencies(association)
    (log,) = made.of_type(
        "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"
    ).values()
    hidden = [field["singleHeader"]["name"] for field in log["redactedFields"]]
    assert hidden == ["cookie", "authorization"]
    assert log["loggingFilter"]["defaultBehavior"] == "DROP"
    groups = made.of_type("aws:cloudwatch/logGroup:LogGroup")
    assert groups["tiny-balancer-firewall"]["name"] == "aws-waf-logs-tiny-balancer"
    assert groups["tiny-balancer-firewall"]["retentionInDays"] == 90
