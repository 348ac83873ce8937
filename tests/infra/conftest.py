"""Runs the program of a stack as Pulumi would and shows what it registered."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.recording_monitor import Recording, run_program


@dataclass(frozen=True)
class Recorded:
    """The resources of a run, in the words of tests."""

    recording: Recording

    def of_type(self, type: str) -> dict[str, Mapping[str, Any]]:
        """The inputs of every resource of a type, by name."""
        return {
            resource.name: resource.inputs
            for resource in self.recording.resources.values()
            if resource.type == type
        }

    def dependencies(self, suffix: str) -> frozenset[str]:
        """What the one resource whose URN ends in `:suffix` waits for, as `Type::name`."""
        (found,) = (
            resource.dependencies
            for urn, resource in self.recording.resources.items()
            if urn.endswith(f":{suffix}")
        )
        return found

    def ignored(self, type: str, name: str) -> frozenset[str]:
        """The properties of a resource whose changes the program leaves to others."""
        (found,) = (
            resource.ignored
            for resource in self.recording.resources.values()
            if (resource.type, resource.name) == (type, name)
        )
        return found


Record = Callable[..., Recorded]
# What was recorded in this process, by its settings: a run takes seconds, many ask for the same.
_RECORDED: dict[str, Recorded] = {}


def as_applied(stacks: Path, home: Path, **platform: Any) -> Recorded:
    """The program of a stack `tiny` as `up` runs it: names are known, made of the resource's and
    the property's."""
    return _run(stacks, home, platform, applied=True)


def _run(
    stacks: Path, home: Path, platform: Mapping[str, Any], *, applied: bool = False
) -> Recorded:
    recording, finished = run_program(
        "tiny",
        {
            "aws:region": "eu-north-1",
            "firstbell:platform": {"domain": "lms.example.org", **platform},
        },
        {"FIRSTBELL_HOME": str(home), "FIRSTBELL_STACKS": str(stacks)},
        applied=applied,
    )
    assert finished.returncode == 0, finished.stderr
    return Recorded(recording)


@pytest.fixture
def record(stacks: Path, home: Path) -> Record:
    """Records the program of a stack `tiny` with these settings under `firstbell:platform`."""

    def run(**platform: Any) -> Recorded:
        key = json.dumps(platform, sort_keys=True)
        if key in _RECORDED:
            return _RECORDED[key]
        _RECORDED[key] = _run(stacks, home, platform)
        return _RECORDED[key]

    return run
