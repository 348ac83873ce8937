"""EventBridge: what patterns and targets must be like for AWS to take them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from cli.localcloud.provider.rules.base import RefusedError, Request, refuse_unless, rule

if TYPE_CHECKING:
    from cli.localcloud.provider.aws import Cloud

_SERVICE: Final = "events"
_CODE: Final = "ValidationException"
_PATTERN: Final = "InvalidEventPatternException"
_LIMIT: Final = "LimitExceededException"
# EventBridge user guide, "EventBridge quotas".
MAX_PATTERN: Final = 2_048
MAX_TARGETS_OF_A_RULE: Final = 5
# "Comparison operators for use in event patterns", same guide.
_OPERATORS: Final = frozenset(
    {
        "anything-but",
        "cidr",
        "equals-ignore-case",
        "exists",
        "numeric",
        "prefix",
        "suffix",
        "wildcard",
    }
)
# What a template takes from the event: `<name>`; what begins so is EventBridge's own. "Amazon
# EventBridge input transformation", same guide.
_PLACEHOLDER: Final = re.compile(r"<([\w.-]+)>")
_OWN: Final = "aws.events."


@rule(_SERVICE, "put_rule")
def patterns_are_sound(_: Cloud, request: Request) -> None:
    text = request.get("EventPattern")
    if text is None:
        return
    refuse_unless(
        len(text) <= MAX_PATTERN,
        _LIMIT,
        f"the event pattern has {len(text)} characters; at most {MAX_PATTERN}",
    )
    try:
        pattern: Any = json.loads(text)
    except ValueError as error:
        raise RefusedError(_PATTERN, f"Event pattern is not valid. Reason: {error}") from error
    refuse_unless(
        isinstance(pattern, dict) and bool(pattern),
        _PATTERN,
        "Event pattern is not valid. Reason: Filter is not an object",
    )
    for fault in _faults(pattern, ""):
        raise RefusedError(_PATTERN, f"Event pattern is not valid. Reason: {fault}")


def _faults(pattern: dict[str, Any], path: str) -> Iterator[str]:
    """Below each key there is an object again, or a list of what the value may be."""
    for key, value in pattern.items():
        where = f"{path}/{key}"
        if key == "$or":
            if not isinstance(value, list) or len(value) < 2:
                yield f"{where} is no list of two or more patterns"
                continue
            for each in value:
                if isinstance(each, dict):
                    yield from _faults(each, where)
                else:
                    yield f"{where} has {each!r}, which is no object"
        elif isinstance(value, dict):
            if not value:
                yield f"Empty objects are not allowed: {where}"
            yield from _faults(value, where)
        elif not isinstance(value, list):
            yield f'"{key}" must be an object or an array: {where} is {value!r}'
        elif not value:
            yield f"Empty arrays are not allowed: {where}"
        else:
            yield from _faults_of_values(value, where)


def _faults_of_values(values: list[Any], where: str) -> Iterator[str]:
    for value in values:
        if isinstance(value, list):
            yield f"{where} has a list within its list"
        elif isinstance(value, dict) and (len(value) != 1 or not value.keys() <= _OPERATORS):
            yield f"Unrecognized match type {', '.join(sorted(value))}: {where}"


@rule(_SERVICE, "put_targets")
def inputs_are_sound(_: Cloud, request: Request) -> None:
    for target in request.get("Targets", []):
        id = target.get("Id")
        given = [each for each in ("Input", "InputPath", "InputTransformer") if target.get(each)]
        refuse_unless(
            len(given) < 2,
            _CODE,
            f"Only one of Input, InputPath, or InputTransformer must be provided for target {id}.",
        )
        transformer = target.get("InputTransformer", {})
        template = transformer.get("InputTemplate")
        if template is None:
            continue
        paths: dict[str, str] = transformer.get("InputPathsMap", {})
        for name, path in paths.items():
            refuse_unless(
                str(path).startswith("$"),
                _CODE,
                f"InputPathsMap of target {id}: {name} is {path!r}, which is no path in the event",
            )
        used = {name for name in _PLACEHOLDER.findall(template) if not name.startswith(_OWN)}
        refuse_unless(
            used <= paths.keys(),
            _CODE,
            f"InputTemplate for target {id} contains placeholders that InputPathsMap has not: "
            f"{', '.join(sorted(used - paths.keys()))}",
        )
        refuse_unless(
            _is_template(template),
            _CODE,
            f"Invalid InputTemplate for target {id}: neither JSON nor a quoted text a line",
        )


def _is_template(template: str) -> bool:
    filled = _PLACEHOLDER.sub("0", template)
    if _is_json(filled):
        return True
    return all(_is_json(line) and line.startswith('"') for line in filled.splitlines())


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@rule(_SERVICE, "put_targets", live=True)
def targets_are_few(cloud: Cloud, request: Request) -> None:
    there = cloud.call(
        _SERVICE,
        "list_targets_by_rule",
        Rule=request["Rule"],
        EventBusName=request.get("EventBusName", "default"),
    )["Targets"]
    ids = {target["Id"] for target in [*there, *request["Targets"]]}
    refuse_unless(
        len(ids) <= MAX_TARGETS_OF_A_RULE,
        _LIMIT,
        f"rule {request['Rule']} would have {len(ids)} targets; at most {MAX_TARGETS_OF_A_RULE}",
    )
