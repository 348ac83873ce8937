"""Every control that stacks are held to: checked by the pack, or concerning nothing here.

The list is of AWS Foundational Security Best Practices, as AWS Security Hub numbers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from infra.policy import autoscaling, cloudfront, ec2, efs, elasticache, elb, rds, s3, waf
from infra.policy.base import Control

CONTROLS: Final[tuple[Control, ...]] = (
    *elb.CONTROLS,
    *autoscaling.CONTROLS,
    *ec2.CONTROLS,
    *rds.CONTROLS,
    *s3.CONTROLS,
    *cloudfront.CONTROLS,
    *waf.CONTROLS,
    *efs.CONTROLS,
    *elasticache.CONTROLS,
)


@dataclass(frozen=True)
class NotApplicable:
    """A control that concerns nothing which a stack creates, and why."""

    id: str
    title: str
    reason: str


NOT_APPLICABLE: Final[tuple[NotApplicable, ...]] = (
    NotApplicable(
        "AutoScaling.3",
        "Amazon EC2 Auto Scaling group launch configurations should configure EC2 instances to "
        "require Instance Metadata Service Version 2 (IMDSv2)",
        "no stack has launch configurations: AutoScaling.9 refuses them, and EC2.170 asks the same "
        "of launch templates",
    ),
    NotApplicable(
        "AutoScaling.5",
        "Amazon EC2 instances launched using Amazon EC2 Auto Scaling group launch configurations "
        "should not have Public IP addresses",
        "no stack has launch configurations: AutoScaling.9 refuses them, and EC2.9 and EC2.25 ask "
        "the same of launch templates",
    ),
    NotApplicable(
        "RDS.4",
        "RDS cluster snapshots and database snapshots should be encrypted at rest",
        "the program declares no snapshots; those that Aurora and AWS Backup take of a cluster are "
        "encrypted as the cluster is, which RDS.27 checks",
    ),
    NotApplicable(
        "RDS.8",
        "RDS DB instances should have deletion protection enabled",
        "it lists engines of RDS, none of them Aurora, whose clusters are protected: RDS.7",
    ),
    NotApplicable(
        "RDS.25",
        "RDS database instances should use a custom administrator username",
        "it leaves out instances that are part of a cluster, which all of ours are: RDS.24",
    ),
    NotApplicable(
        "RDS.36",
        "RDS for PostgreSQL DB instances should publish logs to CloudWatch Logs",
        "it concerns RDS for PostgreSQL; a stack's database is Aurora: RDS.37",
    ),
)


def by_id() -> Mapping[str, Control]:
    """The pack's controls by AWS's id."""
    return {control.id: control for control in CONTROLS}
