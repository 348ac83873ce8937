"""A part of a stack's file with errors: read as far as it is sound, so that one error hides none.

What is wrong leaves a hole, and whoever reads a hole is stopped (`Unsound`): a check that needs
what is wrong is left out, and every other one runs. Nothing is filled in for it, so that no error
appears that nobody wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar, cast, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from infra.errors import Problem, nearest
from infra.settings.base import STAND_IN, WITHOUT_RULES, Settings
from infra.validation import OF_A_KEY, models_in, problems_in, what_and_fix

Model = TypeVar("Model", bound=Settings)
Location = tuple[int | str, ...]


def read_partly(model: type[Model], data: object, key: str) -> tuple[Model, list[Problem]]:
    """Read `data`, which stands at `key`, as `model`: what is sound of it, and every error.

    The errors come in the order of the model's settings.
    """
    wrong = list(_switches_for_numbers(model, data))
    problems = [_no_number("/".join(map(str, (key, *location)))) for location in wrong]
    try:
        read = model.model_validate(data, context=WITHOUT_RULES)
    except ValidationError as error:
        problems += problems_in(model, error, key, data)
        wrong += [detail["loc"] for detail in error.errors()]
        read = None
    if read is None or wrong:
        read = _with_holes(model, data, wrong)
    problems += _against_rules(read, key)
    order = {f"{key}/{name}": number for number, name in enumerate(model.model_fields)}

    def place(problem: Problem) -> int:
        part = "/".join(problem.where.split("/")[: key.count("/") + 2])
        return order.get(part, len(order))

    return read, sorted(problems, key=place)


def _switches_for_numbers(model: type[Settings], data: object) -> Iterator[Location]:
    """Where YAML's `true`, `yes` or `on` stands for a number: pydantic would take it for 1."""
    for key, value in cast("dict[str, object]", data).items() if isinstance(data, dict) else ():
        annotation = model.model_fields[key].annotation if key in model.model_fields else None
        if isinstance(value, bool) and {int, float} & {annotation, *get_args(annotation)}:
            yield (key,)
        for below in models_in(annotation):
            if not issubclass(below, Settings) or not isinstance(value, dict):
                continue
            entries = cast("dict[str, object]", value)
            inside = entries if get_origin(annotation) is dict else {None: value}
            for name, entry in inside.items():
                way = (key,) if name is None else (key, name)
                yield from ((*way, *rest) for rest in _switches_for_numbers(below, entry))


def _no_number(where: str) -> Problem:
    return Problem(where, "must be a number, not true or false", "write a number")


def _against_rules(settings: Settings, key: str) -> Iterator[Problem]:
    """The rules that are broken, those of what is inside first."""
    for inner, value in vars(settings).items():
        yield from _inside(value, f"{key}/{inner}")
    for error, spoils in settings.broken_rules():
        if spoils is not None:
            settings.dig(spoils)
        what, fix = what_and_fix(str(error))
        yield Problem(key, what[:1].lower() + what[1:], fix)


def _inside(value: object, key: str) -> Iterator[Problem]:
    if isinstance(value, Settings):
        yield from _against_rules(value, key)
    elif isinstance(value, dict):
        for name, entry in cast("dict[str, object]", value).items():
            yield from _inside(entry, f"{key}/{name}")


def _with_holes(model: type[Model], data: object, errors: Sequence[Location]) -> Model:
    """The model of what is sound in `data`, which has these errors."""
    if not isinstance(data, dict) or () in errors:
        return model.hollow()
    given = cast("dict[object, object]", data)
    below = _by_first(errors)
    fields = model.model_fields
    rest = {name: value for name, value in given.items() if name in fields and name not in below}
    # What has no default must be there to be read; it becomes a hole at once.
    needed = [name for name, field in fields.items() if field.is_required() and name not in rest]
    examples = {name: example(fields[name]) for name in needed}
    read = model.model_validate({**rest, **examples}, context=WITHOUT_RULES)
    read.dig(*needed)
    for key, inner in below.items():
        if key in fields:
            name, value = str(key), _sound_below(fields[str(key)].annotation, given.get(key), inner)
        else:
            # Perhaps it was meant for a setting that is then not left out, as it seems to be.
            name, value = nearest(str(key), [each for each in fields if each not in given]), None
        if value is not None:
            read.fill(str(name), value)
        elif name is not None:
            read.dig(name)
    return read


def _by_first(locations: Iterable[Location]) -> dict[int | str, list[Location]]:
    found: dict[int | str, list[Location]] = {}
    for first, *others in locations:
        found.setdefault(first, []).append(tuple(others))
    return found


def _sound_below(annotation: object, data: object, errors: Sequence[Location]) -> object:
    """What is sound of a setting's value; None where nothing is."""
    if () in errors or not isinstance(data, dict):
        return None
    given = cast("dict[object, object]", data)
    models = [model for model in models_in(annotation) if issubclass(model, Settings)]
    if get_origin(annotation) is dict and models:
        return _sound_entries(models[0], given, errors)
    if len(models) > 1:  # told apart by their kind, which pydantic puts first
        (kind,) = {location[0] for location in errors}
        models = [
            model for model in models if kind in get_args(model.model_fields["kind"].annotation)
        ]
        errors = [location[1:] for location in errors]
    return _with_holes(models[0], given, errors) if models else None


def _sound_entries(
    model: type[Model], data: Mapping[object, object], errors: Sequence[Location]
) -> dict[str, Model]:
    """The entries of a mapping; one whose name is wrong is none the less there."""
    below = _by_first(location for location in errors if location[-1] != OF_A_KEY)
    # A name that is no text stands in pydantic's locations as one.
    errors_of = {str(name): inner for name, inner in below.items()}
    return {
        str(name): _with_holes(model, entry, errors_of[str(name)])
        if str(name) in errors_of
        else _sound_entry(model, entry)
        for name, entry in data.items()
    }


def _sound_entry(model: type[Model], data: object) -> Model:
    try:
        return model.model_validate(data, context=WITHOUT_RULES)
    except ValidationError:
        return model.hollow()  # its name is wrong in a way that let nobody look at it


def example(field: FieldInfo) -> object:
    """A value that a setting without default takes."""
    extra = field.json_schema_extra
    return field.examples[0] if field.examples else isinstance(extra, dict) and extra.get(STAND_IN)
