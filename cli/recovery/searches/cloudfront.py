"""Searches for resources of cloudfront."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from cli.recovery.searches.base import Clients, Inputs, Search


def _distribution(client: Clients, inputs: Inputs) -> Iterator[str]:
    """It has no name: the comment names the stack."""
    wanted = sorted(inputs.get("aliases") or [])
    for page in client("cloudfront").get_paginator("list_distributions").paginate():
        for found in page["DistributionList"].get("Items") or []:
            aliases = sorted(found.get("Aliases", {}).get("Items") or [])
            if aliases == wanted and found["Comment"] == inputs.get("comment", ""):
                yield found["Id"]


def _by_name(
    operation: str, items: str, path: Callable[[dict[str, Any]], tuple[str, str]]
) -> Search:
    """Anything that a listing shows with its name: `path` gives name and id of an item."""

    def search(client: Clients, inputs: Inputs) -> Iterator[str]:
        for item in getattr(client("cloudfront"), operation)()[items].get("Items") or []:
            name, id = path(item)
            if name == inputs["name"]:
                yield id

    return search


def _policy(item: dict[str, Any]) -> tuple[str, str]:
    policy = item["CachePolicy"]
    return policy["CachePolicyConfig"]["Name"], policy["Id"]


SEARCHES: Final[Mapping[str, Search]] = {
    "aws:cloudfront/distribution:Distribution": _distribution,
    "aws:cloudfront/cachePolicy:CachePolicy": _by_name(
        "list_cache_policies", "CachePolicyList", _policy
    ),
    "aws:cloudfront/originAccessControl:OriginAccessControl": _by_name(
        "list_origin_access_controls",
        "OriginAccessControlList",
        lambda item: (item["Name"], item["Id"]),
    ),
}
