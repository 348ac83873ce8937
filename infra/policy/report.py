"""The verdicts of all controls on one stack, with the exceptions taken into account."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from infra.policy.base import Control, Finding, Stack, Verdict, evaluate, source
from infra.policy.catalogue import CONTROLS
from infra.policy.exceptions import PolicyException


class Status(Enum):
    """What became of a control in a stack: the gravest of its findings."""

    FAILED = "failed"
    UNDETERMINED = "undetermined"
    EXCEPTED = "excepted"
    PASSED = "passed"
    ABSENT = "no such resource"


@dataclass(frozen=True)
class Report:
    """All findings; those that an exception covers, and exceptions that cover none."""

    findings: tuple[Finding, ...]
    excepted: tuple[tuple[Finding, PolicyException], ...]
    unused: tuple[PolicyException, ...]

    @property
    def violations(self) -> list[Finding]:
        """Failures that no exception covers."""
        covered = {id(finding) for finding, _ in self.excepted}
        return [
            finding
            for finding in self.findings
            if finding.verdict is Verdict.FAILED and id(finding) not in covered
        ]

    @property
    def undetermined(self) -> list[Finding]:
        """What could not be judged yet."""
        return [entry for entry in self.findings if entry.verdict is Verdict.UNDETERMINED]

    def status(self, control: Control) -> Status:
        """What became of a control."""
        own = [finding for finding in self.findings if finding.control is control]
        if any(finding.control is control for finding in self.violations):
            return Status.FAILED
        if any(finding.verdict is Verdict.UNDETERMINED for finding in own):
            return Status.UNDETERMINED
        if any(finding.verdict is Verdict.FAILED for finding in own):
            return Status.EXCEPTED
        return Status.PASSED if own else Status.ABSENT

    def by_status(self) -> dict[Status, list[str]]:
        """The ids of the controls by what became of them."""
        found: dict[Status, list[str]] = {status: [] for status in Status}
        for control in CONTROLS:
            found[self.status(control)].append(control.id)
        return found

    def summary(self) -> str:
        """One line: how many controls came out how."""
        counted = self.by_status()
        parts = [f"{len(counted[status])} {status.value}" for status in Status if counted[status]]
        return f"{len(CONTROLS)} security controls: {', '.join(parts)}"

    def to_json(self) -> dict[str, object]:
        return {
            "controls": {status.value: ids for status, ids in self.by_status().items()},
            "violations": [violation_json(finding) for finding in self.violations],
            "undetermined": [
                {
                    "control": finding.control.id,
                    "resource": finding.resource.name,
                    "unknown": finding.unknown,
                }
                for finding in self.undetermined
            ],
            "excepted": [
                violation_json(finding)
                | {"reason": exception.reason, "expires": exception.expires.isoformat()}
                for finding, exception in self.excepted
            ],
        }


def violation_json(finding: Finding) -> dict[str, object]:
    """A failure with what was found and what would be right."""
    fault = finding.fault
    return {
        "control": finding.control.id,
        "title": finding.control.title,
        "source": source(finding.control.id),
        "resource": finding.resource.name,
        "type": finding.resource.type,
        "urn": finding.resource.urn,
        "property": fault.property if fault else None,
        "value": fault.value if fault else None,
        "fix": fault.fix if fault else None,
    }


def judge_stack(
    name: str,
    stack: Stack,
    exceptions: Sequence[PolicyException],
    controls: Iterable[Control] = CONTROLS,
) -> Report:
    """Judge all resources of a stack by all controls."""
    findings = tuple(evaluate(controls, stack))
    excepted: list[tuple[Finding, PolicyException]] = []
    for finding in findings:
        if finding.verdict is Verdict.FAILED:
            for exception in exceptions:
                if exception.covers(name, finding):
                    excepted.append((finding, exception))
                    break
    used = {id(exception) for _, exception in excepted}
    may_fail = {
        (entry.control.id, entry.resource.name)
        for entry in findings
        if entry.verdict is Verdict.UNDETERMINED
    }
    unused = tuple(
        exception
        for exception in exceptions
        if id(exception) not in used
        and not any(control == exception.control for control, _ in may_fail)
    )
    return Report(findings, tuple(excepted), unused)
