"""Searches for resources of wafv2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from cli.recovery.searches.base import Clients, Inputs, Search


def _web_acl(client: Clients, inputs: Inputs) -> Iterator[str]:
    waf, more = client("wafv2"), {"Scope": inputs["scope"]}
    while more:
        found = waf.list_web_acls(**more)
        yield from (acl["Id"] for acl in found["WebACLs"] if acl["Name"] == inputs["name"])
        marker = found.get("NextMarker")
        more = more | {"NextMarker": marker} if marker else {}


def _association(client: Clients, inputs: Inputs) -> Iterator[str]:
    resource = inputs["resourceArn"]
    found = client("wafv2").get_web_acl_for_resource(ResourceArn=resource).get("WebACL")
    if found and found["ARN"] == inputs["webAclArn"]:
        yield f"{found['ARN']},{resource}"


SEARCHES: Final[Mapping[str, Search]] = {
    "aws:wafv2/webAcl:WebAcl": _web_acl,
    "aws:wafv2/webAclAssociation:WebAclAssociation": _association,
}

# A web ACL has one: putting it again changes nothing.
REPEATABLE: Final = frozenset({"aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"})
