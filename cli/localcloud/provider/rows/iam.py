"""Identity and Access Management: roles, their policies, instance profiles."""

from __future__ import annotations

import json
from typing import Any, Final

from cli.localcloud.provider.aws import Cloud
from cli.localcloud.provider.machine import Autoname, Read, Row, Step, Tagging
from cli.localcloud.provider.values import Properties


def _text(document: Any) -> Any:
    """botocore hands policies out parsed."""
    return json.dumps(document) if isinstance(document, dict) else document


ROLE: Final = Row(
    type="aws:iam/role:Role",
    service="iam",
    create="create_role",
    id="={name}",
    read=Read("get_role", "Role", {"RoleName": "id"}),
    key={"RoleName": "id"},
    update=(
        Step(
            "update_assume_role_policy",
            "assumeRolePolicy",
            build=lambda _, state, __: [{"PolicyDocument": state["assumeRolePolicy"]}],
        ),
        Step("update_role", "description maxSessionDuration"),
        Step("put_role_permissions_boundary", "permissionsBoundary"),
    ),
    delete="delete_role",
    names={
        "name": "RoleName",
        "assumeRolePolicy": "AssumeRolePolicyDocument",
        "uniqueId": "RoleId",
    },
    replace="name namePrefix path",
    defaults={"path": "/", "maxSessionDuration": 3600, "forceDetachPolicies": False},
    ignored="forceDetachPolicies",
    documents="assumeRolePolicy",
    absent="permissionsBoundary",
    reads={
        "assumeRolePolicy": lambda role: _text(role["AssumeRolePolicyDocument"]),
        "permissionsBoundary": "PermissionsBoundary.PermissionsBoundaryArn",
        # Policies are resources of their own here.
        "inlinePolicies": lambda _: None,
        "managedPolicyArns": lambda _: None,
    },
    autoname=Autoname(max_length=64),
    tags=Tagging("tag_role", "untag_role", key="RoleName", by="id"),
)

_BY_NAMES: Final = {"RoleName": "role", "PolicyName": "name"}

ROLE_POLICY: Final = Row(
    type="aws:iam/rolePolicy:RolePolicy",
    service="iam",
    create="put_role_policy",
    id="={role}:{name}",
    read=Read("get_role_policy", "@", _BY_NAMES),
    key=_BY_NAMES,
    update=(Step("put_role_policy", "policy"),),
    delete="delete_role_policy",
    names={"role": "RoleName", "name": "PolicyName", "policy": "PolicyDocument"},
    replace="role name namePrefix",
    documents="policy",
    reads={"policy": lambda answer: _text(answer["PolicyDocument"])},
    autoname=Autoname(max_length=128),
    import_id="role:name",
)


def _attached(answer: dict[str, Any], state: Properties) -> dict[str, Any] | None:
    arns = [policy["PolicyArn"] for policy in answer["AttachedPolicies"]]
    if state["policyArn"] not in arns:
        return None
    return {"RoleName": state["role"], "PolicyArn": state["policyArn"]}


ROLE_POLICY_ATTACHMENT: Final = Row(
    type="aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    service="iam",
    create="attach_role_policy",
    id="={role}/{policyArn}",
    read=Read("list_attached_role_policies", _attached, {"RoleName": "role"}),
    key={"RoleName": "role", "PolicyArn": "policyArn"},
    delete="detach_role_policy",
    names={"role": "RoleName"},
    replace="role policyArn",
    import_id="role/policyArn",
)


def _set_role(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    """A profile holds at most one role."""
    name = {"InstanceProfileName": state["id"]}
    profile = cloud.call("iam", "get_instance_profile", **name)["InstanceProfile"]
    for role in profile["Roles"]:
        cloud.call("iam", "remove_role_from_instance_profile", **name, RoleName=role["RoleName"])
    if state.get("role"):
        cloud.call("iam", "add_role_to_instance_profile", **name, RoleName=state["role"])


INSTANCE_PROFILE: Final = Row(
    type="aws:iam/instanceProfile:InstanceProfile",
    service="iam",
    create=Step("create_instance_profile", "name path"),
    id="={name}",
    read=Read("get_instance_profile", "InstanceProfile", {"InstanceProfileName": "id"}),
    key={"InstanceProfileName": "id"},
    update=(Step(props="role", run=_set_role),),
    delete=(
        Step(run=lambda cloud, state, sent: _set_role(cloud, state | {"role": None}, sent)),
        "delete_instance_profile",
    ),
    names={"name": "InstanceProfileName", "uniqueId": "InstanceProfileId"},
    replace="name namePrefix path",
    defaults={"path": "/"},
    absent="role",
    reads={"role": "Roles[0].RoleName"},
    autoname=Autoname(max_length=128),
    tags=Tagging(
        "tag_instance_profile", "untag_instance_profile", key="InstanceProfileName", by="id"
    ),
)

ROWS: Final = (ROLE, ROLE_POLICY, ROLE_POLICY_ATTACHMENT, INSTANCE_PROFILE)
