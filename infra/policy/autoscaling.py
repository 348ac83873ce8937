"""Controls of EC2 Auto Scaling groups."""

from __future__ import annotations

from typing import Final

from infra.policy.base import (
    Control,
    Fault,
    Faults,
    Resource,
    ResourceControl,
    Stack,
    StackControl,
)
from infra.policy.zones import several_zones

GROUP: Final = "aws:autoscaling/group:Group"
_OVERRIDES: Final = "mixedInstancesPolicy.launchTemplate.overrides"


def _checked_by_the_balancer(group: Resource) -> Faults:
    behind = [
        key
        for key in ("targetGroupArns", "loadBalancers", "trafficSources")
        if group.properties.get(key)
    ]
    kind = group.get("healthCheckType")
    if behind and kind != "ELB":
        yield Fault("healthCheckType", kind, "set it to ELB: the group is behind a load balancer")


def _in_several_zones(group: Resource, stack: Stack) -> Faults:
    yield from several_zones(group, "vpcZoneIdentifiers", stack)


def _of_several_types(group: Resource) -> Faults:
    kinds: set[str] = set()
    for number in range(len(group.items(_OVERRIDES))):
        if group.get(f"{_OVERRIDES}.{number}.instanceRequirements") is not None:
            return
        kinds.add(str(group.get(f"{_OVERRIDES}.{number}.instanceType")))
    if len(kinds) < 2:
        yield Fault(
            _OVERRIDES,
            ", ".join(sorted(kinds)) or None,
            "name at least two instance types (instance_types of the tier)",
        )


def _from_a_launch_template(group: Resource) -> Faults:
    if group.get("launchConfiguration") is not None:
        yield Fault(
            "launchConfiguration",
            group.get("launchConfiguration"),
            "use a launch template",
        )
    elif (
        group.properties.get("launchTemplate") is None
        and group.properties.get("mixedInstancesPolicy") is None
    ):
        yield Fault("launchTemplate", None, "use a launch template")


CONTROLS: Final[tuple[Control, ...]] = (
    ResourceControl(
        "AutoScaling.1",
        "Amazon EC2 Auto Scaling groups associated with a load balancer should use ELB health "
        "checks",
        (GROUP,),
        _checked_by_the_balancer,
    ),
    StackControl(
        "AutoScaling.2",
        "Amazon EC2 Auto Scaling group should cover multiple Availability Zones",
        (GROUP,),
        _in_several_zones,
    ),
    ResourceControl(
        "AutoScaling.6",
        "Amazon EC2 Auto Scaling groups should use multiple instance types in multiple "
        "Availability Zones",
        (GROUP,),
        _of_several_types,
    ),
    ResourceControl(
        "AutoScaling.9",
        "Amazon EC2 Auto Scaling groups should use Amazon EC2 launch templates",
        (GROUP,),
        _from_a_launch_template,
    ),
)
