"""Searches for resources of s3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from cli.recovery.searches.base import Clients, Inputs, Search


def _bucket(client: Clients, inputs: Inputs) -> Iterator[str]:
    owned = client("s3").list_buckets()["Buckets"]
    return (bucket["Name"] for bucket in owned if bucket["Name"] == inputs["bucket"])


SEARCHES: Final[Mapping[str, Search]] = {
    "aws:s3/bucket:Bucket": _bucket,
}

# A bucket has one of each, and putting it again changes nothing.
REPEATABLE: Final = frozenset(
    f"aws:s3/bucket{kind}:Bucket{kind}"
    for kind in (
        "Versioning",
        "ServerSideEncryptionConfiguration",
        "LifecycleConfiguration",
        "Policy",
        "PublicAccessBlock",
        "OwnershipControls",
        "Logging",
        "Objectv2",
    )
)
