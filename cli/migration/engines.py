"""Chooses the engine of a migration by what its file names."""

from __future__ import annotations

from cli.migration import named, spec
from cli.migration.engine import Engine
from cli.migration.postgres import Server
from cli.migration.postgres_engine import PostgresEngine


def between(migration: str, read: spec.Spec) -> Engine:
    """Both sides, as the migration's file names them; nothing is connected yet.

    Raises:
        InputError: a reference leads nowhere.
    """
    where = f"{named.folder() / migration}.yaml"
    if read.dms is not None:
        return _through_dms(migration, read.target, read.dms, where)
    assert read.source is not None  # noqa: S101 (the file has one or the other)
    made: list[Server] = []
    for side, database in (("source", read.source), ("target", read.target)):
        dsn = spec.connection(database.dsn, f"{where}: {side}.dsn")
        peer = spec.connection(database.peer_dsn, f"{where}: {side}.peer_dsn")
        made.append(Server(side, dsn, peer, migration))
    return PostgresEngine(made[0], made[1])


def _through_dms(migration: str, target: spec.Database, read: spec.Dms, where: str) -> Engine:
    """The source behind commands, the target, and DMS between them; AWS as boto3 finds it."""
    import boto3

    from cli.migration.dms.engine import DmsEngine
    from cli.migration.dms.service import Service

    dsn = spec.connection(target.dsn, f"{where}: target.dsn")
    peer = spec.connection(target.peer_dsn, f"{where}: target.peer_dsn")
    session = boto3.session.Session(region_name=read.region)
    return DmsEngine(
        read,
        Server("target", dsn, peer, migration),
        Service(session.client("dms"), migration, read.replication_instance_arn),
        session.client("cloudwatch"),
    )
