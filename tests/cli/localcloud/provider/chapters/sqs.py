"""The life of what sqs makes."""

from __future__ import annotations

from typing import Any, Final

import pulumi
import pulumi_aws as aws

from tests.cli.localcloud.provider.chapters.base import Client, Drift, Shared, Variant


def program(variant: Variant, shared: Shared) -> None:
    name = f"{pulumi.get_stack()}-{variant.name}"
    failed = aws.sqs.Queue(
        "failed-jobs",
        name=f"{name}-failed",
        message_retention_seconds=variant.either(1_209_600, 604_800),
        sqs_managed_sse_enabled=True,
        tags=variant.tags,
    )
    shared.made["queue"] = aws.sqs.Queue(
        "jobs",
        name=name,
        visibility_timeout_seconds=variant.either(1800, 600),
        receive_wait_time_seconds=20,
        redrive_policy=pulumi.Output.json_dumps(
            {"deadLetterTargetArn": failed.arn, "maxReceiveCount": 3}
        ),
        tags=variant.tags,
    )


def _set(**attributes: str) -> Drift:
    return lambda client, state: client("sqs").set_queue_attributes(
        QueueUrl=state["id"], Attributes=attributes
    )


DRIFTS: Final[dict[str, Drift]] = {
    "failed-jobs": _set(MessageRetentionPeriod="60"),
    "jobs": _set(VisibilityTimeout="1"),
}


def left_over(client: Client) -> list[Any]:
    return client("sqs").list_queues().get("QueueUrls", [])
