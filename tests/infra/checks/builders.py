"""Builders of what is checked."""

from __future__ import annotations

from typing import Any

from infra.checks import Findings, check
from infra.season.capacity import Bounds
from infra.season.plan import PlanTarget
from infra.season.season_file import TargetKind
from infra.settings.stack import StackSettings, from_config


def settings(config: dict[str, Any] | None = None, **platform: Any) -> StackSettings:
    """The smallest stack that says all that is to be said, with what a test changes."""
    return from_config(
        "tiny",
        {
            "aws:region": "eu-north-1",
            "firstbell:platform": {
                "domain": "lms.example.org",
                "observability": {"emails": ["ops@example.org"], "monthly_limit_usd": 4000},
            }
            | platform,
        }
        | (config or {}),
        source="a test",
    )


def findings(config: dict[str, Any] | None = None, **platform: Any) -> Findings:
    """What the checks say of it."""
    return check(settings(config, **platform), {})


def reservation(units: int) -> PlanTarget:
    """A season's target that reserves so many load balancer capacity units at most."""
    return PlanTarget(
        "load-balancer-capacity",
        Bounds(0, units),
        0,
        (),
        (),
        0.0,
        None,
        {"peak": units, "static_peak_hours": 0.0},
    )


def scheduled(kind: TargetKind, actions: int) -> PlanTarget:
    """A season's target with so many scheduled actions."""
    return PlanTarget(
        kind, Bounds(0, 9), 0, (), ({},) * actions, 0.0, None, {"peak": 9, "static_peak_hours": 0.0}
    )
