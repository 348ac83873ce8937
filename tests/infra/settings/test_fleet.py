"""Tiers, workers and applications: each wrong setting is told with key, value, rule and fix."""

from __future__ import annotations

from hashlib import shake_256
from pathlib import Path
from typing import Any

import pytest

from infra.errors import Problems
from infra.settings.stack import read_stack
from tests.conftest import WriteStack

SHA = "a" * 64
MOODLE = {"kind": "moodle", "version": "4.5.8", "sha256": SHA}
HOST = ["skola.example.org"]


def problems(write_stack: WriteStack, **settings: Any) -> list[str]:
    write_stack(**{"firstbell:platform": {"domain": "lms.example.org"} | settings})
    with pytest.raises(Problems) as caught:
        read_stack("tiny")
    assert caught.value.exit_code == 2
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("web", "complaint"),
    [
        ({"drian_seconds": 5}, "unknown key 'drian_seconds' (did you mean 'drain_seconds'?)"),
        ({"drain_seconds": 3601}, "less than or equal to 3600, not 3601"),
        ({"slow_start_seconds": 10}, "must be 0 or 30 to 900, as AWS demands, not 10"),
        ({"max_lifetime_days": 366}, "less than or equal to 365, not 366"),
        ({"instance_types": ["m7i.large", "m7i.large"]}, "m7i.large stands there twice"),
        ({"warm_pool": {}}, "tiers/web/warm_pool/max_prepared: is missing"),
        ({"warm_pool": {"min": 5, "max_prepared": 4}}, "min 5 is greater than max_prepared 4"),
        ({"warm_pool": {"max_prepared": 11}}, "max_prepared 11 is greater than max 10"),
        # It takes a launch template, an image and a disk made for it.
        (
            {"warm_pool": {"max_prepared": 3, "state": "Hibernated"}},
            "'Stopped' or 'Running', not 'Hibernated'",
        ),
        ({"root_device": "xvda"}, "tiers/web/root_device: string should match"),
        (
            {"refresh": {"min_healthy_percent": 50, "max_healthy_percent": 160}},
            "min_healthy_percent 50 and max_healthy_percent 160 are more than 100 apart",
        ),
        ({"takes_requests": False}, "takes_requests: false needs hosts or paths"),
        ({"health_path": "up"}, "should match pattern"),
        ({"application": "joomla"}, "'generic', 'moodle'"),
        ({"application": {"kind": "moodle", "version": "4.5.8"}}, "sha256: is missing"),
        ({"application": MOODLE | {"version": "latest"}}, "should match pattern"),
        ({"application": MOODLE | {"sha256": "abc"}}, "should match pattern"),
        ({"application": MOODLE | {"plugins": []}}, "unknown key 'plugins'"),
        (
            {"application": {"kind": "generic", "cloud_init": "nowhere.yaml"}},
            "there is no such file, not 'nowhere.yaml' (paths are relative to stacks/)",
        ),
        (
            {"application": {"kind": "generic", "cloud_init": "notes.txt"}},
            "begins neither with #cloud-config nor with #!",
        ),
    ],
)
def test_a_wrong_setting_of_a_tier_is_told(
    write_stack: WriteStack, stacks: Path, web: dict[str, Any], complaint: str
) -> None:
    (stacks / "notes.txt").write_text("call the caretaker\n")
    (found,) = problems(write_stack, tiers={"web": web})
    assert complaint in found


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"#cloud-config\n# \xe9cole\n", "a character in line 2 that is not in UTF-8 (save it in"),
        (b"#!/bin/sh\r\necho\r\n", "has Windows' line ends, with which no script runs"),
        (b"#cloud-config\nruncmd: [a\n", "is no valid YAML in line 3, and cloud-init would ignore"),
        (b"#cloud-config\n- a\n", "is no mapping of cloud-init's keys"),
        (b"#!/bin/sh\n# " + shake_256().hexdigest(15_000).encode(), "14,336 are left"),
        (b"#!/bin/sh\n# " + shake_256().hexdigest(12_000).encode(), None),
        (b"#cloud-config\nruncmd: [a]\n", None),
        (b"#cloud-config\n", None),
    ],
)
def test_a_cloud_init_file_that_no_instance_could_use_is_told_before_there_is_one(
    write_stack: WriteStack, stacks: Path, content: bytes, complaint: str | None
) -> None:
    (stacks / "node").write_bytes(content)
    web = {"application": {"kind": "generic", "cloud_init": "node"}}
    if complaint is not None:
        (found,) = problems(write_stack, tiers={"web": web})
        assert complaint in found
        return
    write_stack(**{"firstbell:platform": {"domain": "lms.example.org", "tiers": {"web": web}}})
    read_stack("tiny")


