"""`tiers`: the web tiers, a mapping by name."""

from __future__ import annotations

import re
from typing import Final, Self

from pydantic import Field, field_validator, model_validator

from infra.settings.base import Settings

# Not adjustable. ELB user guide, "Quotas for your Application Load Balancers".
MAX_CONDITION_VALUES_PER_RULE: Final = 5
# Amazon Linux 2023, kept current by AWS; EC2 resolves it when an instance starts.
DEFAULT_IMAGE: Final = (
    "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
)


class TierSettings(Settings):
    """One web tier: a launch template and an Auto Scaling group behind the load balancer."""

    hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    image: str = DEFAULT_IMAGE
    user_data: str | None = None
    port: int = Field(80, ge=1, le=65535)
    health_path: str = Field("/", pattern=r"^/")
    instance_types: tuple[str, ...] = Field(("m7i.large", "m6i.large", "m5.large"), min_length=1)
    min: int = Field(2, ge=0)
    max: int = Field(10, ge=1)
    boot_minutes: int = Field(4, ge=1, le=60)
    requests_per_target_per_minute: int = Field(1200, ge=1)
    workers_per_instance: int = Field(
        12, ge=1, description="Requests that one instance works on at a time (php-fpm's children)."
    )
    connections_per_worker: int = Field(
        1, ge=0, description="Connections to the database's writer that one worker holds."
    )
    volume_gib: int = Field(30, ge=8, le=16384)

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is greater than max {self.max}")
        if len(self.hosts) + len(self.paths) > MAX_CONDITION_VALUES_PER_RULE:
            raise ValueError(
                f"hosts and paths together have {len(self.hosts) + len(self.paths)} values; AWS "
                f"allows {MAX_CONDITION_VALUES_PER_RULE} in a listener rule; use wildcards"
            )
        return self

    @field_validator("image")
    @classmethod
    def _is_an_image(cls, value: str) -> str:
        if not re.fullmatch(r"ami-[0-9a-f]{8,17}|resolve:ssm:[\w./:-]+", value):
            raise ValueError("must be ami-... or resolve:ssm:PARAMETER")
        return value
