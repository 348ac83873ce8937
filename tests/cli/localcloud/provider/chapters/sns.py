"""The life of what sns makes."""

from __future__ import annotations

import json
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from tests.cli.localcloud.provider.chapters.base import Client, Drift, Shared, Variant


def program(variant: Variant, shared: Shared) -> None:
    topic = aws.sns.Topic(
        "topic",
        name=f"{pulumi.get_stack()}-{variant.name}",
        display_name=variant.either("Bells", "Alarms"),
        tags=variant.tags,
    )
    aws.sns.TopicPolicy(
        "topic-policy",
        arn=topic.arn,
        policy=topic.arn.apply(
            lambda arn: json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "events.rds.amazonaws.com"},
                            "Action": "sns:Publish",
                            "Resource": arn,
                            "Sid": variant.either("Blue", "Other"),
                        }
                    ],
                }
            )
        ),
    )
    aws.sns.TopicSubscription(
        "subscription",
        topic=topic.arn,
        protocol="email",
        endpoint="ops@example.org",
        filter_policy=variant.either('{"kind": ["page"]}', '{"kind": ["mail"]}'),
    )
    shared.made["topic"] = topic


DRIFTS: Final[dict[str, Drift]] = {
    "topic": lambda c, s: c("sns").set_topic_attributes(
        TopicArn=s["id"], AttributeName="DisplayName", AttributeValue="Evil"
    ),
    "topic-policy": lambda c, s: c("sns").set_topic_attributes(
        TopicArn=s["id"],
        AttributeName="Policy",
        AttributeValue='{"Version": "2012-10-17", "Statement": []}',
    ),
    "subscription": lambda c, s: c("sns").unsubscribe(SubscriptionArn=s["id"]),
}
REMOVED: Final = frozenset({"subscription"})


def left_over(client: Client) -> list[Any]:
    return client("sns").list_topics()["Topics"]
