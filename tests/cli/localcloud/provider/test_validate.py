"""Requests against botocore's model: what a preview does not know yet is not held against it."""

from __future__ import annotations

from typing import Any

import pytest

from cli.localcloud.provider.aws import AwsError, Cloud
from cli.localcloud.provider.values import UNKNOWN
from tests.cli.localcloud.provider.conftest import REGION


def request(*destinations: Any) -> dict[str, Any]:
    arn = f"arn:aws:wafv2:{REGION}:123456789012:regional/webacl/tiny/1"
    return {
        "LoggingConfiguration": {"ResourceArn": arn, "LogDestinationConfigs": list(destinations)}
    }


def check(*destinations: Any) -> None:
    offline = Cloud("http://127.0.0.1:9", REGION)
    offline.check("wafv2", "put_logging_configuration", request(*destinations), preview=True)


def test_a_list_of_what_is_not_known_yet_is_not_too_short() -> None:
    check(UNKNOWN)


def test_a_list_that_is_known_to_be_empty_is_too_short() -> None:
    with pytest.raises(AwsError, match=r"LogDestinationConfigs: number of items 0 is below 1"):
        check()
