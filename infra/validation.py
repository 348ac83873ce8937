"""From pydantic's errors to ours: all problems of a file at once, each with key and fix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from infra.errors import Problem, Problems, nearest

Model = TypeVar("Model", bound=BaseModel)


def validate(model: type[Model], data: object, source: str, *, key: str = "") -> Model:
    """Read `data` as `model`; `key` is where `data` stands in the file `source`.

    Raises:
        Problems: every error found, each with its path (`platform/tiers/web/min`).
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise Problems(source, list(_problems(model, error, key, data))) from error


def _problems(
    model: type[BaseModel], error: ValidationError, key: str, data: object
) -> Iterator[Problem]:
    for detail in error.errors():
        location = detail["loc"]
        names = _names(location, data)
        where = "/".join(part for part in (key, *names) if part) or "the file"
        if detail["type"] == "extra_forbidden":
            known = sorted(_keys_at(model, location[:-1]))
            close = nearest(str(location[-1]), known)
            yield Problem(
                where,
                f"unknown key {location[-1]!r}",
                f"did you mean {close!r}?" if close else f"known keys: {', '.join(known)}",
            )
        elif detail["type"] == "missing" or (detail["type"] == "model_type" and data is None):
            yield Problem(where, "is missing", "add it")
        elif detail["type"] in ("model_type", "dict_type"):
            yield Problem(where, f"must be a mapping of keys to values, not {detail['input']!r}")
        else:
            message = detail["msg"].removeprefix("Value error, ")
            given = detail.get("input")
            shown = f", not {given!r}" if isinstance(given, str | int | float | bool) else ""
            yield Problem(where, message[:1].lower() + message[1:] + shown)


def _names(location: Sequence[int | str], data: object) -> list[str]:
    """The path for people: a list's items by their `name` where they have one."""
    names: list[str] = []
    for part in location:
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
    models = [model]
    for part in location:
        below: list[type[BaseModel]] = []
        for candidate in models:
            field = _fields(candidate).get(str(part))
            if field is not None:
                below += _models_in(field)
        # A mapping's key or a list's index names no field: stay where we are.
        models = below or models
    return {name for candidate in models for name in _fields(candidate)}


def _fields(model: type[BaseModel]) -> dict[str, object]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in get_args(annotation) for found in _models_in(inner)]
