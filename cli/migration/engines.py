"""Chooses the engine of a migration by what its file names.

Engines and drivers are imported when they are chosen: `status` asks often, and needs one driver.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from cli.migration import named, references
from infra.errors import InputError

if TYPE_CHECKING:
    from cli.migration import spec
    from cli.migration.engine import Engine
    from cli.migration.engine import Server as AnyServer
    from cli.migration.mariadb.server import Server as MariaDbServer
    from cli.migration.postgres import Server

# A person waits; it is the shortest that libpq takes.
_LOOK_SECONDS: Final = 2


def between(migration: str, read: spec.Spec) -> Engine:
    """Both sides, as the migration's file names them; nothing is connected yet.

    Raises:
        InputError: a reference leads nowhere.
    """
    where = _where(migration)
    if read.dms is not None:
        return _through_dms(migration, read.target, read.dms, where)
    assert read.source is not None  # noqa: S101 (the file has one or the other)
    source, target = read.source, read.target
    given = {
        f"{side}.{key}": reference
        for side, database in (("source", source), ("target", target))
        for key, reference in (("dsn", database.dsn), ("peer_dsn", database.peer_dsn))
    }
    if _are_mariadb(given, where):
        from cli.migration.mariadb.engine import MariaDbEngine

        return MariaDbEngine(
            _mariadb("source", source.dsn, source.peer_dsn, migration),
            _mariadb("target", target.dsn, target.peer_dsn, migration),
        )
    from cli.migration.postgres_engine import PostgresEngine

    return PostgresEngine(
        _postgres("source", source.dsn, source.peer_dsn, migration),
        _postgres("target", target.dsn, target.peer_dsn, migration),
    )


def sides(migration: str) -> tuple[AnyServer, AnyServer]:
    """Both servers, only to be asked: how one reaches the other is not looked up.

    Raises:
        InputError: the migration's file or a reference in it is not usable.
    """
    found = references.glance(named.folder() / f"{migration}.yaml")
    if found is None:
        from cli.migration import spec

        engine = between(migration, spec.load(named.folder() / f"{migration}.yaml"))
        return engine.source, engine.target
    given = {f"{side}.dsn": reference for side, reference in found.items()}
    make = _mariadb if _are_mariadb(given, _where(migration)) else _postgres
    source, target = (make(side, each, None, migration) for side, each in found.items())
    for server in (source, target):
        server.connect_seconds = _LOOK_SECONDS
    return source, target


def _where(migration: str) -> str:
    return f"{named.folder() / migration}.yaml"


def _are_mariadb(given: dict[str, str], where: str) -> bool:
    """Whether all of these references (by key) lead to MariaDB, or all to PostgreSQL."""
    kinds = {
        key: references.is_mariadb(references.resolve(reference, f"{where}: {key}"))
        for key, reference in given.items()
    }
    if any(kinds.values()) and not all(kinds.values()):
        raise InputError(
            f"{', '.join(key for key, is_ in kinds.items() if is_)} name MariaDB, the others not",
            where=where,
            fix="both sides are of one kind: mariadb://… everywhere, or postgresql://… everywhere",
        )
    return any(kinds.values())


def _postgres(side: str, dsn: str, peer: str | None, migration: str) -> Server:
    from cli.migration.postgres import Server

    where = _where(migration)
    parts = references.connection(dsn, f"{where}: {side}.dsn")
    peers = {} if peer is None else references.connection(peer, f"{where}: {side}.peer_dsn")
    renew = partial(references.connection, dsn, f"{where}: {side}.dsn")
    return Server(side, parts, peers, migration, renew=renew)


def _mariadb(side: str, reference: str, peer: str | None, migration: str) -> MariaDbServer:
    from cli.migration.mariadb import dsn
    from cli.migration.mariadb.server import Server

    where = _where(migration)
    address = dsn.address(reference, f"{where}: {side}.dsn")
    peers = address if peer is None else dsn.address(peer, f"{where}: {side}.peer_dsn")
    return Server(side, address, peers, migration)


def _through_dms(migration: str, target: spec.Database, read: spec.Dms, where: str) -> Engine:
    """The source behind commands, the target, and DMS between them; AWS as boto3 finds it."""
    import boto3

    from cli.migration.dms.engine import DmsEngine
    from cli.migration.dms.service import Service

    session = boto3.session.Session(region_name=read.region)
    return DmsEngine(
        read,
        _postgres("target", target.dsn, target.peer_dsn, migration),
        Service(session.client("dms"), migration, read.replication_instance_arn),
        session.client("cloudwatch"),
    )
