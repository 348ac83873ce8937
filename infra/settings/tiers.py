"""`tiers`: the web tiers, a mapping by name."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, field_validator

from infra.settings.base import rule
from infra.settings.fleet import FleetSettings, WarmPoolSettings

# Not adjustable. ELB user guide, "Quotas for your Application Load Balancers".
MAX_CONDITION_VALUES_PER_RULE: Final = 5
# What a listener rule takes as host (letters alone after the last dot) and as path. ELB user guide,
# "Condition types for listener rules"; a path that does not begin with a slash or a wildcard would
# never match.
_LABEL: Final = r"(?!-)[A-Za-z0-9*?-]{1,63}(?<!-)"
_HOST: Final = re.compile(rf"(?=.{{1,128}}$)({_LABEL}\.)+[A-Za-z]{{1,63}}")
_PATH: Final = re.compile(r"(?=.{1,128}$)[/*?][A-Za-z0-9_.$/~\"'@:+&*?-]*")
# What matches every path.
_ALL_PATHS: Final = frozenset({"/*", "*"})
# 0 or 30 to 900. ELB user guide, "Target group attributes", slow_start.duration_seconds.
LEAST_SLOW_START_SECONDS: Final = 30


def _is_a_host(value: str) -> str:
    if _HOST.fullmatch(value) is None:
        raise ValueError(
            f"{value!r} is no host that a listener rule takes: letters, digits, hyphens and "
            "wildcards, at most 63 between dots, and after the last dot letters alone; write one "
            "such as "
            "school.example.org, without scheme, port and path"
        )
    return value


def _is_a_path(value: str) -> str:
    if _PATH.fullmatch(value) is None:
        raise ValueError(
            f"{value!r} is no path that a listener rule could match: it begins with / or a "
            "wildcard, and has no spaces or query; write one such as /api/*"
        )
    return value


class TierSettings(FleetSettings):
    """One web tier: a launch template and an Auto Scaling group behind the load balancer."""

    hosts: tuple[Annotated[str, AfterValidator(_is_a_host)], ...] = Field(
        (),
        description="Requests to these hosts are the tier's, wildcards allowed. Exactly one tier "
        "names neither hosts nor paths, and takes the rest.",
    )
    paths: tuple[Annotated[str, AfterValidator(_is_a_path)], ...] = Field(
        (), description="Requests to these paths are the tier's, such as /api/*."
    )
    takes_requests: bool = Field(
        True,
        description="false: the tier comes up and is checked, but only requests that name it in "
        "the header x-firstbell-tier reach it: the first step of moving a tenant.",
    )
    protocol: Literal["HTTPS", "HTTP"] = Field(
        "HTTPS",
        description="Between the load balancer and the instances. HTTP needs an exception from the "
        "controls ELB.21 and ELB.22.",
    )
    port: int = Field(443, ge=1, le=65535, description="On which the instances serve.")
    health_path: str | None = Field(
        None,
        pattern=r"^/[!-~]*$",
        max_length=1024,  # ELB API reference, CreateTargetGroup, HealthCheckPath
        examples=["/health"],
        description="Answered without the database; the application's own where left out.",
    )
    requests_per_target_per_minute: int = Field(
        1200,
        ge=1,
        description="What one instance serves well, measured; above it target tracking adds one.",
    )
    workers_per_instance: int = Field(
        12, ge=1, description="Requests that one instance works on at a time (php-fpm's children)."
    )
    connections_per_worker: int = Field(
        1, ge=0, description="Connections to the database's writer that one worker holds."
    )
    drain_seconds: int = Field(
        60, ge=0, le=3600, description="What an instance that goes has left to finish its requests."
    )
    slow_start_seconds: int = Field(
        30, ge=0, le=900, description="A new instance's share grows over this time; 0 turns it off."
    )
    warm_pool: WarmPoolSettings | None = None

    @property
    def health(self) -> str:
        """The path of the balancer's health checks."""
        if self.health_path is not None:
            return self.health_path
        return "/health" if self.application.kind == "moodle" else "/"

    @field_validator("slow_start_seconds")
    @classmethod
    def _is_long_enough(cls, value: int) -> int:
        if 0 < value < LEAST_SLOW_START_SECONDS:
            raise ValueError(
                f"must be 0 or {LEAST_SLOW_START_SECONDS} to 900, as AWS demands; write one of them"
            )
        return value

    @rule()
    def _fits_a_rule(self) -> None:
        values, most = len(self.hosts) + len(self.paths), MAX_CONDITION_VALUES_PER_RULE
        if values > most:
            raise ValueError(
                f"hosts and paths together have {values} values; AWS allows {most} in a listener "
                "rule; use wildcards"
            )
        if not self.takes_requests and values == most:
            raise ValueError(
                f"hosts and paths together have {values} values; with takes_requests: false the "
                f"rule needs one of the {most} that AWS allows for the header that names the tier; "
                "use wildcards"
            )

    @rule()
    def _says_nothing_twice(self) -> None:
        values = [*(host.lower() for host in self.hosts), *self.paths]
        for value in values:
            if values.count(value) > 1:
                raise ValueError(f"hosts and paths: {value} stands there twice; leave one out")

    @rule()
    def _leaves_something(self) -> None:
        if not self.hosts and (all_of_them := sorted(_ALL_PATHS & set(self.paths))):
            raise ValueError(
                f"paths: {all_of_them[0]} is every request, so that no other tier would get one; "
                "name hosts as well, or leave hosts and paths out of the tier that takes the rest"
            )

    @rule()
    def _pool_fits_the_group(self) -> None:
        pool = self.warm_pool
        if pool is not None and pool.max_prepared > self.max:
            raise ValueError(
                f"warm_pool: max_prepared {pool.max_prepared} is greater than max {self.max}: it "
                "counts the group's own instances too; lower it"
            )

    @rule(spoils="takes_requests")
    def _waits_for_something(self) -> None:
        if not self.takes_requests and not self.hosts and not self.paths:
            raise ValueError(
                "takes_requests: false needs hosts or paths that it will take; add them"
            )

    @property
    def condition_values(self) -> int:
        """How many values its listener rule has; without hosts and paths it takes /*."""
        return max(len(self.hosts) + len(self.paths), 1) + (not self.takes_requests)

    @property
    def rule(self) -> tuple[frozenset[str], frozenset[str]]:
        """What it claims: hosts are alike whatever their case."""
        return frozenset(host.lower() for host in self.hosts), frozenset(self.paths)
