"""Chooses the engine of a migration by what its file names."""

from __future__ import annotations

from functools import partial

from cli.migration import named, spec
from cli.migration.engine import Engine
from cli.migration.mariadb import dsn
from cli.migration.mariadb.engine import MariaDbEngine
from cli.migration.mariadb.server import Server as MariaDbServer
from cli.migration.postgres import Server
from cli.migration.postgres_engine import PostgresEngine
from infra.errors import InputError


def between(migration: str, read: spec.Spec) -> Engine:
    """Both sides, as the migration's file names them; nothing is connected yet.

    Raises:
        InputError: a reference leads nowhere.
    """
    where = f"{named.folder() / migration}.yaml"
    if read.dms is not None:
        return _through_dms(migration, read.target, read.dms, where)
    assert read.source is not None  # noqa: S101 (the file has one or the other)
    sides = (("source", read.source), ("target", read.target))
    kinds = {
        f"{side}.{key}": dsn.is_mariadb(spec.resolve(reference, f"{where}: {side}.{key}"))
        for side, database in sides
        for key, reference in (("dsn", database.dsn), ("peer_dsn", database.peer_dsn))
    }
    if any(kinds.values()) and not all(kinds.values()):
        raise InputError(
            f"{', '.join(key for key, is_ in kinds.items() if is_)} name MariaDB, the others not",
            where=where,
            fix="both sides are of one kind: mariadb://… everywhere, or postgresql://… everywhere",
        )
    if any(kinds.values()):
        return _mariadb(migration, where, read.source, read.target)
    made: list[Server] = []
    for side, database in sides:
        parts = spec.connection(database.dsn, f"{where}: {side}.dsn")
        peer = spec.connection(database.peer_dsn, f"{where}: {side}.peer_dsn")
        renew = partial(spec.connection, database.dsn, f"{where}: {side}.dsn")
        made.append(Server(side, parts, peer, migration, renew=renew))
    return PostgresEngine(made[0], made[1])


def _through_dms(migration: str, target: spec.Database, read: spec.Dms, where: str) -> Engine:
    """The source behind commands, the target, and DMS between them; AWS as boto3 finds it."""
    import boto3

    from cli.migration.dms.engine import DmsEngine
    from cli.migration.dms.service import Service

    parts = spec.connection(target.dsn, f"{where}: target.dsn")
    peer = spec.connection(target.peer_dsn, f"{where}: target.peer_dsn")
    session = boto3.session.Session(region_name=read.region)
    return DmsEngine(
        read,
        Server("target", parts, peer, migration),
        Service(session.client("dms"), migration, read.replication_instance_arn),
        session.client("cloudwatch"),
    )


def _mariadb(migration: str, where: str, source: spec.Database, target: spec.Database) -> Engine:
    made = [
        MariaDbServer(
            side,
            dsn.address(database.dsn, f"{where}: {side}.dsn"),
            dsn.address(database.peer_dsn, f"{where}: {side}.peer_dsn"),
            migration,
        )
        for side, database in (("source", source), ("target", target))
    ]
    return MariaDbEngine(made[0], made[1])
