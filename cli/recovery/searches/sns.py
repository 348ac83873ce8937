"""Searches for resources of sns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from cli.recovery.searches.base import Clients, Inputs, Search


def _topic(client: Clients, inputs: Inputs) -> Iterator[str]:
    for page in client("sns").get_paginator("list_topics").paginate():
        for topic in page["Topics"]:
            if topic["TopicArn"].rpartition(":")[2] == inputs["name"]:
                yield topic["TopicArn"]


def _subscription(client: Clients, inputs: Inputs) -> Iterator[str]:
    """One that waits for its address to say yes has no ARN to be seen: subscribing again gives
    that same one."""
    pages = client("sns").get_paginator("list_subscriptions_by_topic")
    for page in pages.paginate(TopicArn=inputs["topic"]):
        for found in page["Subscriptions"]:
            same = (found["Protocol"], found["Endpoint"]) == (
                inputs["protocol"],
                inputs["endpoint"],
            )
            if same and found["SubscriptionArn"].startswith("arn:"):
                yield found["SubscriptionArn"]


SEARCHES: Final[Mapping[str, Search]] = {
    "aws:sns/topic:Topic": _topic,
    "aws:sns/topicSubscription:TopicSubscription": _subscription,
}

# Setting it again changes nothing.
REPEATABLE: Final = frozenset({"aws:sns/topicPolicy:TopicPolicy"})
