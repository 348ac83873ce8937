"""From pydantic's errors to ours: all problems of a file at once, each with key and fix."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from infra.errors import Problem, Problems, nearest

# Characters of a wrong value that an error shows.
MOST_SHOWN: Final = 100

Model = TypeVar("Model", bound=BaseModel)


def validate(model: type[Model], data: object, source: str, *, key: str = "") -> Model:
    """Read `data` as `model`; `key` is where `data` stands in the file `source`.

    Raises:
        Problems: every error found, each with its path (`platform/tiers/web/min`).
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise Problems(source, list(problems_in(model, error, key, data))) from error


def problems_in(
    model: type[BaseModel], error: ValidationError, key: str, data: object
) -> Iterator[Problem]:
    """What pydantic found, in our words."""
    details = error.errors()
    for detail in details:
        location = detail["loc"]
        if detail["type"] == "too_short" and _has_errors_below(location, details):
            continue  # pydantic counts the entries that are right
        # What we say ourselves of a list's entry shows the entry.
        of_entry = detail["type"] == "value_error" and isinstance(detail["input"], str)
        at = location[:-1] if of_entry and isinstance(location[-1:][0], int) else location
        names = _names(at, data)
        where = "/".join(part for part in (key, *names) if part) or "the file"
        if detail["type"] == "extra_forbidden":
            known = sorted(_keys_at(model, location[:-1]))
            close = nearest(str(location[-1]), known)
            yield Problem(
                where,
                f"unknown key {location[-1]!r}",
                f"did you mean {close!r}?" if close else f"known keys: {', '.join(known)}",
            )
        elif data is None and not location and not key:
            yield Problem(where, "is empty", "write what belongs there, or remove it")
        elif detail["type"] == "missing" or (detail["type"] == "model_type" and data is None):
            examples = " or ".join(map(str, _examples_at(model, location)))
            yield Problem(
                where, "is missing", f"add it, such as {examples}" if examples else "add it"
            )
        elif location[-1:] == (OF_A_KEY,) and not isinstance(detail["input"], str):
            what = f"a name must be a text, not {detail['input']!r}"
            yield Problem(where, what, "write it in quotes")
        elif detail["type"] in ("union_tag_not_found", "union_tag_invalid"):
            yield _of_no_kind(detail, where, _kinds_at(model, location))
        elif detail["input"] is None:
            yield Problem(where, "has no value", "write one, or leave the key out")
        elif detail["type"] in ("model_type", "dict_type", "model_attributes_type"):
            # Only a stack's file has its settings below a key.
            fix = "write the keys below it, one a line, each with its value"
            yield Problem(
                where,
                f"must be a mapping of keys to values, not {detail['input']!r}",
                f"{fix} (docs/settings.md)" if key else fix,
            )
        elif detail["type"] in ("tuple_type", "list_type"):
            given = detail["input"]
            plain = isinstance(given, str | int | float) and not isinstance(given, bool)
            fix = f"write [{given}]" if plain else "write its entries below it, each after a hyphen"
            yield Problem(where, f"must be a list, not {given!r}", fix)
        else:
            yield _of_value(detail, where, _examples_at(model, location))


def _of_value(detail: ErrorDetails, where: str, examples: Sequence[object]) -> Problem:
    message = detail["msg"].removeprefix("Value error, ")
    ours = detail["type"] == "value_error"
    what, fix = what_and_fix(message) if ours else (message, None)
    given = detail.get("input")
    plain = isinstance(given, str | int | float | bool)
    told = ours and repr(given) in what
    shown = f", not {_short(given)}" if plain and not told else ""
    if detail["type"] in ("too_short", "too_long"):
        what = what.replace("Tuple", "List").replace("Dictionary", "Mapping")
        what = what.replace(" after validation", "")
    return Problem(where, what[:1].lower() + what[1:] + shown, fix or _fix(detail, examples))


def _short(given: object) -> str:
    """A value as it was written, of a very long one the beginning."""
    text = repr(given)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}… ({len(text):,} characters)"


def _of_no_kind(detail: ErrorDetails, where: str, kinds: Sequence[str]) -> Problem:
    if detail["type"] == "union_tag_not_found":
        return Problem(f"{where}/kind", "is missing", f"write one of {', '.join(kinds)}")
    kind = detail.get("ctx", {}).get("tag")
    close = nearest(str(kind), kinds)
    return Problem(
        where,
        f"must be of a kind that there is: {', '.join(map(repr, kinds))}, not {kind!r}",
        f"did you mean {close!r}?" if close else "write one of these",
    )


