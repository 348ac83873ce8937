"""Rules of EventBridge: each with a request that keeps it and a twin that breaks it."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from cli.localcloud.provider.aws import AwsError, Cloud
from infra.refreshes import message
from tests.cli.localcloud.provider.conftest import REGION, Moto

TOPIC: Final = "arn:aws:sns:eu-north-1:123456789012:notices"


def pattern(**parts: Any) -> str:
    return json.dumps({"source": ["aws.autoscaling"], **parts})


@pytest.fixture
def cloud(moto: Moto) -> Cloud:
    return Cloud(moto.endpoint, REGION)


@pytest.mark.parametrize(
    "text",
    [
        pattern(detail={"AutoScalingGroupName": ["web", {"prefix": "imports-"}]}),
        pattern(**{"$or": [{"region": ["eu-north-1"]}, {"account": [{"exists": False}]}]}),
        json.dumps({"source": ["x" * 2032]}),
    ],
)
def test_a_sound_pattern_is_taken(cloud: Cloud, text: str) -> None:
    cloud.check("events", "put_rule", {"Name": "refreshes", "EventPattern": text}, preview=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("source=aws.autoscaling", "not valid"),
        ('["aws.autoscaling"]', "not an object"),
        ("{}", "not an object"),
        ('{"source": "aws.autoscaling"}', "must be an object or an array: /source"),
        (pattern(detail={"Group": "web"}), "must be an object or an array: /detail/Group"),
        (pattern(detail={}), "Empty objects"),
        (pattern(detail={"Group": []}), "Empty arrays"),
        (pattern(detail={"Group": [["web"]]}), "a list within"),
        (pattern(detail={"Group": [{"begins": "web"}]}), "Unrecognized match type begins"),
        (pattern(**{"$or": [{"region": ["eu-north-1"]}]}), "two or more"),
        (json.dumps({"source": ["x" * 2033]}), "2049 characters"),
    ],
)
def test_a_pattern_that_aws_refuses_is_refused_in_previews(
    cloud: Cloud, text: str, said: str
) -> None:
    with pytest.raises(AwsError, match=said):
        cloud.check("events", "put_rule", {"Name": "refreshes", "EventPattern": text}, preview=True)


def target(**more: Any) -> dict[str, Any]:
    return {"Rule": "refreshes", "Targets": [{"Id": "notices", "Arn": TOPIC, **more}]}


def transformer(template: str, **paths: str) -> dict[str, Any]:
    return {"InputTransformer": {"InputPathsMap": paths, "InputTemplate": template}}


PATHS: Final = {
    "group": "$.detail.Group",
    "refresh": "$.id",
    "region": "$.region",
    "time": "$.time",
}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"Input": '"a refresh failed"'},
        transformer('"<group> failed"', **PATHS),
        transformer('{"group": <group>, "rule": <aws.events.rule-arn>}', **PATHS),
        transformer(message("school"), **PATHS),
    ],
)
def test_a_sound_target_is_taken(cloud: Cloud, more: dict[str, Any]) -> None:
    cloud.check("events", "put_targets", target(**more), preview=True)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"InputPath": "$.detail", "Input": '"x"'}, "Only one of"),
        (transformer('"<group> failed"', refresh="$.id"), "has not: group"),
        (transformer('"<group> failed"', group="detail.Group"), "no path in the event"),
        (transformer("<group> failed", **PATHS), "neither JSON nor a quoted text a line"),
        (transformer('"<group> failed"\nlook', **PATHS), "neither JSON nor a quoted text a line"),
    ],
)
def test_a_target_that_aws_refuses_is_refused_in_previews(
    cloud: Cloud, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(AwsError, match=said):
        cloud.check("events", "put_targets", target(**more), preview=True)


def test_a_rule_has_five_targets_at_most(cloud: Cloud) -> None:
    cloud.call("events", "put_rule", Name="full", EventPattern=pattern())
    five = [{"Id": f"topic-{number}", "Arn": TOPIC} for number in range(5)]
    cloud.call("events", "put_targets", Rule="full", Targets=five)
    # One that is there is replaced.
    cloud.call("events", "put_targets", Rule="full", Targets=five[:1])
    with pytest.raises(AwsError, match="would have 6 targets"):
        cloud.call("events", "put_targets", Rule="full", Targets=[{"Id": "other", "Arn": TOPIC}])
