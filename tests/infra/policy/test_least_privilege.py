"""Every policy document that the committed stacks create says no more than is needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.paths import PROJECT_ROOT
from infra.settings.stack import stack_names
from tests.e2e.recording_monitor import UNKNOWN, Recording, run_program
from tests.infra.policy.least_privilege import (
    MANAGED,
    faults_of_identity,
    faults_of_resource,
    faults_of_trust,
    is_everything,
)

STACKS = stack_names()
IDENTITY = ("aws:iam/rolePolicy:RolePolicy", "aws:iam/policy:Policy")
ATTACHMENTS = (
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:iam/policyAttachment:PolicyAttachment",
)
ROLE = "aws:iam/role:Role"
# An output of the program, as it travels over gRPC.
_SIGNATURE = "4dabf18193072939515e22adb298388d"


@pytest.fixture(scope="module", params=STACKS)
def recording(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Recording:
    """A committed stack as `up` registers it, so that every ARN in a document is known."""
    name: str = request.param
    file = PROJECT_ROOT / "stacks" / f"Pulumi.{name}.yaml"
    config: dict[str, Any] = yaml.safe_load(file.read_text())["config"]
    home: Path = tmp_path_factory.mktemp(name)
    recorded, finished = run_program(
        name,
        config,
        {"FIRSTBELL_HOME": str(home), "FIRSTBELL_NOW": "2026-08-20T00:00Z"},
        applied=True,
    )
    assert finished.returncode == 0, finished.stderr
    return recorded


def documents(recording: Recording) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """(type, name, property, document) of every policy document."""
    for resource in recording.resources.values():
        for key, value in resource.inputs.items():
            text = value.get("value") if isinstance(value, dict) and _SIGNATURE in value else value
            if isinstance(text, str) and text.lstrip().startswith("{") and '"Statement"' in text:
                yield resource.type, resource.name, key, json.loads(text)


def test_every_document_says_no_more_than_is_needed(recording: Recording) -> None:
    read = 0
    found: list[str] = []
    for kind, name, key, document in documents(recording):
        assert UNKNOWN not in json.dumps(document)
        read += 1
        if key == "assumeRolePolicy":
            faults = faults_of_trust(document)
        elif kind in IDENTITY:
            faults = faults_of_identity(document)
        else:
            faults = faults_of_resource(document)
        found += [f"{kind} {name}/{key}: {fault}" for fault in faults]
    assert found == []
    assert read > 0


def test_no_document_is_left_unread(recording: Recording) -> None:
    """A role has its trust, an identity policy its document."""
    wanted = {
        (resource.type, resource.name)
        for resource in recording.resources.values()
        if resource.type in (ROLE, *IDENTITY)
    }
    assert {(kind, name) for kind, name, _, _ in documents(recording)} >= wanted


def test_roles_have_only_those_of_awss_policies_that_a_service_asks_for(
    recording: Recording,
) -> None:
    attached = {
        str(resource.inputs["policyArn"])
        for resource in recording.resources.values()
        if resource.type in ATTACHMENTS
    }
    assert attached <= MANAGED


def test_no_user_and_no_access_key_is_made(recording: Recording) -> None:
    kinds = {resource.type for resource in recording.resources.values()}
    assert not {kind for kind in kinds if kind.startswith(("aws:iam/user", "aws:iam/accessKey"))}


def allow(**more: Any) -> dict[str, Any]:
    sound = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::files/*"}
    return {"Version": "2012-10-17", "Statement": [sound | more]}


def test_a_document_that_names_action_and_resource_passes() -> None:
    assert faults_of_identity(allow()) == []
    assert faults_of_identity(allow(Action="cloudwatch:PutMetricData", Resource="*")) == []
    group = "arn:aws:logs:eu-north-1:123456789012:log-group:flow:*"
    assert faults_of_identity(allow(Action="logs:PutLogEvents", Resource=[group])) == []


@pytest.mark.parametrize(
    "statement",
    [
        {"Action": "*"},
        {"Action": "s3:*"},
        {"Action": ["s3:GetObject", "s3:Get*"]},
        {"Resource": "*"},
        {"Resource": ["arn:aws:s3:::files/*", "*"]},
        {"Resource": "arn:aws:s3:::*"},
        {"Action": "logs:PutLogEvents", "Resource": "arn:aws:logs:*:*:*"},
        {"Action": ["cloudwatch:PutMetricData", "sqs:SendMessage"], "Resource": "*"},
        {"NotAction": "iam:PassRole"},
        {"Action": "s3:GetObjects"},
        {"Action": "efs:ClientMount"},
    ],
    ids=str,
)
def test_a_document_that_allows_too_much_is_caught(statement: dict[str, Any]) -> None:
    assert faults_of_identity(allow(**statement)) != []


def test_a_listing_that_is_allowed_on_one_thing_is_caught() -> None:
    """AWS refuses it, and the log stays empty without a word."""
    groups = "arn:aws:logs:eu-north-1:123456789012:log-group:"
    listing = {"Action": "logs:DescribeLogGroups"}
    assert faults_of_identity(allow(**listing, Resource=f"{groups}*")) == []
    assert faults_of_identity(allow(**listing, Resource=f"{groups}flow")) != []


def trust(**more: Any) -> dict[str, Any]:
    sound = {
        "Effect": "Allow",
        "Principal": {"Service": "ec2.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    return {"Statement": [sound | more]}


def test_a_trust_in_one_service_passes() -> None:
    assert faults_of_trust(trust()) == []


@pytest.mark.parametrize(
    "statement",
    [
        {"Principal": "*"},
        {"Principal": {"AWS": "arn:aws:iam::123456789012:root"}},
        {"Principal": {"Service": ["ec2.amazonaws.com", "rds.amazonaws.com"]}},
        {"Principal": {"Service": "*"}},
        {"Action": "sts:*"},
        {"Action": ["sts:AssumeRole", "sts:TagSession"]},
    ],
    ids=str,
)
def test_a_trust_in_more_is_caught(statement: dict[str, Any]) -> None:
    assert faults_of_trust(trust(**statement)) != []


@pytest.mark.parametrize(
    "statement", [{"Principal": "*"}, {"Principal": {"AWS": ["*"]}}, {"Action": "s3:*"}], ids=str
)
def test_a_resource_that_everybody_may_use_is_caught(statement: dict[str, Any]) -> None:
    inside = {"Principal": {"Service": "logging.s3.amazonaws.com"}}
    assert faults_of_resource(allow(**inside)) == []
    assert faults_of_resource(allow(**(inside | statement))) != []


def test_a_name_with_a_wildcard_behind_it_is_still_a_name() -> None:
    assert not is_everything("arn:aws:s3:::files/*")
    assert not is_everything("arn:aws:logs:eu-north-1:1:log-group:flow:*")
    assert is_everything("arn:aws:sqs:eu-north-1:1:*")
