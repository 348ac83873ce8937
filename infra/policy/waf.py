"""Controls of AWS WAF web ACLs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from infra.policy.base import Control, Fault, Faults, Resource, ResourceControl, same, value_at

WEB_ACL: Final = "aws:wafv2/webAcl:WebAcl"


def _rules(acl: Resource) -> list[Any]:
    """pulumi-aws takes rules as a list, or as JSON text for what its types cannot say.

    Raises:
        UnknownValue: the text is not known yet.
    """
    text = acl.get("ruleJson")
    return list(acl.items("rules")) if text is None else json.loads(text)


def _has_rules(acl: Resource) -> Faults:
    if not _rules(acl):
        yield Fault("rules", 0, "add a rule or a managed rule group")


def _metrics(acl: Resource) -> Iterable[tuple[str, Any]]:
    path = "visibilityConfig.cloudwatchMetricsEnabled"
    yield path, acl.get(path, False)
    as_json = acl.get("ruleJson") is not None
    inner = "VisibilityConfig.CloudWatchMetricsEnabled" if as_json else path
    for number, rule in enumerate(_rules(acl)):
        yield f"rules.{number}.{path}", value_at(rule, inner, False)


def _rules_have_metrics(acl: Resource) -> Faults:
    for path, value in _metrics(acl):
        if not same(value, True):
            yield Fault(path, value, "set it to true")


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
