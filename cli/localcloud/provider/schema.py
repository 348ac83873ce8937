"""What properties a pulumi-aws resource type has, taken from the SDK's own classes.

`schema.json` is generated (`python -m cli.localcloud.provider.schema`) because importing the SDK
costs the provider a second at each start. A test compares the file with the installed SDK.

A property's type is one of `"str" | "int" | "float" | "bool" | "any"`, `[type]` for a list,
`{"*": type}` for a map with free keys, or `{name: type}` for a block. `recorded` types are those
that the local cloud only keeps and shows.
"""

from __future__ import annotations

import collections.abc
import enum
import functools
import importlib
import json
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("schema.json")
# Deeper blocks are taken as they are.
MAX_DEPTH: Final = 9
# WAF's statements nest in themselves: the program gives them as JSON text instead.
_AS_THEY_ARE: Final = {"aws:wafv2/webAcl:WebAcl": ("rules",)}

Type = Any  # a JSON tree as described above


@dataclass(frozen=True)
class Schema:
    """The properties of one resource type, under their pulumi names."""

    inputs: dict[str, Type]
    required: frozenset[str]
    outputs: dict[str, Type]  # inputs included


@functools.cache
def _file() -> dict[str, Any]:
    return json.loads(FILE.read_text())


@functools.cache
def schema_of(token: str) -> Schema:
    """The schema of a resource type such as `aws:ec2/vpc:Vpc`."""
    entry = _file()[token]
    inputs = entry["inputs"]
    return Schema(inputs, frozenset(entry["required"]), inputs | entry["outputs"])


def recorded_types() -> frozenset[str]:
    """Types that the local cloud only keeps and shows."""
    return frozenset(token for token, entry in _file().items() if entry.get("recorded"))


def _tree(hint: Any, depth: int = 0) -> Type:  # noqa: PLR0911 (one a kind of type)
    """The JSON tree of a type annotation of the SDK."""
    from pulumi import _types  # pyright: ignore[reportPrivateUsage] # the SDK has no public reader

    if depth > MAX_DEPTH:
        return "any"
    hint = _types.unwrap_type(hint)
    if isinstance(hint, type):
        if issubclass(hint, enum.Enum):
            return "str"
        for plain, name in ((bool, "bool"), (int, "int"), (float, "float"), (str, "str")):
            if issubclass(hint, plain):
                return name
        if _types.is_output_type(hint):
            return {k: _tree(v, depth + 1) for k, v in _types.output_type_types(hint).items()}
        return "any"
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Union:
        return _tree(arguments[0], depth)
    if origin in (list, collections.abc.Sequence):
        return [_tree(arguments[0], depth + 1)]
    if origin in (dict, collections.abc.Mapping):
        return {"*": _tree(arguments[1], depth + 1)}
    return "any"


def generate(tokens: typing.Iterable[str], recorded: collections.abc.Set[str]) -> dict[str, Any]:
    """Read the SDK's classes of these resource types, and mark those that are recorded."""
    import inspect

    from pulumi import _types  # pyright: ignore[reportPrivateUsage] # the SDK has no public reader

    result: dict[str, Any] = {}
    for token in sorted(tokens):
        _, module, name = token.split(":")
        package = importlib.import_module(f"pulumi_aws.{module.split('/')[0]}")
        resource = getattr(package, name)
        # Where a block of another resource has that name, the SDK calls them InitArgs.
        arguments = getattr(package, name + "InitArgs", None) or getattr(package, name + "Args")
        outputs = {
            k: "any" if k in _AS_THEY_ARE.get(token, ()) else _tree(v)
            for k, v in _types.resource_types(resource).items()
        }
        to_pulumi = _types.input_type_py_to_pulumi_names(arguments)
        parameters = inspect.signature(arguments.__init__).parameters
        inputs = {to_pulumi[k]: outputs[to_pulumi[k]] for k in parameters if k in to_pulumi}
        result[token] = {
            "inputs": inputs,
            "required": sorted(
                to_pulumi[k]
                for k, parameter in parameters.items()
                if k in to_pulumi and parameter.default is inspect.Parameter.empty
            ),
            "outputs": {k: v for k, v in outputs.items() if k not in inputs},
        } | ({"recorded": True} if token in recorded else {})
    return result


def render(schemas: dict[str, Any]) -> str:
    """The file's text: one line a type, so that a change of the SDK shows as a change of lines."""
    lines = (f"{json.dumps(k)}: {json.dumps(v)}" for k, v in schemas.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    from cli.localcloud.provider.rows import RECORDED, TOKENS

    FILE.write_text(render(generate(TOKENS, RECORDED)))
