"""Pulumi's property names and values to an AWS request's, and back.

Nearly every name maps by itself (`minSize` is `MinSize`, `dbSubnetGroupName` is
`DBSubnetGroupName`); a row's `names` says the exceptions, by property name or dotted path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from cli.localcloud.provider.schema import Type
from cli.localcloud.provider.values import DEFAULTS, UNKNOWN, Unknown, has_unknown

Names = Mapping[str, str]


def member_of(members: Iterable[str], prop: str, path: str, names: Names) -> str | None:
    """The API's member that a property stands for, or None."""
    wanted = names.get(path, names.get(prop, prop)).lower()
    by_lower = {member.lower(): member for member in members}
    for spelling in (wanted, wanted.removesuffix("s"), wanted + "s"):
        if spelling in by_lower:
            return by_lower[spelling]
    return None


def to_api(  # noqa: PLR0911, PLR0912 (one a type)
    value: Any, shape: Any, names: Names, path: str = ""
) -> Any:
    """A property's value in the form of a botocore shape; unknowns are left as they are."""
    if isinstance(value, Unknown):
        return value
    match shape.type_name:
        case "structure":
            if isinstance(value, list) and {"Quantity", "Items"} <= shape.members.keys():
                # CloudFront counts its lists.
                items = to_api(value, shape.members["Items"], names, path)
                return {"Quantity": len(items), "Items": items}
            if not isinstance(value, dict):
                only = next(iter(shape.members))
                return {only: to_api(value, shape.members[only], names, path)}
            result: dict[str, Any] = {}
            for prop, inner in value.items():
                inside = f"{path}.{prop}" if path else prop
                member = member_of(shape.members, prop, inside, names)
                if member is not None and prop != DEFAULTS:
                    result[member] = to_api(inner, shape.members[member], names, inside)
            return result
        case "list":
            if isinstance(value, dict) and _is_pairs(shape.member):
                key, text = _pair_names(shape.member)
                return [{key: k, text: v} for k, v in value.items()]
            items = value if isinstance(value, list) else [value]
            return [to_api(item, shape.member, names, path) for item in items]
        case "map":
            return {k: to_api(v, shape.value, names, path) for k, v in value.items()}
        case "string" if isinstance(value, list):
            return UNKNOWN if has_unknown(value) else ",".join(value)
        case "string":
            return ("true" if value else "false") if isinstance(value, bool) else str(value)
        case "boolean":
            return value if isinstance(value, bool) else str(value).lower() == "true"
        case "integer" | "long":
            return _number(value, int)
        case "float" | "double":
            return _number(value, float)
        case _:
            return value


def _number(value: Any, kind: type[int] | type[float]) -> Any:
    try:
        return kind(value)
    except ValueError:
        return value  # the validator names it


def _is_pairs(shape: Any) -> bool:
    if shape.type_name != "structure":
        return False
    # KMS has TagKey and TagValue.
    return {m.lower().removeprefix("tag") for m in shape.members} == {"key", "value"}


def _pair_names(shape: Any) -> tuple[str, str]:
    by_lower = {member.lower().removeprefix("tag"): member for member in shape.members}
    return by_lower["key"], by_lower["value"]


def from_api(live: Any, tree: Type, names: Names, path: str = "") -> Any:
    """A live value in the form of a property's schema; None where the API says nothing."""
    if live is None:
        return None
    match tree:
        case [item]:
            if isinstance(live, Mapping) and "Quantity" in live:
                live = live.get("Items") or []
            values = live if isinstance(live, list) else [live]
            return [from_api(value, item, names, path) for value in values]
        case {"*": _}:
            return tags_to_map(live) if isinstance(live, list) else dict(live)
        case dict():
            return _block(live, tree, names, path)
        case _:
            return _scalar(live, tree)


def _block(live: Any, tree: dict[str, Type], names: Names, path: str) -> Any:
    if isinstance(live, list):
        live = live[0] if live else None
    if not isinstance(live, Mapping):
        return None
    result: dict[str, Any] = {}
    for prop, inner in tree.items():
        inside = f"{path}.{prop}" if path else prop
        member = member_of(live, prop, inside, names)
        value = from_api(live[member], inner, names, inside) if member is not None else None
        if value is not None:
            result[prop] = value
    return result or None


def _scalar(live: Any, tree: str) -> Any:  # noqa: PLR0911 (one a type)
    if isinstance(live, list):
        live = live[0] if live else None
    elif isinstance(live, Mapping):
        # {"Value": true} of ec2's attributes.
        live = next(iter(live.values()), None)
    match tree:
        case _ if live is None:
            return None
        case "str":
            if isinstance(live, datetime):
                return timestamp(live)
            return ("true" if live else "false") if isinstance(live, bool) else str(live)
        case "int":
            return _number(live, int)
        case "float":
            return _number(live, float)
        case "bool":
            return live if isinstance(live, bool) else str(live).lower() == "true"
        case _:
            return live


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, as pulumi-aws writes times."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def tags_to_map(tags: list[dict[str, str]]) -> dict[str, str]:
    """AWS's list of tags as a map, without those that AWS itself sets."""
    # Services spell the members Key, key or TagKey.
    spelt = [{name.lower().removeprefix("tag"): text for name, text in tag.items()} for tag in tags]
    pairs = {tag["key"]: tag.get("value", "") for tag in spelt}
    return {key: value for key, value in pairs.items() if not key.startswith("aws:")}


def tags_to_api(tags: Mapping[str, Any], shape: Any) -> Any:
    """Tags in the form of a botocore shape: pairs, a map, or a structure around pairs."""
    if shape.type_name == "structure":
        return {"Items": [{"Key": key, "Value": value} for key, value in tags.items()]}
    return to_api(dict(tags), shape, {})
