"""EFS: what goes together in a file system, one mount target a zone, owners of folders."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from cli.localcloud.provider.rules.base import Request, refuse_unless, rule

if TYPE_CHECKING:
    from cli.localcloud.provider.aws import Cloud

_SERVICE: Final = "efs"
_CODE: Final = "BadRequest"
# EFS user guide, "Amazon EFS quotas".
MAX_SECURITY_GROUPS: Final = 5


@rule(_SERVICE, "create_file_system", "update_file_system")
def throughput_is_sound(_: Cloud, request: Request) -> None:
    mode = request.get("ThroughputMode")
    provisioned = request.get("ProvisionedThroughputInMibps")
    refuse_unless(
        (mode == "provisioned") == (provisioned is not None) or mode is None,
        _CODE,
        "ProvisionedThroughputInMibps goes with ThroughputMode provisioned, and only with it",
    )
    refuse_unless(
        mode != "elastic" or request.get("PerformanceMode", "generalPurpose") == "generalPurpose",
        _CODE,
        "Elastic throughput is not available with performance mode maxIO",
    )


@rule(_SERVICE, "create_file_system")
def keys_are_for_encrypted_ones(_: Cloud, request: Request) -> None:
    refuse_unless(
        "KmsKeyId" not in request or bool(request.get("Encrypted")),
        _CODE,
        "A KmsKeyId is only for an encrypted file system",
    )


@rule(_SERVICE, "put_lifecycle_configuration")
def lifecycle_is_sound(_: Cloud, request: Request) -> None:
    policies = request.get("LifecyclePolicies", [])
    refuse_unless(
        all(len(policy) == 1 for policy in policies),
        _CODE,
        "each lifecycle policy has exactly one transition",
    )
    kinds = [kind for policy in policies for kind in policy]
    refuse_unless(len(kinds) == len(set(kinds)), _CODE, "a transition is given twice")


@rule(_SERVICE, "create_access_point")
def folders_have_owners(_: Cloud, request: Request) -> None:
    root = request.get("RootDirectory") or {}
    path = root.get("Path", "/")
    refuse_unless(
        re.fullmatch(r"/|(/[^/]+){1,4}", path) is not None and len(path) <= 100,
        _CODE,
        f"{path!r} is no folder: it begins with / and has at most four parts",
    )
    # "If you do not provide OwnUid, OwnGid and permissions, EFS does not create the root
    # directory": API reference, RootDirectory.
    refuse_unless(
        path == "/" or "CreationInfo" in root,
        _CODE,
        f"the folder {path} would not be made: CreationInfo is missing",
    )


@rule(_SERVICE, "create_mount_target", "modify_mount_target_security_groups")
def security_groups_are_not_too_many(_: Cloud, request: Request) -> None:
    count = len(request.get("SecurityGroups", []))
    refuse_unless(
        count <= MAX_SECURITY_GROUPS,
        "SecurityGroupLimitExceeded",
        f"{count} security groups: a mount target has at most {MAX_SECURITY_GROUPS}",
    )
