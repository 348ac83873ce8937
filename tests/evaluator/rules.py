"""AWS's rules for scheduled actions (sources: facts of the Auto Scaling user guides)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from tests.evaluator.actions import Action, LiveAction, UnreadableActionError, read_action

# EC2 Auto Scaling quotas (not adjustable); Application Auto Scaling quotas per scalable target.
MOST_ACTIONS = {True: 125, False: 200}


def rule_violations(
    live: Mapping[str, Sequence[LiveAction]], *, since: datetime, until: datetime
) -> list[str]:
    """Every broken rule, as a sentence that starts with the target and the action.

    `since` and `until` bound the time in which firings at the same minute are looked for.
    """
    broken: list[str] = []
    for target, listed in live.items():
        actions: list[Action] = []
        for item in listed:
            try:
                actions.append(read_action(item))
            except UnreadableActionError as error:
                broken.append(f"{target}: {error}")
        for action in actions:
            broken += [f"{target}: {action.name} {text}" for text in _of_one(action)]
        broken += [f"{target}: {text}" for text in _together(actions, since, until)]
    return broken


def _of_one(action: Action) -> list[str]:
    broken: list[str] = []
    if action.minimum is None and action.maximum is None:
        broken.append("sets no size")
    if (
        action.minimum is not None
        and action.maximum is not None
        and action.minimum > action.maximum
    ):
        broken.append(f"has minimum {action.minimum} above maximum {action.maximum}")
    if action.start and action.end and action.end <= action.start:
        broken.append("ends before it starts")
    if action.recurrence is None:
        return broken
    if action.start and not action.fires_at(action.start):
        broken.append(f"starts at {action.start}, which is no occurrence of {action.recurrence}")
    for hour in _hours(action.recurrence.split()[1]):
        if hour < 4:
            broken.append(f"recurs at {hour:02} o'clock, skipped or doubled by daylight saving")
            break
    # AWS does not say whether an occurrence at EndTime itself fires.
    if action.end and action.occurrences(action.end - timedelta(minutes=5), action.end):
        broken.append("has an occurrence less than 5 minutes before its end")
    return broken


def _together(actions: Sequence[Action], since: datetime, until: datetime) -> list[str]:
    broken: list[str] = []
    for auto_scaling, most in MOST_ACTIONS.items():
        count = sum(action.auto_scaling is auto_scaling for action in actions)
        if count > most:
            broken.append(f"{count} scheduled actions, AWS allows {most}")
    starts = Counter(action.start for action in actions if action.start)
    broken += [f"{n} actions start at {start}" for start, n in starts.items() if n > 1]
    fired: dict[datetime, Action] = {}
    for action in actions:
        for moment in action.firings(since, until):
            other = fired.setdefault(moment, action)
            if other is not action:
                broken.append(f"{other.name} and {action.name} both fire at {moment}")
                break
    return broken


def _hours(field: str) -> list[int]:
    hours: list[int] = []
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = ("0-23" if span == "*" else span).partition("-")
        hours += range(int(first), int(last or first) + 1, int(step or 1))
    return hours
