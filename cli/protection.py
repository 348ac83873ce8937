"""What stands between `destroy` and a stack: protection, its name, and final snapshots."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from infra.errors import InputError, Problem, Problems

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
    """A cluster's final snapshot needs a free name: AWS would refuse in the middle of `destroy`.

    On the local cloud, where a stack comes and goes, the snapshot of an earlier life is deleted.

    Raises:
        Problems: names are taken, and on AWS nothing is deleted for it.
    """
    taken = [
        (_name(resource), name)
        for resource in stack.resources()
        if resource["type"] == "aws:rds/cluster:Cluster" and _meant(resource, only)
        for inputs in (resource.get("inputs") or {},)
        if (name := inputs.get("finalSnapshotIdentifier"))
        and not inputs.get("skipFinalSnapshot")
        and _snapshot_exists(stack.client("rds"), name)
    ]
    if stack.local is not None:
        for _, name in taken:
            progress(f"removing {name} of an earlier life")
            stack.client("rds").delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=name)
        return
    if taken:
        raise Problems(
            f"the final snapshots of {stack.name}",
            [
                Problem(
                    cluster,
                    f"its final snapshot would be {name}, and there is one of that name",
                    "keep it under another name (aws rds copy-db-cluster-snapshot), then delete it",
                )
                for cluster, name in taken
            ],
        )


def _snapshot_exists(client: Any, name: str) -> bool:
    try:
        found = client.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=name)
    except client.exceptions.DBClusterSnapshotNotFoundFault:
        return False
    return bool(found["DBClusterSnapshots"])
