"""Amazon SQS: which attributes a queue may have."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from cli.localcloud.provider.rules.base import Request, refuse_unless, rule

if TYPE_CHECKING:
    from cli.localcloud.provider.aws import Cloud

_CODE: Final = "InvalidAttributeValue"
# SQS API reference, SetQueueAttributes: the least and the most of each.
_RANGES: Final = {
    "DelaySeconds": (0, 900),
    "MaximumMessageSize": (1024, 1_048_576),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43_200),
}


@rule("sqs", "create_queue", "set_queue_attributes")
def attributes_are_in_range(_: Cloud, request: Request) -> None:
    attributes = request.get("Attributes", {})
    for name, (least, most) in _RANGES.items():
        value = attributes.get(name, str(least))
        refuse_unless(
            str(value).isdigit() and least <= int(value) <= most,
            _CODE,
            f"Invalid value {value!r} for the parameter {name}: {least} to {most}",
        )
    redrive = attributes.get("RedrivePolicy")
    if redrive:
        count = json.loads(redrive).get("maxReceiveCount", 0)
        refuse_unless(
            1 <= int(count) <= 1000, _CODE, f"maxReceiveCount {count} must be between 1 and 1000"
        )
