"""`database`: the Aurora cluster."""

from __future__ import annotations

import re
from typing import Final, Literal

from pydantic import Field

from infra.season.limits import MAX_AURORA_REPLICAS
from infra.settings.base import (
    DEFAULT_MAINTENANCE_WINDOW,
    MaintenanceWindow,
    RetentionDays,
    Settings,
    rule,
)

DatabaseEngine = Literal["aurora-postgresql", "aurora-mysql"]

# Major versions: AWS applies minor ones by itself; one named here would then be a downgrade.
DEFAULT_ENGINE_VERSION: Final[dict[DatabaseEngine, str]] = {
    "aurora-postgresql": "16",
    "aurora-mysql": "8.0",
}
# How AWS writes the versions of an engine, and an example of each.
_VERSION_FORM: Final[dict[DatabaseEngine, tuple[re.Pattern[str], str]]] = {
    "aurora-postgresql": (re.compile(r"\d{2}(\.\d{1,2})?"), "16 or 16.6"),
    "aurora-mysql": (
        re.compile(r"\d\.\d(\.mysql_aurora\.\d+\.\d+\.\d+)?"),
        "8.0 or 8.0.mysql_aurora.3.08.0",
    ),
}
# Major versions for which RDS Proxy exists. Aurora user guide, "Supported Regions and Aurora DB
# engines for Amazon RDS Proxy", read 2026-11 for the Regions and Aurora MySQL; the majors of
# Aurora PostgreSQL are [M].
PROXY_VERSIONS: Final[dict[DatabaseEngine, tuple[str, ...]]] = {
    "aurora-postgresql": ("12", "13", "14", "15", "16", "17"),
    "aurora-mysql": ("5.7", "8.0"),
}
# The same page: Regions that have no RDS Proxy.
REGIONS_WITHOUT_PROXY: Final = frozenset({"ap-east-2", "ap-southeast-6"})
SERVERLESS: Final = "db.serverless"
# Names that Aurora keeps to itself (CreateDBCluster), and those that an attacker tries first: AWS's
# control RDS.24 wants another than the defaults `admin` and `postgres`.
_REFUSED_USERS: Final = frozenset(
    {"admin", "postgres", "rdsadmin", "postgres_admin", "public", "none", "root"}
)
# Databases that the engine brings.
_TAKEN_DATABASES: Final[dict[DatabaseEngine, frozenset[str]]] = {
    "aurora-postgresql": frozenset({"postgres", "rdsadmin", "template0", "template1"}),
    "aurora-mysql": frozenset(
        {"mysql", "sys", "information_schema", "performance_schema", "rdsadmin"}
    ),
}
# RDS takes no word that the engine reserves (API reference, CreateDBCluster). Those of PostgreSQL
# 16, "SQL Key Words", and those of MySQL 8.0, "Keywords and Reserved Words", that somebody might
# call a database or a user; the whole of MySQL's list is longer.
_POSTGRESQL_WORDS: Final = (
    "all analyse analyze and any array as asc asymmetric both case cast check collate column "
    "constraint create current_catalog current_date current_role current_time "
    "current_timestamp current_user default deferrable desc distinct do else end except false "
    "fetch for foreign from grant group having in initially intersect into lateral leading "
    "limit localtime localtimestamp not null offset on only or order placing primary "
    "references returning select session_user some symmetric system_user table then to "
    "trailing true union unique user using variadic when where window with"
)
_MYSQL_WORDS: Final = (
    "all and as case change check column condition create cross database databases default "
    "delete desc describe distinct drop else exists explain false for from function grant "
    "group groups having in index insert into join key keys lead left like limit load lock "
    "match not null of on or order over primary procedure rank read recursive references "
    "release rename replace right row rows schema schemas select set show system table then "
    "to trigger true union unique update usage use using values when where window with "
    "write"
)
_RESERVED_WORDS: Final[dict[DatabaseEngine, frozenset[str]]] = {
    "aurora-postgresql": frozenset(_POSTGRESQL_WORDS.split()),
    "aurora-mysql": frozenset(_MYSQL_WORDS.split()),
}
# API reference, CreateDBCluster: Aurora MySQL's users have 16 characters at most.
MAX_MYSQL_USER: Final = 16
_PARAMETER: Final = re.compile(r"[a-z][a-z0-9_.]*")
# What the parameter groups set from a setting of its own; `parameters` may not say it again.
OWN_PARAMETERS: Final = frozenset(
    {
        "rds.force_ssl",
        "require_secure_transport",
        "log_min_duration_statement",
        "long_query_time",
        "max_connections",
    }
)


class ReplicaSettings(Settings):
    """How many Aurora replicas there may be."""

    min: int = Field(1, ge=0, le=MAX_AURORA_REPLICAS, description="Replicas that are always there.")
    max: int = Field(
        3, ge=0, le=MAX_AURORA_REPLICAS, description="The most that schedule and load may ask for."
    )

    @rule(spoils="min")
    def _bounds_in_order(self) -> None:
        if self.min > self.max:
            raise ValueError(
                f"min {self.min} is greater than max {self.max}; lower min or raise max"
            )


