"""AWS Budgets: moto makes and deletes budgets, but changes none and names no subscribers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from cli.localcloud.recorded.base import CHANGED, Answer, Asked, Handler, Recorded, RecordedError

_SERVICE: Final = "budgets"
_NOTIFICATIONS: Final = "NotificationsWithSubscribers"
# "Each notification can have one Amazon SNS topic and up to 10 email subscribers": AWS Budgets API
# reference, NotificationWithSubscribers; "maximum of five notifications": CreateBudget.
MAX_NOTIFICATIONS: Final = 5
MAX_ADDRESSES: Final = 10


def _check(asked: Asked, _: Any) -> None:
    notifications = asked.request.get(_NOTIFICATIONS, [])
    if len(notifications) > MAX_NOTIFICATIONS:
        raise RecordedError(
            "CreationLimitExceededException",
            f"{len(notifications)} notifications: a budget has at most {MAX_NOTIFICATIONS}",
        )
    for notification in notifications:
        _sound(notification["Subscribers"])


def _sound(subscribers: list[dict[str, str]]) -> None:
    kinds = [subscriber["SubscriptionType"] for subscriber in subscribers]
    if kinds.count("SNS") > 1 or kinds.count("EMAIL") > MAX_ADDRESSES:
        raise RecordedError(
            "InvalidParameterException",
            f"a notification goes to at most one topic and {MAX_ADDRESSES} addresses",
        )


@dataclass(frozen=True)
class _Budgets(Recorded):
    """A budget with its notifications, each with its subscribers."""

    def handlers(self) -> dict[str, Handler]:
        return super().handlers() | {
            "UpdateBudget": self._change,
            "CreateNotification": self._add,
            "DeleteNotification": self._remove,
            "DescribeNotificationsForBudget": self._notifications,
            "DescribeSubscribersForNotification": self._subscribers,
        }

    def _change(self, asked: Asked) -> Answer:
        budget = self._existing(asked)
        budget["Budget"] = dict(asked.request["NewBudget"])
        return {}

    def _told(self, asked: Asked) -> list[dict[str, Any]]:
        return self._existing(asked).setdefault(_NOTIFICATIONS, [])

    def _add(self, asked: Asked) -> Answer:
        told = self._told(asked)
        if len(told) == MAX_NOTIFICATIONS:
            raise RecordedError(
                "CreationLimitExceededException",
                f"a budget has at most {MAX_NOTIFICATIONS} notifications",
            )
        _sound(asked.request["Subscribers"])
        told.append({k: asked.request[k] for k in ("Notification", "Subscribers")})
        return {}

    def _one(self, asked: Asked) -> dict[str, Any]:
        wanted = asked.request["Notification"]
        for told in self._told(asked):
            if told["Notification"] == wanted:
                return told
        raise RecordedError("NotFoundException", "there is no such notification")

    def _remove(self, asked: Asked) -> Answer:
        self._told(asked).remove(self._one(asked))
        return {}

    def _notifications(self, asked: Asked) -> Answer:
        return {"Notifications": [told["Notification"] for told in self._told(asked)]}

    def _subscribers(self, asked: Asked) -> Answer:
        return {"Subscribers": self._one(asked)["Subscribers"]}


RECORDED: Final = (
    _Budgets(
        service=_SERVICE,
        kind="budget",
        key="AccountId BudgetName",
        create="CreateBudget",
        describe="DescribeBudget",
        delete="DeleteBudget",
        list="DescribeBudgets",
        taken="DuplicateRecordException",
        missing="NotFoundException",
        made={"ARN": "arn:aws:budgets::{account}:budget/{BudgetName}", "LastUpdatedTime": CHANGED},
        tagging="TagResource UntagResource ListTagsForResource",
        everywhere=True,
        check=_check,
    ),
)
