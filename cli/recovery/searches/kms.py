"""Searches for resources of kms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from cli.recovery.searches.base import Clients, Inputs, Search


def _key(client: Clients, inputs: Inputs) -> Iterator[str]:
    """A key has no name: by description and all of its tags, and not on its way out."""
    kms, wanted = client("kms"), inputs.get("tags") or {}
    for page in kms.get_paginator("list_keys").paginate():
        for entry in page["Keys"]:
            key = kms.describe_key(KeyId=entry["KeyId"])["KeyMetadata"]
            if key["KeyState"] == "PendingDeletion":
                continue
            if key.get("Description") != inputs.get("description"):
                continue
            tags = kms.list_resource_tags(KeyId=entry["KeyId"])["Tags"]
            if wanted.items() <= {tag["TagKey"]: tag["TagValue"] for tag in tags}.items():
                yield entry["KeyId"]


SEARCHES: Final[Mapping[str, Search]] = {"aws:kms/key:Key": _key}
