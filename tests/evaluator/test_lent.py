"""What counts down is judged: a unit too many, or kept a minute too long, is found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.season.plan import build_plan, read_season
from tests.evaluator import Gap, evaluate, find_excess

SINCE = datetime(2026, 9, 6, tzinfo=UTC)
Actions = dict[str, list[dict[str, Any]]]


@pytest.fixture
def season(tmp_path: Path) -> Path:
    """A week in which staging lives from what production leaves, and imports keep out of school."""
    path = tmp_path / "season.yaml"
    document = {
        "version": 1,
        "timezone": "Europe/Stockholm",
        "horizon": {"from": "2026-09-07", "to": "2026-09-13"},
        "markets": [
            {"name": "sweden", "users": 100_000, "core_hours": {"from": "07:30", "to": "16:00"}}
        ],
        "demand": {
            "profiles": {
                "school": {"00:00": 0.1, "08:00": 2.5, "15:00": 0.1},
                "weekend": {"00:00": 0.1},
            }
        },
        "capacity": {
            "web": {"kind": "autoscaling-group", "requests_per_second": 20, "min": 2, "max": 20},
            "staging": {
                "kind": "autoscaling-group", "against": ["web"], "units": 8, "min": 0, "max": 8
            },
            "imports": {"kind": "worker-hours", "units": 4, "core_units": 0, "min": 0, "max": 4},
        },
        "limits": {"instances": {"max": 12, "targets": ["web", "staging"]}},
    }  # fmt: skip
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def excess(path: Path, change: Any = None) -> list[Gap]:
    plan = build_plan(read_season(path))
    actions: Actions = {
        name: [dict(action) for action in target.actions] for name, target in plan.targets.items()
    }
    if change:
        change(actions)
    initial = {name: target.start for name, target in plan.targets.items()}
    assert evaluate(path, actions, since=SINCE, initial=initial) == []
    return find_excess(path, actions, since=SINCE, initial=initial)


def test_the_planned_actions_take_nothing_that_is_not_theirs(season: Path) -> None:
    assert excess(season) == []


def test_a_unit_too_many_beside_production_is_found(season: Path) -> None:
    def take_more(actions: Actions) -> None:
        lowest = min(actions["staging"], key=lambda action: action["MaxSize"])
        lowest["MinSize"] += 1
        lowest["MaxSize"] += 1

    found = excess(season, take_more)
    assert {gap.target for gap in found} == {"staging"}
    assert all(gap.in_service == gap.required + 1 for gap in found)


def test_imports_that_stop_a_minute_late_are_found(season: Path) -> None:
    def stop_late(actions: Actions) -> None:
        for action in actions["imports"]:
            if action["MaxSize"] == 0:
                minute, hour, *rest = action["Recurrence"].split()
                later = timedelta(hours=int(hour), minutes=int(minute) + 1)
                hours, minutes = divmod(later // timedelta(minutes=1), 60)
                action["Recurrence"] = " ".join([str(minutes), str(hours), *rest])
                del action["StartTime"]

    found = excess(season, stop_late)
    assert {(gap.target, gap.minutes, gap.in_service) for gap in found} == {("imports", 1, 4)}
    assert {f"{gap.start:%H:%M}" for gap in found} == {"05:30"}
