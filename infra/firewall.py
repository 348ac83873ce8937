"""AWS WAF: a web ACL that challenges before it blocks, and its log.

A school signs in from one address, a region's schools perhaps from a few. So what is counted by
address alone has a very high ceiling, and what exceeds a rate is challenged first: a browser
answers by itself and goes on, a program that floods does not. Only requests that a browser can
answer are challenged (GET, outside the paths that programs call): the answer to a challenge of a
form that is sent would be the loss of what was written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import pulumi
import pulumi_aws as aws

from infra.settings.firewall import WINDOW_SECONDS, FirewallSettings

Rule = dict[str, Any]
# Where web ACLs of distributions live, with their logs. WAF developer guide.
GLOBAL_REGION: Final = "us-east-1"
# Names of log groups that WAF takes begin so. WAF developer guide, "Sending web ACL traffic logs".
LOG_PREFIX: Final = "aws-waf-logs-"
# A browser that has answered is not asked again for so long: a school day.
CHALLENGE_IMMUNITY_SECONDS: Final = 28_800
# Lists of addresses in AmazonIpReputationList: by themselves they block, and a school's address may
# come to stand on one through a single pupil's telephone.
REPUTATION_LISTS: Final = (
    "AWSManagedIPReputationList",
    "AWSManagedReconnaissanceList",
    "AWSManagedIPDDoSList",
)
# What must not stand in a log: it lets its reader in.
REDACTED_HEADERS: Final = ("cookie", "authorization")
LOGGED_ACTIONS: Final = ("BLOCK", "CHALLENGE", "COUNT")

_PLAIN: Final = [{"Priority": 0, "Type": "NONE"}]


def front_rules(settings: FirewallSettings, session_cookie: str | None) -> list[Rule]:
    """The rules where visitors arrive: rates, addresses of ill repute, known attacks."""
    can_answer = _can_answer(settings.unchallenged_paths)
    address = settings.requests_per_address
    rules = [
        _rate("address-blocked", address * settings.block_at, "Block"),
        _rate("address-challenged", address, "Challenge", scope=can_answer),
    ]
    if session_cookie is not None:
        key = [
            {"Cookie": {"Name": session_cookie, "TextTransformations": _PLAIN}},
            {"IP": {}},
        ]
        rules.append(
            _rate(
                "session-challenged",
                settings.requests_per_session,
                "Challenge",
                scope=can_answer,
                keys=key,
            )
        )
    rules += [
        _managed(
            "reputation",
            "AWSManagedRulesAmazonIpReputationList",
            dict.fromkeys(REPUTATION_LISTS, "Challenge"),
            scope=can_answer,
        ),
        _managed("known-bad-inputs", "AWSManagedRulesKnownBadInputsRuleSet"),
        _managed(
            "common", "AWSManagedRulesCommonRuleSet", dict.fromkeys(settings.counted_rules, "Count")
        ),
    ]
    return _numbered(rules)


def origin_rules() -> list[Rule]:
    """The rules behind a CDN, whose own web ACL has counted and judged already."""
    return _numbered([_managed("known-bad-inputs", "AWSManagedRulesKnownBadInputsRuleSet")])


def _numbered(rules: Sequence[Rule]) -> list[Rule]:
    return [rule | {"Priority": number} for number, rule in enumerate(rules)]


def _visibility(name: str) -> Rule:
    """Metrics, but no samples: they would show session cookies to who may look at them."""
    return {
        "SampledRequestsEnabled": False,
        "CloudWatchMetricsEnabled": True,
        "MetricName": name,
    }


def _can_answer(unchallenged: Sequence[str]) -> Rule:
    """GET requests outside of some paths."""
    outside = [
        {"NotStatement": {"Statement": _matches({"UriPath": {}}, path, "STARTS_WITH")}}
        for path in unchallenged
    ]
    return {"AndStatement": {"Statements": [_matches({"Method": {}}, "GET", "EXACTLY"), *outside]}}


def _matches(field: Rule, text: str, how: str) -> Rule:
    return {
        "ByteMatchStatement": {
            "FieldToMatch": field,
            "SearchString": text,
            "PositionalConstraint": how,
            "TextTransformations": _PLAIN,
        }
    }


def _rate(
    name: str,
    limit: int,
    action: Literal["Block", "Challenge"],
    *,
    scope: Rule | None = None,
    keys: Sequence[Rule] | None = None,
) -> Rule:
    statement: Rule = {
        "Limit": limit,
        "EvaluationWindowSec": WINDOW_SECONDS,
        "AggregateKeyType": "CUSTOM_KEYS" if keys else "IP",
    }
    if keys:
        statement["CustomKeys"] = list(keys)
    if scope is not None:
        statement["ScopeDownStatement"] = scope
    return {
        "Name": name,
        "Action": {action: {}},
        "Statement": {"RateBasedStatement": statement},
        "VisibilityConfig": _visibility(name),
    }


def _managed(
    name: str,
    group: str,
    actions: Mapping[str, str] | None = None,
    *,
    scope: Rule | None = None,
) -> Rule:
    """A rule group of AWS, with other actions for some of its rules."""
    statement: Rule = {"VendorName": "AWS", "Name": group}
    if actions:
        statement["RuleActionOverrides"] = [
            {"Name": rule, "ActionToUse": {action: {}}} for rule, action in actions.items()
        ]
    if scope is not None:
        statement["ScopeDownStatement"] = scope
    return {
        "Name": name,
        "OverrideAction": {"None": {}},
        "Statement": {"ManagedRuleGroupStatement": statement},
        "VisibilityConfig": _visibility(name),
    }


@dataclass(frozen=True)
class FirewallArgs:
    """`scope` says what the web ACL stands before: a load balancer, or a distribution.

    `redacted_headers` are left out of the log besides cookies and authorization.
    """

    scope: Literal["REGIONAL", "CLOUDFRONT"]
    rules: Sequence[Rule]
    log_days: int
    tags: Mapping[str, str]
    redacted_headers: Sequence[str] = ()
    balancer_arn: pulumi.Input[str] | None = None


class Firewall(pulumi.ComponentResource):
    """A web ACL, its log, and its association with a load balancer where one is given."""

    web_acl_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: FirewallArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:firewall:Firewall", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = dict(args.tags)
        region = GLOBAL_REGION if args.scope == "CLOUDFRONT" else None
        acl = aws.wafv2.WebAcl(
            name,
            name=name,
            scope=args.scope,
            default_action=aws.wafv2.WebAclDefaultActionArgs(
                allow=aws.wafv2.WebAclDefaultActionAllowArgs()
            ),
            # pulumi-aws's own types nest statements no deeper than three.
            rule_json=json.dumps(list(args.rules), sort_keys=True),
            challenge_config=aws.wafv2.WebAclChallengeConfigArgs(
                immunity_time_property=aws.wafv2.WebAclChallengeConfigImmunityTimePropertyArgs(
                    immunity_time=CHALLENGE_IMMUNITY_SECONDS
                )
            ),
            visibility_config=aws.wafv2.WebAclVisibilityConfigArgs(
                cloudwatch_metrics_enabled=True,
                metric_name=name,
                sampled_requests_enabled=False,
            ),
            region=region,
            tags=tags,
            opts=child,
        )
        log = aws.cloudwatch.LogGroup(
            f"{name}-firewall",
            name=f"{LOG_PREFIX}{name}",
            retention_in_days=args.log_days,
            region=region,
            tags=tags,
            opts=child,
        )
        aws.wafv2.WebAclLoggingConfiguration(
            name,
            resource_arn=acl.arn,
            log_destination_configs=[log.arn],
            logging_filter=aws.wafv2.WebAclLoggingConfigurationLoggingFilterArgs(
                default_behavior="DROP",
                filters=[
                    aws.wafv2.WebAclLoggingConfigurationLoggingFilterFilterArgs(
                        behavior="KEEP",
                        requirement="MEETS_ANY",
                        conditions=[
                            aws.wafv2.WebAclLoggingConfigurationLoggingFilterFilterConditionArgs(
                                action_condition=aws.wafv2.WebAclLoggingConfigurationLoggingFilterFilterConditionActionConditionArgs(
                                    action=action
                                )
                            )
                            for action in LOGGED_ACTIONS
                        ],
                    )
                ],
            ),
            redacted_fields=[
                aws.wafv2.WebAclLoggingConfigurationRedactedFieldArgs(
                    single_header=aws.wafv2.WebAclLoggingConfigurationRedactedFieldSingleHeaderArgs(
                        name=header
                    )
                )
                for header in (*REDACTED_HEADERS, *args.redacted_headers)
            ],
            region=region,
            opts=child,
        )
        if args.balancer_arn is not None:
            aws.wafv2.WebAclAssociation(
                name, resource_arn=args.balancer_arn, web_acl_arn=acl.arn, opts=child
            )
        self.web_acl_arn = acl.arn
        self.register_outputs({"web_acl_arn": acl.arn})
