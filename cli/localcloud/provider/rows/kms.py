"""AWS KMS: keys of our own, where a service's own key would lock another service out."""

from __future__ import annotations

from typing import Any, Final

from cli.localcloud.provider.aws import Cloud
from cli.localcloud.provider.machine import Live, Read, Row, Step, Tagging
from cli.localcloud.provider.values import Properties

_POLICY_NAME: Final = "default"  # the only one that there is
_GOING: Final = "PendingDeletion"


def _read(cloud: Cloud, state: Properties) -> Live | None:
    """A key that waits for its deletion counts as gone, as in pulumi-aws."""
    asked = {"KeyId": state["id"]}
    key = cloud.call("kms", "describe_key", **asked)["KeyMetadata"]
    if key["KeyState"] == _GOING:
        return None
    policy = cloud.call("kms", "get_key_policy", **asked, PolicyName=_POLICY_NAME)
    rotation = cloud.call("kms", "get_key_rotation_status", **asked)
    return {**key, "Policy": policy["Policy"], "Rotates": rotation["KeyRotationEnabled"]}


def _set_rotation(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    operation = "enable_key_rotation" if state.get("enableKeyRotation") else "disable_key_rotation"
    cloud.call("kms", operation, KeyId=state["id"])


def _policy(_: Cloud, state: Properties, __: frozenset[str]) -> list[dict[str, Any]]:
    return [{"PolicyName": _POLICY_NAME, "Policy": state["policy"]}]


def _delete(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    days = state.get("deletionWindowInDays")
    cloud.call(
        "kms",
        "schedule_key_deletion",
        KeyId=state["id"],
        **({"PendingWindowInDays": int(days)} if days else {}),
    )


KEY: Final = Row(
    type="aws:kms/key:Key",
    service="kms",
    create=Step("create_key", "description policy"),
    id="KeyMetadata.KeyId",
    read=_read,
    key={"KeyId": "id"},
    update=(
        Step("update_key_description", "description"),
        Step("put_key_policy", "policy", build=_policy),
        Step("", "enableKeyRotation", run=_set_rotation),
    ),
    delete=Step(run=_delete),
    reads={"enableKeyRotation": "Rotates"},
    names={"isEnabled": "Enabled"},
    computed="policy description",
    ignored="deletionWindowInDays",
    documents="policy",
    tags=Tagging(
        add="tag_resource",
        remove="untag_resource",
        key="KeyId",
        by="id",
        create="Tags",
        read=Read("list_resource_tags", "Tags", {"KeyId": "id"}),
    ),
)

ROWS: Final = (KEY,)
