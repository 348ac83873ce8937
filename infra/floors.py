"""The scheduled floor of replicas as a metric: AWS publishes none for a scalable target's minimum.

Each minute EventBridge Scheduler starts a state machine that reads the minimums which the scheduled
actions have set and puts them into CloudWatch. It reads what is live, so no copy of the plan can go
stale; when one is not published, the alarm that stands on it tells that its data stopped, and the
log group which run failed and why. The metric of an Auto Scaling group's floor (GroupMinSize) is
AWS's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from infra.iam import Statement, all_log_groups, policy_document, service_role
from infra.measures import FLOOR_METRIC, FLOOR_NAMESPACE, floor_dimensions
from infra.season.scalable import Scalable

# A run takes a second or two; one that hangs is over before the next.
TIMEOUT_SECONDS: Final = 50
# The shortest that EventBridge Scheduler keeps a call that failed: the next one is on its way.
CALL_SECONDS: Final = 60
# Where a run notes what went wrong, by the target's name.
_MISSING: Final = "$.missing"
# Runs that failed alone are logged: enough to look back over a term's exams.
LOG_DAYS: Final = 90
# Logs of this prefix share an entry in the account's policy of log deliveries, which would grow
# too long else. Step Functions developer guide, "Using CloudWatch Logs to log execution history".
LOG_PREFIX: Final = "/aws/vendedlogs/states/"
# What a state machine's role needs for that; AWS allows naming no resource. Same page.
_DELIVERING: Final = (
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
)


@dataclass(frozen=True)
class Floor:
    """One scalable target: its season's name, its kind and what AWS calls it."""

    name: str
    of: Scalable
    resource_id: pulumi.Input[str]


@dataclass(frozen=True)
class FloorsArgs:
    """`floors` are those that scheduled actions move; at least one."""

    stack: str
    floors: Sequence[Floor]
    tags: Mapping[str, str]


class Floors(pulumi.ComponentResource):
    """Publishes the minimums of a stack's scalable targets each minute."""

    def __init__(
        self, name: str, args: FloorsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:floors:Floors", name, None, opts)
        child, tags = pulumi.ResourceOptions(parent=self), dict(args.tags)
        # An express run leaves no history.
        log = aws.cloudwatch.LogGroup(
            name, name=log_group(args.stack), retention_in_days=LOG_DAYS, tags=tags, opts=child
        )
        reads = service_role(
            name,
            "states.amazonaws.com",
            # AWS allows naming no resource for either.
            statements=[
                Statement(["application-autoscaling:DescribeScalableTargets"], ["*"]),
                Statement(
                    ["cloudwatch:PutMetricData"],
                    ["*"],
                    {"StringEquals": {"cloudwatch:namespace": FLOOR_NAMESPACE}},
                ),
            ],
            tags=tags,
            opts=child,
        )
        # AWS looks for it when it makes the state machine, among all log groups.
        may_log = aws.iam.RolePolicy(
            f"{name}-log",
            role=reads.name,
            policy=policy_document(
                [
                    Statement(_DELIVERING, ["*"]),
                    Statement(["logs:DescribeLogGroups"], [all_log_groups(log.arn)]),
                ]
            ),
            opts=child,
        )
        machine = aws.sfn.StateMachine(
            name,
            name=name,
            # Of seconds, 43,800 times a month: paid by the run, not by the step.
            type="EXPRESS",
            role_arn=reads.arn,
            logging_configuration=aws.sfn.StateMachineLoggingConfigurationArgs(
                level="ERROR",
                include_execution_data=True,
                log_destination=pulumi.Output.concat(log.arn, ":*"),
            ),
            definition=pulumi.Output.all(*(floor.resource_id for floor in args.floors)).apply(
                lambda ids: json.dumps(
                    definition(args.stack, list(zip(args.floors, ids, strict=True)))
                )
            ),
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[may_log]),
        )
        starts = service_role(
            f"{name}-starts",
            "scheduler.amazonaws.com",
            statements=[Statement(["states:StartExecution"], [machine.arn])],
            tags=tags,
            opts=child,
        )
        aws.scheduler.Schedule(
            name,
            name=name,
            schedule_expression="rate(1 minute)",
            flexible_time_window={"mode": "OFF"},
            target=aws.scheduler.ScheduleTargetArgs(
                arn=machine.arn,
                role_arn=starts.arn,
                retry_policy=aws.scheduler.ScheduleTargetRetryPolicyArgs(
                    maximum_retry_attempts=0, maximum_event_age_in_seconds=CALL_SECONDS
                ),
            ),
            opts=child,
        )
        self.register_outputs({})


