"""Applies the demo with every part to a local cloud of its own, and keeps the requests made."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from cli.localcloud import server
from cli.localcloud.server import LocalCloud
from infra.paths import PROJECT_ROOT

# What the demo leaves out to stay quick, and the scanner is to see.
PARTS: Final[Mapping[str, Any]] = {
    "cache": {},
    "files": {"bucket": {}},
    "edge": {},
    "workers": {"jobs": {"imports": {"min": 0}}},
    "database": {"proxy": True},
    # The workers beside the largest fleet are more than a new account has.
    "quotas": {"standard_vcpus": 512},
}


def write_stacks(folder: Path) -> None:
    """The committed stacks in a folder of their own, the demo with every part."""
    shutil.copytree(PROJECT_ROOT / "stacks", folder)
    file = folder / "Pulumi.demo.yaml"
    document = yaml.safe_load(file.read_text())
    platform: dict[str, Any] = document["config"]["firstbell:platform"]
    for part, settings in PARTS.items():
        platform[part] = platform.get(part, {}) | settings
    file.write_text(yaml.safe_dump(document))


def demo(folder: Path) -> tuple[LocalCloud, list[Mapping[str, Any]]]:
    """The cloud with the demo in it, and every request of its provider.

    `FIRSTBELL_HOME` and `FIRSTBELL_STACKS` say where, and `write_stacks` has been there; the caller
    stops the server.
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
