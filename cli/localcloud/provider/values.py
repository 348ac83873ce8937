"""Property values as the engine sends them: decoding, encoding, comparing.

Unknowns become `UNKNOWN`; secrets are unwrapped and their top-level names remembered, so that the
machine works on plain values and what was secret goes back secret.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from google.protobuf import struct_pb2

from cli.localcloud.provider.schema import Type

Properties = dict[str, Any]

_UNKNOWN_WIRE: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SIGNATURE_KEY: Final = "4dabf18193072939515e22adb298388d"
_SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 (marks one)
DEFAULTS: Final = "__defaults"


class Unknown:
    """A value that is only known after `up`."""

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN: Final = Unknown()


def decode(struct: struct_pb2.Struct) -> tuple[Properties, frozenset[str]]:
    """The plain properties, and the names of those that hold a secret anywhere in them."""
    secrets: set[str] = set()
    result: Properties = {}
    for name, value in struct.fields.items():
        found: list[bool] = []
        plain = _decode(value, found)
        if plain is not None:
            result[name] = plain
        if found:
            secrets.add(name)
    return result, frozenset(secrets)


def _decode(value: struct_pb2.Value, secrets: list[bool]) -> Any:  # noqa: PLR0911 (one a kind)
    match value.WhichOneof("kind"):
        case "struct_value":
            fields = value.struct_value.fields
            if (
                fields[_SIGNATURE_KEY].string_value == _SECRET_SIGNATURE
                if (_SIGNATURE_KEY in fields)
                else False
            ):
                secrets.append(True)
                return _decode(fields["value"], secrets)
            decoded = {k: _decode(v, secrets) for k, v in fields.items()}
            return {k: v for k, v in decoded.items() if v is not None}
        case "list_value":
            return [_decode(v, secrets) for v in value.list_value.values]
        case "string_value":
            return UNKNOWN if value.string_value == _UNKNOWN_WIRE else value.string_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "bool_value":
            return value.bool_value
        case _:
            return None


def encode(properties: Properties, secrets: Iterable[str] = ()) -> struct_pb2.Struct:
    """The engine's form of the properties; those named in `secrets` are wrapped as secrets."""
    struct = struct_pb2.Struct()
    wrapped = frozenset(secrets)
    plain: Properties = {}
    for name, value in properties.items():
        wire = _encode(value)
        if wire is None:
            continue
        if name in wrapped:
            wire = {_SIGNATURE_KEY: _SECRET_SIGNATURE, "value": wire}
        plain[name] = wire
    struct.update(plain)
    return struct


