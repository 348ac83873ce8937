"""`balancer`: the Application Load Balancer."""

from __future__ import annotations

from pydantic import Field

from infra.settings.base import Settings


class BalancerSettings(Settings):
    """What concerns all tiers: the load balancer before them."""

    access_log_days: int = Field(
        90, ge=1, le=3650, description="How long the load balancer's access logs are kept."
    )
