"""What Pulumi runs for `--policy-pack`: constructing the pack serves gRPC and does not return."""

from __future__ import annotations

from datetime import UTC, datetime

from pulumi_policy import EnforcementLevel, PolicyPack

from infra.policy.pack import NAME, policies

PolicyPack(
    name=NAME,
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=policies(datetime.now(UTC).date()),
)
