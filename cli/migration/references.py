"""Where a migration file's databases are: references, and the connection strings behind them.

Nothing here needs the whole file, so `status` can ask the databases without loading what reads it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

import yaml

from infra.errors import InputError

REFERENCE: Final = re.compile(r"(env|file|secret|stack):.+")


def is_mariadb(text: str) -> bool:
    """Whether a connection string names MariaDB by its scheme."""
    return text.partition("://")[0] in ("mariadb", "mysql")


def of_stack(stack: object, endpoint: object = None) -> str:
    """`stack: NAME` as a reference; `endpoint` is another way to it."""
    return f"stack:{stack}" + (f"@{endpoint}" if endpoint is not None else "")


def glance(path: Path) -> dict[str, str] | None:
    """The references by which the runner reaches each side, or None when it takes more to know.

    Whoever gets None reads the whole file, which tells what is wrong with it.
    """
    try:
        raw = cast("object", yaml.safe_load(path.read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    found: dict[str, str] = {}
    for side in ("source", "target"):
        given = raw.get(side) if isinstance(raw, Mapping) else None
        if not isinstance(given, Mapping):
            return None
        database = cast("Mapping[str, object]", given)
        dsn = database.get("dsn")
        if dsn is None and "stack" in database:
            dsn = of_stack(database["stack"], database.get("endpoint"))
        if not isinstance(dsn, str) or not REFERENCE.match(dsn):
            return None
        found[side] = dsn
    return found


def resolve(reference: str, where: str) -> str:
    """Fetch the secret that a reference names.

    Raises:
        InputError: it is not there. The message never holds the secret.
    """
    kind, _, name = reference.partition(":")
    if kind == "env":
        value = os.environ.get(name)
        if not value:
            raise InputError(f"the variable {name} is not set", where=where, fix=f"export {name}=…")
        return value
    if kind == "file":
        try:
            return Path(name).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {name}", where=where, why=str(error)) from error
    if kind == "stack":
        from cli.migration import stack_target

        return stack_target.connection_string(name, where)
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = boto3.client("secretsmanager").get_secret_value(SecretId=name)
    except (BotoCoreError, ClientError) as error:
        raise InputError(f"cannot read secret {name}", where=where, why=str(error)) from error
    return answer["SecretString"]


def connection(reference: str, where: str) -> dict[str, str]:
    """The parts of PostgreSQL's connection string that a reference names.

    Raises:
        InputError: it is missing or malformed. libpq's own message would quote the secret.
    """
    import psycopg
    from psycopg import conninfo

    text = resolve(reference, where)
    try:
        parts = conninfo.conninfo_to_dict(text)
    except psycopg.ProgrammingError:
        parts = {}
    if not parts.get("host") or not parts.get("dbname") or not parts.get("user"):
        raise InputError(
            f"{reference} is no usable connection string",
            where=where,
            fix="postgresql://USER:PASSWORD@HOST:PORT/DATABASE, or host=… dbname=… user=…",
        ) from None
    return {key: str(value) for key, value in parts.items() if value is not None}
