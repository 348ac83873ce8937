"""The file of known failures: an entry proves itself, and covers something."""

from __future__ import annotations

from dataclasses import replace

from tests.scanner.known import Failed, Known, holds, judge, read

FAILED = Failed("EC2.8", "ec2_instance_imdsv2_enabled", "arn:test:instance/i-1", "IMDSv2 disabled")
KNOWN = Known(
    "EC2.8",
    "ec2_instance_imdsv2_enabled",
    "*instance/*",
    "the emulator loses it",
    "ec2:CreateLaunchTemplate",
    {"LaunchTemplateData": {"MetadataOptions": {"HttpTokens": "required"}}},
)
SENT = [
    {
        "operation": "ec2:CreateLaunchTemplate",
        "request": {
            "LaunchTemplateName": "web",
            "LaunchTemplateData": {
                "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled"}
            },
        },
    }
]


def test_a_failure_that_a_proven_entry_covers_is_no_failure() -> None:
    assert judge([FAILED], [KNOWN], SENT) == []


def test_a_failure_that_nobody_knows_is_one() -> None:
    (wrong,) = judge([FAILED], [], SENT)
    assert wrong.startswith("failed: EC2.8")
    other = replace(FAILED, resource="arn:test:volume/vol-1")
    assert any(line.startswith("failed:") for line in judge([FAILED, other], [KNOWN], SENT))


def test_an_entry_whose_request_was_not_sent_proves_nothing() -> None:
    optional = [
        {
            "operation": "ec2:CreateLaunchTemplate",
            "request": {"LaunchTemplateData": {"MetadataOptions": {"HttpTokens": "optional"}}},
        }
    ]
    (wrong,) = judge([FAILED], [KNOWN], optional)
    assert wrong.startswith("not proven")


def test_an_entry_that_nothing_needs_is_wrong() -> None:
    (wrong,) = judge([], [KNOWN], SENT)
    assert wrong.startswith("unused")


def test_a_request_holds_what_is_wanted_in_any_order() -> None:
    assert holds({"a": [{"b": 1}, {"b": 2, "c": 3}]}, {"a": [{"b": 2}]})
    assert not holds({"a": [{"b": 1}]}, {"a": [{"b": 2}]})
    assert not holds({"a": 1}, {"a": 1, "b": 1})
    assert holds({"a": "made-up-1"}, {"a": "*"})
    assert not holds({"b": 1}, {"a": "*"})
    assert not holds({"a": ""}, {"a": "*"})


def test_every_committed_entry_has_a_reason_and_a_request() -> None:
    for entry in read():
        assert len(entry.reason) > 20, entry
        assert entry.request, entry
        assert ":" in entry.operation, entry
