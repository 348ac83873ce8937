"""Budgets as the local cloud records them: shown, changed, told to so many and no more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from cli.localcloud import server

ACCOUNT: Final = "123456789012"
BUDGET: Final = {
    "BudgetName": "monthly",
    "BudgetType": "COST",
    "TimeUnit": "MONTHLY",
    "BudgetLimit": {"Amount": "4000", "Unit": "USD"},
}
SPENT: Final = {
    "NotificationType": "ACTUAL",
    "ComparisonOperator": "GREATER_THAN",
    "Threshold": 80.0,
}
TOPIC: Final = {"SubscriptionType": "SNS", "Address": "arn:aws:sns:eu-north-1:123456789012:t"}


@pytest.fixture
def budgets(home: object) -> Iterator[Any]:
    yield server.ensure_started().client("budgets", "eu-north-1")
    server.stop()


def test_a_budget_lives_with_its_notifications(budgets: Any) -> None:
    of = {"AccountId": ACCOUNT, "BudgetName": "monthly"}
    told = [{"Notification": SPENT, "Subscribers": [TOPIC]}]
    budgets.create_budget(AccountId=ACCOUNT, Budget=BUDGET, NotificationsWithSubscribers=told)
    # A budget's filter may hold filters: the listing ends all the same.
    (shown,) = budgets.describe_budgets(AccountId=ACCOUNT)["Budgets"]
    assert shown["BudgetLimit"] == {"Amount": "4000", "Unit": "USD"}
    budgets.update_budget(
        AccountId=ACCOUNT, NewBudget=BUDGET | {"BudgetLimit": {"Amount": "9", "Unit": "USD"}}
    )
    assert budgets.describe_budget(**of)["Budget"]["BudgetLimit"]["Amount"] == "9"
    (notification,) = budgets.describe_notifications_for_budget(**of)["Notifications"]
    subscribers = budgets.describe_subscribers_for_notification(**of, Notification=notification)
    assert subscribers["Subscribers"] == [TOPIC]
    budgets.delete_notification(**of, Notification=notification)
    with pytest.raises(ClientError, match="no such notification"):
        budgets.delete_notification(**of, Notification=notification)
    for limit in range(5):
        budgets.create_notification(
            **of, Notification=SPENT | {"Threshold": float(limit)}, Subscribers=[TOPIC]
        )
    with pytest.raises(ClientError, match="at most 5 notifications"):
        budgets.create_notification(**of, Notification=SPENT, Subscribers=[TOPIC])
    with pytest.raises(ClientError, match="DuplicateRecordException"):
        budgets.create_budget(AccountId=ACCOUNT, Budget=BUDGET)
    with pytest.raises(ClientError, match="at most one topic"):
        budgets.create_budget(
            AccountId=ACCOUNT,
            Budget=BUDGET | {"BudgetName": "other"},
            NotificationsWithSubscribers=[{"Notification": SPENT, "Subscribers": [TOPIC, TOPIC]}],
        )
    budgets.delete_budget(**of)
    assert budgets.describe_budgets(AccountId=ACCOUNT)["Budgets"] == []
