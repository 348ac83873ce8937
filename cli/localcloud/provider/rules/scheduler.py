"""EventBridge Scheduler: when a schedule fires, and what it may call."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cli.localcloud.provider.rules.appautoscaling import check_schedule
from cli.localcloud.provider.rules.base import Request, moment, refuse_unless, rule, zone
from infra import clock

if TYPE_CHECKING:
    from cli.localcloud.provider.aws import Cloud

_CODE: Final = "ValidationException"
# "The StartDate you specify cannot be earlier than 5 minutes ago": what the service answers.
_PAST: Final = timedelta(minutes=5)
# A call of any operation. EventBridge Scheduler user guide, "Using universal targets".
_CALL: Final = re.compile(r"arn:aws[\w-]*:scheduler:::aws-sdk:[a-z0-9]+:[a-z][A-Za-z0-9]+")


@rule("scheduler", "create_schedule", "update_schedule")
def expression_and_zone_are_valid(_: Cloud, request: Request) -> None:
    if "ScheduleExpression" in request:
        check_schedule(request["ScheduleExpression"])
    zone(request.get("ScheduleExpressionTimezone"), _CODE)


@rule("scheduler", "create_schedule", "update_schedule")
def window_is_ahead(_: Cloud, request: Request) -> None:
    now = clock.now("local")
    start, end = moment(request.get("StartDate")), moment(request.get("EndDate"))
    refuse_unless(
        start is None or start >= now - _PAST,
        _CODE,
        f"The StartDate you specify cannot be earlier than 5 minutes ago: {start} (now {now})",
    )
    refuse_unless(
        end is None or end > now,
        _CODE,
        f"The EndDate you specify is in the past: {end} (now {now})",
    )
    refuse_unless(
        start is None or end is None or start < end,
        _CODE,
        f"The EndDate {end} must be after the StartDate {start}",
    )


@rule("scheduler", "create_schedule", "update_schedule")
def call_is_one_of_the_sdk(_: Cloud, request: Request) -> None:
    target = request.get("Target", {})
    arn = target.get("Arn", "")
    if ":scheduler:::" not in arn:
        return
    refuse_unless(
        _CALL.fullmatch(arn) is not None,
        _CODE,
        f"Provided Arn is not in correct format: {arn} is not "
        "arn:aws:scheduler:::aws-sdk:SERVICE:operationInCamelCase",
    )
    try:
        given = json.loads(target.get("Input", "{}"))
    except ValueError:
        given = None
    refuse_unless(isinstance(given, dict), _CODE, "Input is no JSON object")