class DatabaseSettings(Settings):
    """The Aurora cluster: one writer, and replicas by schedule and by load."""

    engine: DatabaseEngine = Field(
        "aurora-postgresql", description="Aurora, with the protocol that the application speaks."
    )
    version: str | None = Field(
        None, description="The major version; AWS applies minor ones by itself. 16 or 8.0."
    )
    instance_class: str = Field("db.r6g.large", description="The writer's and every replica's.")
    name: str = Field(
        "lms",
        pattern=r"^[a-z][a-z0-9_]{0,62}$",
        examples=["my_lms"],
        description="The database that is created.",
    )
    admin_user: str = Field(
        "firstbell",
        pattern=r"^[a-z][a-z0-9_]{0,31}$",
        description="The master user; RDS makes its password, keeps and rotates it.",
    )
    replicas: ReplicaSettings = ReplicaSettings.model_validate({})
    proxy: bool = Field(
        False, description="An RDS Proxy before the writer, for more connections than it can carry."
    )
    max_connections: int | None = Field(
        None,
        ge=10,
        le=16_000,
        description="Left out, the engine reckons it from the class's memory.",
    )
    slow_query_milliseconds: int = Field(
        1000, ge=1, le=3_600_000, description="Statements that take longer are logged."
    )
    parameters: dict[str, str] = Field(
        default_factory=dict[str, str],
        description="More parameters of the cluster's parameter group, such as "
        "rds.logical_replication; they take effect at the next restart.",
    )
    backup_days: int = Field(
        14, ge=7, le=35, description="How far back a point-in-time restore reaches."
    )
    maintenance_window: MaintenanceWindow = Field(
        DEFAULT_MAINTENANCE_WINDOW,
        description="When AWS may apply minor versions and patches, with a failover; UTC.",
    )
    log_days: RetentionDays = Field(90, description="How long the engine's logs are kept.")
    monitoring_seconds: Literal[1, 5, 10, 15, 30, 60] = Field(
        60, description="Interval of enhanced monitoring."
    )
    deletion_protection: bool = Field(
        True,
        description="Cluster, load balancer and log bucket cannot be deleted until it is false and "
        "applied.",
    )
    cron_connections: int = Field(
        20, ge=0, description="Connections to the writer that cron and workers hold at most."
    )
    connection_margin: int = Field(
        20, ge=0, description="Connections kept free for people and monitoring."
    )

    @property
    def engine_version(self) -> str:
        return self.version or DEFAULT_ENGINE_VERSION[self.engine]

    @property
    def major_version(self) -> str:
        """As in the parameter groups' families: 16 of 16.6, 8.0 of 8.0.mysql_aurora.3.08.0."""
        parts = self.engine_version.split(".")
        return parts[0] if self.engine == "aurora-postgresql" else ".".join(parts[:2])

    @rule(spoils="version")
    def _version_is_the_engines(self) -> None:
        form, example = _VERSION_FORM[self.engine]
        if not form.fullmatch(self.engine_version):
            raise ValueError(
                f"version {self.engine_version!r} is no version of {self.engine}; write {example}"
            )

    @property
    def has_proxies(self) -> bool:
        """Whether AWS has an RDS Proxy for the engine's version."""
        return self.major_version in PROXY_VERSIONS[self.engine]

    @rule()
    def _proxy_exists(self) -> None:
        if self.proxy and not self.has_proxies:
            offered = PROXY_VERSIONS[self.engine]
            raise ValueError(
                f"proxy: AWS has no RDS Proxy for {self.engine} {self.major_version}; take version "
                f"{', '.join(offered)}, or proxy: false and fewer connections"
            )

    @rule()
    def _admin_user_is_free(self) -> None:
        if self.admin_user in _REFUSED_USERS:
            raise ValueError(
                f"admin_user {self.admin_user!r} is reserved by the engine or the first name that "
                "an attacker tries; choose another"
            )

    @rule()
    def _names_are_free(self) -> None:
        taken = _TAKEN_DATABASES[self.engine] | _RESERVED_WORDS[self.engine]
        if self.name in taken:
            raise ValueError(
                f"name {self.name!r} is a database or a word of {self.engine} itself, which RDS "
                "refuses; choose another, such as lms"
            )
        if self.admin_user in _RESERVED_WORDS[self.engine]:
            raise ValueError(
                f"admin_user {self.admin_user!r} is a word that {self.engine} reserves, which RDS "
                "refuses; choose another"
            )

    @rule()
    def _admin_user_fits(self) -> None:
        if self.engine == "aurora-mysql" and len(self.admin_user) > MAX_MYSQL_USER:
            raise ValueError(
                f"admin_user {self.admin_user!r} has {len(self.admin_user)} characters, and "
                f"aurora-mysql takes {MAX_MYSQL_USER}; shorten it"
            )

    @rule()
    def _parameters_have_names(self) -> None:
        for name in self.parameters:
            if _PARAMETER.fullmatch(name) is None:
                raise ValueError(
                    f"parameters: {name!r} is no name of a parameter; write it in small letters, "
                    "such as rds.logical_replication"
                )

    @rule()
    def _is_no_serverless(self) -> None:
        if self.instance_class == SERVERLESS:
            raise ValueError(
                f"instance_class: {SERVERLESS} scales by itself within bounds that firstbell has "
                "no setting for, and AWS refuses it without them; take a class such as "
                "db.r6g.large, whose replicas the season schedules"
            )

    @rule()
    def _parameters_are_not_ours(self) -> None:
        if twice := sorted(OWN_PARAMETERS & self.parameters.keys()):
            raise ValueError(
                f"parameters: {', '.join(twice)} comes from a setting of its own "
                "(max_connections, slow_query_milliseconds) or is always on (TLS); leave it out"
            )