def _has_errors_below(location: Sequence[int | str], details: Sequence[ErrorDetails]) -> bool:
    length = len(location)
    return any(len(each["loc"]) > length and each["loc"][:length] == location for each in details)


def what_and_fix(message: str) -> tuple[str, str | None]:
    """What we say ourselves ends in the fix, after a semicolon."""
    what, _, fix = message.rpartition("; ")
    return (what, fix) if what else (message, None)


_DATE: Final = "write a date such as 2026-12-31"
_FIXES: Final = {
    "date_from_datetime_inexact": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_type": _DATE,
    "finite_number": "write a number that has an end",
    "invalid_key": "write it in quotes, or take it out",
    "float_parsing": "write a number",
    "float_type": "write a number",
    "int_parsing": "write a whole number",
    "int_type": "write a whole number",
    "int_from_float": "write a whole number",
    "bool_parsing": "write true or false",
    "bool_type": "write true or false",
    "string_type": "write a text, in quotes where YAML would take it for something else",
    "string_pattern_mismatch": "write it in that form",
    "too_long": "leave some out",
    "string_too_long": "shorten it",
    "too_short": "add what is missing",
    "string_too_short": "say more",
}
# The rule of a bound, and what to write.
_BOUNDS: Final = {
    "ge": "{} or more",
    "gt": "more than {}",
    "le": "{} or less",
    "lt": "less than {}",
}
# What a value has to be of, by the kind of error.
_CHOICES: Final = {"literal_error": "expected"}


def _fix(detail: ErrorDetails, examples: Sequence[object]) -> str | None:
    """What to write instead, where pydantic's own rule says it."""
    context = detail.get("ctx", {})
    for rule, words in _BOUNDS.items():
        if rule in context:
            bound = context[rule]
            return f"write {words.format(f'{bound:,}' if isinstance(bound, int) else f'{bound:g}')}"
    if choices := _CHOICES.get(detail["type"]):
        close = nearest(str(detail["input"]), re.findall(r"'([^']+)'", str(context[choices])))
        return f"did you mean {close!r}?" if close else "write one of these"
    if detail["type"] in ("string_pattern_mismatch", "string_type") and examples:
        return f"write one such as {' or '.join(map(str, examples))}"
    return _FIXES.get(detail["type"])


def _kinds_at(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """The kinds of which a setting may be one, where several models tell themselves apart."""
    return [
        str(kind)
        for found in _models_at(model, location)
        if (field := found.model_fields.get("kind"))
        for kind in get_args(field.annotation)
    ]


def _examples_at(model: type[BaseModel], location: Sequence[int | str]) -> Sequence[object]:
    """The examples that a setting gives of itself."""
    if not location:
        return ()
    for candidate in _models_at(model, location[:-1]):
        if (field := candidate.model_fields.get(str(location[-1]))) and field.examples:
            return field.examples
    return ()


# What pydantic puts behind a mapping's key when the key itself is wrong.
OF_A_KEY: Final = "[key]"


def _is_a_kind(part: int | str, data: object) -> bool:
    """Whether a part of a path only says which of several models was taken, by its `kind`."""
    return part == (data.get("kind") if isinstance(data, Mapping) else data)


def _names(location: Sequence[int | str], data: object) -> list[str]:
    """The path for people: a list's items by their `name` where they have one."""
    names: list[str] = []
    for part in location:
        if part == OF_A_KEY or _is_a_kind(part, data):
            continue
        if isinstance(data, Mapping):
            data = data.get(part)
            names.append(str(part))
        elif isinstance(part, int) and isinstance(data, list):
            items: list[Any] = data
            data = items[part] if part < len(items) else None
            name = data.get("name") if isinstance(data, Mapping) else None
            names.append(str(name) if name is not None else str(part + 1))
        else:
            names.append(str(part))
    return names


def _keys_at(model: type[BaseModel], location: Sequence[int | str]) -> set[str]:
    """The keys that the model at `location` below `model` knows."""
    return {name for found in _models_at(model, location) for name in _fields(found)}


def _models_at(model: type[BaseModel], location: Sequence[int | str]) -> list[type[BaseModel]]:
    models = [model]
    for part in location:
        below: list[type[BaseModel]] = []
        for candidate in models:
            field = _fields(candidate).get(str(part))
            if field is not None:
                below += models_in(field)
        # A mapping's key or a list's index names no field: stay where we are.
        models = below or models
    return models


def _fields(model: type[BaseModel]) -> dict[str, object]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def models_in(annotation: object) -> list[type[BaseModel]]:
    """The models that a setting may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in get_args(annotation) for found in models_in(inner)]
