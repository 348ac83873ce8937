"""Builders of small seasons: each test says only what it differs in."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

Season = dict[str, Any]

SMALL: Season = {
    "version": 1,
    "timezone": "Europe/Stockholm",
    "horizon": {"from": "2026-09-07", "to": "2026-09-20"},
    "markets": [
        {
            "name": "sweden",
            "timezone": "Europe/Stockholm",
            "users": 100_000,
            "holidays": {"country": "SE"},
            "terms": [{"name": "autumn", "from": "2026-08-17", "to": "2026-12-18"}],
            "breaks": [],
            "periods": [],
        }
    ],
    "demand": {
        "profiles": {
            "school": {"00:00": 0.02, "07:00": 0.5, "08:00": 2.0, "15:00": 1.0, "21:00": 0.05},
            "weekend": {"00:00": 0.02, "10:00": 0.3, "22:00": 0.05},
        },
        "bursts": [
            {
                "name": "first bell",
                "market": "sweden",
                "days": "school",
                "at": "08:10",
                "logins": 10_000,
                "over": "20m",
            }
        ],
    },
    "capacity": {
        "web": {
            "kind": "autoscaling-group",
            "requests_per_second": 20,
            "utilisation": 0.6,
            "floor_utilisation": 0.75,
            "boot": "4m",
            "min": 2,
            "max": 60,
        }
    },
}


@pytest.fixture
def small() -> Season:
    """Two school weeks of one Swedish market, to be changed by the test."""
    return deepcopy(SMALL)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Season], Path]:
    """Writes a season file and returns its path."""

    def written(season: Season, name: str = "small") -> Path:
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(season, sort_keys=False))
        return path

    return written
