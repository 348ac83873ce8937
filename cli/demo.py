"""The main job from end to end, on the local cloud: what `make demo` shows.

Runs the same commands that a user would type, then breaks three things behind the stack's back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from cli import deployment, live, verification
from cli.localcloud import clock as local_clock
from cli.localcloud import server
from cli.stack import OpenStack, open_stack
from infra.checks.hours import MonthlyHours, monthly_hours
from infra.errors import InputError
from infra.scheduling import plan_in_force

STACK: Final = "demo"
STARTS: Final = datetime(2026, 8, 1, tzinfo=UTC)
STOCKHOLM: Final = ZoneInfo("Europe/Stockholm")
# A Monday of the autumn's grading weeks in Sweden: before, at, after the bell, and at night.
MORNING: Final = tuple(
    datetime(2026, 12, 7, hour, minute, tzinfo=STOCKHOLM)
    for hour, minute in ((7, 0), (7, 55), (9, 30), (20, 0))
)


@dataclass(frozen=True)
class Tampering:
    """What was done behind the stack's back, in the order in which it was done."""

    deleted_action: str
    lowered_action: str
    lowered_group: str


@dataclass(frozen=True)
class Reading:
    """One target at one moment."""

    moment: datetime
    target: str
    floor: int | None
    in_service: int
    required: int | None


def start_local_cloud() -> server.LocalCloud:
    """A local cloud whose clock stands at the demo's first minute.

    Raises:
        InputError: other stacks live on a local cloud that is already past it.
    """
    stands = local_clock.stands_at()
    if stands is not None and (stands != STARTS or server.running() is None):
        others = set(server.stranded_stacks(None)) - {STACK}
        if others:
            raise InputError(
                f"the local cloud is at {local_clock.text(stands)} and holds "
                f"{', '.join(sorted(others))}",
                why=f"the demo begins at {local_clock.text(STARTS)}, and the clock never goes back",
                fix="firstbell local reset removes all local stacks; then make demo",
            )
        server.reset()
    return server.ensure_started(at=STARTS)


def tamper(stack: OpenStack) -> Tampering:
    """Delete one action, lower the minimum of another, and lower the group's own minimum."""
    client = stack.client("autoscaling")
    web = live.read(stack)["web"]
    by_size = sorted(web.actions, key=lambda name: -int(web.actions[name].get("MinSize", 0)))
    deleted, lowered = by_size[0], by_size[1]
    client.delete_scheduled_action(AutoScalingGroupName=web.identifier, ScheduledActionName=deleted)
    request: dict[str, Any] = dict(web.actions[lowered])
    request["MinSize"] -= 5
    client.put_scheduled_update_group_action(
        AutoScalingGroupName=web.identifier, ScheduledActionName=lowered, **request
    )
    client.update_auto_scaling_group(AutoScalingGroupName=web.identifier, MinSize=0)
    return Tampering(deleted, lowered, web.identifier)


def seen(tampering: Tampering, differences: list[deployment.Difference]) -> bool:
    """Whether the drift names all three, and nothing else."""
    named = {(entry.name, entry.property) for entry in differences}
    return named == {
        (tampering.deleted_action, "the resource"),
        (tampering.lowered_action, "minSize"),
        (f"{STACK}-web", "minSize"),
    }


def morning(stack: OpenStack, progress: Callable[[str], None]) -> list[Reading]:
    """Advance the clock through a grading Monday and read what is in service."""
    assert stack.local is not None  # noqa: S101 (the demo's stack is local)
    readings: list[Reading] = []
    for moment in MORNING:
        local_clock.advance(stack.local, moment.astimezone(UTC), progress)
        readings += [
            Reading(moment, status.target, status.floor, status.in_service, status.required)
            for status in verification.status(stack, live.read(stack))
        ]
    return readings


def savings(stack: OpenStack) -> list[MonthlyHours]:
    """Instance-hours a month of what the season schedules."""
    found = plan_in_force(stack.settings, local_clock.read())
    if found is None:
        return []
    plan, _ = found
    return [row for row in monthly_hours(stack.settings, plan) if row.name in plan.targets]


class Stopwatch:
    """Seconds that each step took, in the order of the steps."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, float]] = []
        self._started = time.monotonic()

    def lap(self, step: str) -> None:
        now = time.monotonic()
        self.steps.append((step, now - self._started))
        self._started = now


def opened(progress: Callable[[str], None]) -> OpenStack:
    """The demo's stack."""
    return open_stack(STACK, progress)
