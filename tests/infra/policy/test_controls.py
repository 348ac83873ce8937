"""Every control of the list is checked once; each fails on its violating twin, new stack or not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from infra.policy.base import UNKNOWN, Resource, Stack, Verdict, evaluate, source
from infra.policy.catalogue import CONTROLS, NOT_APPLICABLE
from infra.policy.cloudfront import LOG_SOURCE
from infra.policy.report import Status, judge_stack
from tests.infra.policy import sound
from tests.infra.policy.twins import TWINS

# The list that stacks are held to.
HELD_TO = {
    "ELB": "1 4 5 6 12 13 16 17 18 21 22",
    "AutoScaling": "1 2 3 5 6 9",
    "EC2": "2 3 6 7 8 9 10 15 18 19 21 25 55 56 57 58 60 170 172 181",
    "RDS": "2 3 4 5 6 7 8 9 10 11 12 13 15 16 17 18 19 20 21 22 24 25 27 34 36 37",
    "S3": "1 2 3 5 8 9 12 13",
    "CloudFront": "1 3 4 5 6 7 8 9 10 12 13 15",
    "WAF": "10 12",
    "EFS": "1 2 3 4 6 7 8",
    "ElastiCache": "1 2 3 4 5 6 7",
}
LISTED = sorted(f"{service}.{n}" for service, ns in HELD_TO.items() for n in ns.split())
# What names something by id or ARN, and bucket policies, which hold the bucket's.
OPEN_ON_A_NEW_STACK = {
    *("ELB.13", "ELB.16", "AutoScaling.2", "RDS.5", "EFS.2", "EFS.6", "EFS.7"),
    *("EC2.2", "EC2.6", "EC2.10", "EC2.55", "EC2.56", "EC2.57", "EC2.58", "EC2.60"),
    *("S3.2", "S3.3", "S3.5", "S3.8", "S3.9", "S3.12", "S3.13"),
    *("CloudFront.6", "CloudFront.12"),
}
BY_ID = {control.id: control for control in CONTROLS}


def failing(resources: list[Resource]) -> set[str]:
    return {finding.control.id for finding in judge_stack("test", Stack(resources), ()).violations}


def test_every_control_of_the_list_is_in_the_pack_or_not_applicable_exactly_once() -> None:
    found = [control.id for control in CONTROLS] + [entry.id for entry in NOT_APPLICABLE]
    assert sorted(found) == LISTED
    assert len(LISTED) == 99


def test_every_control_has_a_violating_twin() -> None:
    assert set(TWINS) == set(BY_ID)


def test_a_source_is_the_page_and_place_of_the_guide() -> None:
    assert source("EC2.170") == (
        "https://docs.aws.amazon.com/securityhub/latest/userguide/ec2-controls.html#ec2-170"
    )


def test_the_sound_stack_keeps_every_control_once_applied() -> None:
    report = judge_stack("test", Stack(sound.applied()), ())
    assert {report.status(control) for control in CONTROLS} == {Status.PASSED}


def test_a_new_sound_stack_fails_nothing_and_passes_nothing_that_it_cannot_know() -> None:
    report = judge_stack("test", Stack(sound.planned(sound.applied())), ())
    counted = report.by_status()
    assert counted[Status.FAILED] == []
    assert set(counted[Status.UNDETERMINED]) == OPEN_ON_A_NEW_STACK


@pytest.mark.parametrize("control", sorted(TWINS))
def test_the_twin_of_a_control_fails_it_and_no_other(control: str) -> None:
    twin = TWINS[control]
    assert failing(twin.change(sound.applied())) == twin.breaks


@pytest.mark.parametrize("control", sorted(TWINS))
def test_on_a_new_stack_a_twin_never_passes(control: str) -> None:
    """What cannot be known before `up` is left open, and fails on the state after it."""
    changed = TWINS[control].change(sound.applied())
    report = judge_stack("test", Stack(sound.planned(changed)), ())
    assert report.status(BY_ID[control]) in (Status.FAILED, Status.UNDETERMINED)
    assert failing(sound.planned(changed)) <= TWINS[control].breaks


@pytest.mark.parametrize(
    "control", sorted(control for control, twin in TWINS.items() if twin.hides is not None)
)
def test_a_value_that_is_not_known_yet_never_passes(control: str) -> None:
    hides = TWINS[control].hides
    assert hides is not None
    report = judge_stack("test", Stack(hides(sound.applied())), ())
    assert report.status(BY_ID[control]) is Status.UNDETERMINED


@pytest.mark.parametrize(("region", "fails"), [("eu-south-1", set()), ("eu-west-3", {"EC2.58"})])
def test_an_endpoint_of_a_service_that_the_region_has_not_is_not_asked_for(
    region: str, fails: set[str]
) -> None:
    without = [
        replace(
            each,
            properties={
                key: value.replace("eu-north-1", region) if key == "serviceName" else value
                for key, value in each.properties.items()
            },
        )
        for each in TWINS["EC2.58"].change(sound.applied())
    ]
    assert failing(without) == fails


def test_a_distribution_may_log_by_a_delivery_which_needs_no_bucket_with_acls() -> None:
    def verdict(**source: object) -> Verdict:
        cdn = sound.resource(sound.CDN, "cdn")
        other = sound.resource(LOG_SOURCE, "log", **source)
        (finding,) = evaluate([BY_ID["CloudFront.5"]], Stack([cdn, other]))
        return finding.verdict

    arn = sound.arn(sound.CDN, "cdn")
    assert verdict(logType="ACCESS_LOGS", resourceArn=arn) is Verdict.PASSED
    assert verdict(logType="ACCESS_LOGS", resourceArn=arn + "2") is Verdict.FAILED
    assert verdict(logType="CONNECTION_LOGS", resourceArn=arn) is Verdict.FAILED


def test_rules_of_a_web_acl_that_are_given_as_json_are_judged_as_well() -> None:
    """pulumi-aws nests statements no deeper than three, so the program writes JSON."""

    def verdict(control: str, rules: object) -> Verdict:
        text = rules if isinstance(rules, str) else json.dumps(rules)
        acl = sound.resource(
            sound.WEB_ACL,
            "json",
            ruleJson=text,
            visibilityConfig={"cloudwatchMetricsEnabled": True},
        )
        (finding,) = evaluate([BY_ID[control]], Stack([acl]))
        return finding.verdict

    metered = {"Name": "a", "VisibilityConfig": {"CloudWatchMetricsEnabled": True}}
    unmetered = {"Name": "b", "VisibilityConfig": {"CloudWatchMetricsEnabled": False}}
    assert verdict("WAF.10", [metered]) is Verdict.PASSED
    assert verdict("WAF.10", []) is Verdict.FAILED
    assert verdict("WAF.12", [metered]) is Verdict.PASSED
    assert verdict("WAF.12", [metered, unmetered]) is Verdict.FAILED
    assert verdict("WAF.12", [{"Name": "c"}]) is Verdict.FAILED
    assert verdict("WAF.10", UNKNOWN) is Verdict.UNDETERMINED
    assert verdict("WAF.12", UNKNOWN) is Verdict.UNDETERMINED


def test_what_is_known_to_be_wrong_stays_wrong_beside_what_is_not_known() -> None:
    mixed = sound.resource(
        sound.TEMPLATE,
        "mixed",
        blockDeviceMappings=[
            {"ebs": {"encrypted": "false"}},
            {"ebs": {"encrypted": "04da6b54-80e4-46f7-96ec-b56ff0331ba9"}},
        ],
    )
    (finding,) = evaluate([BY_ID["EC2.181"]], Stack([mixed]))
    assert finding.verdict is Verdict.FAILED
    assert finding.fault is not None
    assert finding.fault.property == "blockDeviceMappings.0.ebs.encrypted"
    assert finding.fault.fix == "set blockDeviceMappings.0.ebs.encrypted to true"
