"""Searches for resources of iam."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cli.recovery.searches.base import Search, named

SEARCHES: Final[Mapping[str, Search]] = {
    "aws:iam/role:Role": named("iam", "get_role", "RoleName", "name", "one"),
    "aws:iam/rolePolicy:RolePolicy": lambda client, inputs: (
        [f"{inputs['role']}:{inputs['name']}"]
        if client("iam").get_role_policy(RoleName=inputs["role"], PolicyName=inputs["name"])
        else []
    ),
    "aws:iam/instanceProfile:InstanceProfile": named(
        "iam", "get_instance_profile", "InstanceProfileName", "name", "one"
    ),
}

# Doing it again changes nothing: there is one such thing by its key, and no id of its own.
REPEATABLE: Final = frozenset({"aws:iam/rolePolicyAttachment:RolePolicyAttachment"})
