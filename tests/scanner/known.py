"""Failures of the scanner that the emulator causes, each with the request that proves it."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from infra.paths import PROJECT_ROOT

FILE: Final = PROJECT_ROOT / "tests" / "scanner_known.yaml"


@dataclass(frozen=True)
class Failed:
    """A control that the scanner found failed on something."""

    control: str
    check: str
    resource: str
    detail: str

    def __str__(self) -> str:
        return f"{self.control} {self.check} {self.resource}: {self.detail}"


@dataclass(frozen=True)
class Known:
    """A check that fails although the right value was sent: `request` was recorded."""

    control: str
    check: str
    resource: str
    reason: str
    operation: str
    request: Mapping[str, Any]

    def covers(self, failed: Failed) -> bool:
        return (failed.control, failed.check) == (self.control, self.check) and (
            fnmatch.fnmatchcase(failed.resource, self.resource)
        )

    def was_sent(self, requests: Iterable[Mapping[str, Any]]) -> bool:
        """Whether a recorded request has at least what the entry says."""
        return any(
            sent["operation"] == self.operation and holds(sent["request"], self.request)
            for sent in requests
        )

    def __str__(self) -> str:
        return f"{self.control} {self.check} {self.resource}"


def holds(sent: Any, wanted: Any) -> bool:
    """Whether `sent` has at least what is wanted; a list has an item for each wanted one.

    "*" stands for any value, where a name is made up when it is sent.
    """
    if wanted == "*":
        return sent not in (None, "", [], {})
    if isinstance(wanted, Mapping):
        return isinstance(sent, Mapping) and all(
            key in sent and holds(sent[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(sent, list) and all(
            any(holds(item, each) for item in sent) for each in wanted
        )
    return sent == wanted


def read(file: Path = FILE) -> list[Known]:
    """The entries of the file."""
    document: dict[str, Any] = yaml.safe_load(file.read_text())
    return [Known(**entry) for entry in document["known"]]


def judge(
    failed: Sequence[Failed], known: Sequence[Known], requests: Sequence[Mapping[str, Any]]
) -> list[str]:
    """What is wrong: failures nobody knows, entries without proof, entries that nothing needs."""
    wrong = [f"failed: {each}" for each in failed if not any(entry.covers(each) for entry in known)]
    wrong += [
        f"not proven, no such request was sent: {entry} ({entry.operation})"
        for entry in known
        if not entry.was_sent(requests)
    ]
    wrong += [
        f"unused, nothing fails like this: {entry}"
        for entry in known
        if not any(entry.covers(each) for each in failed)
    ]
    return wrong
