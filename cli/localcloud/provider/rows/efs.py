"""EFS: file systems, the ways to them, and who may come how."""

from __future__ import annotations

import uuid
from typing import Any, Final

from cli.localcloud.provider.aws import Cloud
from cli.localcloud.provider.machine import Autoname, Read, Row, Step, Tagging
from cli.localcloud.provider.mapping import from_api, to_api
from cli.localcloud.provider.schema import schema_of
from cli.localcloud.provider.values import Properties

_TAGS: Final = Tagging(add="tag_resource", remove="untag_resource", key="ResourceId", by="id")
_FILE_SYSTEM: Final = "aws:efs/fileSystem:FileSystem"
_ACCESS_POINT: Final = "aws:efs/accessPoint:AccessPoint"


def _lifecycle(cloud: Cloud, state: Properties) -> Properties:
    answer = cloud.call("efs", "describe_lifecycle_configuration", FileSystemId=state["id"])
    policies = answer["LifecyclePolicies"]
    tree = schema_of(_FILE_SYSTEM).outputs["lifecyclePolicies"]
    return {
        "lifecyclePolicies": from_api(policies, tree, {}, "lifecyclePolicies"),
        "dnsName": f"{state['id']}.efs.{cloud.region}.amazonaws.com",
    }


FILE_SYSTEM: Final = Row(
    type=_FILE_SYSTEM,
    service="efs",
    create=Step(
        "create_file_system",
        "creationToken encrypted kmsKeyId performanceMode throughputMode "
        "provisionedThroughputInMibps availabilityZoneName",
    ),
    id="FileSystemId",
    read=Read("describe_file_systems", "FileSystems[0]", {"FileSystemId": "id"}),
    key={"FileSystemId": "id"},
    update=(
        Step("update_file_system", "throughputMode provisionedThroughputInMibps", whole=True),
        Step("put_lifecycle_configuration", "lifecyclePolicies"),
    ),
    delete="delete_file_system",
    names={"arn": "FileSystemArn"},
    replace="creationToken encrypted kmsKeyId performanceMode availabilityZoneName",
    computed="encrypted kmsKeyId performanceMode throughputMode provisionedThroughputInMibps",
    more=_lifecycle,
    autoname=Autoname(prop="creationToken", max_length=64),
    tags=_TAGS,
)


def _security_groups(cloud: Cloud, state: Properties) -> Properties:
    answer = cloud.call("efs", "describe_mount_target_security_groups", MountTargetId=state["id"])
    return {"securityGroups": answer["SecurityGroups"]}


MOUNT_TARGET: Final = Row(
    type="aws:efs/mountTarget:MountTarget",
    service="efs",
    create="create_mount_target",
    id="MountTargetId",
    read=Read("describe_mount_targets", "MountTargets[0]", {"MountTargetId": "id"}),
    key={"MountTargetId": "id"},
    update=(Step("modify_mount_target_security_groups", "securityGroups"),),
    delete="delete_mount_target",
    replace="fileSystemId subnetId ipAddress ipAddressType ipv6Address",
    delete_first=True,  # one a zone
    computed="ipAddress ipAddressType securityGroups",
    more=_security_groups,
)


def _new_access_point(cloud: Cloud, state: Properties, _: frozenset[str]) -> list[dict[str, Any]]:
    members = cloud.input_shape("efs", "create_access_point").members
    request = {
        member: to_api(state[prop], members[member], {}, prop)
        for prop, member in (
            ("fileSystemId", "FileSystemId"),
            ("posixUser", "PosixUser"),
            ("rootDirectory", "RootDirectory"),
        )
        if prop in state
    }
    return [request | {"ClientToken": str(uuid.uuid4())}]


ACCESS_POINT: Final = Row(
    type=_ACCESS_POINT,
    service="efs",
    create=Step(
        "create_access_point", "fileSystemId posixUser rootDirectory", build=_new_access_point
    ),
    id="AccessPointId",
    read=Read("describe_access_points", "AccessPoints[0]", {"AccessPointId": "id"}),
    key={"AccessPointId": "id"},
    delete="delete_access_point",
    names={"arn": "AccessPointArn"},
    replace="fileSystemId posixUser rootDirectory",
    computed="rootDirectory",
    tags=_TAGS,
)

FILE_SYSTEM_POLICY: Final = Row(
    type="aws:efs/fileSystemPolicy:FileSystemPolicy",
    service="efs",
    create="put_file_system_policy",
    id="={fileSystemId}",
    read=Read("describe_file_system_policy", "@", {"FileSystemId": "id"}),
    key={"FileSystemId": "id"},
    update=(Step("put_file_system_policy", "policy"),),
    delete="delete_file_system_policy",
    replace="fileSystemId",
    ignored="bypassPolicyLockoutSafetyCheck",
    documents="policy",
)


def _disabled(_: Cloud, __: Properties, ___: frozenset[str]) -> list[dict[str, Any]]:
    return [{"BackupPolicy": {"Status": "DISABLED"}}]


BACKUP_POLICY: Final = Row(
    type="aws:efs/backupPolicy:BackupPolicy",
    service="efs",
    create="put_backup_policy",
    id="={fileSystemId}",
    read=Read("describe_backup_policy", "BackupPolicy", {"FileSystemId": "id"}),
    key={"FileSystemId": "id"},
    update=(Step("put_backup_policy", "backupPolicy"),),
    delete=Step("put_backup_policy", build=_disabled),
    reads={"backupPolicy": "@"},
    replace="fileSystemId",
)

ROWS: Final = (FILE_SYSTEM, MOUNT_TARGET, ACCESS_POINT, FILE_SYSTEM_POLICY, BACKUP_POLICY)
