"""The life of what logs makes."""

from __future__ import annotations

from typing import Any, Final

import pulumi
import pulumi_aws as aws

from tests.cli.localcloud.provider.chapters.base import Client, Drift, Shared, Variant


def program(variant: Variant, _: Shared) -> None:
    aws.cloudwatch.LogGroup(
        "log",
        name=f"/firstbell/{pulumi.get_stack()}/{variant.name}",
        retention_in_days=variant.either(30, 90),
        tags=variant.tags,
    )


DRIFTS: Final[dict[str, Drift]] = {
    "log": lambda c, s: c("logs").put_retention_policy(logGroupName=s["id"], retentionInDays=1),
}


def left_over(client: Client) -> list[Any]:
    return client("logs").describe_log_groups(logGroupNamePrefix="/firstbell/")["logGroups"]
