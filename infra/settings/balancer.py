"""`balancer`: the Application Load Balancer."""

from __future__ import annotations

from pydantic import Field

from infra.season.limits import MAX_RESERVED_CAPACITY_UNITS, MIN_RESERVED_CAPACITY_UNITS
from infra.settings.base import Settings


class BalancerSettings(Settings):
    """What concerns all tiers: the load balancer before them."""

    access_log_days: int = Field(
        90, ge=1, le=3650, description="How long the load balancer's access logs are kept."
    )
    max_capacity_units: int = Field(
        MAX_RESERVED_CAPACITY_UNITS,
        ge=MIN_RESERVED_CAPACITY_UNITS,
        le=MAX_RESERVED_CAPACITY_UNITS,
        description="The most load balancer capacity units that a season may reserve. AWS grants "
        "none until the quota is raised.",
    )
