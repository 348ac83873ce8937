"""`python -m cli.localcloud.provider`: the plugin, started by us (`plugin.py`) or by the engine.

The engine names its own address, which a provider that makes no resources of components needs not.
"""

from __future__ import annotations

import os
import sys

from cli.localcloud import endpoint
from infra.errors import InputError


def _endpoint() -> str:
    """The local cloud's address.

    Raises:
        InputError: there is none, or it is not loopback.
    """
    endpoint.check_environment(os.environ)
    url = os.environ.get("AWS_ENDPOINT_URL")
    if not url:
        raise InputError(
            "AWS_ENDPOINT_URL is not set",
            where="environment",
            why="the embedded aws provider works on the local cloud only",
            fix="run firstbell, or use the exports of `firstbell local env`",
        )
    return url


def main() -> int:
    """Start serving, unless the endpoint is not this machine; the first line told is the port."""
    try:
        url = _endpoint()
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    from cli.localcloud.provider.server import serve

    def announce(port: int) -> None:
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()

    serve(url, announce)
    return 0


if __name__ == "__main__":
    sys.exit(main())
