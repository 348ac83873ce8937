"""What web tiers and workers have in common: instances, their image and how they are replaced."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

from pydantic import Field, field_validator

from infra.settings.applications import Application, GenericApplication
from infra.settings.base import Settings, rule

# Amazon Linux 2023, kept current by AWS; EC2 resolves it when an instance starts.
DEFAULT_IMAGE: Final = (
    "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
)
# Debian 12, for applications that install themselves from its packages.
DEBIAN_IMAGE: Final = "resolve:ssm:/aws/service/debian/release/12/latest/amd64"
# One day to 365. EC2 Auto Scaling API reference, CreateAutoScalingGroup, MaxInstanceLifetime.
MAX_LIFETIME_DAYS: Final = 365


class RefreshSettings(Settings):
    """How instances are replaced when their launch template changes: a few at a time."""

    min_healthy_percent: int = Field(
        100, ge=0, le=100, description="Of the desired instances, how many serve at any time."
    )
    max_healthy_percent: int = Field(
        110, ge=100, le=200, description="Above 100, new instances come before old ones go."
    )

    @rule()
    def _can_move(self) -> None:
        # StartInstanceRefresh takes a difference of at most 100; at 100 and 100 one comes first.
        if self.max_healthy_percent - self.min_healthy_percent > 100:
            raise ValueError(
                f"min_healthy_percent {self.min_healthy_percent} and max_healthy_percent "
                f"{self.max_healthy_percent} are more than 100 apart, which AWS refuses; "
                "raise min_healthy_percent or lower the other"
            )


class WarmPoolSettings(Settings):
    """Instances that have booted already and wait, stopped, for the group to need them.

    `max_prepared` caps group and pool together: without it AWS keeps as many instances as the
    group's maximum allows, and a scheduled maximum would grow the pool.
    """

    min: int = Field(0, ge=0, description="Instances that always wait in the pool.")
    max_prepared: int = Field(
        ge=1,
        examples=[4],
        description="The most instances of group and pool together that are kept prepared.",
    )
    state: Literal["Stopped", "Running"] = Field(
        "Stopped", description="How they wait; stopped ones cost their disks alone."
    )
    reuse_on_scale_in: bool = Field(
        False, description="Instances that the group gives up go back to the pool."
    )

    @rule()
    def _bounds_in_order(self) -> None:
        if self.min > self.max_prepared:
            raise ValueError(
                f"min {self.min} is greater than max_prepared {self.max_prepared}; lower min"
            )


class FleetSettings(Settings):
    """One Auto Scaling group and the launch template of its instances."""

    application: Application = Field(
        GenericApplication.model_validate({}), description="What the instances run, by its kind."
    )
    image: str | None = Field(
        None, description="Amazon Linux 2023, or what the application needs, where left out."
    )
    instance_types: tuple[str, ...] = Field(
        ("m7i.large", "m6i.large", "m5.large"),
        min_length=1,
        description="The first that AWS has is taken; they should serve alike.",
    )
    min: int = Field(2, ge=0, description="Instances that always run; a season moves above it.")
    max: int = Field(10, ge=1, description="The most that schedule and load may start.")
    boot_minutes: int = Field(
        4,
        ge=1,
        le=60,
        description="From launch to the first answer, measured: what schedule, warm-up and health "
        "checks reckon with.",
    )
    root_device: str = Field(
        "/dev/xvda",
        pattern=r"^/dev/[a-z]+[0-9]*$",
        description="What the image calls its root disk, so that it is encrypted and of that size: "
        "/dev/xvda on Amazon Linux and Debian, /dev/sda1 on Ubuntu, Red Hat and Windows.",
    )
    volume_gib: int = Field(
        30, ge=8, le=16384, description="The root disk of an instance: gp3, encrypted."
    )
    max_lifetime_days: int = Field(
        30,
        ge=1,
        le=MAX_LIFETIME_DAYS,
        description="No instance gets older: what leaked goes, patches of the image come.",
    )
    refresh: RefreshSettings = RefreshSettings.model_validate({})

    @rule(spoils="min")
    def _bounds_in_order(self) -> None:
        if self.min > self.max:
            raise ValueError(
                f"min {self.min} is greater than max {self.max}; lower min or raise max"
            )

    @rule()
    def _types_differ(self) -> None:
        for kind in self.instance_types:
            if self.instance_types.count(kind) > 1:
                raise ValueError(f"instance_types: {kind} stands there twice; leave one out")

    @field_validator("application", mode="before")
    @classmethod
    def _names_its_kind(cls, value: Any) -> Any:
        """`application: generic` is short for a mapping with that kind."""
        return {"kind": value} if isinstance(value, str) else value

    @field_validator("image")
    @classmethod
    def _is_an_image(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(
            r"ami-([0-9a-f]{8}|[0-9a-f]{17})|resolve:ssm:[\w./:-]+", value
        ):
            raise ValueError(
                "must be an image's id, ami- and 17 digits and letters a to f, or a parameter that "
                "holds one; write one such as ami-0123456789abcdef0 or resolve:ssm:PARAMETER"
            )
        return value

    @property
    def image_id(self) -> str:
        """What launch templates take for an image."""
        return self.image or (DEBIAN_IMAGE if self.application.kind == "moodle" else DEFAULT_IMAGE)

    @property
    def installs_nothing(self) -> bool:
        """Whether the instances would be plain Amazon Linux, which serves nothing."""
        application = self.application
        return (
            self.image in (None, DEFAULT_IMAGE)
            and application.kind == "generic"
            and application.cloud_init is None
        )
