"""What stands between `destroy` and a stack: protection, its name, and final snapshots."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from infra.errors import InputError, Problem, Problems
from infra.settings.backup import BACKUP_TAG

if TYPE_CHECKING:
    from cli.stack import OpenStack

Progress = Callable[[str], None]


def protected(stack: OpenStack) -> list[str]:
    """The names of what AWS would refuse to delete, sorted."""
    return sorted(_name(resource) for resource in _protected(stack))


def _protected(stack: OpenStack) -> list[dict[str, Any]]:
    return [
        resource
        for resource in stack.resources()
        for outputs in (resource.get("outputs") or {},)
        if outputs.get("deletionProtection") or outputs.get("enableDeletionProtection")
    ]


def _name(resource: dict[str, Any]) -> str:
    return resource["urn"].rsplit("::", 1)[-1]


def _meant(resource: dict[str, Any], only: Collection[str] | None) -> bool:
    """Whether a resource is among these URNs; names may be shared by things that stay."""
    return only is None or resource["urn"] in only


def clear(stack: OpenStack, progress: Progress, only: Collection[str] | None = None) -> None:
    """Make sure that nothing stops the deletion of the stack, or of these URNs, half way.

    AWS refuses what is protected only after everything before it is gone. On the local cloud the
    protection is lifted, and the final snapshots of an earlier life make room.

    Raises:
        InputError: on AWS, something is protected; nothing was changed.
        Problems: on AWS, the name of a final snapshot is taken; nothing was changed.
    """
    if stack.local is None:
        refuse(stack, only)
    make_room_for_final_snapshots(stack, progress, only)
    if stack.local is not None:
        lift(stack, progress, only)


def refuse(stack: OpenStack, only: Collection[str] | None = None) -> None:
    """Refuse to delete what is protected.

    Raises:
        InputError: something is protected.
    """
    names = sorted(_name(resource) for resource in _protected(stack) if _meant(resource, only))
    if names:
        raise InputError(
            f"protected against deletion: {', '.join(names)}",
            where=f"stacks/Pulumi.{stack.name}.yaml: firstbell:platform/database"
            "/deletion_protection",
            fix="set it to false, allow that in stacks/exceptions.yaml (RDS.7, ELB.6), "
            f"run firstbell up -s {stack.name}, then run this again",
        )


def confirm(stack: OpenStack, typed: str | None) -> None:
    """Only somebody who names the stack may destroy it.

    Raises:
        InputError: another name was given, or none.
    """
    if typed is None:
        raise InputError(
            "destroying a stack on AWS needs its name",
            where="--confirm",
            fix=f"add --confirm {stack.name}",
        )
    if typed != stack.name:
        raise InputError(
            f"{typed!r} is not the stack's name; nothing was deleted",
            where="--confirm",
            fix=f"give {stack.name}",
        )


def lift(stack: OpenStack, progress: Progress, only: Collection[str] | None = None) -> None:
    """Take the protection off what is protected, on the local cloud.

    Raises:
        NotImplementedError: of something that this does not know.
    """
    for resource in _protected(stack):
        if not _meant(resource, only):
            continue
        progress(f"lifting the protection of {_name(resource)}")
        match resource["type"]:
            case "aws:rds/cluster:Cluster":
                stack.client("rds").modify_db_cluster(
                    DBClusterIdentifier=resource["id"],
                    DeletionProtection=False,
                    ApplyImmediately=True,
                )
            case "aws:lb/loadBalancer:LoadBalancer":
                stack.client("elbv2").modify_load_balancer_attributes(
                    LoadBalancerArn=resource["id"],
                    Attributes=[{"Key": "deletion_protection.enabled", "Value": "false"}],
                )
            case kind:
                raise NotImplementedError(f"no way to lift the protection of {kind}")
    buckets = {
        str(resource["id"]): _name(resource)
        for resource in stack.resources()
        if resource["type"] == "aws:s3/bucket:Bucket" and _meant(resource, only)
    }
    empty(stack.client("s3"), buckets, progress)


def empty(client: Any, buckets: Mapping[str, str], progress: Progress) -> None:
    """Empty buckets, id -> name. None of them logs any more before the first is emptied: where
    they log to, each deletion would be noted, and that bucket never be empty."""
    for bucket in buckets:
        client.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})
    for bucket, name in buckets.items():
        progress(f"emptying {name}")
        _empty(client, bucket)


def _empty(client: Any, bucket: str) -> None:
    """Delete every object of a bucket in every version: a bucket that is not empty stays."""
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for entry in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]:
            client.delete_object(Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])


def make_room_for_final_snapshots(
    stack: OpenStack, progress: Progress, only: Collection[str] | None = None
) -> None:
    """A final snapshot needs a free name: AWS would refuse in the middle of `destroy`.

    On the local cloud, where a stack comes and goes, the snapshot of an earlier life is deleted.

    Raises:
        Problems: names are taken, and on AWS nothing is deleted for it.
    """
    taken = [
        (resource, kind, name)
        for resource, kind, name in _final_snapshots(stack)
        if _meant(resource, only) and _snapshot_exists(stack.client(kind.service), kind, name)
    ]
    if stack.local is not None:
        for _, kind, name in taken:
            progress(f"removing {name} of an earlier life")
            getattr(stack.client(kind.service), kind.delete)(**{kind.member: name})
        return
    if taken:
        raise Problems(
            f"the final snapshots of {stack.name}",
            [
                Problem(
                    _name(resource),
                    f"its final snapshot would be {name}, and there is one of that name",
                    f"keep it under another name ({kind.copy}), then delete it",
                )
                for resource, kind, name in taken
            ],
        )


@dataclass(frozen=True)
class _Snapshots:
    """How a service looks for a snapshot of a name, and how a person keeps or restores one."""

    service: str
    describe: str
    delete: str
    member: str
    found: str
    missing: str
    copy: str
    show: str


_SNAPSHOTS: Final[Mapping[str, _Snapshots]] = {
    "aws:rds/cluster:Cluster": _Snapshots(
        "rds",
        "describe_db_cluster_snapshots",
        "delete_db_cluster_snapshot",
        "DBClusterSnapshotIdentifier",
        "DBClusterSnapshots",
        "DBClusterSnapshotNotFoundFault",
        "aws rds copy-db-cluster-snapshot",
        "aws rds describe-db-cluster-snapshots --db-cluster-snapshot-identifier",
    ),
    "aws:elasticache/replicationGroup:ReplicationGroup": _Snapshots(
        "elasticache",
        "describe_snapshots",
        "delete_snapshot",
        "SnapshotName",
        "Snapshots",
        "SnapshotNotFoundFault",
        "aws elasticache copy-snapshot",
        "aws elasticache describe-snapshots --snapshot-name",
    ),
}


def _final_snapshots(stack: OpenStack) -> Iterator[tuple[dict[str, Any], _Snapshots, str]]:
    """What leaves a final snapshot, and its name."""
    for resource in stack.resources():
        inputs = resource.get("inputs") or {}
        kind, name = _SNAPSHOTS.get(resource["type"]), inputs.get("finalSnapshotIdentifier")
        if kind is not None and name and not inputs.get("skipFinalSnapshot"):
            yield resource, kind, name


def _snapshot_exists(client: Any, kind: _Snapshots, name: str) -> bool:
    try:
        found = getattr(client, kind.describe)(**{kind.member: name})
    except getattr(client.exceptions, kind.missing):
        return False
    return bool(found[kind.found])


# What holds data and is gone with the stack, in words.
_TAKEN: Final[Mapping[str, str]] = {
    "aws:efs/fileSystem:FileSystem": "with every file",
    "aws:s3/bucket:Bucket": "with every object and its old versions",
}


def outlook(stack: OpenStack) -> list[str]:
    """What `destroy` takes and what it leaves of the stack's data, a line each; on AWS with the
    command that shows what is left."""
    on_aws = stack.local is None
    resources, region = stack.resources(), f" --region {stack.settings.region}"
    vaults = [resource for resource in resources if resource["type"] == "aws:backup/vault:Vault"]
    found = [
        f"{_name(resource)} goes and leaves the snapshot {name}"
        + (f": {kind.show} {name}{region}" if on_aws else "")
        for resource, kind, name in _final_snapshots(stack)
    ]
    for resource in resources:
        if taken := _TAKEN.get(resource["type"]):
            tags = (resource.get("inputs") or {}).get("tags") or {}
            kept = f"; its recovery points stay in {_name(vaults[0])}" if vaults else ""
            kept = kept if BACKUP_TAG in tags else "; nothing of it is left"
            found.append(f"{_name(resource)} goes {taken}{kept}")
    found += [
        f"{_name(resource)} stays, with its recovery points, until you delete it"
        + (
            ": aws backup list-recovery-points-by-backup-vault --backup-vault-name "
            f"{resource['id']}{region}"
            if on_aws
            else ""
        )
        for resource in vaults
    ]
    return found
