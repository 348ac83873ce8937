"""Who is told of an instance refresh that failed: the address, of the stack's own groups alone."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from moto.events.models import EventPattern
from moto.events.utils import EventTemplateParser

from infra.refreshes import MAX_PATTERN, message, pattern, rules
from tests.infra.conftest import Recorded, as_applied

RULE: Final = "aws:cloudwatch/eventRule:EventRule"
TARGET: Final = "aws:cloudwatch/eventTarget:EventTarget"
TOPIC_POLICY: Final = "aws:sns/topicPolicy:TopicPolicy"
GROUP: Final = "aws:autoscaling/group:Group"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return as_applied(
        tmp_path_factory.mktemp("stacks"),
        tmp_path_factory.mktemp("home"),
        tiers={"web": {}, "nantes": {"hosts": ["nantes.example.org"]}},
        workers={},
    )


def event(group: str, kind: str = "EC2 Auto Scaling Instance Refresh Failed") -> dict[str, Any]:
    """As Amazon EC2 Auto Scaling's user guide shows it."""
    return {
        "version": "0",
        "id": "12345678-1234-1234-1234-123456789012",
        "detail-type": kind,
        "source": "aws.autoscaling",
        "account": "123456789012",
        "time": "2026-11-27T03:00:00Z",
        "region": "eu-north-1",
        "resources": ["auto-scaling-group-arn"],
        "detail": {"InstanceRefreshId": "08b91cf7", "AutoScalingGroupName": group},
        "ingestion-time": "2026-11-27T03:00:01Z",
    }


def test_one_rule_matches_failed_refreshes_of_the_stacks_own_groups(program: Recorded) -> None:
    (rule,) = program.of_type(RULE).values()
    matcher = EventPattern.load(rule["eventPattern"])
    groups = json.loads(rule["eventPattern"])["detail"]["AutoScalingGroupName"]
    assert len(groups) == len(program.of_type(GROUP)) == 3
    for group in groups:
        assert matcher.matches_event(event(group))  # pyright: ignore[reportArgumentType] (moto's type of an event has optional parts)
        for other in ("Succeeded", "Started", "Cancelled", "Checkpoint Reached"):
            kind = f"EC2 Auto Scaling Instance Refresh {other}"
            assert not matcher.matches_event(event(group, kind))  # pyright: ignore[reportArgumentType] (as above)
        assert not matcher.matches_event(event(f"{group}-2"))  # pyright: ignore[reportArgumentType] (as above)


def test_the_topic_lets_that_rule_in_and_no_other_and_the_key_lets_it_encrypt(
    program: Recorded,
) -> None:
    (rule,) = program.of_type(RULE).values()
    (policy,) = program.of_type(TOPIC_POLICY).values()
    (lets,) = (
        statement
        for statement in json.loads(policy["policy"])["Statement"]
        if "events.amazonaws.com" in statement["Principal"]["Service"]
    )
    (arn,) = lets["Condition"]["ArnEquals"]["aws:SourceArn"]
    assert arn.split(":", 5)[2] == "events"
    assert arn.endswith(f":rule/{rule['name']}")
    assert lets["Action"] == "sns:Publish"
    (key,) = program.of_type("aws:kms/key:Key").values()
    assert (
        "events.amazonaws.com" in json.loads(key["policy"])["Statement"][-1]["Principal"]["Service"]
    )
    (target,) = program.of_type(TARGET).values()
    assert target["arn"] == policy["arn"]
    # For topics EventBridge takes no role. EventBridge user guide, "Using resource-based policies".
    assert "roleArn" not in target


def test_a_message_that_the_topic_refused_is_an_alarm(program: Recorded) -> None:
    (rule,) = program.of_type(RULE).values()
    alarm = program.of_type("aws:cloudwatch/metricAlarm:MetricAlarm")["tiny-refresh-untold"]
    metric = alarm["metricQueries"][0]["metric"]
    assert (metric["namespace"], metric["metricName"]) == ("AWS/Events", "FailedInvocations")
    assert metric["dimensions"] == {"RuleName": rule["name"]}
    assert alarm["treatMissingData"] == "notBreaching"


def test_who_is_woken_reads_which_group_why_and_what_next(program: Recorded) -> None:
    (target,) = program.of_type(TARGET).values()
    transformer = target["inputTransformer"]
    assert transformer["inputTemplate"] == message("tiny")
    lines = [
        EventTemplateParser.parse(line, transformer["inputPaths"], event("tiny-web-1234567"))  # pyright: ignore[reportArgumentType] (as above)
        for line in transformer["inputTemplate"].splitlines()
    ]
    said = "\n".join(map(str, lines))
    assert "refresh of tiny-web-1234567 of tiny failed at 2026-11-27T03:00:00Z" in said
    assert "firstbell status -s tiny" in said
    assert (
        "aws autoscaling describe-instance-refreshes --region eu-north-1 "
        "--auto-scaling-group-name tiny-web-1234567 --instance-refresh-ids 08b91cf7"
    ) in said
    assert "<" not in said, "everything was filled in"


@pytest.mark.parametrize(("count", "wanted"), [(1, 1), (20, 1), (100, 2), (200, 4)])
def test_no_rule_has_a_longer_pattern_than_aws_takes(count: int, wanted: int) -> None:
    names = [f"services-{number:03}" for number in range(count)]
    found = rules("school", names)
    assert len(found) == wanted
    assert sorted(group for share in found.values() for group in share) == names
    for share in found.values():
        assert len(pattern([f"school-{group}-1234567" for group in share])) <= MAX_PATTERN
