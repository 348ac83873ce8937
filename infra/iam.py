"""Roles by least privilege: a role trusts one service and may do what its statements name.

No wildcard action anywhere, and no wildcard resource where AWS allows naming one; a test reads
every policy that the stacks create.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True)
class Statement:
    """What a role may do to which resources, and under which condition."""

    actions: Sequence[str]
    resources: Sequence[pulumi.Input[str]]
    condition: Mapping[str, Mapping[str, pulumi.Input[str]]] | None = None


def service_role(
    name: str,
    service: str,
    *,
    statements: Sequence[Statement] = (),
    managed: Mapping[str, str] | None = None,
    tags: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> aws.iam.Role:
    """A role that an AWS service assumes, such as `ec2.amazonaws.com`.

    Args:
        managed: AWS's own policies to attach, as short name -> ARN.
    """
    role = aws.iam.Role(
        name,
        assume_role_policy=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": service},
                        "Action": "sts:AssumeRole",
                    }
                ],
            }
        ),
        tags=tags,
        opts=opts,
    )
    for short, arn in (managed or {}).items():
        aws.iam.RolePolicyAttachment(f"{name}-{short}", role=role.name, policy_arn=arn, opts=opts)
    if statements:
        aws.iam.RolePolicy(name, role=role.name, policy=policy_document(statements), opts=opts)
    return role


def all_log_groups(arn: pulumi.Output[str]) -> pulumi.Output[str]:
    """All log groups of the account and Region of one: what DescribeLogGroups is asked for, so
    that one group's ARN allows nothing. Service Authorization Reference, Amazon CloudWatch Logs."""
    return arn.apply(lambda text: f"{text.partition(':log-group:')[0]}:log-group:*")


def policy_document(statements: Sequence[Statement]) -> pulumi.Output[str]:
    """The JSON text of an identity policy that allows these statements."""
    return pulumi.Output.json_dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": list(statement.actions),
                    "Resource": list(statement.resources),
                }
                | ({"Condition": statement.condition} if statement.condition else {})
                for statement in statements
            ],
        }
    )
