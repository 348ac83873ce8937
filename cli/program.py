"""The Pulumi program as the command line runs it inline, and what makes the SDK quick about it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import importlib
import importlib.metadata
import runpy
import threading
from collections.abc import Generator
from typing import Any, Final

from pulumi import log
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import SETTINGS

from infra import paths

# Parts of pulumi_aws that every stack needs; each loads when it is first touched.
_PARTS: Final = (
    *("acm", "autoscaling", "backup", "cloudwatch", "ec2", "iam", "lb", "rds", "s3", "sns", "vpc"),
)


@functools.cache
def load() -> threading.Thread:
    """Load what the program needs beside whatever else goes on; once in a process.

    It takes about as long as the engine's start. Two at once would see half-loaded modules, so the
    program waits for the thread.
    """
    loading = threading.Thread(target=_load, daemon=True)
    loading.start()
    return loading


async def run() -> None:
    """Run infra/__main__.py as Pulumi would, until everything it asked for is known."""
    sdk: Any = SETTINGS  # its attributes are made up when asked for
    threading.Thread(target=_wake_provider, args=(sdk.monitor,), daemon=True).start()
    load().join()
    runpy.run_path(str(paths.PROJECT_ROOT / "infra" / "__main__.py"), run_name="__main__")
    await settled()


def _wake_provider(monitor: Any) -> None:
    """Let the engine start the provider while the program runs, not at its first resource after.

    `getRegion` is answered by the provider itself. The engine keeps one provider a version, so
    this is the one that the resources get.
    """
    version = importlib.metadata.version("pulumi_aws")
    with contextlib.suppress(Exception):  # whatever is wrong fails again in the program
        monitor.Invoke(
            resource_pb2.ResourceInvokeRequest(tok="aws:index/getRegion:getRegion", version=version)
        )


async def settled() -> None:
    """Wait until everything that the program asked for is known, or something has failed.

    The SDK waits for it as well, and raises what has failed; but it goes through everything that
    is open each time that something ends, which took half of the processor time of an `up`.
    """
    sdk: Any = SETTINGS  # its attributes are made up when asked for
    while True:
        with sdk.lock:
            asked: list[asyncio.Future[Any]] = [*sdk.rpc_manager.rpcs, *sdk.outputs]
        pending = [future for future in asked if not future.done()]
        if not pending:
            return
        done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_EXCEPTION)
        if any(future.cancelled() or future.exception() for future in done):
            return


def _load() -> None:
    # What cannot be loaded fails again in the program, and is reported there. Thousands of classes
    # that stay for good are no work for the garbage collector: it took 40% of the loading.
    with contextlib.suppress(Exception), _uncollected():
        importlib.import_module("infra.composition")
        for part in _PARTS:
            # Asking for any name of its own makes it load.
            getattr(importlib.import_module(f"pulumi_aws.{part}"), "Provider", None)


@contextlib.contextmanager
def _uncollected() -> Generator[None]:
    """No garbage is collected within, and what came to be within is left alone for good."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextlib.contextmanager
def silent_debug_log() -> Generator[None]:
    """The SDK says nothing at debug level within.

    It sends four messages a resource, each a call to the engine and an event back, for a log that
    nobody reads here; the SDK has no level to set.
    """
    debug = log.debug
    log.debug = lambda *_, **__: None
    try:
        yield
    finally:
        log.debug = debug
