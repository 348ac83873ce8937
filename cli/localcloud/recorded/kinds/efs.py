"""EFS: moto makes file systems, but changes neither their throughput nor their policies."""

from __future__ import annotations

from typing import Any, Final

from cli.localcloud.recorded.base import Amended, Answer, Asked, RecordedError


def _file_system(asked: Asked) -> Any:
    from moto.efs.models import efs_backends

    systems = efs_backends[asked.account][asked.region].file_systems_by_id
    id = asked.request["FileSystemId"]
    if id not in systems:
        raise RecordedError("FileSystemNotFound", f"File system '{id}' does not exist.")
    return systems[id]


def _update(asked: Asked) -> Answer:
    found = _file_system(asked)
    found.throughput_mode = asked.request.get("ThroughputMode", found.throughput_mode)
    provisioned = asked.request.get("ProvisionedThroughputInMibps")
    found.provisioned_throughput_in_mibps = provisioned
    shown = found.info_json()
    return {name: shown[name] for name in asked.output.members if shown.get(name) is not None}


def _put_backup_policy(asked: Asked) -> Answer:
    policy = asked.request["BackupPolicy"]
    _file_system(asked)._backup = policy["Status"] == "ENABLED"
    return {"BackupPolicy": policy}


def _backup_policy(asked: Asked) -> Answer:
    """moto says of a policy that is switched off that there is none."""
    enabled = _file_system(asked).backup_policy is not None
    return {"BackupPolicy": {"Status": "ENABLED" if enabled else "DISABLED"}}


def _delete_policy(asked: Asked) -> Answer:
    _file_system(asked).file_system_policy = None
    return {}


AMENDED: Final = (
    Amended("efs", "UpdateFileSystem", _update),
    Amended("efs", "PutBackupPolicy", _put_backup_policy),
    Amended("efs", "DescribeBackupPolicy", _backup_policy),
    Amended("efs", "DeleteFileSystemPolicy", _delete_policy),
)
