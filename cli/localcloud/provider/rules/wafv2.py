"""AWS WAF: where web ACLs live, what their rules may say, and where they log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cli.localcloud.provider.rules.base import Request, refuse_unless, rule

if TYPE_CHECKING:
    from cli.localcloud.provider.aws import Cloud

_CODE: Final = "WAFInvalidParameterException"
_GLOBAL_REGION: Final = "us-east-1"
# WAF developer guide, "Rate-based rule high-level settings", and "Sending web ACL traffic logs to
# an Amazon CloudWatch Logs log group".
_WINDOWS: Final = (60, 120, 300, 600)
_LOG_PREFIX: Final = "aws-waf-logs-"


@rule("wafv2", "create_web_acl", "update_web_acl")
def scope_is_of_the_region(cloud: Cloud, request: Request) -> None:
    refuse_unless(
        request.get("Scope") != "CLOUDFRONT" or cloud.region == _GLOBAL_REGION,
        _CODE,
        f"The scope is not valid: CLOUDFRONT is in {_GLOBAL_REGION}, not in {cloud.region}",
    )


@rule("wafv2", "create_web_acl", "update_web_acl")
def rules_differ(_: Cloud, request: Request) -> None:
    rules = request.get("Rules", [])
    for member in ("Name", "Priority"):
        values = [each.get(member) for each in rules]
        refuse_unless(
            len(set(values)) == len(values), _CODE, f"two rules have the same {member}: {values}"
        )
    for each in rules:
        one = len({"Action", "OverrideAction"} & each.keys()) == 1
        refuse_unless(one, _CODE, f"rule {each.get('Name')}: give Action or OverrideAction")
        for rate in _rates(each.get("Statement", {})):
            _check_rate(str(each.get("Name")), rate)


def _rates(statement: Request) -> list[Request]:
    found = statement.get("RateBasedStatement")
    return [found] if found else []


def _check_rate(name: str, rate: Request) -> None:
    window: Any = rate.get("EvaluationWindowSec", 300)
    refuse_unless(
        window in _WINDOWS,
        _CODE,
        f"rule {name}: EvaluationWindowSec {window} is none of {_WINDOWS}",
    )
    custom = rate.get("AggregateKeyType") == "CUSTOM_KEYS"
    refuse_unless(
        custom == bool(rate.get("CustomKeys")),
        _CODE,
        f"rule {name}: CustomKeys go with AggregateKeyType CUSTOM_KEYS, and it with them",
    )


@rule("wafv2", "put_logging_configuration")
def log_groups_are_named_for_it(_: Cloud, request: Request) -> None:
    for arn in request.get("LoggingConfiguration", {}).get("LogDestinationConfigs", []):
        name = arn.rpartition(":log-group:")[2] if ":log-group:" in arn else arn.rpartition("/")[2]
        name = name.rpartition(":::")[2] or name
        refuse_unless(
            name.startswith(_LOG_PREFIX),
            _CODE,
            f"The ARN isn't valid: the name in {arn} does not begin with {_LOG_PREFIX}",
        )
