"""How many instances of a group there are at once, at most.

More than its `max`: new ones come before old ones go, and a warm pool prepares others meanwhile.
"""

from __future__ import annotations

from infra.settings.fleet import FleetSettings
from infra.settings.tiers import TierSettings


def more_while_replacing(group: FleetSettings) -> int:
    """New instances that come before old ones go: in a refresh, or when AWS evens out the zones.

    In a refresh as many as MaxHealthyPercentage allows; for the zones AWS takes 10 % or one, over
    the group's maximum. EC2 Auto Scaling user guide, "How an instance refresh works" and
    "Availability Zones".
    """
    more = group.max * (group.refresh.max_healthy_percent - 100)
    return max(1, -(-more // 100), -(-group.max // 10))


def kept_in_the_pool(group: FleetSettings) -> int:
    """What a warm pool keeps beside a group at its maximum; stopped, they keep their address."""
    pool = group.warm_pool if isinstance(group, TierSettings) else None
    return 0 if pool is None else pool.min


def registered(group: FleetSettings) -> int:
    """Targets of its target group at most; those in a warm pool are none."""
    return group.max + more_while_replacing(group)


def running(group: FleetSettings) -> int:
    """Instances that EC2 counts against its quotas at most.

    It counts those that are pending and running. One of a warm pool runs while it is prepared,
    whatever the state in which it then waits: when the group has just taken the last of them, the
    next are prepared beside a full group. EC2 Auto Scaling user guide, "Warm pools".
    """
    return registered(group) + kept_in_the_pool(group)
