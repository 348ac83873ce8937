"""The file of exceptions: what it may say, what expires, and what it covers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.errors import Problems
from infra.paths import PROJECT_ROOT
from infra.policy import exceptions
from infra.policy.base import Stack
from infra.policy.catalogue import by_id
from infra.policy.exceptions import PolicyException
from infra.policy.report import Report, Status, judge_stack
from tests.infra.policy import sound
from tests.infra.policy.twins import TWINS

TODAY = date(2026, 11, 26)
GOOD: dict[str, Any] = {
    "control": "ELB.6",
    "stack": "demo",
    "resource": "lb*",
    "reason": "the demo removes everything again",
    "owner": "platform-team",
    "expires": date(2026, 12, 31),
}


def read(
    stacks: Path, *entries: dict[str, Any], stack: str | None = None
) -> Sequence[PolicyException]:
    text = yaml.safe_dump({"version": 1, "exceptions": list(entries)})
    (stacks / "exceptions.yaml").write_text(text)
    return exceptions.read(TODAY, stack)


def unprotected(found: Sequence[PolicyException], stack: str) -> Report:
    """The report on a stack whose load balancer is not protected against deletion."""
    return judge_stack(stack, Stack(TWINS["ELB.6"].change(sound.applied())), found)


def test_without_a_file_there_is_no_exception(stacks: Path) -> None:
    assert exceptions.read(TODAY) == ()


def test_an_exception_covers_its_control_on_its_resource_of_its_stack(stacks: Path) -> None:
    found = read(stacks, GOOD)
    report = unprotected(found, "demo")
    assert report.violations == []
    assert report.status(by_id()["ELB.6"]) is Status.EXCEPTED
    ((finding, exception),) = report.excepted
    assert (finding.resource.name, exception.reason) == ("lb", GOOD["reason"])
    assert report.unused == ()


def test_the_committed_file_holds_and_its_documented_format_is_read(stacks: Path) -> None:
    committed = (PROJECT_ROOT / "stacks" / "exceptions.yaml").read_text()
    (stacks / "exceptions.yaml").write_text(committed)
    exceptions.read(TODAY)
    document = (PROJECT_ROOT / "docs" / "security.md").read_text()
    (shown,) = re.findall(r"^```yaml\n(.*?)^```", document, re.MULTILINE | re.DOTALL)
    (stacks / "exceptions.yaml").write_text(shown)
    (found,) = exceptions.read(TODAY)
    assert (found.control, found.expires) == ("RDS.7", date(2026, 12, 31))


@pytest.mark.parametrize(
    ("key", "value"), [("stack", "itslearning"), ("resource", "other*"), ("control", "ELB.5")]
)
def test_it_covers_nothing_else_and_is_then_unused(stacks: Path, key: str, value: str) -> None:
    found = read(stacks, GOOD | {key: value})
    report = unprotected(found, "demo")
    assert [finding.control.id for finding in report.violations] == ["ELB.6"]
    assert report.unused == tuple(found)


def test_an_exception_holds_to_the_end_of_its_last_day_and_fails_after_it(stacks: Path) -> None:
    read(stacks, GOOD | {"expires": TODAY})
    with pytest.raises(Problems) as failed:
        read(stacks, GOOD | {"expires": date(2026, 11, 25)})
    (problem,) = failed.value.problems
    assert problem.where == "exceptions/1/expires"
    assert "ELB.6 on lb* has expired on 2026-11-25" in problem.what
    assert failed.value.exit_code == 2


def test_an_expired_exception_of_another_stack_stops_nobody(stacks: Path) -> None:
    old = GOOD | {"expires": date(2026, 11, 25)}
    assert read(stacks, old, stack="itslearning") == []
    with pytest.raises(Problems):
        read(stacks, old, stack="demo")


@pytest.mark.parametrize("key", ["control", "reason", "owner", "expires"])
def test_an_exception_lacks_nothing(stacks: Path, key: str) -> None:
    with pytest.raises(Problems) as failed:
        read(stacks, {name: value for name, value in GOOD.items() if name != key})
    assert [(p.where, p.what) for p in failed.value.problems] == [
        (f"exceptions/1/{key}", "is missing")
    ]


def test_all_that_is_wrong_with_the_file_is_said_at_once(stacks: Path) -> None:
    with pytest.raises(Problems) as failed:
        read(
            stacks,
            GOOD | {"control": "ELB.66"},
            GOOD | {"reason": "later"},
            GOOD | {"expires": "never"},
            GOOD | {"until": "2026-12-31"},
        )
    said = {problem.where: problem for problem in failed.value.problems}
    assert set(said) == {
        "exceptions/1/control",
        "exceptions/2/reason",
        "exceptions/3/expires",
        "exceptions/4/until",
    }
    assert said["exceptions/1/control"].fix == "did you mean ELB.6?"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file: is empty"),
        ("- {control: ELB.6}\n", "write the keys below it, one a line, each with its value)"),
        (
            "version: 1\nexceptions: {ELB.6: no}\n",
            "write its entries below it, each after a hyphen",
        ),
        ("version: 1\nexceptions: [{expires: 31.12.2026}]\n", "write a date such as 2026-12-31"),
        ("version: 1\nexceptions: []\nversion: 1\n", "key 'version' stands twice"),
    ],
)
def test_a_file_of_the_wrong_shape_is_told_what_to_write(
    stacks: Path, text: str, said: str
) -> None:
    (stacks / "exceptions.yaml").write_text(text)
    with pytest.raises(Problems, match=re.escape(said)):
        exceptions.read(TODAY)


def test_no_exception_lasts_longer_than_a_year(stacks: Path) -> None:
    read(stacks, GOOD | {"expires": date(2027, 11, 27)})
    with pytest.raises(Problems) as failed:
        read(stacks, GOOD | {"expires": date(2027, 11, 28)})
    assert "more than 366 days away" in failed.value.problems[0].what


def test_an_exception_for_what_is_not_known_yet_is_not_called_unused(stacks: Path) -> None:
    found = read(stacks, GOOD | {"control": "ELB.16"})
    report = judge_stack("demo", Stack(sound.planned(sound.applied())), found)
    assert report.status(by_id()["ELB.16"]) is Status.UNDETERMINED
    assert report.unused == ()
