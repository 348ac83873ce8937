"""The server process: moto on a socket that its parent has bound.

It starts serving only after its parent has written down that it exists, and ends by itself when
that record names another server or is gone, so it can never be left behind unknown.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from cli.localcloud.endpoint import IDENTITY_PATH
from cli.localcloud.mends import mend
from cli.localcloud.recorded.serving import SIGNED_FOR, App, recording

WATCH_SECONDS: Final = 2.0
# Where moto keeps what the clock plays: module and its dictionary account -> Region -> backend.
PLAYED: Final = (
    ("moto.autoscaling.models", "autoscaling_backends"),
    ("moto.applicationautoscaling.models", "applicationautoscaling_backends"),
)


def regions() -> list[str]:
    """The Regions in which something may be scheduled: those that were ever asked."""
    found: set[str] = set()
    for module, name in PLAYED:
        if module in sys.modules:
            for accounts in list(getattr(sys.modules[module], name).values()):
                found.update(list(accounts))
    return sorted(found)


def application(generation: str) -> App:
    """moto's application, mended, with the recorded API before it; and who this server is."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    moto = recording(DomainDispatcherApplication(create_backend_app))

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != IDENTITY_PATH:
            if service := SIGNED_FOR.search(environ.get("HTTP_AUTHORIZATION", "")):
                mend(service[2])
            return moto(environ, start_response)
        body = json.dumps({"generation": generation, "pid": os.getpid(), "regions": regions()})
        start_response("200 OK", [("Content-Type", "application/json")])
        return [body.encode()]

    return app


def watch(record: Path, generation: str) -> None:
    """End this process when the record of the running server is no longer about it."""
    while True:
        time.sleep(WATCH_SECONDS)
        try:
            mine = json.loads(record.read_text())["generation"] == generation
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError):
            mine = False
        except OSError:
            continue  # too many open files, say: no reason to lose everything
        if not mine:
            os._exit(0)


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=int, required=True, help="descriptor, bound and listening")
    parser.add_argument("--go", type=int, required=True, help="pipe that says the record stands")
    parser.add_argument("--generation", required=True)
    parser.add_argument("--record", type=Path, required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

    from moto.moto_server.werkzeug_app import MotoRequestHandler
    from werkzeug.serving import make_server

    class Handler(MotoRequestHandler):
        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """A line a request would fill the disk; errors are still logged."""

    app = application(arguments.generation)
    if not os.read(arguments.go, 1):
        return  # the parent died before it wrote its record
    threading.Thread(
        target=watch, args=(arguments.record, arguments.generation), daemon=True
    ).start()
    with socket.socket(fileno=os.dup(arguments.socket)) as bound:
        host, port = bound.getsockname()
    server = make_server(
        host, port, app, threaded=True, request_handler=Handler, fd=arguments.socket
    )
    server.serve_forever()


if __name__ == "__main__":
    main()
