"""Searches for resources of secretsmanager."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from cli.recovery.searches.base import Clients, Inputs, Search


def _secret(client: Clients, inputs: Inputs) -> Iterator[str]:
    asked = [{"Key": "name", "Values": [inputs["name"]]}]
    for page in client("secretsmanager").get_paginator("list_secrets").paginate(Filters=asked):
        for secret in page["SecretList"]:
            if secret["Name"] == inputs["name"]:
                yield secret["ARN"]


def _version(client: Clients, inputs: Inputs) -> Iterator[str]:
    secrets, id = client("secretsmanager"), inputs["secretId"]
    for version in secrets.list_secret_version_ids(SecretId=id)["Versions"]:
        if "AWSCURRENT" in version.get("VersionStages", []):
            yield f"{id}|{version['VersionId']}"


SEARCHES: Final[Mapping[str, Search]] = {
    "aws:secretsmanager/secret:Secret": _secret,
    "aws:secretsmanager/secretVersion:SecretVersion": _version,
}
