"""The one topic that everything worth knowing about a stack is sent to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

# The services that may publish, each for this account alone.
PUBLISHERS: Final = ("events.rds.amazonaws.com",)


@dataclass(frozen=True)
class NoticesArgs:
    """`tags` go on the topic."""

    tags: Mapping[str, str]


class Notices(pulumi.ComponentResource):
    """An SNS topic; who reads it is said where the alarms are."""

    topic_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: NoticesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:notices:Notices", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        topic = aws.sns.Topic(name, tags=dict(args.tags), opts=child)
        policy = aws.sns.TopicPolicy(
            name,
            arn=topic.arn,
            policy=pulumi.Output.json_dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": list(PUBLISHERS)},
                            "Action": "sns:Publish",
                            "Resource": topic.arn,
                            "Condition": {"StringEquals": {"aws:SourceAccount": topic.owner}},
                        }
                    ],
                }
            ),
            opts=child,
        )
        # Who sends to the topic waits until it may.
        self.topic_arn = policy.arn
        self.register_outputs({"topic_arn": topic.arn})
