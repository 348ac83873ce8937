"""What Moodle needs of its stack: at and just past each demand."""

from __future__ import annotations

from typing import Any, Final

import pytest

from infra.checks import applications
from infra.checks.base import Findings, Subject
from tests.infra.checks.builders import settings

MOODLE: Final[dict[str, Any]] = {
    "application": {"kind": "moodle", "version": "4.5.8", "sha256": "0" * 64}
}
SOUND: Final[dict[str, Any]] = {"tiers": {"web": MOODLE}, "workers": MOODLE, "files": {}}


def judged(**platform: Any) -> Findings:
    return applications.check(Subject(settings(**platform)))


def of_version(version: str) -> dict[str, Any]:
    return {"application": MOODLE["application"] | {"version": version}}


def test_a_moodle_with_files_and_workers_needs_no_more() -> None:
    assert judged(**SOUND) == judged() == Findings()


def test_a_moodle_that_would_lose_what_people_upload_is_refused() -> None:
    (problem,) = judged(**SOUND | {"files": None}).problems
    assert problem.where == "firstbell:platform/files"
    assert "gone with the instance" in str(problem)


def test_a_moodle_whose_cron_runs_nowhere_is_told() -> None:
    for workers in (None, {"min": 1}):
        (warning,) = judged(**SOUND | {"workers": workers}).warnings
        assert "cron runs nowhere" in warning
    imports: dict[str, Any] = {"jobs": {"imports": MOODLE}}
    assert judged(**SOUND | {"workers": imports}).warnings == ()


@pytest.mark.parametrize(("version", "refused"), [("4.4.12", True), ("4.5", False)])
def test_a_moodle_too_old_for_a_cache_in_cluster_mode_is_refused(
    version: str, *, refused: bool
) -> None:
    moodle = of_version(version)
    stack = SOUND | {"tiers": {"web": moodle}, "workers": moodle, "cache": {"cluster_mode": True}}
    found = [problem.where for problem in judged(**stack).problems]
    keys = ("tiers/web", "workers") if refused else ()
    assert found == [f"firstbell:platform/{key}/application/version" for key in keys]
    assert judged(**stack | {"cache": {}}).problems == ()


@pytest.mark.parametrize(
    ("version", "engine", "refused"),
    [
        ("4.5.8", "aurora-mysql", False),
        ("5.0", "aurora-mysql", True),
        ("5.1.2", "aurora-mysql", True),
        ("5.0", "aurora-postgresql", False),
    ],
)
def test_a_moodle_too_new_for_auroras_mysql_is_refused(
    version: str, engine: str, *, refused: bool
) -> None:
    moodle = of_version(version)
    stack = SOUND | {"tiers": {"web": moodle}, "workers": moodle, "database": {"engine": engine}}
    found = [problem.where for problem in judged(**stack).problems]
    keys = ("tiers/web", "workers")
    assert found == [f"firstbell:platform/{key}/application/version" for key in keys] * refused


def test_two_versions_on_one_database_are_told() -> None:
    (warning,) = judged(**SOUND | {"workers": of_version("4.5.7")}).warnings
    assert "4.5.7 (workers), 4.5.8 (tiers/web)" in warning


@pytest.mark.parametrize(
    ("host", "refused"),
    [
        ("lms.example.org", False),
        ("a.schools.example.org", False),
        ("lms.example.net", True),
        ("schools.example.org", True),
    ],
)
def test_a_moodle_that_sends_everybody_elsewhere_is_refused(host: str, *, refused: bool) -> None:
    moodle = {"application": MOODLE["application"] | {"host": host}}
    tiers = {"web": moodle, "schools": {"hosts": ["*.schools.example.org"]}}
    found = judged(**SOUND | {"tiers": tiers}).problems
    assert [problem.where for problem in found] == (
        ["firstbell:platform/tiers/web/application/host"] * refused
    )
