"""Amazon SQS: queues."""

from __future__ import annotations

from typing import Any, Final

from cli.localcloud.provider.aws import Cloud
from cli.localcloud.provider.machine import Autoname, Read, Row, Step, Tagging
from cli.localcloud.provider.values import Properties

_ATTRIBUTES: Final = {
    "delaySeconds": "DelaySeconds",
    "maxMessageSize": "MaximumMessageSize",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
    "redrivePolicy": "RedrivePolicy",
    "policy": "Policy",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
}


def _attributes(state: Properties, names: frozenset[str]) -> dict[str, Any]:
    """Every attribute is a text; one that is no longer given is emptied."""
    return {
        _ATTRIBUTES[prop]: _text(state.get(prop, "")) for prop in sorted(names & _ATTRIBUTES.keys())
    }


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _create(_: Cloud, state: Properties, sent: frozenset[str]) -> list[dict[str, Any]]:
    attributes = _attributes(state, sent)
    return [{"QueueName": state["name"]} | ({"Attributes": attributes} if attributes else {})]


def _update(_: Cloud, state: Properties, changed: frozenset[str]) -> list[dict[str, Any]]:
    return [{"Attributes": _attributes(state, changed)}]


QUEUE: Final = Row(
    type="aws:sqs/queue:Queue",
    service="sqs",
    create=Step("create_queue", f"name {' '.join(_ATTRIBUTES)}", build=_create),
    id="QueueUrl",
    read=Read(
        "get_queue_attributes", "Attributes", {"QueueUrl": "id"}, fixed={"AttributeNames": ["All"]}
    ),
    key={"QueueUrl": "id"},
    update=(Step("set_queue_attributes", " ".join(_ATTRIBUTES), build=_update),),
    delete="delete_queue",
    names=_ATTRIBUTES | {"arn": "QueueArn"},
    reads={"name": lambda queue: queue["QueueArn"].rpartition(":")[2]},
    replace="name namePrefix",
    computed=" ".join(set(_ATTRIBUTES) - {"redrivePolicy", "policy"}),
    absent="redrivePolicy policy",
    documents="redrivePolicy policy",
    autoname=Autoname(max_length=80),
    more=lambda _, state: {"url": state["id"]},
    tags=Tagging(
        add="tag_queue",
        remove="untag_queue",
        key="QueueUrl",
        by="id",
        create="tags",
        read=Read("list_queue_tags", "Tags", {"QueueUrl": "id"}),
    ),
)

ROWS: Final = (QUEUE,)
