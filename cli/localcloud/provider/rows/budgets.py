"""AWS Budgets: what may be spent in a month, and who hears of it."""

from __future__ import annotations

from typing import Any, Final

from cli.localcloud.provider.aws import Cloud
from cli.localcloud.provider.machine import Autoname, Live, Read, Row, Step, Tagging
from cli.localcloud.provider.values import Properties

_FIELDS: Final = "name budgetType timeUnit limitAmount limitUnit"
_TOLD: Final = "notifications"
# Of a notification: pulumi-aws's name, and the API's.
_NOTIFICATION: Final = {
    "notificationType": "NotificationType",
    "comparisonOperator": "ComparisonOperator",
    "threshold": "Threshold",
    "thresholdType": "ThresholdType",
}


def _budget(state: Properties) -> dict[str, Any]:
    return {
        "BudgetName": state["name"],
        "BudgetType": state["budgetType"],
        "TimeUnit": state["timeUnit"],
        "BudgetLimit": {"Amount": state["limitAmount"], "Unit": state["limitUnit"]},
    }


def _notification(given: dict[str, Any]) -> dict[str, Any]:
    subscribers = [("EMAIL", address) for address in given.get("subscriberEmailAddresses") or []]
    subscribers += [("SNS", topic) for topic in given.get("subscriberSnsTopicArns") or []]
    notification = {
        member: given[prop] for prop, member in _NOTIFICATION.items() if given.get(prop) is not None
    }
    return {
        "Notification": notification | {"Threshold": float(given["threshold"])},
        "Subscribers": [
            {"SubscriptionType": kind, "Address": address} for kind, address in subscribers
        ],
    }


def _create(cloud: Cloud, state: Properties, _: frozenset[str]) -> list[dict[str, Any]]:
    return [
        {
            "AccountId": cloud.account,
            "Budget": _budget(state),
            "NotificationsWithSubscribers": [_notification(n) for n in state.get(_TOLD) or []],
        }
    ]


def _update(cloud: Cloud, state: Properties, _: frozenset[str]) -> list[dict[str, Any]]:
    return [{"AccountId": cloud.account, "NewBudget": _budget(state)}]


def _tell(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    """Notifications cannot be changed: all go, and those wanted come."""
    of = {"AccountId": cloud.account, "BudgetName": state["name"]}
    found = cloud.call("budgets", "describe_notifications_for_budget", **of)
    for notification in found.get("Notifications", []):
        cloud.call("budgets", "delete_notification", **of, Notification=notification)
    for given in state.get(_TOLD) or []:
        cloud.call("budgets", "create_notification", **of, **_notification(given))


def _read(cloud: Cloud, state: Properties) -> Live | None:
    of = {"AccountId": cloud.account, "BudgetName": state["id"].partition(":")[2]}
    budget = cloud.call("budgets", "describe_budget", **of)["Budget"]
    told = cloud.call("budgets", "describe_notifications_for_budget", **of)
    shown: list[dict[str, Any]] = []
    for notification in told.get("Notifications", []):
        subscribers = cloud.call(
            "budgets", "describe_subscribers_for_notification", **of, Notification=notification
        )["Subscribers"]
        shown.append(
            {prop: notification.get(member) for prop, member in _NOTIFICATION.items()}
            | {
                prop: addresses
                for prop, kind in (
                    ("subscriberEmailAddresses", "EMAIL"),
                    ("subscriberSnsTopicArns", "SNS"),
                )
                if (
                    addresses := [
                        s["Address"] for s in subscribers if s["SubscriptionType"] == kind
                    ]
                )
            }
        )
    return {
        **budget,
        "accountId": cloud.account,
        "arn": f"arn:{cloud.partition}:budgets::{cloud.account}:budget/{budget['BudgetName']}",
        _TOLD: shown,
    }


BUDGET: Final = Row(
    type="aws:budgets/budget:Budget",
    service="budgets",
    create=Step("create_budget", f"{_FIELDS} {_TOLD}", build=_create),
    id="={account}:{name}",
    read=_read,
    key={},
    update=(
        Step("update_budget", _FIELDS, whole=True, build=_update),
        Step("", _TOLD, run=_tell),
    ),
    delete=Step("delete_budget", key={"AccountId": "accountId", "BudgetName": "name"}),
    names={"name": "BudgetName"},
    reads={"limitAmount": "BudgetLimit.Amount", "limitUnit": "BudgetLimit.Unit"},
    replace="name namePrefix",
    autoname=Autoname(max_length=100),
    tags=Tagging(
        add="tag_resource",
        remove="untag_resource",
        key="ResourceARN",
        tags="ResourceTags",
        keys="ResourceTagKeys",
        create="ResourceTags",
        read=Read("list_tags_for_resource", "ResourceTags", {"ResourceARN": "arn"}),
    ),
)

ROWS: Final = (BUDGET,)
