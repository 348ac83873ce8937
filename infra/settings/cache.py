"""`cache`: the ElastiCache replication group for sessions and the application's cache."""

from __future__ import annotations

import re
from typing import Final, Literal

from pydantic import Field

from infra.season.limits import MAX_ELASTICACHE_REPLICAS
from infra.settings.base import DEFAULT_MAINTENANCE_WINDOW, MaintenanceWindow, Settings, rule

CacheEngine = Literal["valkey", "redis"]

# Major.minor; AWS applies patches by itself.
DEFAULT_CACHE_VERSION: Final[dict[CacheEngine, str]] = {"valkey": "8.0", "redis": "7.1"}
# The parameter groups' families of the versions offered here: those with users and user groups.
# ElastiCache user guide, "Supported engines and versions" and "Engine-specific parameters".
FAMILIES: Final[dict[CacheEngine, dict[str, str]]] = {
    "valkey": {"7.2": "valkey7", "8.0": "valkey8", "8.1": "valkey8"},
    "redis": {"6.2": "redis6.x", "7.0": "redis7", "7.1": "redis7"},
}
# What Application Auto Scaling may add replicas to, besides cluster mode. ElastiCache user guide,
# "Auto Scaling Valkey and Redis OSS clusters", prerequisites, read 2026-11.
SCALABLE_SIZES: Final = ("large", "xlarge", "2xlarge")
SCALABLE_FAMILIES: Final = (
    "r8g", "r7g", "r6g", "r6gd", "r5", "m8g", "m7g", "m6g", "m5", "c8gn", "c7gn",
)  # fmt: skip


class CacheReplicaSettings(Settings):
    """How many replicas each shard may have."""

    min: int = Field(
        1, ge=1, le=MAX_ELASTICACHE_REPLICAS, description="One at least, to fail over to."
    )
    max: int = Field(
        1,
        ge=1,
        le=MAX_ELASTICACHE_REPLICAS,
        description="The most that schedule and load may ask for; above min it needs cluster_mode.",
    )

    @rule(spoils="min")
    def _bounds_in_order(self) -> None:
        if self.min > self.max:
            raise ValueError(
                f"min {self.min} is greater than max {self.max}; lower min or raise max"
            )


class CacheSettings(Settings):
    """A replication group over several zones, encrypted, with a user of its own."""

    engine: CacheEngine = Field(
        "valkey", description="Valkey costs less; both speak the same protocol."
    )
    version: str | None = Field(None, description="8.0 for valkey, 7.1 for redis.")
    node_type: str = Field("cache.t4g.small", description="Of the primary and of every replica.")
    cluster_mode: bool = Field(
        False,
        description="Shards, and replicas by schedule: the application's client must know it.",
    )
    shards: int = Field(1, ge=1, le=90, description="More than one needs cluster_mode.")
    replicas: CacheReplicaSettings = CacheReplicaSettings.model_validate({})
    eviction: Literal["volatile-lru", "allkeys-lru", "volatile-ttl", "noeviction"] = Field(
        "volatile-lru", description="What goes when memory is full; sessions carry an expiry."
    )
    maintenance_window: MaintenanceWindow = Field(
        DEFAULT_MAINTENANCE_WINDOW,
        description="When AWS may apply patches, node by node; UTC.",
    )
    snapshot_days: int = Field(7, ge=1, le=35, description="How long daily backups are kept.")

    @property
    def engine_version(self) -> str:
        return self.version or DEFAULT_CACHE_VERSION[self.engine]

    @property
    def family(self) -> str:
        """The family of its parameter group."""
        return FAMILIES[self.engine][self.engine_version]

    @property
    def scales(self) -> bool:
        """Whether replicas come and go."""
        return self.replicas.min < self.replicas.max

    @rule(spoils="version")
    def _version_is_the_engines(self) -> None:
        if self.engine_version not in FAMILIES[self.engine]:
            raise ValueError(
                f"version {self.engine_version!r} is no version of {self.engine} that knows users; "
                f"write {', '.join(FAMILIES[self.engine])}"
            )

    @rule()
    def _can_scale(self) -> None:
        if self.shards > 1 and not self.cluster_mode:
            raise ValueError(
                f"shards {self.shards} needs cluster mode; write cluster_mode: true, or shards: 1"
            )
        if not self.scales:
            return
        if not self.cluster_mode:
            raise ValueError(
                f"replicas {self.replicas.min} to {self.replicas.max}: AWS adds and removes "
                "replicas only with cluster mode enabled; write cluster_mode: true (the "
                "application's client must know it), or min = max"
            )
        form = rf"cache\.({'|'.join(SCALABLE_FAMILIES)})\.({'|'.join(SCALABLE_SIZES)})"
        if not re.fullmatch(form, self.node_type):
            raise ValueError(
                f"replicas {self.replicas.min} to {self.replicas.max}: AWS scales no "
                f"{self.node_type}, but sizes {', '.join(SCALABLE_SIZES)} of the families "
                f"{', '.join(SCALABLE_FAMILIES)}; take cache.m7g.large, or min = max"
            )
