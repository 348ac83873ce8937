"""Chooses the engine of a migration by what its connection strings name."""

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
    made: list[Server] = []
    for side, database in (("source", read.source), ("target", read.target)):
        dsn = spec.connection(database.dsn, f"{where}: {side}.dsn")
        peer = spec.connection(database.peer_dsn, f"{where}: {side}.peer_dsn")
        made.append(Server(side, dsn, peer, migration))
    return PostgresEngine(made[0], made[1])
