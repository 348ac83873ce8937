"""The policy pack over what the engine knows: a preview's plan, or the state after `up`.

A preview's events carry every resource's inputs, and its saved plan says from which resources each
was computed; the state has both. What the engine does not know yet stays unknown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from infra.errors import FirstbellError, InputError, Problem, Problems
from infra.policy import exceptions
from infra.policy.base import UNKNOWN, Finding, Resource, Stack, is_unknown
from infra.policy.exceptions import PolicyException
from infra.policy.report import Report, judge_stack, violation_json


class Violations(Problems):
    """Controls that a stack does not keep, and what else is wrong with it."""

    def __init__(
        self, report: Report, *, source: str, fix: str, besides: Sequence[Problem] = ()
    ) -> None:
        found = [_problem(finding) for finding in report.violations]
        super().__init__(source, [*found, *besides], fix=fix)
        self.report = report

    def to_json(self) -> dict[str, object]:
        violations = [violation_json(finding) for finding in self.report.violations]
        return super().to_json() | {"violations": violations}


class UnsafeError(FirstbellError):
    """After `up`, something that was applied does not keep a control."""

    exit_code = 1


def planned(
    inputs: Mapping[str, Mapping[str, Any]], plan: Mapping[str, Any]
) -> tuple[Resource, ...]:
    """The resources of a preview, from their inputs by URN and its saved plan.

    Of what the cloud decides, a plan has the values that are known already; the others are left
    out, so that a property which the program does not set counts as AWS's default.
    """
    plans: Mapping[str, Any] = plan.get("resourcePlans") or {}
    return tuple(
        _resource(
            urn,
            {
                **{k: v for k, v in (entry.get("state") or {}).items() if not is_unknown(v)},
                **properties,
            },
            (entry.get("goal") or {}).get("propertyDependencies"),
        )
        for urn, properties in inputs.items()
        for entry in (plans.get(urn, {}),)
    )


def recorded(state: Iterable[Mapping[str, Any]]) -> tuple[Resource, ...]:
    """The resources of a state, as they were asked for, and with what only the cloud knows."""
    return tuple(
        _resource(
            entry["urn"],
            (entry.get("outputs") or {})
            | (entry.get("inputs") or {})
            | {"id": entry.get("id"), "arn": (entry.get("outputs") or {}).get("arn")},
            entry.get("propertyDependencies"),
        )
        for entry in state
        if entry.get("custom") and not entry.get("delete")
    )


def _resource(urn: str, properties: Mapping[str, Any], named: object) -> Resource:
    return Resource(
        urn,
        urn.split("::")[2].rsplit("$", 1)[-1],
        urn.rsplit("::", 1)[-1],
        _readable(properties),
        {key: frozenset(urns or ()) for key, urns in named.items()}
        if isinstance(named, Mapping)
        else {},
    )


def _readable(value: Any) -> Any:
    """A value without the engine's wrapping of secrets; one that it does not show is unknown.

    What holds a secret anywhere is wrapped as a whole: a distribution's origins, for one header.
    """
    match value:
        case {"4dabf18193072939515e22adb298388d": _, **secret}:
            plain = secret.get("plaintext")
            return UNKNOWN if plain is None else _readable(json.loads(plain))
        case Mapping():
            return {key: _readable(inner) for key, inner in value.items()}
        case list():
            return [_readable(inner) for inner in value]
        case "[secret]":
            return UNKNOWN
        case _:
            return value


def judge(stack: str, resources: Sequence[Resource], allowed: Sequence[PolicyException]) -> Report:
    """Judge a stack's resources; what the exceptions allow may fail."""
    return judge_stack(stack, Stack(resources), allowed)


def refuse(report: Report, stack: str, besides: Sequence[Problem] = ()) -> None:
    """Stop before anything is changed; what is wrong `besides` is told with what fails.

    Raises:
        Violations: a control fails.
    """
    if report.violations:
        raise Violations(
            report,
            source=f"stack {stack}, which does not keep AWS's security controls",
            fix=f"mend them, or write an exception into stacks/{exceptions.FILE}; "
            "firstbell policy list explains the controls",
            besides=besides,
        )


def refuse_applied(report: Report, stack: str) -> None:
    """Say that what is applied does not keep a control, or cannot be judged even now.

    Raises:
        UnsafeError: so it is.
    """
    wrong = [str(_problem(finding)) for finding in report.violations]
    wrong += [
        f"{finding.resource.name}: {finding.control.id} cannot be judged: "
        f"{finding.unknown} is not in the state"
        for finding in report.undetermined
    ]
    if wrong:
        raise UnsafeError(
            f"{stack} is applied, but does not keep AWS's security controls",
            where=f"stack {stack}",
            why="\n  ".join(wrong),
            fix=f"mend them and run firstbell up -s {stack}, or write an exception into "
            f"stacks/{exceptions.FILE}",
        )


def _problem(finding: Finding) -> Problem:
    fault = finding.fault
    if fault is None:
        return Problem(finding.resource.name, finding.control.id)
    kind = finding.resource.type.rsplit(":", 1)[-1]
    return Problem(
        f"{finding.control.id} {kind} {finding.resource.name}",
        f"{fault.property} is {'missing' if fault.value is None else repr(fault.value)}",
        fault.fix,
    )


def check_state(stack: str, state: Sequence[Mapping[str, Any]], today: date) -> Report:
    """Judge what is applied.

    Raises:
        InputError, Problems: nothing is applied; the file of exceptions is wrong, or one expired.
    """
    resources = recorded(state)
    if not any(resource.type.startswith("aws:") for resource in resources):
        raise InputError(
            "nothing is applied yet",
            where=f"stack {stack}",
            fix=f"firstbell preview -s {stack} judges what would be",
        )
    return judge(stack, resources, exceptions.read(today, stack))
