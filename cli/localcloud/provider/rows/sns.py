"""Amazon SNS: topics that alarms and events are sent to."""

from __future__ import annotations

from typing import Any, Final

from cli.localcloud.provider.aws import Cloud
from cli.localcloud.provider.machine import Autoname, Read, Row, Step, Tagging
from cli.localcloud.provider.values import Properties

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

ROWS: Final = (TOPIC,)
