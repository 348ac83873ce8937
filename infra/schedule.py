"""The season's scheduled actions, as resources. The plan is a file; nothing is solved here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from infra.iam import Statement, service_role
from infra.season.apply import LiveAction
from infra.season.compile import LOAD_BALANCER
from infra.season.season_file import TargetKind

# pulumi-aws takes an omitted size for 0; -1 is "unchanged".
UNCHANGED: Final = -1
# The longest that a queue keeps a message: a call that failed in the holidays is seen after them.
FAILED_SECONDS: Final = 1_209_600


@dataclass(frozen=True)
class ScheduledTarget:
    """What the actions of one season target move.

    `name` is an Auto Scaling group's, the resource id of a scalable target of Application Auto
    Scaling (with its `dimension` and `namespace`), or a load balancer's ARN.
    """

    kind: TargetKind
    name: pulumi.Input[str]
    dimension: pulumi.Input[str] | None = None
    namespace: pulumi.Input[str] | None = None


@dataclass(frozen=True)
class ScheduleArgs:
    """`actions` are those of the plan that are still to come, with names made from their time.

    `prefix` tells stacks apart: AWS keeps the names of a group's actions to the group, but moto has
    one name for all groups.
    """

    prefix: str
    target: ScheduledTarget
    actions: Sequence[LiveAction]
    tags: Mapping[str, str]


class Schedule(pulumi.ComponentResource):
    """All scheduled actions of one Auto Scaling group, scalable target or load balancer."""

    def __init__(
        self, name: str, args: ScheduleArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:schedule:Schedule", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        caller = (
            _caller(name, args.target, args.tags, child)
            if args.target.kind == "load-balancer-capacity"
            else None
        )
        for action in args.actions:
            label = f"{args.prefix}-{action.name}"
            match args.target.kind:
                case "autoscaling-group":
                    _group_action(label, args.target, action.request, child)
                case "aurora-replicas" | "elasticache-replicas":
                    _scalable_target_action(label, args.target, action.request, child)
                case "load-balancer-capacity" if caller is not None:
                    _reservation(label, args.target, caller, action.request, child)
                case kind:
                    raise NotImplementedError(f"nothing in a stack is scheduled as {kind}")
        self.register_outputs({})


def _group_action(
    label: str,
    target: ScheduledTarget,
    request: dict[str, Any],
    opts: pulumi.ResourceOptions,
) -> None:
    aws.autoscaling.Schedule(
        label,
        scheduled_action_name=label,
        autoscaling_group_name=target.name,
        recurrence=request.get("Recurrence"),
        time_zone=request.get("TimeZone"),
        start_time=request.get("StartTime"),
        end_time=request.get("EndTime"),
        min_size=request.get("MinSize", UNCHANGED),
        max_size=request.get("MaxSize", UNCHANGED),
        desired_capacity=request.get("DesiredCapacity", UNCHANGED),
        opts=opts,
    )


def _scalable_target_action(
    label: str,
    target: ScheduledTarget,
    request: dict[str, Any],
    opts: pulumi.ResourceOptions,
) -> None:
    assert target.dimension is not None  # noqa: S101 (a scalable target always has them)
    assert target.namespace is not None  # noqa: S101
    sizes = request["ScalableTargetAction"]
    if "StartTime" not in request:
        # Its time has come since it was created. Here, unlike with groups, pulumi-aws would take
        # an omitted start for a change and rewrite every action that has begun.
        opts = pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(ignore_changes=["startTime"])
        )
    aws.appautoscaling.ScheduledAction(
        label,
        name=label,
        service_namespace=target.namespace,
        scalable_dimension=target.dimension,
        resource_id=target.name,
        schedule=request["Schedule"],
        timezone=request.get("Timezone"),
        start_time=request.get("StartTime"),
        end_time=request.get("EndTime"),
        scalable_target_action=aws.appautoscaling.ScheduledActionScalableTargetActionArgs(
            min_capacity=sizes.get("MinCapacity"), max_capacity=sizes.get("MaxCapacity")
        ),
        opts=opts,
    )


@dataclass(frozen=True)
class _Caller:
    """As whom EventBridge Scheduler calls AWS, and where a call goes that failed for an hour."""

    role_arn: pulumi.Output[str]
    dead_letter_arn: pulumi.Output[str]


def _caller(
    name: str,
    target: ScheduledTarget,
    tags: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> _Caller:
    failed = aws.sqs.Queue(
        f"{name}-failed",
        message_retention_seconds=FAILED_SECONDS,
        sqs_managed_sse_enabled=True,
        tags=tags,
        opts=opts,
    )
    role = service_role(
        name,
        "scheduler.amazonaws.com",
        statements=[
            Statement(["elasticloadbalancing:ModifyCapacityReservation"], [target.name]),
            Statement(["sqs:SendMessage"], [failed.arn]),
        ],
        tags=tags,
        opts=opts,
    )
    return _Caller(role.arn, failed.arn)


def _reservation(
    label: str,
    target: ScheduledTarget,
    caller: _Caller,
    request: dict[str, Any],
    opts: pulumi.ResourceOptions,
) -> None:
    """A call of ModifyCapacityReservation by EventBridge Scheduler. Not proven on AWS."""
    call, retry = request["Target"], request["Target"]["RetryPolicy"]
    change = json.loads(call["Input"])
    assert change["LoadBalancerArn"] == LOAD_BALANCER  # noqa: S101 (the compiler's own word)
    aws.scheduler.Schedule(
        label,
        name=label,
        schedule_expression=request["ScheduleExpression"],
        schedule_expression_timezone=request["ScheduleExpressionTimezone"],
        start_date=request.get("StartDate"),
        end_date=request.get("EndDate"),
        flexible_time_window={"mode": request["FlexibleTimeWindow"]["Mode"]},
        target=aws.scheduler.ScheduleTargetArgs(
            arn=call["Arn"],
            role_arn=caller.role_arn,
            input=pulumi.Output.json_dumps(change | {"LoadBalancerArn": target.name}),
            dead_letter_config=aws.scheduler.ScheduleTargetDeadLetterConfigArgs(
                arn=caller.dead_letter_arn
            ),
            retry_policy=aws.scheduler.ScheduleTargetRetryPolicyArgs(
                maximum_retry_attempts=retry["MaximumRetryAttempts"],
                maximum_event_age_in_seconds=retry["MaximumEventAgeInSeconds"],
            ),
        ),
        opts=opts,
    )
