"""What is too much in a policy document. Used by the test that reads those of every stack."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

# Actions that take no resource but "*". Service Authorization Reference, "Actions, resources, and
# condition keys", the pages of Application Auto Scaling, CloudWatch, EC2, EC2 Auto Scaling, Elastic
# Load Balancing, EventBridge, S3, STS, Resource Group Tagging and X-Ray; read in November 2026. Log
# deliveries: Step Functions developer guide, "Using CloudWatch Logs to log execution history".
WITHOUT_RESOURCES: Final = frozenset(
    {
        "application-autoscaling:DescribeScalableTargets",
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeAutoScalingInstances",
        "cloudwatch:GetMetricData",
        "cloudwatch:PutMetricData",
        "ec2:DescribeAvailabilityZones",
        "ec2:DescribeInstances",
        "ec2:DescribeTags",
        "elasticloadbalancing:DescribeLoadBalancers",
        "events:ListRules",
        "logs:CreateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:DescribeResourcePolicies",
        "logs:GetLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutResourcePolicy",
        "logs:UpdateLogDelivery",
        "s3:ListAllMyBuckets",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
        "sts:GetCallerIdentity",
        "tag:GetResources",
        "xray:PutTraceSegments",
    }
)
# AWS's own policies that a role may have: each is the one its service's guide asks for.
MANAGED: Final = frozenset(
    f"arn:aws:iam::aws:policy/{name}"
    for name in (
        "AmazonSSMManagedInstanceCore",
        "service-role/AmazonRDSEnhancedMonitoringRole",
        "service-role/AWSBackupServiceRolePolicyForBackup",
        "service-role/AWSBackupServiceRolePolicyForRestores",
    )
)
# It is asked for all log groups of an account and Region at once. Same reference, CloudWatch Logs.
LISTING: Final = "logs:DescribeLogGroups"
_SERVICE: Final = re.compile(r"[a-z0-9.-]+\.amazonaws\.com")


@cache
def _known_actions() -> dict[str, Any]:
    """AWS's services, each with its actions in small letters: AWS's policy generator's data, as
    cfn-lint ships it."""
    path = resources.files("cfnlint").joinpath("data", "AdditionalSpecs", "Policies.json")
    return json.loads(path.read_text())


def exists(action: str) -> bool:
    """Whether AWS knows an action; one that it does not know allows nothing, without a word."""
    service, _, name = action.lower().partition(":")
    return name in _known_actions().get(service, {}).get("Actions", {})


def listed(value: Any) -> list[Any]:
    """Policies write one value where a list has one."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _statements(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from listed(document.get("Statement"))


def faults_of_identity(document: Mapping[str, Any]) -> list[str]:
    """What is too much in what a role may do."""
    found: list[str] = []
    for statement in _statements(document):
        if statement.get("Effect") != "Allow":
            continue
        if "NotAction" in statement or "NotResource" in statement:
            found.append("allows all but something")
        actions = listed(statement.get("Action"))
        found += [f"wildcard action {action}" for action in actions if "*" in action]
        found += [
            f"{action}, which AWS does not know"
            for action in actions
            if "*" not in action and not exists(action)
        ]
        named_only = [action for action in actions if action not in WITHOUT_RESOURCES]
        for resource in listed(statement.get("Resource")):
            if is_everything(resource) and named_only:
                found.append(f"{', '.join(named_only)} on {resource}, which AWS allows naming")
            if LISTING in actions and not resource.endswith(":log-group:*"):
                found.append(f"{LISTING} on {resource}, which allows nothing")
    return found


def is_everything(resource: str) -> bool:
    """Whether an ARN names no resource: "*", or a wildcard where the name would stand."""
    parts = resource.split(":", 5)
    return resource == "*" or (len(parts) == 6 and parts[5] in ("*", "*/*"))


def faults_of_trust(document: Mapping[str, Any]) -> list[str]:
    """What is wrong with who may assume a role: one service, and nothing else."""
    statements = list(_statements(document))
    if len(statements) != 1:
        return [f"{len(statements)} statements instead of one"]
    (statement,) = statements
    found: list[str] = []
    principal = statement.get("Principal")
    services = listed(principal.get("Service")) if isinstance(principal, Mapping) else []
    if not isinstance(principal, Mapping) or set(principal) != {"Service"} or len(services) != 1:
        found.append(f"trusts {principal}, not one service")
    found += [f"{each} is no service" for each in services if not _SERVICE.fullmatch(str(each))]
    if listed(statement.get("Action")) != ["sts:AssumeRole"]:
        found.append(f"allows {statement.get('Action')}, not sts:AssumeRole alone")
    return found


def faults_of_resource(document: Mapping[str, Any]) -> list[str]:
    """What is too much in the policy of a bucket, topic, queue, key or endpoint."""
    found: list[str] = []
    for statement in _statements(document):
        if statement.get("Effect") != "Allow":
            continue
        principal = statement.get("Principal")
        everybody = principal == "*" or (
            isinstance(principal, Mapping) and "*" in listed(principal.get("AWS"))
        )
        if everybody and not statement.get("Condition"):
            found.append("lets everybody in without a condition")
        found += [
            f"wildcard action {action}"
            for action in listed(statement.get("Action"))
            if "*" in action
        ]
    return found
