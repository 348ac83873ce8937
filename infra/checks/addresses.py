"""Whether each subnet has an address for everything in it at the season's peak."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
from typing import Final

from infra.checks.base import PLATFORM, Findings, Subject
from infra.checks.fleets import draining, kept_in_the_pool, more_while_replacing
from infra.errors import Problem
from infra.settings.base import sound, sound_figures
from infra.settings.network import (
    LARGEST_BLOCK_PREFIX,
    RESERVED_PER_SUBNET,
    NetworkSettings,
)
from infra.settings.platform import PlatformSettings
from infra.settings.stack import StackSettings

# What a load balancer must find free to scale, beside its nodes. ELB user guide, "Subnets for your
# load balancer".
BALANCER_ADDRESSES: Final = 8
# What a proxy wants free for each instance of its cluster, by the instance's size; smaller ones as
# xlarge. It takes no more than 215 in all. Aurora user guide, "Planning for IP address capacity",
# checked 2026-11-27.
PROXY_ADDRESSES_BY_SIZE: Final = {
    "2xlarge": 15,
    "4xlarge": 25,
    "8xlarge": 45,
    "12xlarge": 60,
    "16xlarge": 75,
    "24xlarge": 110,
}
PROXY_ADDRESSES: Final = 10
PROXY_MOST_ADDRESSES: Final = 215
# Private to a provider, and taken for VPCs too: RFC 6598.
_SHARED: Final = IPv4Network("100.64.0.0/10")


@dataclass(frozen=True)
class Need:
    """Addresses that the fullest subnet of a row needs for one thing."""

    addresses: int
    what: str


def check(subject: Subject) -> Findings:
    """Refuse a network whose subnets are too small for what they hold at most."""
    settings = subject.settings
    platform, network = settings.platform, settings.platform.network
    free = 2 ** (32 - network.subnet_prefix) - RESERVED_PER_SUBNET
    rows = {
        "public": _public(),
        "application": _application(settings),
        "data": _data(platform),
    }
    found: list[Problem] = []
    for row, needs in rows.items():
        listed = [need for need in sound(needs) if need.addresses]
        total = sum(need.addresses for need in listed)
        if total <= free:
            continue
        of_what = ", ".join(f"{need.addresses} for {need.what}" for need in listed)
        found.append(
            Problem(
                f"{PLATFORM}/network/cidr",
                f"{network.cidr} makes {row} subnets of /{network.subnet_prefix}, {free} addresses "
                f"each, and {total} are needed at the peak: {of_what}",
                _fix(network, total),
            )
        )
    return Findings(tuple(found), tuple(sound(_public_block(network))))


def _public_block(network: NetworkSettings) -> Iterator[str]:
    if not ip_network(network.cidr).is_private and not _SHARED.supernet_of(
        IPv4Network(network.cidr)
    ):
        yield (
            f"{PLATFORM}/network/cidr: {network.cidr} belongs to somebody on the internet, whom no "
            "instance could reach then; AWS recommends a private block, such as 10.20.0.0/16"
        )


def _fix(network: NetworkSettings, needed: int) -> str:
    lower = "lower what the tiers may grow to; no quota helps"
    if ip_network(network.cidr).prefixlen == LARGEST_BLOCK_PREFIX:
        return f"{lower}, and AWS takes no larger block"
    return f"take a larger block, such as a /{network.block_prefix_for(needed)}, or {lower}"


def _public() -> Iterator[Need]:
    yield Need(1, "a node of the load balancer")
    yield Need(BALANCER_ADDRESSES, "it to scale")
    yield Need(1, "a NAT gateway")


def _application(settings: StackSettings) -> Iterator[Need]:
    network, groups = settings.platform.network, settings.platform.groups
    zones = network.zones
    total = sum(sound_figures(groups, lambda group: group.max).values())
    yield Need(_share(total, zones), f"{total:,} instances over {zones} zones")
    replacing = sum(sound_figures(groups, more_while_replacing).values())
    yield Need(_share(replacing, zones), f"{replacing:,} more while instances are replaced")
    leaving = sum(sound_figures(groups, draining).values())
    yield Need(_share(leaving, zones), f"{leaving:,} that finish their requests meanwhile")
    waiting = sum(sound_figures(groups, kept_in_the_pool).values())
    yield Need(_share(waiting, zones), f"{waiting:,} more that warm pools always keep")
    endpoints = len(network.interface_endpoints(settings.region))
    yield Need(endpoints, "interface endpoints")


def _data(platform: PlatformSettings) -> Iterator[Need]:
    zones, database, cache = platform.network.zones, platform.database, platform.cache
    instances = database.replicas.max + 1
    yield Need(_share(instances, zones), f"{instances} DB instances over {zones} zones")
    if database.proxy:
        size = database.instance_class.rsplit(".", 1)[-1]
        each = PROXY_ADDRESSES_BY_SIZE.get(size, PROXY_ADDRESSES)
        proxy = min(each * instances, PROXY_MOST_ADDRESSES)
        yield Need(_share(proxy, zones), f"RDS Proxy, {each} for each of its DB instances")
    if cache is not None:
        nodes = cache.shards * (1 + cache.replicas.max)
        yield Need(_share(nodes, zones), f"{nodes} cache nodes over {zones} zones")
    if platform.files is not None:
        yield Need(1, "a mount target")


def _share(things: int, zones: int) -> int:
    """How many the fullest of the zones has."""
    return -(-things // zones)