@pytest.mark.parametrize(
    ("tiers", "complaint"),
    [
        (
            {"a": {"hosts": HOST}, "b": {"hosts": ["Skola.example.org"]}},
            "tiers/b: claims the same hosts and paths as a",
        ),
        (
            {"a": {"paths": ["/api/*"]}, "b": {"paths": ["/api/*"]}},
            "tiers/b: claims the same hosts and paths as a",
        ),
        (
            {"a": {"hosts": [f"{n}.example.org" for n in range(5)], "takes_requests": False}},
            "needs one of the 5 that AWS allows",
        ),
    ],
)
def test_two_tiers_cannot_have_the_same_rule(
    write_stack: WriteStack, tiers: dict[str, Any], complaint: str
) -> None:
    (found,) = problems(write_stack, tiers={"web": {}} | tiers)
    assert complaint in found


def test_a_tier_that_waits_may_claim_what_another_still_has(write_stack: WriteStack) -> None:
    tiers = {
        "web": {},
        "old": {"hosts": HOST},
        "new": {"hosts": HOST, "takes_requests": False},
    }
    write_stack(**{"firstbell:platform": {"domain": "lms.example.org", "tiers": tiers}})
    assert not read_stack("tiny").platform.tiers["new"].takes_requests


@pytest.mark.parametrize(
    ("workers", "complaint"),
    [
        ({"min": 5, "max": 4}, "workers: min 5 is greater than max 4"),
        ({"queue": {"longest_job_minutes": 721}}, "less than or equal to 720, not 721"),
        ({"queue": {"keep_days": 15}}, "less than or equal to 14, not 15"),
        ({"queue": {"atempts": 2}}, "did you mean 'attempts'?"),
        ({"application": MOODLE, "queue": {}}, "Moodle takes its tasks from the database"),
        ({"jobs": {"web": {}}}, "workers/jobs/web: a tier has this name"),
        ({"jobs": {"database": {}}}, "database is a season's own name"),
        ({"jobs": {"imports": {"min": 3, "max": 2}}}, "workers/jobs/imports: min 3 is greater"),
        ({"jobs": {"imports": {"jobs": {}}}}, "unknown key 'jobs'"),
        ({"warm_pool": {"max_prepared": 2}}, "unknown key 'warm_pool'"),
        ({"instance_types": ["m7i.lagre"]}, "workers/instance_types"),
    ],
)
def test_a_wrong_setting_of_the_workers_is_told(
    write_stack: WriteStack, workers: dict[str, Any], complaint: str
) -> None:
    (found,) = problems(write_stack, workers=workers)
    assert complaint in found


def test_several_wrong_settings_are_told_together(write_stack: WriteStack) -> None:
    found = problems(
        write_stack,
        tiers={"web": {"drain_seconds": -1, "application": MOODLE | {"sha256": "x"}}},
        workers={"queue": {"attempts": 0}, "jobs": {"imports": {"min": 3, "max": 2}}},
    )
    assert [problem.split(":")[1] for problem in found] == [
        "platform/tiers/web/application/sha256",
        "platform/tiers/web/drain_seconds",
        "platform/workers/queue/attempts",
        "platform/workers/jobs/imports",
    ]


def test_on_aws_neither_tiers_nor_workers_may_be_plain_amazon_linux(
    write_stack: WriteStack,
) -> None:
    write_stack(
        **{
            "firstbell:cloud": "aws",
            "aws:allowedAccountIds": ["111122223333"],
            "firstbell:platform": {
                "domain": "lms.example.org",
                "certificate_arn": "arn:aws:acm:eu-north-1:111122223333:certificate/x",
                "tiers": {"web": {"application": MOODLE}},
                "workers": {"application": MOODLE, "jobs": {"imports": {}}},
            },
        }
    )
    with pytest.raises(Problems) as caught:
        read_stack("tiny")
    (found,) = map(str, caught.value.problems)
    assert found.startswith("firstbell:platform/workers/jobs/imports/image: is missing")
