"""How many instances of a group there are at once, at most.

More than its `max`: new ones come before old ones go, those that go finish their requests, and a
warm pool prepares others meanwhile.
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


def draining(group: FleetSettings) -> int:
    """Old instances of a refresh that finish their requests while the next are replaced already.

    They are no more of the group, so that AWS goes on at once; but they run, have an address and
    are listed in the target group for the deregistration delay. As many go at a time as came
    before, or as MinHealthyPercentage lets go, and the next only once new ones have booted. EC2
    Auto Scaling user guide, "How an instance refresh works".
    """
    if not isinstance(group, TierSettings):
        return 0
    refresh = group.refresh
    at_a_time = max(refresh.max_healthy_percent - 100, 100 - refresh.min_healthy_percent)
    batch = max(1, -(-group.max * at_a_time // 100))
    return min(group.max, batch * -(-group.drain_seconds // (60 * group.boot_minutes)))


def kept_in_the_pool(group: FleetSettings) -> int:
    """What a warm pool keeps beside a group at its maximum; stopped, they keep their address."""
    pool = group.warm_pool if isinstance(group, TierSettings) else None
    return 0 if pool is None else pool.min


def registered(group: FleetSettings) -> int:
    """Targets of its target group at most; those in a warm pool are none."""
    return group.max + more_while_replacing(group) + draining(group)


def running(group: FleetSettings) -> int:
    """Instances that EC2 counts against its quotas at most.

    It counts those that are pending and running. One of a warm pool runs while it is prepared,
    whatever the state in which it then waits: when the group has just taken the last of them, the
    next are prepared beside a full group. EC2 Auto Scaling user guide, "Warm pools".
    """
    return registered(group) + kept_in_the_pool(group)
