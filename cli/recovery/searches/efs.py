"""Searches for resources of efs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from cli.recovery.searches.base import Clients, Inputs, Search


def _file_system(client: Clients, inputs: Inputs) -> list[str]:
    found = client("efs").describe_file_systems(CreationToken=inputs["creationToken"])
    return [system["FileSystemId"] for system in found["FileSystems"]]


def _mount_target(client: Clients, inputs: Inputs) -> list[str]:
    found = client("efs").describe_mount_targets(FileSystemId=inputs["fileSystemId"])
    return [
        target["MountTargetId"]
        for target in found["MountTargets"]
        if target["SubnetId"] == inputs["subnetId"]
    ]


def _access_point(client: Clients, inputs: Inputs) -> Iterator[str]:
    found = client("efs").describe_access_points(FileSystemId=inputs["fileSystemId"])
    wanted = (inputs.get("rootDirectory") or {}).get("path")
    for point in found["AccessPoints"]:
        if point["RootDirectory"]["Path"] == wanted:
            yield point["AccessPointId"]


SEARCHES: Final[Mapping[str, Search]] = {
    "aws:efs/fileSystem:FileSystem": _file_system,
    "aws:efs/mountTarget:MountTarget": _mount_target,
    "aws:efs/accessPoint:AccessPoint": _access_point,
}

# A file system has one of each: setting it again changes nothing.
REPEATABLE: Final = frozenset(
    {"aws:efs/fileSystemPolicy:FileSystemPolicy", "aws:efs/backupPolicy:BackupPolicy"}
)
