"""Which instance types, DB classes, versions, cache node types and services AWS has in which
Region, by a generated table."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from infra.errors import nearest

_TABLE: Final = Path(__file__).parent / "data" / "instances.json"

# As people name Aurora's versions: 16 and 8.0.
_MAJOR: Final = re.compile(r"\d{2}|\d\.\d")


@cache
def _table() -> dict[str, Any]:
    return json.loads(_TABLE.read_text())


@dataclass(frozen=True)
class InstanceType:
    """One EC2 instance type; `vcpus`, memory and architecture are None where not described."""

    name: str
    vcpus: int | None
    memory_mib: int | None
    architecture: str | None


@dataclass(frozen=True)
class Refused:
    """What is wrong with a type in a Region, and what to write instead."""

    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.what}; {self.fix}"


def regions() -> list[str]:
    """The Regions that the table knows."""
    return _table()["regions"]


def instance_type(name: str) -> InstanceType | None:
    """The instance type of that name, wherever it is offered."""
    entry = _table()["instance_types"].get(name)
    if entry is None:
        return None
    return InstanceType(name, entry["vcpus"], entry["memory_mib"], entry["architecture"])


def problem_with_instance_type(name: str, region: str) -> Refused | None:
    """Why the Region cannot start this instance type, or None when it can."""
    return _problem(_table()["instance_types"], name, region, "instance type")


def problem_with_database_class(name: str, engine: str, region: str) -> Refused | None:
    """Why the Region cannot run this DB instance class with this engine, or None when it can."""
    known: dict[str, list[str]] = _table()["database_classes"][engine]
    entries = {key: {"absent": absent} for key, absent in known.items()}
    return _problem(entries, name, region, f"{engine} instance class")


def problem_with_database_version(name: str, engine: str) -> Refused | None:
    """Why this engine has no such version, or None when it has; the Regions are taken as alike."""
    table = _table()
    known: list[str] = table["database_versions"][engine]
    if name in known:
        return None
    majors = ", ".join(version for version in known if _MAJOR.fullmatch(version))
    return Refused(
        f"{name!r} is no known {engine} version (table of {table['generated']})",
        f"take one of {majors}, of which AWS applies the minor ones by itself",
    )


def lacks_service(region: str, service: str) -> bool:
    """Whether a Region has no such service, as far as the table knows it."""
    return region in _table()["services"].get(service, ())


def problem_with_cache_node_type(name: str, region: str) -> Refused | None:
    """Why the Region cannot run this ElastiCache node type, or None when it can."""
    known: dict[str, list[str]] = _table()["cache_node_types"]
    entries = {key: {"absent": absent} for key, absent in known.items()}
    return _problem(entries, name, region, "cache node type")


def _problem(
    entries: dict[str, dict[str, Any]], name: str, region: str, what: str
) -> Refused | None:
    table = _table()
    as_of = f"table of {table['generated']}"

    def offered(entry: dict[str, Any]) -> bool:
        return region not in table["regions"] or region not in entry["absent"]

    if name in entries and offered(entries[name]):
        return None
    close = nearest(name, (key for key, entry in entries.items() if offered(entry) and key != name))
    fix = f"did you mean {close!r}?" if close else "see AWS's page of types and Regions"
    if name in entries:
        return Refused(f"{what} {name!r} is not offered in {region} ({as_of})", fix)
    return Refused(f"{name!r} is no known {what} ({as_of})", fix)
