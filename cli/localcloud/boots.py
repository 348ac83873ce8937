"""How long instances boot, and where their launch times are kept: for the clock and the server.

Imports little: the server starts with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from infra import paths

# A group's tag that says how long its instances boot.
BOOT_TAG: Final = "firstbell:boot_minutes"
GROUP_BOOT_MINUTES: Final = 4.0


def record_path() -> Path:
    """Where launch times are kept."""
    return paths.local_cloud() / "in_service.json"
