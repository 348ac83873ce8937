"""CloudWatch Logs: log groups, and the deliveries of other services' logs to buckets."""

from __future__ import annotations

from typing import Any, Final

from cli.localcloud.provider.machine import Autoname, Read, Row, Step, Tagging
from cli.localcloud.provider.values import Properties


def _of_that_name(answer: dict[str, Any], state: Properties) -> Any:
    """The API finds by prefix."""
    groups = answer["logGroups"]
    return next((group for group in groups if group["logGroupName"] == state["id"]), None)


_TAGS: Final = Tagging(
    add="tag_resource",
    remove="untag_resource",
    key="resourceArn",
    tags="tags",
    keys="tagKeys",
    create="tags",
    read=Read("list_tags_for_resource", "tags", {"resourceArn": "arn"}),
)

LOG_GROUP: Final = Row(
    type="aws:cloudwatch/logGroup:LogGroup",
    service="logs",
    create=Step("create_log_group", "name kmsKeyId logGroupClass"),
    id="={name}",
    read=Read("describe_log_groups", _of_that_name, {"logGroupNamePrefix": "id"}),
    key={"logGroupName": "id"},
    update=(Step("put_retention_policy", "retentionInDays"),),
    delete="delete_log_group",
    names={"name": "logGroupName"},
    reads={"arn": lambda group: group["arn"].removesuffix(":*")},
    replace="name namePrefix logGroupClass kmsKeyId",
    delete_first=True,
    computed="logGroupClass",
    ignored="skipDestroy",
    defaults={"skipDestroy": False},
    absent="retentionInDays",
    autoname=Autoname(max_length=512),
    tags=_TAGS,
)

DELIVERY_SOURCE: Final = Row(
    type="aws:cloudwatch/logDeliverySource:LogDeliverySource",
    service="logs",
    create=Step("put_delivery_source", "name resourceArn logType"),
    id="={name}",
    read=Read("get_delivery_source", "deliverySource", {"name": "id"}),
    key={"name": "id"},
    delete="delete_delivery_source",
    reads={"resourceArn": "resourceArns[0]"},
    replace="name resourceArn logType",
    tags=_TAGS,
)

DELIVERY_DESTINATION: Final = Row(
    type="aws:cloudwatch/logDeliveryDestination:LogDeliveryDestination",
    service="logs",
    create=Step("put_delivery_destination", "name outputFormat deliveryDestinationConfiguration"),
    id="={name}",
    read=Read("get_delivery_destination", "deliveryDestination", {"name": "id"}),
    key={"name": "id"},
    # AWS takes a new place under the same name.
    update=(
        Step(
            "put_delivery_destination",
            "deliveryDestinationConfiguration",
            whole=True,
        ),
    ),
    delete="delete_delivery_destination",
    replace="name outputFormat",
    tags=_TAGS,
)

DELIVERY: Final = Row(
    type="aws:cloudwatch/logDelivery:LogDelivery",
    service="logs",
    create=Step("create_delivery", "deliverySourceName deliveryDestinationArn"),
    id="delivery.id",
    read=Read("get_delivery", "delivery", {"id": "id"}),
    key={"id": "id"},
    delete="delete_delivery",
    replace="deliverySourceName deliveryDestinationArn",
    # A source has one delivery to each kind of destination.
    delete_first=True,
    tags=_TAGS,
)

ROWS: Final = (LOG_GROUP, DELIVERY_SOURCE, DELIVERY_DESTINATION, DELIVERY)
