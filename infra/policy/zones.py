"""Whether the subnets that a resource names lie in several zones; for controls of many services."""

from __future__ import annotations

from typing import Final

from infra.policy.base import Fault, Faults, Resource, Stack, UnknownValue, is_unknown

SUBNET: Final = "aws:ec2/subnet:Subnet"


def several_zones(resource: Resource, property_: str, stack: Stack) -> Faults:
    """Faults unless the subnets of a property lie in two zones or more.

    Raises:
        UnknownValue: the subnets are not known yet, and may lie in several zones.
    """
    named = resource.items(property_)
    fix = f"name subnets of at least two Availability Zones in {property_}"
    if len(named) < 2:
        yield Fault(property_, f"{len(named)} subnet(s)", fix)
        return
    subnets = stack.perhaps_named_by(resource, property_, SUBNET)
    zones = sorted({str(subnet.get("availabilityZone")) for subnet in subnets})
    if subnets and len(zones) < 2:
        yield Fault(property_, f"all in {zones[0]}", fix)
        return
    if not subnets or any(is_unknown(value) for value in named):
        raise UnknownValue(property_)
