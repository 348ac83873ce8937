"""CloudWatch Logs: log groups."""

from __future__ import annotations

from typing import Any, Final

from cli.localcloud.provider.machine import Autoname, Read, Row, Step, Tagging
from cli.localcloud.provider.values import Properties


def _of_that_name(answer: dict[str, Any], state: Properties) -> Any:
    """The API finds by prefix."""
    groups = answer["logGroups"]
    return next((group for group in groups if group["logGroupName"] == state["id"]), None)


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
    tags=Tagging(
        add="tag_resource",
        remove="untag_resource",
        key="resourceArn",
        tags="tags",
        keys="tagKeys",
        create="tags",
        read=Read("list_tags_for_resource", "tags", {"resourceArn": "arn"}),
    ),
)

ROWS: Final = (LOG_GROUP,)
