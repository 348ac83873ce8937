"""The forecast from histories. Declared demand is in `test_capacity` and `tests/evaluator`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra.season.plan import prepare, read_season

Season = dict[str, Any]
Write = Callable[[Season], Path]


@pytest.fixture
def learnt(small: Season, tmp_path: Path) -> Season:
    """Two weeks after four measured ones at 10 requests/s, of which the last three days had 50."""
    rows = ["timestamp,requests_per_second"]
    for hour in range(24 * 28):
        day = hour // 24
        rate = 50 if day >= 25 else 10
        rows.append(
            f"2026-{8 + (10 + day) // 32:02}-{1 + (9 + day) % 31:02}T{hour % 24:02}:00Z,{rate}"
        )
    (tmp_path / "load.csv").write_text("\n".join(rows) + "\n")
    small["markets"][0] |= {"terms": None, "holidays": None, "timezone": "UTC"}
    small |= {"timezone": "UTC"}
    small["demand"] = {"history": [{"file": "load.csv", "market": "sweden"}]}
    return small


def rates_of(season: Season, write: Write) -> list[float]:
    """Requests per second at noon of each day of the horizon."""
    found = prepare(read_season(write(season))).forecast.requests_per_second["sweden"]
    total = np.sum(list(found.values()), axis=0)
    return total[720::1440].round(3).tolist()


def test_a_declared_factor_multiplies_what_the_day_would_have_without_its_period(
    learnt: Season, write: Write
) -> None:
    learnt["markets"][0]["periods"] = [
        {"kind": "grading", "factor": 3, "from": "2026-09-09", "to": "2026-09-10"},
        # The days that were measured at 50 stand apart, and teach nothing of ordinary days.
        {"kind": "grading", "factor": 5, "from": "2026-09-04", "to": "2026-09-06"},
    ]
    learnt["demand"]["growth"] = 2
    assert rates_of(learnt, write)[:5] == [20, 20, 60, 60, 20]


def test_a_period_without_a_factor_is_planned_as_it_was_measured(
    learnt: Season, write: Write
) -> None:
    learnt["markets"][0]["periods"] = [
        {"kind": "exam", "from": "2026-09-09", "to": "2026-09-10"},
        {"kind": "exam", "from": "2026-09-04", "to": "2026-09-06"},
    ]
    assert rates_of(learnt, write)[:5] == [10, 10, 50, 50, 10]
