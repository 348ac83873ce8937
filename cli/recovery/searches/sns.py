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


SEARCHES: Final[Mapping[str, Search]] = {"aws:sns/topic:Topic": _topic}

# Setting it again changes nothing.
REPEATABLE: Final = frozenset({"aws:sns/topicPolicy:TopicPolicy"})
