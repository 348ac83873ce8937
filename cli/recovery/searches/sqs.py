"""Searches for resources of sqs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cli.recovery.searches.base import Search

SEARCHES: Final[Mapping[str, Search]] = {
    "aws:sqs/queue:Queue": lambda client, inputs: [
        client("sqs").get_queue_url(QueueName=inputs["name"])["QueueUrl"]
    ],
}
