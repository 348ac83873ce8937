"""Controls of Amazon S3 buckets, and of the account's setting that stands above them."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from infra.policy.base import (
    Control,
    Fault,
    Faults,
    Resource,
    Stack,
    StackCheck,
    StackControl,
    same,
)

BUCKET: Final = "aws:s3/bucket:Bucket"
BLOCK: Final = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
ACCOUNT_BLOCK: Final = "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock"
POLICY: Final = "aws:s3/bucketPolicy:BucketPolicy"
ACL: Final = "aws:s3/bucketAcl:BucketAcl"
OWNERSHIP: Final = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
LOGGING: Final = "aws:s3/bucketLogging:BucketLogging"
LIFECYCLE: Final = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"

SWITCHES: Final = (
    "blockPublicAcls",
    "blockPublicPolicy",
    "ignorePublicAcls",
    "restrictPublicBuckets",
)
Statement = Mapping[str, Any]


def _account_is_closed(_: Resource, stack: Stack) -> Faults:
    """S3.1 looks at the account: one setting for all buckets, which the stack turns on."""
    if not any(
        all(same(block.get(switch, False), True) for switch in SWITCHES)
        for block in stack.of(ACCOUNT_BLOCK)
    ):
        yield Fault(
            "the account's block of public access",
            None,
            "turn it on (firstbell:platform/account)",
        )


def _is_closed(bucket: Resource, stack: Stack) -> Faults:
    blocks = stack.naming(bucket, "bucket", BLOCK)
    if not blocks:
        yield Fault("block of public access", None, "add s3.BucketPublicAccessBlock, all four on")
    for block in blocks:
        for switch in SWITCHES:
            if not same(block.get(switch, False), True):
                yield Fault(f"{block.name}/{switch}", block.get(switch), "set it to true")


def statements(bucket: Resource, stack: Stack) -> Iterable[Statement]:
    """The statements of a bucket's policies.

    Raises:
        UnknownValue: a policy is not known yet.
    """
    for policy in stack.naming(bucket, "bucket", POLICY):
        yield from document_statements(policy.get("policy"))


def document_statements(document: object) -> Sequence[Statement]:
    """The statements of a policy document, as text or as a mapping."""
    parsed: Any = json.loads(document) if isinstance(document, str) else document
    found = (parsed or {}).get("Statement") or []
    return found if isinstance(found, list) else [found]


def as_list(value: object) -> list[Any]:
    """Policies write one value where a list has one."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _keeps_out(action: str, acls: tuple[str, ...], word: str) -> StackCheck:
    """Nobody unknown may do an action such as `s3:GetObject`, by policy or by ACL."""

    def check(bucket: Resource, stack: Stack) -> Faults:
        for acl in stack.naming(bucket, "bucket", ACL):
            if acl.get("acl") in acls:
                yield Fault(f"{acl.name}/acl", acl.get("acl"), f"grant no public {word} access")
        for statement in statements(bucket, stack):
            actions = as_list(statement.get("Action"))
            if (
                statement.get("Effect") == "Allow"
                and _everybody(statement.get("Principal"))
                and not statement.get("Condition")
                and any(fnmatch.fnmatchcase(action, str(each)) for each in actions)
            ):
                yield Fault("policy", actions, f"grant no public {word} access")

    return check


def _everybody(principal: object) -> bool:
    if isinstance(principal, Mapping):
        return "*" in as_list(principal.get("AWS"))
    return principal == "*"


def _requires_tls(bucket: Resource, stack: Stack) -> Faults:
    for statement in statements(bucket, stack):
        condition = (statement.get("Condition") or {}).get("Bool") or {}
        if (
            statement.get("Effect") == "Deny"
            and _everybody(statement.get("Principal"))
            and str(condition.get("aws:SecureTransport", "")).lower() == "false"
            and "s3:*" in as_list(statement.get("Action"))
        ):
            return
    yield Fault("policy", None, "deny s3:* to all where aws:SecureTransport is false")


def _logs_requests(bucket: Resource, stack: Stack) -> Faults:
    """AWS's guide leaves out a bucket that receives logs: it would log its own logging."""
    if stack.naming(bucket, "bucket", LOGGING):
        return
    if not stack.naming(bucket, "targetBucket", LOGGING):
        yield Fault("access log", None, "log to a bucket for logs (s3.BucketLogging)")


def _uses_no_acl(bucket: Resource, stack: Stack) -> Faults:
    for controls in stack.naming(bucket, "bucket", OWNERSHIP):
        owner = controls.get("rule.objectOwnership")
        if owner != "BucketOwnerEnforced":
            yield Fault(
                f"{controls.name}/rule.objectOwnership", owner, "set it to BucketOwnerEnforced"
            )
    for acl in stack.naming(bucket, "bucket", ACL):
        yield Fault(acl.name, acl.get("acl"), "grant access by policy, not by ACL")


def _has_lifecycle(bucket: Resource, stack: Stack) -> Faults:
    for lifecycle in stack.naming(bucket, "bucket", LIFECYCLE):
        for number in range(len(lifecycle.items("rules"))):
            if lifecycle.get(f"rules.{number}.status") == "Enabled":
                return
    yield Fault("lifecycle", None, "add a rule (s3.BucketLifecycleConfiguration)")


CONTROLS: Final[tuple[Control, ...]] = (
    StackControl(
        "S3.1",
        "S3 general purpose buckets should have block public access settings enabled",
        (BUCKET,),
        _account_is_closed,
    ),
    StackControl(
        "S3.2",
        "S3 general purpose buckets should block public read access",
        (BUCKET,),
        _keeps_out(
            "s3:GetObject", ("public-read", "public-read-write", "authenticated-read"), "read"
        ),
    ),
    StackControl(
        "S3.3",
        "S3 general purpose buckets should block public write access",
        (BUCKET,),
        _keeps_out("s3:PutObject", ("public-read-write",), "write"),
    ),
    StackControl(
        "S3.5",
        "S3 general purpose buckets should require requests to use SSL",
        (BUCKET,),
        _requires_tls,
    ),
    StackControl(
        "S3.8",
        "S3 general purpose buckets should block public access",
        (BUCKET,),
        _is_closed,
    ),
    StackControl(
        "S3.9",
        "S3 general purpose buckets should have server access logging enabled",
        (BUCKET,),
        _logs_requests,
    ),
    StackControl(
        "S3.12",
        "ACLs should not be used to manage user access to S3 general purpose buckets",
        (BUCKET,),
        _uses_no_acl,
    ),
    StackControl(
        "S3.13",
        "S3 general purpose buckets should have Lifecycle configurations",
        (BUCKET,),
        _has_lifecycle,
    ),
)
