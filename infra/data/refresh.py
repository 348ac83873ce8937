"""Generate instances.json from what cfn-lint and moto ship: run `python -m infra.data.refresh`.

cfn-lint lists the instance types and DB instance classes of each Region and Aurora's versions; moto
ships AWS's own description of each instance type (vCPUs, memory, architecture), botocore where AWS
has a service at all.
"""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime
from importlib import metadata, resources
from pathlib import Path
from typing import Any, Final

import boto3

TABLE: Final = Path(__file__).with_name("instances.json")
ENGINES: Final = ("aurora-postgresql", "aurora-mysql")
# What a network has endpoints for, and some Regions have not.
SERVICES: Final = ("ssm-contacts", "ssm-incidents")


def table(today: date) -> dict[str, object]:
    """The whole table: instance types and Aurora classes, each with the Regions that lack it."""
    offered: dict[str, list[str]] = {
        region: entry["enum"]
        for region, entry in _cfn_lint("aws_ec2_instance/instancetype_enum.json").items()
        if region not in ("all", "description")
    }
    described: dict[str, Any] = json.loads(
        gzip.decompress(
            resources.files("moto").joinpath("ec2/resources/instance_types.json.gz").read_bytes()
        )
    )
    regions = sorted(offered)
    types = {
        name: _description(described.get(name))
        | {"absent": [region for region in regions if name not in offered[region]]}
        for name in sorted({name for names in offered.values() for name in names})
    }
    return {
        "generated": today.isoformat(),
        "sources": {name: metadata.version(name) for name in ("cfn-lint", "moto", "botocore")},
        "regions": regions,
        "instance_types": types,
        "database_classes": {engine: _classes(engine, regions) for engine in ENGINES},
        "database_versions": {engine: _versions(engine) for engine in ENGINES},
        "cache_node_types": _cache_node_types(regions),
        "services": {service: _absent(service, regions) for service in SERVICES},
    }


def _description(instance_type: dict[str, Any] | None) -> dict[str, object]:
    """vCPUs, memory and architecture; null for a type newer than moto's description."""
    if instance_type is None:
        return {"vcpus": None, "memory_mib": None, "architecture": None}
    return {
        "vcpus": instance_type["VCpuInfo"]["DefaultVCpus"],
        "memory_mib": instance_type["MemoryInfo"]["SizeInMiB"],
        "architecture": instance_type["ProcessorInfo"]["SupportedArchitectures"][0],
    }


def _classes(engine: str, regions: list[str]) -> dict[str, list[str]]:
    """For each DB instance class of an engine, the Regions that lack it."""
    rules: dict[str, Any] = _cfn_lint("aws_rds_dbinstance/dbinstanceclass_enum.json")
    by_region: dict[str, set[str]] = {region: set() for region in regions}
    for region, rule in rules.items():
        for branch in rule["allOf"]:
            wanted = branch["if"]["properties"]["Engine"]
            if engine in (wanted.get("const"), *wanted.get("enum", ())):
                by_region.setdefault(region, set()).update(
                    branch["then"]["properties"]["DBInstanceClass"]["enum"]
                )
    known = sorted(set().union(*by_region.values()))
    return {name: [region for region in regions if name not in by_region[region]] for name in known}


def _versions(engine: str) -> list[str]:
    """An engine's versions, majors among them; Limitless ones are another kind of cluster."""
    found: list[str] = []
    for branch in _cfn_lint("aws_rds_dbcluster/engine_version.json")["allOf"]:
        if branch["if"]["properties"]["Engine"].get("const") == engine:
            found = branch["then"]["properties"]["EngineVersion"]["enum"]
    return sorted(version for version in found if not version.endswith("-limitless"))


def _cache_node_types(regions: list[str]) -> dict[str, list[str]]:
    """For each ElastiCache node type, the Regions that lack it."""
    offered = {
        region: set(entry["enum"])
        for region, entry in _cfn_lint(
            "aws_elasticache_cachecluster/cachenodetype_enum.json"
        ).items()
        if region in regions
    }
    known = sorted(set().union(*offered.values()))
    return {name: [r for r in regions if name not in offered.get(r, ())] for name in known}


def _absent(service: str, regions: list[str]) -> list[str]:
    """The Regions that lack a service."""
    session = boto3.Session()
    there = {
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions(service, partition_name=partition)
    }
    return [region for region in regions if region not in there]


def _cfn_lint(name: str) -> dict[str, Any]:
    source = resources.files("cfnlint").joinpath(f"data/schemas/extensions/{name}")
    return json.loads(source.read_text())


if __name__ == "__main__":
    lines = json.dumps(table(datetime.now(UTC).date()), separators=(",", ":"))
    TABLE.write_text(lines.replace('},"', '},\n"').replace('],"', '],\n"') + "\n")
