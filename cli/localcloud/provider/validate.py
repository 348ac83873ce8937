"""Checks a request against botocore's service model: what botocore itself does not check, too.

botocore looks at types and required members only; AWS also enforces enums, patterns, lengths and
ranges, which stand in the model.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import regex


@functools.cache
def _compiled(pattern: str) -> regex.Pattern[str] | None:
    """The pattern, or None when Java's dialect has no equal here: then it is not checked."""
    # Surrogate pairs mean the characters beyond the first 65,536; Python has no surrogates.
    pattern = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")
    try:
        return regex.compile(pattern)
    except regex.error:
        return None


def violations(request: Mapping[str, Any], shape: Any, *, partial: bool = False) -> list[str]:
    """What AWS would refuse in a request, one sentence each; `partial` forgives what is missing."""
    found: list[str] = []
    _visit(request, shape, "", partial, found)
    return found


def _visit(  # noqa: PLR0912 (one a type)
    value: Any, shape: Any, path: str, partial: bool, found: list[str]
) -> None:
    match shape.type_name:
        case "structure":
            if not isinstance(value, Mapping):
                found.append(f"{path}: expected a structure, got {value!r}")
                return
            for name in shape.metadata.get("required", ()):
                if name not in value and not partial:
                    found.append(f"{_join(path, name)}: is required")
            for name, inner in value.items():
                if name not in shape.members:
                    found.append(f"{_join(path, name)}: unknown parameter")
                else:
                    _visit(inner, shape.members[name], _join(path, name), partial, found)
        case "list":
            if not isinstance(value, list | tuple):
                found.append(f"{path}: expected a list, got {value!r}")
                return
            # What is unknown was taken out: there may be more.
            _check_range(len(value), shape, path, "number of items", found, partial=partial)
            for index, inner in enumerate(value):
                _visit(inner, shape.member, f"{path}[{index}]", partial, found)
        case "map":
            _check_range(len(value), shape, path, "number of entries", found)
            for key, inner in value.items():
                _visit(key, shape.key, f"{path} key", partial, found)
                _visit(inner, shape.value, f"{path}.{key}", partial, found)
        case "string":
            _check_string(value, shape, path, found)
        case "integer" | "long":
            if isinstance(value, bool) or not isinstance(value, int):
                found.append(f"{path}: expected a whole number, got {value!r}")
            else:
                _check_range(value, shape, path, "value", found)
        case "float" | "double":
            if isinstance(value, bool) or not isinstance(value, int | float):
                found.append(f"{path}: expected a number, got {value!r}")
            else:
                _check_range(value, shape, path, "value", found)
        case "boolean":
            if not isinstance(value, bool):
                found.append(f"{path}: expected true or false, got {value!r}")
        case "timestamp":
            _check_time(value, path, found)
        case _:
            pass


def _check_string(value: Any, shape: Any, path: str, found: list[str]) -> None:
    if not isinstance(value, str):
        found.append(f"{path}: expected a text, got {value!r}")
        return
    shown = "(sensitive)" if shape.metadata.get("sensitive") else repr(value)
    _check_range(len(value), shape, path, "length", found)
    enum = shape.metadata.get("enum")
    if enum and value not in enum:
        some = ", ".join(enum[:12]) + (", ..." if len(enum) > 12 else "")
        found.append(f"{path}: {shown} is none of [{some}]")
    pattern = shape.metadata.get("pattern")
    if pattern and (expression := _compiled(pattern)) and not _matches(expression, value):
        found.append(f"{path}: {shown} does not match {pattern}")


def _matches(expression: regex.Pattern[str], value: str) -> bool:
    # AWS matches the whole text, save where a pattern says itself where it is anchored.
    anchored = expression.pattern.startswith("^") or expression.pattern.endswith("$")
    return bool(expression.search(value) if anchored else expression.fullmatch(value))


def _check_time(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, datetime):
        return
    try:
        # botocore would guess at anything, "monday" included.
        datetime.fromisoformat(value)
    except (ValueError, TypeError):
        found.append(f"{path}: {value!r} is not a time")


def _check_range(
    number: float,
    shape: Any,
    path: str,
    what: str,
    found: list[str],
    *,
    partial: bool = False,
) -> None:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and number < low and not partial:
        found.append(f"{path}: {what} {number} is below {low}")
    if high is not None and number > high:
        found.append(f"{path}: {what} {number} is above {high}")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
