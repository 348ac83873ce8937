"""How the VPC's block is cut."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from infra.network import SUBNET_TIERS, subnet_block
from infra.settings.network import NetworkSettings


def network(cidr: str, zones: int) -> NetworkSettings:
    return NetworkSettings.model_validate({"cidr": cidr, "zones": zones})


@given(prefix=st.integers(16, 24), third=st.integers(0, 255), zones=st.sampled_from([2, 3]))
def test_subnets_lie_in_the_block_and_do_not_overlap(prefix: int, third: int, zones: int) -> None:
    block = ipaddress.ip_network(f"10.7.{third}.0/{prefix}", strict=False)
    settings = network(str(block), zones)
    subnets = [
        ipaddress.ip_network(subnet_block(settings, tier, zone))
        for tier in SUBNET_TIERS
        for zone in range(zones)
    ]
    assert all(subnet.subnet_of(block) for subnet in subnets)  # pyright: ignore[reportArgumentType] (all are IPv4)
    assert not any(one.overlaps(other) for one in subnets for other in subnets if one is not other)


def test_adding_a_zone_moves_no_subnet() -> None:
    two, three = network("10.20.0.0/16", 2), network("10.20.0.0/16", 3)
    for tier in SUBNET_TIERS:
        assert [subnet_block(two, tier, zone) for zone in range(2)] == [
            subnet_block(three, tier, zone) for zone in range(2)
        ]
