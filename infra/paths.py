"""Where things are. Resolved from this file, never from the working directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

PROJECT_ROOT: Final = Path(__file__).resolve().parents[1]


def stacks() -> Path:
    """Stack files, seasons and migrations (`FIRSTBELL_STACKS` moves them, for tests)."""
    override = os.environ.get("FIRSTBELL_STACKS")
    return Path(override).resolve() if override else PROJECT_ROOT / "stacks"


def home() -> Path:
    """What firstbell keeps on this machine (`FIRSTBELL_HOME` moves it, for tests)."""
    override = os.environ.get("FIRSTBELL_HOME")
    return Path(override).resolve() if override else PROJECT_ROOT / ".firstbell"


def local_cloud() -> Path:
    """The local cloud's folder: clock, server record, recorded resources, project, state."""
    return home() / "local"
