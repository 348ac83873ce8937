"""Controls of AWS WAF web ACLs."""

from __future__ import annotations

from typing import Final

from infra.policy.base import Control, Fault, Faults, Resource, ResourceControl, same

WEB_ACL: Final = "aws:wafv2/webAcl:WebAcl"


def _has_rules(acl: Resource) -> Faults:
    # pulumi-aws takes rules as a list, or as JSON text for what its types cannot say.
    if not acl.items("rules") and not acl.get("ruleJson"):
        yield Fault("rules", 0, "add a rule or a managed rule group")


def _rules_have_metrics(acl: Resource) -> Faults:
    paths = ["visibilityConfig"]
    paths += [f"rules.{number}.visibilityConfig" for number in range(len(acl.items("rules")))]
    for path in paths:
        value = acl.get(f"{path}.cloudwatchMetricsEnabled", False)
        if not same(value, True):
            yield Fault(f"{path}.cloudwatchMetricsEnabled", value, "set it to true")


CONTROLS: Final[tuple[Control, ...]] = (
    ResourceControl(
        "WAF.10",
        "AWS WAF web ACLs should have at least one rule or rule group",
        (WEB_ACL,),
        _has_rules,
    ),
    ResourceControl(
        "WAF.12",
        "AWS WAF rules should have CloudWatch metrics enabled",
        (WEB_ACL,),
        _rules_have_metrics,
    ),
)
