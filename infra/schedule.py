"""The season's scheduled actions, as resources. The plan is a file; nothing is solved here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from infra.season.apply import LiveAction
from infra.season.season_file import TargetKind

# pulumi-aws takes an omitted size for 0; -1 is "unchanged".
UNCHANGED: Final = -1


@dataclass(frozen=True)
class ScheduledTarget:
    """What the actions of one season target move.

    `group` is an Auto Scaling group's name; a scalable target is `resource_id`, `dimension`,
    `namespace` of Application Auto Scaling.
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


class Schedule(pulumi.ComponentResource):
    """All scheduled actions of one Auto Scaling group or scalable target."""

    def __init__(
        self, name: str, args: ScheduleArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:schedule:Schedule", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        for action in args.actions:
            label = f"{args.prefix}-{action.name}"
            match args.target.kind:
                case "autoscaling-group":
                    _group_action(label, args.target, action.request, child)
                case "aurora-replicas" | "elasticache-replicas":
                    _scalable_target_action(label, args.target, action.request, child)
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
