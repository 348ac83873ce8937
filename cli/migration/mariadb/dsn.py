"""Reads `mariadb://USER:PASSWORD@HOST:PORT/DATABASE`; `?ssl_ca=FILE` asks for TLS."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from cli.migration import references
from cli.migration.mariadb.server import Address
from infra.errors import InputError

_PORT: Final = 3306


def address(reference: str, where: str) -> Address:
    """The parts of the connection string that a reference names.

    Raises:
        InputError: it is missing or malformed; the message holds no part of the secret.
    """
    text = references.resolve(reference, where)
    found = urlsplit(text)
    try:
        port = found.port or _PORT
    except ValueError:
        port = 0
    database = found.path.lstrip("/")
    options = parse_qs(found.query)
    if not (
        references.is_mariadb(text) and found.hostname and found.username and database and port
    ) or (options.keys() - {"ssl_ca"}):
        raise InputError(
            f"{reference} is no usable connection string",
            where=where,
            fix="mariadb://USER:PASSWORD@HOST:PORT/DATABASE, what is special in it URL-encoded;"
            " ?ssl_ca=FILE for TLS",
        )
    return Address(
        found.hostname,
        port,
        unquote(found.username),
        unquote(database),
        unquote(found.password or ""),
        options.get("ssl_ca", [None])[0],
    )
