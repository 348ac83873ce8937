"""Amazon SNS: topics that alarms and events are sent to."""

from __future__ import annotations

import json
from typing import Any, Final

from cli.localcloud.provider.aws import Cloud
from cli.localcloud.provider.machine import Autoname, Read, Row, Step, Tagging
from cli.localcloud.provider.values import UNKNOWN, Properties

_TOPIC_ATTRIBUTES: Final = {
    "policy": "Policy",
    "displayName": "DisplayName",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "deliveryPolicy": "DeliveryPolicy",
}


def _set_topic_attributes(
    _: Cloud, state: Properties, changed: frozenset[str]
) -> list[dict[str, Any]]:
    return [
        {"AttributeName": _TOPIC_ATTRIBUTES[prop], "AttributeValue": state.get(prop, "")}
        for prop in sorted(changed & _TOPIC_ATTRIBUTES.keys())
    ]


TOPIC: Final = Row(
    type="aws:sns/topic:Topic",
    service="sns",
    create=Step("create_topic", "name"),
    id="TopicArn",
    read=Read("get_topic_attributes", "Attributes", {"TopicArn": "id"}),
    key={"TopicArn": "id"},
    update=(
        Step("set_topic_attributes", " ".join(_TOPIC_ATTRIBUTES), build=_set_topic_attributes),
    ),
    delete="delete_topic",
    names={"arn": "TopicArn"},
    reads={"name": lambda topic: topic["TopicArn"].rpartition(":")[2]},
    replace="name namePrefix",
    computed="policy",
    documents="policy deliveryPolicy",
    autoname=Autoname(max_length=256),
    tags=Tagging(
        add="tag_resource",
        remove="untag_resource",
        key="ResourceArn",
        by="id",
        read=Read("list_tags_for_resource", "Tags", {"ResourceArn": "id"}),
    ),
)


def _set_policy(_: Cloud, state: Properties, __: frozenset[str]) -> list[dict[str, Any]]:
    return [
        {
            "TopicArn": state["arn"],
            "AttributeName": "Policy",
            "AttributeValue": state.get("policy", UNKNOWN),
        }
    ]


def _default_policy(cloud: Cloud, state: Properties, _: frozenset[str]) -> list[dict[str, Any]]:
    """What pulumi-aws leaves: the owner may publish."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": cloud.account},
        "Action": "SNS:Publish",
        "Resource": state["arn"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return [{"TopicArn": state["arn"], "AttributeName": "Policy", "AttributeValue": policy}]


TOPIC_POLICY: Final = Row(
    type="aws:sns/topicPolicy:TopicPolicy",
    service="sns",
    create=Step("set_topic_attributes", "arn policy", build=_set_policy),
    id="={arn}",
    read=Read("get_topic_attributes", "Attributes", {"TopicArn": "id"}),
    key={},
    update=(Step("set_topic_attributes", "policy", build=_set_policy),),
    delete=Step("set_topic_attributes", build=_default_policy),
    names={"arn": "TopicArn"},
    replace="arn",
    documents="policy",
)

_SUBSCRIPTION_ATTRIBUTES: Final = {
    "rawMessageDelivery": "RawMessageDelivery",
    "filterPolicy": "FilterPolicy",
}


def _set_subscription_attributes(
    _: Cloud, state: Properties, changed: frozenset[str]
) -> list[dict[str, Any]]:
    return [
        {"AttributeName": _SUBSCRIPTION_ATTRIBUTES[prop], "AttributeValue": _text(state.get(prop))}
        for prop in sorted(changed & _SUBSCRIPTION_ATTRIBUTES.keys())
    ]


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else value


SUBSCRIPTION: Final = Row(
    type="aws:sns/topicSubscription:TopicSubscription",
    service="sns",
    # An address that has not said yes yet has its ARN already.
    create=Step(
        "subscribe",
        "topic protocol endpoint",
        fixed={"ReturnSubscriptionArn": True},
        build=lambda _, state, __: [
            {
                "TopicArn": state["topic"],
                "Protocol": state["protocol"],
                "Endpoint": state["endpoint"],
            }
        ],
    ),
    id="SubscriptionArn",
    read=Read("get_subscription_attributes", "Attributes", {"SubscriptionArn": "id"}),
    key={"SubscriptionArn": "id"},
    update=(
        Step(
            "set_subscription_attributes",
            " ".join(_SUBSCRIPTION_ATTRIBUTES),
            build=_set_subscription_attributes,
        ),
    ),
    delete="unsubscribe",
    names={"arn": "SubscriptionArn", "topic": "TopicArn", "ownerId": "Owner"},
    replace="topic protocol endpoint",
    absent="filterPolicy",
    documents="filterPolicy",
    defaults={
        "confirmationTimeoutInMinutes": 1,
        "endpointAutoConfirms": False,
        "rawMessageDelivery": False,
    },
    ignored="confirmationTimeoutInMinutes endpointAutoConfirms",
)

ROWS: Final = (TOPIC, TOPIC_POLICY, SUBSCRIPTION)
