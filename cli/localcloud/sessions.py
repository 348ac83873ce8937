"""The one boto3 session that makes clients of the local cloud in this process.

A session of its own would read botocore's models anew, a tenth of a second a client.
"""

from __future__ import annotations

import functools
import threading
from typing import Any, Final

ACCESS_KEY: Final = "LOCALCLOUD0000000000"
SECRET_KEY: Final = "local-cloud-only"  # noqa: S105 (no secret: moto takes any)


# A session may make one client at a time.
_MAKING: Final = threading.Lock()


def client(service: str, region: str, endpoint: str, config: Any = None) -> Any:
    """A new client, which sees no profile, no file and no variable of the user's.

    Any, since the stubs know clients by literal names only.
    """
    with _MAKING:
        return _session().client(service, region_name=region, endpoint_url=endpoint, config=config)


@functools.cache
def _session() -> Any:
    import boto3
    import botocore.session

    plain: Any = botocore.session.Session(
        session_vars={
            "profile": (None, [], None, None),
            "config_file": (None, None, "/dev/null", None),
            "credentials_file": (None, None, "/dev/null", None),
        }
    )
    return boto3.session.Session(
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        botocore_session=plain,
    )