def log_group(stack: str) -> str:
    """Where the runs that failed say why."""
    return f"{LOG_PREFIX}{stack}-floors"


def definition(stack: str, floors: Sequence[tuple[Floor, str]]) -> dict[str, Any]:
    """The state machine in Amazon States Language: read each minimum, then publish it.

    A target that is gone, or that AWS does not tell of, keeps no other back: it alone has no metric
    then, which its alarm tells, and the run fails in the end, which the log tells.
    """
    states: dict[str, Any] = {}
    followers = [*(_reads(floor.name) for floor, _ in floors[1:]), "all published"]
    for (floor, resource_id), after in zip(floors, followers, strict=True):
        states |= _published(stack, floor, resource_id, after)
    states["all published"] = {
        "Type": "Choice",
        "Choices": [{"Variable": _MISSING, "IsPresent": True, "Next": "missing"}],
        "Default": "done",
    }
    states["missing"] = {
        "Type": "Fail",
        "Error": "FloorMissing",
        "Cause": "A minimum was not published: the input of this state says which and why.",
    }
    states["done"] = {"Type": "Succeed", "OutputPath": None}
    return {
        "Comment": f"Publishes the scheduled floors of {', '.join(f.name for f, _ in floors)} of "
        f"{stack}",
        "StartAt": _reads(floors[0][0].name),
        "TimeoutSeconds": TIMEOUT_SECONDS,
        "States": states,
    }


def _reads(name: str) -> str:
    return f"read {name}"


def _published(stack: str, floor: Floor, resource_id: str, after: str) -> dict[str, Any]:
    """One target's states. What goes wrong is noted, and the run goes on `after` it.

    Whether the target is there is asked first: a path that finds nothing is a States.Runtime error,
    which no Catch takes. Step Functions developer guide, "Handling errors in workflows".
    """
    name = floor.name
    found, takes, gone = f"is {name} there", f"take {name}", f"{name} is gone"
    publishes = f"publish {name}"
    noted = {"ResultPath": f"{_MISSING}.{name}", "Next": after}
    catching = [{"ErrorEquals": ["States.ALL"]} | noted]
    target = f"$.{name}.ScalableTargets[0]"
    return {
        _reads(name): {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:applicationautoscaling:describeScalableTargets",
            "Parameters": {
                "ServiceNamespace": floor.of.namespace,
                "ScalableDimension": floor.of.dimension,
                "ResourceIds": [resource_id],
            },
            "ResultPath": f"$.{name}",
            "Catch": catching,
            "Next": found,
        },
        found: {
            "Type": "Choice",
            "Choices": [{"Variable": target, "IsPresent": True, "Next": takes}],
            "Default": gone,
        },
        takes: {"Type": "Pass", "InputPath": target, "ResultPath": f"$.{name}", "Next": publishes},
        gone: {
            "Type": "Pass",
            "Result": {"Error": "NoScalableTarget", "Cause": f"{resource_id} has none"},
        }
        | noted,
        publishes: {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:cloudwatch:putMetricData",
            "Parameters": {
                "Namespace": FLOOR_NAMESPACE,
                "MetricData": [
                    {
                        "MetricName": FLOOR_METRIC,
                        "Dimensions": [
                            {"Name": key, "Value": value}
                            for key, value in floor_dimensions(stack, name).items()
                        ],
                        "Value.$": f"$.{name}.MinCapacity",
                    }
                ],
            },
            "ResultPath": None,
            "Catch": catching,
            "Next": after,
        },
    }
