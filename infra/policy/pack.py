"""The controls as policies of Pulumi's own, for `pulumi preview --policy-pack infra/policy`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError

from infra.policy import exceptions
from infra.policy.base import (
    UNKNOWN,
    Control,
    Finding,
    Resource,
    ResourceControl,
    Stack,
    StackControl,
    Verdict,
    evaluate,
    judge,
    source,
)
from infra.policy.catalogue import CONTROLS

NAME: Final = "firstbell"
OnResource = Callable[[ResourceValidationArgs, ReportViolation], None]
OnStack = Callable[[StackValidationArgs, ReportViolation], None]


def policies(today: date) -> list[Policy]:
    """Every control as a policy; the exceptions that hold today are taken into account."""
    return [_policy(control, today) for control in CONTROLS]


def _policy(control: Control, today: date) -> Policy:
    name = control.id.lower().replace(".", "-")
    description = f"{control.id}: {control.title}"
    level, url = EnforcementLevel.MANDATORY, source(control.id)
    if isinstance(control, ResourceControl):
        return ResourceValidationPolicy(
            name, description, _resource_check(control, today), level, url=url
        )
    return StackValidationPolicy(name, description, _stack_check(control, today), level, url=url)


def _resource_check(control: ResourceControl, today: date) -> OnResource:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if args.resource_type not in control.types:
            return
        resource = Resource(args.urn, args.resource_type, args.name, plain(args.props))
        _report(judge(control, resource, Stack([resource])), today, report)

    return validate


def _stack_check(control: StackControl, today: date) -> OnStack:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        stack = Stack(_resource(resource) for resource in args.resources)
        _report(evaluate([control], stack), today, report)

    return validate


def _resource(resource: PolicyResource) -> Resource:
    return Resource(
        resource.urn,
        resource.resource_type,
        resource.name,
        plain(resource.props),
        {
            key: frozenset(each.urn for each in named)
            for key, named in resource.property_dependencies.items()
        },
    )


def _report(findings: Sequence[Finding], today: date, report: ReportViolation) -> None:
    """Report what fails; Pulumi says itself that a policy could not run for an unknown value."""
    unknown: str | None = None
    for finding in findings:
        stack = finding.resource.urn.split("::")[0].rsplit(":", 1)[-1]
        if finding.verdict is Verdict.UNDETERMINED:
            unknown = f"{finding.resource.name}/{finding.unknown}"
        elif finding.fault is not None and not any(
            exception.covers(stack, finding) for exception in exceptions.read(today, stack)
        ):
            fault = finding.fault
            report(f"{fault.property} is {fault.value}: {fault.fix}", finding.resource.urn)
    if unknown is not None:
        raise UnknownValueError(UNKNOWN_STRING_VALUE, [unknown])


def plain(value: Any) -> Any:
    """Pulumi's wrapped values as plain ones: what it refuses to show is UNKNOWN."""
    if isinstance(value, Mapping):
        return {key: _known(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_known(value, index) for index in range(len(value))]
    return value


def _known(container: Any, key: Any) -> Any:
    try:
        return plain(container[key])
    except UnknownValueError:
        return UNKNOWN
