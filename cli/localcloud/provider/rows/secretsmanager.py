"""Secrets Manager: secrets and what stands in them."""

from __future__ import annotations

from typing import Any, Final

from cli.localcloud.provider.aws import Cloud
from cli.localcloud.provider.machine import Autoname, Live, Read, Row, Step, Tagging
from cli.localcloud.provider.values import Properties


def _not_deleted(answer: dict[str, Any], _: Properties) -> Live | None:
    """A deleted secret is shown until its recovery window is over."""
    return None if "DeletedDate" in answer else answer


def _window(_: Cloud, state: Properties, __: frozenset[str]) -> list[dict[str, Any]]:
    days = state.get("recoveryWindowInDays", 30)
    return [{"RecoveryWindowInDays": int(days)} if days else {"ForceDeleteWithoutRecovery": True}]


SECRET: Final = Row(
    type="aws:secretsmanager/secret:Secret",
    service="secretsmanager",
    create=Step("create_secret", "name description kmsKeyId"),
    id="ARN",
    read=Read("describe_secret", _not_deleted, {"SecretId": "id"}),
    key={"SecretId": "id"},
    update=(Step("update_secret", "description kmsKeyId"),),
    delete=Step("delete_secret", build=_window),
    replace="name namePrefix",
    defaults={"recoveryWindowInDays": 30, "forceOverwriteReplicaSecret": False},
    ignored="recoveryWindowInDays forceOverwriteReplicaSecret",
    autoname=Autoname(max_length=512),
    tags=Tagging(add="tag_resource", remove="untag_resource", key="SecretId", by="id"),
)

SECRET_VERSION: Final = Row(
    type="aws:secretsmanager/secretVersion:SecretVersion",
    service="secretsmanager",
    create=Step("put_secret_value", "secretId secretString"),
    id="join('|', [ARN, VersionId])",
    read=Read("get_secret_value", "@", {"SecretId": "secretId"}),
    key={"SecretId": "secretId"},
    # It goes with its secret.
    delete=(),
    names={"secretId": "SecretId"},
    replace="secretId secretString",
    sensitive="secretString",
    import_id="secretId|versionId",
)

ROWS: Final = (SECRET, SECRET_VERSION)
