"""Applies the demo to a local cloud of its own, and keeps the requests that it made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.localcloud import server
from cli.localcloud.server import LocalCloud


def demo(folder: Path) -> tuple[LocalCloud, list[Mapping[str, Any]]]:
    """The cloud with the demo in it, and every request of its provider.

    `FIRSTBELL_HOME` and `FIRSTBELL_STACKS` say where; the caller stops the server.
    """
    log = folder / "requests.jsonl"
    environment = os.environ | {"FIRSTBELL_REQUESTS": str(log)}
    for arguments in (["local", "start", "--at", "2026-08-01T00:00Z"], ["up", "-s", "demo"]):
        finished = subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
    cloud = server.running()
    assert cloud is not None
    return cloud, [json.loads(line) for line in log.read_text().splitlines()]
