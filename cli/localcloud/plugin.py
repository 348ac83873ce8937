"""The provider as one process for all that the engine does in one command.

The engine starts a plugin for each refresh and each run of the program, up to four a command, and
each loads what the one before had loaded. One that is started ahead serves them all
(PULUMI_DEBUG_PROVIDERS); plain `pulumi` starts its own.
"""

from __future__ import annotations

import atexit
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from infra.errors import FirstbellError

# Tells the engine at which ports providers serve already: name:port, by comma.
VARIABLE: Final = "PULUMI_DEBUG_PROVIDERS"


class Plugin:
    """A provider that serves until `end`, at the latest when this process ends.

    `environment` is what it gets beside ours, `log` the file that takes what it complains of.
    """

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._log: Final = log
        with log.open("ab") as complaints:
            self._process: Final = subprocess.Popen(
                [sys.executable, "-P", "-m", "cli.localcloud.provider"],
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                start_new_session=True,  # Ctrl-C is for the engine, which finishes what it does
            )
        atexit.register(self.end)

    def variables(self) -> dict[str, str]:
        """What an engine must find in its environment to use it.

        Raises:
            FirstbellError: it does not start.
        """
        return {VARIABLE: f"aws:{self.port}"}

    @functools.cached_property
    def port(self) -> int:
        """Where it serves; waits until it does.

        Raises:
            FirstbellError: it does not start.
        """
        line = b""
        if self._process.stdout is not None:
            with self._process.stdout as told:
                line = told.readline().strip()
        if not line.isdigit():
            raise _not_started(self._log)
        return int(line)

    def end(self) -> None:
        """Let it finish the call under way and go; that is not waited for."""
        atexit.unregister(self.end)
        self._process.send_signal(signal.SIGINT)
        self._process.returncode = 0


def _not_started(log: Path) -> FirstbellError:
    lines = log.read_text(errors="replace").strip().splitlines()
    return FirstbellError(
        "the local cloud's provider does not start",
        where=str(log),
        why=lines[-1] if lines else "it wrote nothing",
        fix="firstbell doctor checks what it needs",
    )
