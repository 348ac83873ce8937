"""AWS's limits and rules for schedules, each in one place with the page it comes from.

Numbers only; `compile.py` enforces them on what it emits. `[M]` marks what was not read in AWS's
own documentation at the date given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# Not adjustable. EC2 Auto Scaling user guide, "Quotas for Auto Scaling".
MAX_SCHEDULED_ACTIONS_PER_GROUP: Final = 125
# BatchPutScheduledUpdateGroupAction / BatchDeleteScheduledAction, EC2 Auto Scaling API reference.
MAX_SCHEDULED_ACTIONS_PER_BATCH: Final = 50
# EC2 Auto Scaling user guide, "Quotas for Auto Scaling".
MAX_SCALING_POLICIES_PER_GROUP: Final = 50
# Application Auto Scaling user guide, "Quotas".
MAX_SCHEDULED_ACTIONS_PER_SCALABLE_TARGET: Final = 200
# "Scheduled actions ... may be delayed for up to two minutes", EC2 Auto Scaling user guide,
# "Scheduled scaling".
LATE_MINUTES: Final = 2
# Recurring actions between these local minutes may be skipped or doubled when daylight saving
# begins or ends; the guide advises against them.
FIRST_SAFE_MINUTE: Final = 4 * 60
# AWS does not say whether an occurrence exactly at EndTime runs: keep clear of it.
END_AFTER_LAST_MINUTES: Final = 5
# A StartTime in the past is refused; five minutes cover the time until the call arrives.
START_AHEAD_MINUTES: Final = 5
# `rds:cluster:ReadReplicaCount`: Aurora user guide, "Auto Scaling with Aurora Replicas".
MAX_AURORA_REPLICAS: Final = 15
# `elasticache:replication-group:Replicas`, of each shard: ElastiCache user guide, "Scaling replica
# nodes".
MAX_ELASTICACHE_REPLICAS: Final = 5
# Load balancer capacity unit reservation, Elastic Load Balancing user guide:
# at least 100 units, 15,000 an Application Load Balancer (0 a Region until the quota is raised),
# at most two decreases a day.
MIN_RESERVED_CAPACITY_UNITS: Final = 100
MAX_RESERVED_CAPACITY_UNITS: Final = 15_000
MAX_CAPACITY_DECREASES_PER_DAY: Final = 2
# By kind of target: beyond it no setting helps.
MOST_UNITS: Final[Mapping[str, int]] = {
    "aurora-replicas": MAX_AURORA_REPLICAS,
    "elasticache-replicas": MAX_ELASTICACHE_REPLICAS,
    "load-balancer-capacity": MAX_RESERVED_CAPACITY_UNITS,
}
# EventBridge Scheduler user guide, "Quotas": schedules per Region and account
# (adjustable), and the precision of an invocation.
MAX_SCHEDULES_PER_REGION: Final = 1_000_000
# Target tracking alarms: 3 data points to scale out, 15 to scale in. EC2 Auto Scaling user guide,
# "Target tracking scaling policies".
TRACKING_POINTS_OUT: Final = 3
TRACKING_POINTS_IN: Final = 15
# Elastic Load Balancing quotas, "Targets per Application Load Balancer", adjustable.
TARGETS_PER_LOAD_BALANCER: Final = 1_000
