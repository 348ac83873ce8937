"""`database`: the Aurora cluster."""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import Field, model_validator

from infra.settings.base import Settings

DatabaseEngine = Literal["aurora-postgresql", "aurora-mysql"]

# Major versions: AWS applies minor ones by itself; one named here would then be a downgrade.
DEFAULT_ENGINE_VERSION: Final[dict[DatabaseEngine, str]] = {
    "aurora-postgresql": "16",
    "aurora-mysql": "8.0",
}


class ReplicaSettings(Settings):
    """How many Aurora replicas there may be."""

    min: int = Field(1, ge=0, le=15)
    max: int = Field(3, ge=0, le=15)

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is greater than max {self.max}")
        return self


class DatabaseSettings(Settings):
    """The Aurora cluster: one writer, and replicas by schedule and by load."""

    engine: DatabaseEngine = "aurora-postgresql"
    version: str | None = None
    instance_class: str = "db.r6g.large"
    name: str = Field("lms", pattern=r"^[a-z][a-z0-9_]{0,62}$")
    replicas: ReplicaSettings = ReplicaSettings.model_validate({})
    backup_days: int = Field(14, ge=7, le=35)
    deletion_protection: bool = True
    cron_connections: int = Field(
        20, ge=0, description="Connections to the writer that cron and workers hold at most."
    )
    connection_margin: int = Field(
        20, ge=0, description="Connections kept free for people and monitoring."
    )

    @property
    def engine_version(self) -> str:
        return self.version or DEFAULT_ENGINE_VERSION[self.engine]
