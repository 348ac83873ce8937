"""The policy pack over plans and states, and its commands."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli import policy
from cli.context import Context
from cli.main import root
from infra.errors import InputError
from infra.policy.base import UNKNOWN, Resource
from infra.policy.catalogue import by_id
from infra.policy.report import Status
from tests.infra.policy import sound
from tests.infra.policy.twins import TWINS

TODAY = date(2026, 11, 26)
COMPUTED = ("id", "arn", "bucketRegionalDomainName")


def as_plan(resources: list[Resource]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """What the engine shows of a preview: inputs by URN, and the saved plan."""
    inputs = {
        each.urn: {k: v for k, v in each.properties.items() if k not in COMPUTED}
        for each in resources
    }
    plans = {
        each.urn: {
            "goal": {"propertyDependencies": {k: sorted(v) for k, v in each.dependencies.items()}},
            "state": inputs[each.urn]
            | {key: each.properties.get(key, UNKNOWN) for key in COMPUTED},
        }
        for each in resources
    }
    return inputs, {"resourcePlans": plans}


def as_state(resources: list[Resource]) -> list[dict[str, Any]]:
    """What the engine records of resources that are applied."""
    return [
        {
            "urn": each.urn,
            "type": each.type,
            "custom": True,
            "id": each.properties["id"],
            "inputs": {k: v for k, v in each.properties.items() if k not in COMPUTED},
            "outputs": {k: v for k, v in each.properties.items() if k in COMPUTED},
        }
        for each in resources
    ]


def test_what_is_wrapped_as_a_secret_is_judged_and_what_is_hidden_is_left_open() -> None:
    """A header of a distribution's origin is a secret, and the engine wraps all origins."""
    (cdn,) = (each for each in as_state(sound.applied()) if each["type"] == sound.CDN)
    origins = cdn["inputs"]["origins"]
    wrapped = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
    cdn["inputs"]["origins"] = wrapped | {"plaintext": json.dumps(origins)}
    assert policy.recorded([cdn])[0].properties["origins"] == origins
    cdn["inputs"]["origins"] = wrapped | {"ciphertext": "v1:0"}
    assert policy.recorded([cdn])[0].properties["origins"] == UNKNOWN
    (planned,) = policy.planned({cdn["urn"]: {"origins": "[secret]"}}, {})
    assert planned.properties["origins"] == UNKNOWN


def test_a_new_stacks_plan_is_judged_as_far_as_it_is_known(stacks: Path) -> None:
    new = sound.planned(sound.applied())
    report = policy.judge("test", policy.planned(*as_plan(new)), [])
    assert report.violations == []
    assert report.status(by_id()["ELB.16"]) is Status.UNDETERMINED
    policy.refuse(report, "test")


def test_the_plan_of_a_stack_that_exists_is_judged_in_full(stacks: Path) -> None:
    report = policy.judge("test", policy.planned(*as_plan(sound.applied())), [])
    assert report.violations == []
    assert report.undetermined == []


def test_a_violation_in_the_plan_says_control_resource_value_and_fix(stacks: Path) -> None:
    bad = sound.planned(TWINS["RDS.7"].change(sound.applied()))
    report = policy.judge("test", policy.planned(*as_plan(bad)), [])
    with pytest.raises(policy.Violations) as refused:
        policy.refuse(report, "test")
    assert refused.value.exit_code == 2
    assert str(refused.value.problems[0]) == (
        "RDS.7 Cluster db: deletionProtection is False (set deletionProtection to true)"
    )
    (violation,) = json.loads(json.dumps(refused.value.to_json()))["violations"]
    assert violation["control"] == "RDS.7"
    assert violation["value"] is False


def test_the_state_after_up_is_judged_in_full(stacks: Path) -> None:
    report = policy.check_state("test", as_state(sound.applied()), TODAY)
    assert report.undetermined == []
    policy.refuse_applied(report, "test")


def test_what_the_state_does_not_know_either_fails_after_up(stacks: Path) -> None:
    hides = TWINS["RDS.7"].hides
    assert hides is not None
    report = policy.check_state("test", as_state(hides(sound.applied())), TODAY)
    with pytest.raises(policy.UnsafeError) as failed:
        policy.refuse_applied(report, "test")
    assert failed.value.exit_code == 1
    assert "RDS.7 cannot be judged" in str(failed.value)


def test_a_stack_of_which_nothing_is_applied_is_not_called_safe(stacks: Path) -> None:
    with pytest.raises(InputError, match="nothing is applied yet"):
        policy.check_state("test", [], TODAY)


def test_the_list_names_every_control_once_with_its_source() -> None:
    finished = CliRunner().invoke(root, ["policy", "list", "--json"], obj=Context())
    assert finished.exit_code == 0, finished.output
    document = json.loads(finished.stdout)
    ids = [entry["id"] for entry in document["controls"] + document["not_applicable"]]
    assert len(ids) == len(set(ids)) == 99
    assert all(entry["source"].startswith("https://docs.aws") for entry in document["controls"])
    assert all(entry["reason"] for entry in document["not_applicable"])
