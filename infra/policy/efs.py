"""Controls of Amazon EFS: file systems, their mount targets and access points."""

from __future__ import annotations

import fnmatch
from typing import Final

from infra.policy.base import (
    Control,
    Fault,
    Faults,
    Resource,
    ResourceControl,
    Stack,
    StackControl,
    UnknownValue,
    is_unknown,
    must_be,
    same,
    value_at,
)
from infra.policy.zones import SUBNET

FILE_SYSTEM: Final = "aws:efs/fileSystem:FileSystem"
ACCESS_POINT: Final = "aws:efs/accessPoint:AccessPoint"
MOUNT_TARGET: Final = "aws:efs/mountTarget:MountTarget"
BACKUP_POLICY: Final = "aws:efs/backupPolicy:BackupPolicy"
SELECTION: Final = "aws:backup/selection:Selection"


def _is_in_a_plan(files: Resource, stack: Stack) -> Faults:
    """A selection of a backup plan names it, by ARN, by a pattern of ARNs, or by tag."""
    arn = files.peek("arn")
    if any(_selects_by_tag(selection, files) for selection in stack.of(SELECTION)):
        return
    for selection in stack.of(SELECTION):
        patterns = [str(each) for each in selection.items("resources") if not is_unknown(each)]
        wild = [pattern for pattern in patterns if "*" in pattern]
        if any(fnmatch.fnmatchcase("arn:aws:elasticfilesystem", p.split("/")[0]) for p in wild):
            return
        if not is_unknown(arn) and any(fnmatch.fnmatchcase(str(arn), p) for p in wild):
            return
    if not stack.naming(files, "resources", SELECTION):
        yield Fault("backup plan", None, "select it in a plan (backup.Selection)")


def _selects_by_tag(selection: Resource, files: Resource) -> bool:
    tags = files.get("tags", {})
    wanted = selection.items("selectionTags")
    return any(
        value_at(tag, "type") == "STRINGEQUALS"
        and tags.get(value_at(tag, "key")) == value_at(tag, "value")
        for tag in wanted
    )


def _has_automatic_backups(files: Resource, stack: Stack) -> Faults:
    policies = stack.naming(files, "fileSystemId", BACKUP_POLICY)
    if not any(policy.get("backupPolicy.status") == "ENABLED" for policy in policies):
        yield Fault("automatic backups", None, "enable them (efs.BackupPolicy)")


def _has_a_root_of_its_own(point: Resource) -> Faults:
    path = point.get("rootDirectory.path", "/")
    if path == "/":
        yield Fault("rootDirectory.path", path, "name a directory below the root")


def _has_a_user(point: Resource) -> Faults:
    if point.get("posixUser.uid") is None or point.get("posixUser.gid") is None:
        yield Fault("posixUser", None, "name a POSIX user and group")


def _is_in_a_private_subnet(target: Resource, stack: Stack) -> Faults:
    subnets = stack.perhaps_named_by(target, "subnetId", SUBNET)
    for subnet in subnets:
        if same(subnet.get("mapPublicIpOnLaunch", False), True):
            yield Fault("subnetId", subnet.name, "use a subnet that assigns no public addresses")
    if not subnets or is_unknown(target.peek("subnetId")):
        raise UnknownValue("subnetId")


CONTROLS: Final[tuple[Control, ...]] = (
    ResourceControl(
        "EFS.1",
        "Elastic File System should be configured to encrypt file data at-rest using AWS KMS",
        (FILE_SYSTEM,),
        must_be("encrypted", True, absent=False),
    ),
    StackControl(
        "EFS.2", "Amazon EFS volumes should be in backup plans", (FILE_SYSTEM,), _is_in_a_plan
    ),
    ResourceControl(
        "EFS.3",
        "EFS access points should enforce a root directory",
        (ACCESS_POINT,),
        _has_a_root_of_its_own,
    ),
    ResourceControl(
        "EFS.4", "EFS access points should enforce a user identity", (ACCESS_POINT,), _has_a_user
    ),
    StackControl(
        "EFS.6",
        "EFS mount targets should not be associated with subnets that assign public IP addresses "
        "on launch",
        (MOUNT_TARGET,),
        _is_in_a_private_subnet,
    ),
    StackControl(
        "EFS.7",
        "EFS file systems should have automatic backups enabled",
        (FILE_SYSTEM,),
        _has_automatic_backups,
    ),
    ResourceControl(
        "EFS.8",
        "EFS file systems should be encrypted at rest",
        (FILE_SYSTEM,),
        must_be("encrypted", True, absent=False),
    ),
)
