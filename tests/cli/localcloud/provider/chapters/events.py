"""The life of what events makes."""

from __future__ import annotations

import json
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from tests.cli.localcloud.provider.chapters.base import Client, Drift, Shared, Variant


def program(variant: Variant, shared: Shared) -> None:
    rule = aws.cloudwatch.EventRule(
        "event-rule",
        name=f"{pulumi.get_stack()}-{variant.name}",
        description=variant.either("refreshes", "launches"),
        event_pattern=json.dumps(
            {"source": ["aws.autoscaling"], "detail": {"Group": [variant.color]}}
        ),
        tags=variant.tags,
    )
    aws.cloudwatch.EventTarget(
        "event-target",
        rule=rule.name,
        target_id="topic",
        arn=shared.topic.arn,
        input_transformer=aws.cloudwatch.EventTargetInputTransformerArgs(
            input_paths={"group": "$.detail.Group"},
            input_template=variant.either('"<group> failed"', '"<group> is bad"'),
        ),
    )


DRIFTS: Final[dict[str, Drift]] = {
    "event-rule": lambda c, s: c("events").put_rule(
        Name=s["id"], EventPattern='{"source": ["aws.ec2"]}', State="DISABLED"
    ),
    "event-target": lambda c, s: c("events").put_targets(
        Rule=s["outputs"]["rule"],
        Targets=[{"Id": "topic", "Arn": s["outputs"]["arn"], "Input": '"evil"'}],
    ),
}


def left_over(client: Client) -> list[Any]:
    return client("events").list_rules()["Rules"]
