"""`stack: NAME` as a target: where a stack that firstbell built keeps its database and its files.

The address comes from the stack's outputs, the password from the secret that AWS manages for it,
each time anew, because AWS rotates it. The last address is kept on the runner (no secret in it), so
that a runner that restarts inside a window does not depend on where the stack's state is kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

import psutil

from infra import paths
from infra.errors import FirstbellError, InputError

# What a stack's engine is called in a connection string.
_SCHEMES: Final = {"aurora-postgresql": "postgresql"}


@dataclass(frozen=True)
class Found:
    """What a stack's outputs say, as far as a migration needs it."""

    cloud: Literal["aws", "local"]
    region: str
    database: Mapping[str, Any]
    # Without shared files there are none.
    files: Mapping[str, Any] | None


def connection_string(reference: str, where: str) -> str:
    """The connection string behind `stack:NAME` or `stack:NAME@HOST:PORT`; it holds the password.

    HOST:PORT is another way to the same database, such as a tunnel.

    Raises:
        InputError: the stack is not there, was not applied, or has no database for a migration.
    """
    name, _, endpoint = reference.partition("@")
    found = of(name, where)
    database = found.database
    scheme = _SCHEMES.get(str(database["engine"]))
    if scheme is None:
        raise InputError(
            f"stack {name} has {database['engine']}",
            where=where,
            why="MySQL's GTIDs are not MariaDB's",
            fix="migrate to aurora-postgresql, or name the dsn of an RDS for MariaDB instance",
        )
    host, _, port = endpoint.rpartition(":")
    if found.cloud == "local" and not endpoint:
        raise InputError(
            f"stack {name} is on the local cloud, which only records its database: nothing answers"
            f" at {database['writer_endpoint']}",
            where=where,
            fix="name endpoint: HOST:PORT of a PostgreSQL server that plays its part, or a stack on"
            " AWS",
        )
    user, password = _signs_in(name, found, where)
    # RDS offers TLS always, and asks for it since PostgreSQL 15.
    options = "?sslmode=require" if found.cloud == "aws" else ""
    return (
        f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}"
        f"@{host or database['writer_endpoint']}:{port or database['port']}"
        f"/{quote(str(database['name']), safe='')}{options}"
    )


def _signs_in(name: str, found: Found, where: str) -> tuple[str, str]:
    """The user and the password that AWS keeps for the database."""
    from botocore.exceptions import BotoCoreError, ClientError

    arn = str(found.database["secret_arn"])
    try:
        client = _secrets(found)
        text = client.get_secret_value(SecretId=arn)["SecretString"]
        secret = json.loads(text)
        return str(secret["username"]), str(secret["password"])
    except (BotoCoreError, ClientError) as error:
        raise InputError(
            f"cannot read the secret of stack {name}'s database",
            where=where,
            why=str(error),
            fix=f"let this runner read {arn}",
        ) from error
    except (ValueError, KeyError) as error:
        raise InputError(
            f"secret {arn} of stack {name} holds no username and password", where=where
        ) from error


def _secrets(found: Found) -> Any:
    if found.cloud == "local":
        from cli.localcloud import server

        return server.ensure_started().client("secretsmanager", found.region)
    import boto3

    return boto3.client("secretsmanager", region_name=found.region)


def of(name: str, where: str) -> Found:
    """What the stack's outputs say; the last known when its state cannot be read just now.

    Raises:
        InputError: the stack is not there, or was not applied.
    """
    try:
        return read(name)
    except InputError as error:
        # Which file of the stack it is about is said as well.
        what = error.what if error.where is None else f"{error.where}: {error.what}"
        raise InputError(what, where=where, why=error.why, fix=error.fix) from error
    except FirstbellError:
        kept = _kept(name)
        if not kept.exists():
            raise
        return Found(**json.loads(kept.read_text()))


def _kept(name: str) -> Path:
    return paths.home() / "migrations" / f"stack-{name}.json"


@lru_cache(maxsize=8)
def read(name: str) -> Found:
    """A stack's outputs, asked for once a process; keeps them on the runner.

    Raises:
        InputError: the stack is not there, its cloud does not run, or it was not applied.
    """
    # The engine and Pulumi's SDK are only loaded for who names a stack.
    from cli.localcloud import server
    from cli.stack import open_stack
    from infra.settings.stack import read_stack

    settings = read_stack(name)
    if settings.cloud == "local" and server.running() is None:
        raise InputError(
            f"stack {name} is on the local cloud, which does not run",
            fix=f"firstbell up -s {name}",
        )
    outputs = open_stack(name, lambda _text: None).outputs()
    if not outputs:
        raise InputError(f"stack {name} was not applied yet", fix=f"firstbell up -s {name}")
    database = outputs.get("database")
    wanted = ("engine", "writer_endpoint", "port", "name", "secret_arn")
    if not isinstance(database, dict) or not all(database.get(key) for key in wanted):
        raise InputError(
            f"stack {name} has no output `database` with {', '.join(wanted)}",
            fix=f"firstbell up -s {name} with this version of firstbell",
        )
    found = Found(settings.cloud, settings.region, database, outputs.get("files"))
    _kept(name).parent.mkdir(parents=True, exist_ok=True)
    _kept(name).write_text(json.dumps(asdict(found)))
    return found


# Files


def mount_point(name: str, wanted: Path | None, where: str) -> Path:
    """Where the stack's file system is mounted on this runner.

    A mount through the EFS helper with TLS shows a local port instead of the file system; such a
    one must be named.

    Raises:
        InputError: the stack has no files, or its file system is not mounted (there).
    """
    files = of(name, where).files
    if not files or not files.get("efs_id"):
        raise InputError(
            f"stack {name} has no output `files`: it keeps no shared files",
            where=where,
            fix=f"add files to stacks/Pulumi.{name}.yaml and run firstbell up -s {name}, or name a"
            " bucket",
        )
    system = str(files["efs_id"])
    mounted = {part.mountpoint: part.device for part in psutil.disk_partitions(all=True)}
    theirs = [Path(point) for point, device in mounted.items() if device.startswith(system)]
    helped = [Path(p) for p, device in mounted.items() if device.startswith("127.0.0.1:")]
    if wanted is None and len(theirs) == 1:
        return theirs[0]
    if wanted is not None and wanted in (*theirs, *helped):
        return wanted
    point = next(iter(dict(files.get("access_points") or {}).values()), None)
    options = f"tls,accesspoint={point}" if point else "tls"
    there = f"; {wanted} is {mounted[str(wanted)]}" if str(wanted) in mounted else ""
    raise InputError(
        f"{system}, the file system of stack {name}, is not mounted"
        f"{f' on {wanted}' if wanted else ''} on this runner{there}",
        where=where,
        fix=f"mount -t efs -o {options} {system}:/ {wanted or '/mnt/efs'}, and name it as mount",
    )
