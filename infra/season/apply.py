"""What of a plan is live at a moment: the actions to declare, and the bounds that hold.

Pure: reads the plan's actions only. An action's identity is its time, never its sizes, so that a
changed size is an update in place and a changed time is another action.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from infra.season import limits
from infra.season.capacity import Bounds
from infra.season.compile import latest_firing, read_action
from infra.season.grid import minute_of
from infra.season.plan import PlanTarget


@dataclass(frozen=True)
class LiveAction:
    """`request`: the boto3 call's arguments without the action's name and the group's or
    resource's."""

    name: str
    request: dict[str, object]


def actions_at(target: PlanTarget, *, target_name: str, now: datetime) -> list[LiveAction]:
    """The actions that must be live at `now`, in the plan's order.

    Actions that have ended are left out. StartTime is passed only when it is more than
    `limits.START_AHEAD_MINUTES` ahead: AWS refuses one in the past, and without it the action
    simply follows its cron.
    """
    minute = minute_of(now)
    live: list[LiveAction] = []
    for request in target.actions:
        action = read_action(request)
        if action.end is not None and action.end <= minute:
            continue
        given = dict(request)
        if action.start is not None and action.start - minute <= limits.START_AHEAD_MINUTES:
            del given["StartTime" if "StartTime" in given else "StartDate"]
        live.append(LiveAction(name_of(target_name, request), given))
    return live


_SCHEDULER_KEYS: Final = (
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "StartDate",
    "EndDate",
)


def name_of(target_name: str, request: Mapping[str, object]) -> str:
    """A name that is a hash of the action's time: recurrence, zone, first occurrence and end."""
    parts = [target_name]
    for key in ("Recurrence", "Schedule", "TimeZone", "Timezone", "StartTime", "EndTime"):
        parts.append(str(request.get(key)))
    # Of EventBridge Scheduler; others have none of these, and keep the names that they have.
    parts += [str(request[key]) for key in _SCHEDULER_KEYS if key in request]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return f"{target_name}-{digest[:12]}"


def bounds_at(target: PlanTarget, now: datetime) -> Bounds:
    """The floor and the cap that the plan's actions imply at `now`."""
    actions = [read_action(request) for request in target.actions]
    action = latest_firing(actions, minute_of(now))
    if action is None or action.min is None:
        return Bounds(target.start, target.bounds.max)
    return Bounds(action.min, target.bounds.max if action.max is None else action.max)
