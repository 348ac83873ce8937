"""The guard that keeps the local cloud local: no request of it may leave this machine."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from infra.errors import InputError

ENVIRONMENT_PREFIX: Final = "AWS_ENDPOINT_URL"  # also AWS_ENDPOINT_URL_S3 and its like
# Where the local cloud's server says who it is: no S3 bucket can have this name.
IDENTITY_PATH: Final = "/_firstbell"


def is_loopback(endpoint: str) -> bool:
    """Whether a URL names this machine's loopback address. Names other than localhost do not."""
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname, parts.port  # .port raises when it is no port
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or not host:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_loopback(endpoint: str, where: str) -> str:
    """The endpoint, when it is a loopback address.

    Raises:
        InputError: it is not; `where` names the variable or the file and key it came from.
    """
    if is_loopback(endpoint):
        return endpoint
    raise InputError(
        f"{endpoint!r} is not a loopback address",
        where=where,
        why="a local stack may only reach the local cloud, never AWS",
        fix="remove it (the local cloud sets its own), or set firstbell:cloud to aws",
    )


def check_environment(environ: Mapping[str, str]) -> None:
    """Refuse `AWS_ENDPOINT_URL` and its per-service sisters when they leave this machine.

    Raises:
        InputError: one of them does.
    """
    for name in sorted(environ):
        if (name == ENVIRONMENT_PREFIX or name.startswith(f"{ENVIRONMENT_PREFIX}_")) and (
            environ[name]
        ):
            require_loopback(environ[name], name)


def check_config(endpoints: object, where: str) -> None:
    """Refuse `aws:endpoints` of a stack file when one of them leaves this machine.

    `endpoints` is the list of {service: URL}, or the same as JSON text, as Pulumi passes it.

    Raises:
        InputError: one of them does, or it is not such a list.
    """
    if isinstance(endpoints, str):
        try:
            endpoints = json.loads(endpoints)
        except ValueError as error:
            raise InputError("aws:endpoints is not valid JSON", where=where) from error
    for service, url in _services(endpoints, where):
        require_loopback(url, f"{where} ({service})")


def keep_host(client: Any) -> Any:
    """A boto3 client that asks the endpoint it was given.

    s3control puts the account before the host, which fails where that is an address.
    """

    def mend(request: Any, **_: object) -> None:
        parts = urlsplit(request.url)
        account, _, host = parts.netloc.partition(".")
        if account.isdigit() and is_loopback(f"{parts.scheme}://{host}"):
            request.url = urlunsplit(parts._replace(netloc=host))

    client.meta.events.register("before-sign.s3-control", mend)
    return client


def _services(endpoints: object, where: str) -> Iterator[tuple[str, str]]:
    for entry in endpoints if isinstance(endpoints, list) else [endpoints]:
        if not isinstance(entry, Mapping):
            raise InputError(
                "aws:endpoints must be a list of {service: URL}", where=where, fix="remove it"
            )
        for service, url in entry.items():
            yield str(service), str(url)
