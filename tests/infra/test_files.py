"""The shared files as the program declares them: each control, and each setting, on a resource."""

from __future__ import annotations

from tests.infra.conftest import Record

SYSTEM, POINT = "aws:efs/fileSystem:FileSystem", "aws:efs/accessPoint:AccessPoint"
MOUNT = "aws:efs/mountTarget:MountTarget"
NAME = "tiny-files"


def test_a_stack_that_names_no_files_has_none(record: Record) -> None:
    assert record().of_type(SYSTEM) == {}


def test_files_pass_the_controls_by_default(record: Record) -> None:
    program = record(files={})
    system = program.of_type(SYSTEM)[NAME]
    assert system["encrypted"] is True  # EFS.1, EFS.8
    assert system["lifecyclePolicies"][0] == {"transitionToIa": "AFTER_30_DAYS"}
    backup = program.of_type("aws:efs/backupPolicy:BackupPolicy")[NAME]
    assert backup["backupPolicy"] == {"status": "ENABLED"}  # EFS.7
    (point,) = program.of_type(POINT).values()
    assert point["rootDirectory"]["path"] == "/data"  # EFS.3
    assert point["posixUser"] == {"uid": 33, "gid": 33}  # EFS.4
    # EFS.6: one in each zone's data subnet, which gives no public address.
    assert set(program.of_type(MOUNT)) == {f"{NAME}-{zone}" for zone in (1, 2, 3)}
    assert "Subnet::tiny-data-1" in program.dependencies(f"MountTarget::{NAME}-1")
    assert NAME in program.of_type("aws:efs/fileSystemPolicy:FileSystemPolicy")
    doors = program.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert doors["tiny-access-files-from-web"]["fromPort"] == 2049


def test_settings_reach_the_file_system_and_its_ways_in(record: Record) -> None:
    program = record(
        files={
            "throughput": "bursting",
            "infrequent_access_days": 1,
            "access_points": {
                "moodledata": {"path": "/moodledata", "uid": 48, "gid": 49, "permissions": "0700"},
                "dumps": {"path": "/dumps"},
            },
        }
    )
    system = program.of_type(SYSTEM)[NAME]
    assert system["throughputMode"] == "bursting"
    assert system["lifecyclePolicies"][0] == {"transitionToIa": "AFTER_1_DAY"}
    points = program.of_type(POINT)
    assert set(points) == {f"{NAME}-moodledata", f"{NAME}-dumps"}
    made = points[f"{NAME}-moodledata"]["rootDirectory"]["creationInfo"]
    assert made == {"ownerUid": 48, "ownerGid": 49, "permissions": "0700"}
