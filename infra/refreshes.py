"""Who is told that an instance refresh failed: AWS marks it in the console, and that is all.

Failed launches have no rule of their own: Auto Scaling tries again and again, a message for each
attempt, and what is missing for long is told by the alarm on the floor.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

# The event's name. Amazon EC2 Auto Scaling user guide, "Instance refresh example events and
# patterns"; it has the group and the refresh, not the reason.
FAILED: Final = "EC2 Auto Scaling Instance Refresh Failed"
# An event pattern may have 2,048 characters. EventBridge user guide, "EventBridge quotas".
MAX_PATTERN: Final = 2_048
# What a pattern has around its groups' names, and each name around it: Pulumi's eight characters,
# quotes, comma and space.
_AROUND: Final = 160
_AROUND_A_NAME: Final = 8 + 4
# What the message takes from the event.
_PATHS: Final[Mapping[str, str]] = {
    "group": "$.detail.AutoScalingGroupName",
    "refresh": "$.detail.InstanceRefreshId",
    "region": "$.region",
    "time": "$.time",
}


def rules(stack: str, groups: Iterable[str]) -> dict[str, list[str]]:
    """The rules of a stack: EventBridge's name of each, and the groups it looks at. One, unless
    their names are too many for a pattern."""
    shares: list[list[str]] = []
    room = 0
    for group in sorted(groups):
        needed = len(f"{stack}-{group}") + _AROUND_A_NAME
        if needed > room:
            shares.append([])
            room = MAX_PATTERN - _AROUND
        shares[-1].append(group)
        room -= needed
    return {
        f"{stack}-refresh-failed" + (f"-{number}" if number > 1 else ""): share
        for number, share in enumerate(shares, start=1)
    }


def pattern(groups: Sequence[str]) -> str:
    """What an event must be like: a refresh of one of these groups that failed."""
    return json.dumps(
        {
            "source": ["aws.autoscaling"],
            "detail-type": [FAILED],
            "detail": {"AutoScalingGroupName": list(groups)},
        }
    )


def message(stack: str) -> str:
    """What reaches the address, a quoted text a line, as EventBridge takes it."""
    return "\n".join(
        json.dumps(line, ensure_ascii=False)
        for line in (
            f"The instance refresh of <group> of {stack} failed at <time>. Instances that were not "
            "replaced still serve.",
            f"Next: firstbell status -s {stack} shows how far it came; why it failed says: aws "
            "autoscaling describe-instance-refreshes --region <region> --auto-scaling-group-name "
            "<group> --instance-refresh-ids <refresh>",
            "It does not go back by itself, and what scales out from now on has the new image. If "
            f"that is bad, write the old one into stacks/Pulumi.{stack}.yaml and run firstbell up "
            f"-s {stack}",
        )
    )


@dataclass(frozen=True)
class RefreshesArgs:
    """`groups` are the Auto Scaling groups' names by those of the stack's file; `topic_arn` is
    where it is told: its policy must let the rules in, see `Notices`."""

    stack: str
    groups: Mapping[str, pulumi.Input[str]]
    topic_arn: pulumi.Input[str]
    tags: Mapping[str, str]


class Refreshes(pulumi.ComponentResource):
    """A rule of EventBridge that sends each failed refresh of the stack's groups to the topic."""

    rule_names: list[pulumi.Output[str]]

    def __init__(
        self, name: str, args: RefreshesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:refreshes:Refreshes", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.rule_names = []
        for rule_name, share in rules(args.stack, args.groups).items():
            rule = aws.cloudwatch.EventRule(
                rule_name,
                name=rule_name,
                description=f"Failed instance refreshes of {args.stack}",
                event_pattern=pulumi.Output.all(*(args.groups[group] for group in share)).apply(
                    pattern
                ),
                tags=dict(args.tags),
                opts=child,
            )
            self.rule_names.append(rule.name)
            aws.cloudwatch.EventTarget(
                rule_name,
                rule=rule.name,
                target_id="notices",
                arn=args.topic_arn,
                input_transformer=aws.cloudwatch.EventTargetInputTransformerArgs(
                    input_paths=_PATHS, input_template=message(args.stack)
                ),
                opts=child,
            )
        self.register_outputs({})