def _encode(value: Any) -> Any:
    if isinstance(value, Unknown):
        return _UNKNOWN_WIRE
    if isinstance(value, Mapping):
        return {k: _encode(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [_encode(v) for v in value]
    return value


def has_unknown(value: Any) -> bool:
    """Whether the value, or anything inside it, is only known after `up`."""
    if isinstance(value, Mapping):
        return any(has_unknown(v) for v in value.values())
    if isinstance(value, list | tuple):
        return any(has_unknown(v) for v in value)
    return isinstance(value, Unknown)


def known(value: Any) -> Any:
    """The value without its unknown parts; None where nothing is left."""
    if isinstance(value, Mapping):
        return {k: v for k, v in ((k, known(v)) for k, v in value.items()) if v is not None}
    if isinstance(value, list):
        return [v for v in (known(v) for v in value) if v is not None]
    return None if isinstance(value, Unknown) else value


def coerce(value: Any, tree: Type) -> Any:  # noqa: PLR0911 (one a type)
    """The value in its schema's type, as pulumi-aws does it: "80" for 80, "true" for true."""
    if isinstance(value, Unknown):
        return value
    match tree:
        case [item] if isinstance(value, list):
            return [coerce(v, item) for v in value]
        case {"*": item} if isinstance(value, dict):
            return {k: coerce(v, item) for k, v in value.items()}
        case dict() if isinstance(value, dict):
            return {k: coerce(v, tree.get(k, "any")) for k, v in value.items()}
        case "str" if isinstance(value, bool):
            return "true" if value else "false"
        case "str" if isinstance(value, int | float):
            return str(value)
        case "int" | "float" if isinstance(value, str):
            try:
                return int(value) if tree == "int" else float(value)
            except ValueError:
                return value
        case "bool" if value in ("true", "false"):
            return value == "true"
        case _:
            return value


def mistyped(  # noqa: PLR0911 (one a type)
    value: Any, tree: Type, path: str
) -> list[tuple[str, str]]:
    """Where a value does not fit its schema: (path, what is wrong)."""
    if isinstance(value, Unknown) or tree == "any":
        return []
    match tree:
        case [item]:
            if not isinstance(value, list):
                return [(path, f"expected a list, got {value!r}")]
            return [p for i, v in enumerate(value) for p in mistyped(v, item, f"{path}[{i}]")]
        case {"*": item}:
            if not isinstance(value, dict):
                return [(path, f"expected a map, got {value!r}")]
            return [p for k, v in value.items() for p in mistyped(v, item, f"{path}.{k}")]
        case dict():
            if not isinstance(value, dict):
                return [(path, f"expected a block, got {value!r}")]
            result: list[tuple[str, str]] = []
            for k, v in value.items():
                inside = f"{path}.{k}"
                if k in tree:
                    result += mistyped(v, tree[k], inside)
                elif k != DEFAULTS:
                    result.append((inside, f"unknown property; {path} has {', '.join(tree)}"))
            return result
        case _:
            types = {"str": str, "int": int, "float": (int, float), "bool": bool}[tree]
            fits = isinstance(value, types) and (tree == "bool" or not isinstance(value, bool))
            return [] if fits else [(path, f"expected {tree}, got {value!r}")]


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


def _as_document(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


class Comparison:
    """Compares values of one resource type: which lists keep their order, which texts are JSON."""

    def __init__(self, ordered: frozenset[str], documents: frozenset[str]) -> None:
        self._ordered = ordered
        self._documents = documents

    def same(self, old: Any, new: Any, path: str) -> bool:
        """Whether two given values mean the same; the order of a set does not matter."""
        return self.differences(old, new, path) == []

    def differences(self, old: Any, new: Any, path: str) -> list[str]:
        """The paths at which two values differ, an unknown being different from anything."""
        if isinstance(old, Unknown) or isinstance(new, Unknown):
            return [path]
        if isinstance(old, dict) and isinstance(new, dict):
            names = sorted((old.keys() | new.keys()) - {DEFAULTS})
            return [
                difference
                for name in names
                for difference in self.differences(old.get(name), new.get(name), f"{path}.{name}")
            ]
        if isinstance(old, list) and isinstance(new, list):
            if len(old) == len(new) and not has_unknown(new):
                if not self._keeps_order(path):
                    old, new = sorted(old, key=_canonical), sorted(new, key=_canonical)
                if all(self.same(a, b, path) for a, b in zip(old, new, strict=True)):
                    return []
            return [path]
        if self._name(path) in self._documents and _as_document(old) == _as_document(new):
            return []
        # An empty block, list or text that was never given is the same as none.
        return (
            []
            if old == new
            or (
                not old
                and not new
                and (old is None or new is None)
                and old is not False
                and new is not False
                and old != 0
                and new != 0
            )
            else [path]
        )

    def settle(self, given: Any, live: Any, path: str) -> Any:
        """What a refresh records: the given value where the live one agrees with it, else the live.

        Only what was given is compared: AWS adds its own defaults to blocks.
        """
        if live is None:
            return given if given in ("", [], {}, False, 0) else None
        if isinstance(given, dict) and isinstance(live, dict):
            settled = {
                name: self.settle(value, live.get(name), f"{path}.{name}")
                for name, value in given.items()
                if name != DEFAULTS
            }
            return {name: value for name, value in settled.items() if value is not None}
        if isinstance(given, list) and isinstance(live, list):
            return self._settle_list(given, live, path)
        return given if self.same(given, live, path) else live

    def _settle_list(self, given: list[Any], live: list[Any], path: str) -> list[Any]:
        if self._keeps_order(path):
            pairs = [self.settle(g, v, path) for g, v in zip(given, live, strict=False)]
            return pairs + live[len(given) :]
        rest, kept = list(live), []
        for wanted in given:
            match = next((v for v in rest if self.settle(wanted, v, path) == wanted), None)
            if match is not None:
                rest.remove(match)
                kept.append(wanted)
        return kept + rest

    def _keeps_order(self, path: str) -> bool:
        return self._name(path) in self._ordered

    @staticmethod
    def _name(path: str) -> str:
        return path.rpartition(".")[2]
