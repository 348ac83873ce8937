"""Whether each subnet has an address for everything in it at the season's peak."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from infra.checks.base import PLATFORM, Findings, Subject
from infra.errors import Problem
from infra.settings.network import RESERVED_PER_SUBNET

# What a load balancer must find free to scale. ELB user guide, "Subnets for your load balancer".
BALANCER_ADDRESSES: Final = 8


def check(subject: Subject) -> Findings:
    """Refuse a network whose subnets are too small for what they hold at most."""
    network = subject.settings.platform.network
    free = 2 ** (32 - network.subnet_prefix) - RESERVED_PER_SUBNET
    return Findings(
        tuple(
            Problem(
                f"{PLATFORM}/network/cidr",
                f"{network.cidr} makes {row} subnets of /{network.subnet_prefix}, {free} addresses "
                f"each, and {needed} are needed at the peak: {of_what}",
                f"take a larger block, such as a /{network.block_prefix_for(needed)}, or lower "
                "what the tiers may grow to",
            )
            for row, needed, of_what in _needs(subject)
            if needed > free
        )
    )


def _needs(subject: Subject) -> Iterator[tuple[str, int, str]]:
    """Addresses that the fullest subnet of each row needs, and what for."""
    platform = subject.settings.platform
    zones = platform.network.zones
    yield (
        "public",
        BALANCER_ADDRESSES + 1,
        f"{BALANCER_ADDRESSES} for the load balancer to scale, 1 for a NAT gateway",
    )
    total = sum(group.max for group in platform.groups.values())
    each = _share(total, zones)
    yield "application", each, f"{total:,} instances over {zones} zones"
    databases = platform.database.replicas.max + 1
    needed, purpose = _share(databases, zones), f"{databases} DB instances"
    if platform.cache is not None:
        nodes = platform.cache.shards * (1 + platform.cache.replicas.max)
        needed, purpose = needed + _share(nodes, zones), f"{purpose} and {nodes} cache nodes"
    if platform.files is not None:
        needed, purpose = needed + 1, f"{purpose} and a mount target each"
    yield "data", needed, f"{purpose} over {zones} zones"


def _share(things: int, zones: int) -> int:
    """How many the fullest of the zones has."""
    return -(-things // zones)
