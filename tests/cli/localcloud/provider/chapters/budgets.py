"""The life of what budgets makes."""

from __future__ import annotations

from typing import Any, Final

import pulumi
import pulumi_aws as aws

from tests.cli.localcloud.provider.chapters.base import Client, Drift, Shared, Variant


def program(variant: Variant, shared: Shared) -> None:
    aws.budgets.Budget(
        "budget",
        name=f"{pulumi.get_stack()}-{variant.name}",
        budget_type="COST",
        time_unit="MONTHLY",
        limit_amount=variant.either("4000", "5000"),
        limit_unit="USD",
        notifications=[
            aws.budgets.BudgetNotificationArgs(
                notification_type=kind,
                comparison_operator="GREATER_THAN",
                threshold=threshold,
                threshold_type="PERCENTAGE",
                subscriber_sns_topic_arns=[shared.topic.arn],
                subscriber_email_addresses=["ops@example.org"],
            )
            for kind, threshold in (("ACTUAL", variant.either(80, 90)), ("FORECASTED", 100))
        ],
        tags=variant.tags,
    )


def _silence(client: Client, state: dict[str, Any]) -> None:
    account, _, name = state["id"].partition(":")
    budgets = client("budgets")
    told = budgets.describe_notifications_for_budget(AccountId=account, BudgetName=name)
    budgets.delete_notification(
        AccountId=account, BudgetName=name, Notification=told["Notifications"][0]
    )


DRIFTS: Final[dict[str, Drift]] = {"budget": _silence}


def left_over(client: Client) -> list[Any]:
    account = client("sts").get_caller_identity()["Account"]
    return client("budgets").describe_budgets(AccountId=account).get("Budgets", [])
