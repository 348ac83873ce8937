"""The life of what iam makes."""

from __future__ import annotations

import json
from typing import Any, Final

import pulumi_aws as aws

from tests.cli.localcloud.provider.chapters.base import Client, Drift, Shared, Variant

ASSUME = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ec2.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
READ_PARAMETERS = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": "*"}],
    }
)


def program(variant: Variant, shared: Shared) -> None:
    role = aws.iam.Role(
        "role", assume_role_policy=ASSUME, description=variant.color, tags=variant.tags
    )
    aws.iam.RolePolicyAttachment(
        "attachment",
        role=role.name,
        policy_arn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
    )
    aws.iam.RolePolicy("inline", role=role.name, policy=READ_PARAMETERS)
    profile = aws.iam.InstanceProfile("profile", role=role.name, tags=variant.tags)
    shared.made |= {"role": role, "profile": profile}


DRIFTS: Final[dict[str, Drift]] = {
    "role": lambda c, s: c("iam").update_role(RoleName=s["id"], Description="evil"),
    "attachment": lambda c, s: c("iam").detach_role_policy(
        RoleName=s["outputs"]["role"], PolicyArn=s["outputs"]["policyArn"]
    ),
    "inline": lambda c, s: c("iam").put_role_policy(
        RoleName=s["outputs"]["role"],
        PolicyName=s["outputs"]["name"],
        PolicyDocument=s["outputs"]["policy"].replace("ssm:GetParameter", "ssm:PutParameter"),
    ),
    "profile": lambda c, s: c("iam").remove_role_from_instance_profile(
        InstanceProfileName=s["id"], RoleName=s["outputs"]["role"]
    ),
}
REMOVED: Final = {"attachment"}
COLOURLESS: Final = {"attachment", "inline"}


def left_over(client: Client) -> list[Any]:
    iam = client("iam")
    return [*iam.list_roles()["Roles"], *iam.list_instance_profiles()["InstanceProfiles"]]
