"""Load-balancer capacity: moto has no modify_capacity_reservation, and describes none."""

from __future__ import annotations

from typing import Final

from cli.localcloud.recorded.base import CHANGED, Asked, Recorded, RecordedError, Thing

# Application Load Balancers guide, "Quotas", checked 2026-11-26. Not adjustable per balancer.
MAX_CAPACITY_UNITS: Final = 15_000
# "The minimum capacity that you can reserve is 100 LCU": same guide, "Capacity reservations".
MIN_CAPACITY_UNITS: Final = 100


def _check(asked: Asked, _: Thing | None) -> None:
    capacity = asked.request.get("MinimumLoadBalancerCapacity", {}).get("CapacityUnits")
    reset = asked.request.get("ResetCapacityReservation", False)
    if (capacity is None) != bool(reset):
        raise RecordedError(
            "InvalidConfigurationRequest",
            "give either MinimumLoadBalancerCapacity or ResetCapacityReservation",
        )
    if capacity is not None and not MIN_CAPACITY_UNITS <= capacity <= MAX_CAPACITY_UNITS:
        raise RecordedError(
            "InvalidConfigurationRequest",
            f"the capacity must be between {MIN_CAPACITY_UNITS} and {MAX_CAPACITY_UNITS} units, "
            f"not {capacity}",
        )


RECORDED: Final = (
    Recorded(
        service="elbv2",
        kind="capacity reservation",
        key="LoadBalancerArn",
        create="ModifyCapacityReservation",
        put=True,
        describe="DescribeCapacityReservation",
        made={"LastModifiedTime": CHANGED, "DecreaseRequestsRemaining": 2},
        unset={},
        check=_check,
    ),
)
