"""The plan for those who own their groups already: boto3 arguments, AWS CLI, Terraform."""

from __future__ import annotations

import json
import re
import shlex
from datetime import datetime
from typing import Literal, TypeAlias, cast

from infra.errors import InputError
from infra.season.apply import LiveAction, actions_at
from infra.season.plan import PlanTarget
from infra.season.scalable import SCALABLE

Format: TypeAlias = Literal["boto3", "cli", "terraform"]


def export(target: PlanTarget, *, target_name: str, group: str, now: datetime, form: Format) -> str:
    """The actions that are still to come at `now`, for the group (or cluster) `group`.

    boto3: a JSON list, each the arguments of one call; cli: one command a line; terraform: HCL.

    Raises:
        InputError: this kind of target has no such export.
    """
    actions = actions_at(target, target_name=target_name, now=now)
    if target.kind == "load-balancer-capacity":
        raise InputError(
            f"{target_name} is planned by EventBridge schedules",
            why="they need a role and a queue, which the stack makes",
            fix="use them through `firstbell up`",
        )
    calls = [_call(target, action, group) for action in actions]
    match form:
        case "boto3":
            return json.dumps(calls, indent=2) + "\n"
        case "cli":
            verb = (
                "autoscaling put-scheduled-update-group-action"
                if _is_group(target)
                else "application-autoscaling put-scheduled-action"
            )
            return "".join(
                f"aws {verb} --cli-input-json {shlex.quote(json.dumps(call))}\n" for call in calls
            )
        case "terraform":
            return "\n".join(_terraform(target, call) for call in calls)


def _is_group(target: PlanTarget) -> bool:
    return target.kind in ("autoscaling-group", "worker-hours")


def _call(target: PlanTarget, action: LiveAction, group: str) -> dict[str, object]:
    if _is_group(target):
        return {
            "AutoScalingGroupName": group,
            "ScheduledActionName": action.name,
            **action.request,
        }
    scalable = SCALABLE[target.kind]
    return {
        "ServiceNamespace": scalable.namespace,
        "ResourceId": scalable.resource_id(group),
        "ScalableDimension": scalable.dimension,
        "ScheduledActionName": action.name,
        **action.request,
    }


def _terraform(target: PlanTarget, call: dict[str, object]) -> str:
    name = str(call["ScheduledActionName"])
    label = re.sub(r"\W", "_", name)
    if _is_group(target):
        lines = [f'resource "aws_autoscaling_schedule" "{label}" {{']
        values: dict[str, object] = {
            "scheduled_action_name": name,
            "autoscaling_group_name": call["AutoScalingGroupName"],
            "recurrence": call["Recurrence"],
            "time_zone": call["TimeZone"],
            "start_time": call.get("StartTime"),
            "end_time": call.get("EndTime"),
            # The provider takes 0 for an omitted size; -1 leaves it as it is.
            "min_size": call.get("MinSize", -1),
            "max_size": call.get("MaxSize", -1),
            "desired_capacity": -1,
        }
        return "\n".join([*lines, *_assignments(values, "  "), "}", ""])
    sizes = cast("dict[str, object]", call["ScalableTargetAction"])
    values = {
        "name": name,
        "service_namespace": call["ServiceNamespace"],
        "resource_id": call["ResourceId"],
        "scalable_dimension": call["ScalableDimension"],
        "schedule": call["Schedule"],
        "timezone": call["Timezone"],
        "start_time": call.get("StartTime"),
        "end_time": call.get("EndTime"),
    }
    action = {"min_capacity": sizes.get("MinCapacity"), "max_capacity": sizes.get("MaxCapacity")}
    return "\n".join(
        [
            f'resource "aws_appautoscaling_scheduled_action" "{label}" {{',
            *_assignments(values, "  "),
            "  scalable_target_action {",
            *_assignments(action, "    "),
            "  }",
            "}",
            "",
        ]
    )


def _assignments(values: dict[str, object], indent: str) -> list[str]:
    return [
        # JSON's text is HCL's, but for the start of an interpolation.
        f"{indent}{key} = {json.dumps(value).replace('${', '$${')}"
        for key, value in values.items()
        if value is not None
    ]
