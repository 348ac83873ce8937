"""What the parameter groups of the database say, by engine: pure, so that a check can read it too.

Cluster parameters hold for every instance; instance parameters are those that AWS keeps apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from infra.settings.database import DatabaseSettings

Applied = Literal["immediate", "pending-reboot"]


@dataclass(frozen=True)
class Parameter:
    """One parameter; static ones need a restart (`pending-reboot`)."""

    name: str
    value: str
    applied: Applied = "immediate"


# Logins, changes of rights and of tables: what an audit asks for, without every page view.
_AUDITED: Final = "CONNECT,QUERY_DCL,QUERY_DDL"


def cluster_parameters(settings: DatabaseSettings) -> list[Parameter]:
    """TLS only, slow statements logged, statements counted, and what the stack file adds."""
    slow = settings.slow_query_milliseconds
    match settings.engine:
        case "aurora-postgresql":
            found = [
                Parameter("rds.force_ssl", "1"),
                Parameter("shared_preload_libraries", "pg_stat_statements", "pending-reboot"),
                Parameter("log_min_duration_statement", str(slow)),
            ]
        case "aurora-mysql":
            found = [
                Parameter("require_secure_transport", "ON"),
                Parameter("slow_query_log", "1"),
                Parameter("long_query_time", f"{slow / 1000:g}"),
                Parameter("server_audit_logging", "1"),
                Parameter("server_audit_events", _AUDITED),
            ]
    if settings.max_connections is not None:
        found.append(Parameter("max_connections", str(settings.max_connections), "pending-reboot"))
    given = settings.parameters
    found = [parameter for parameter in found if parameter.name not in given]
    return found + [Parameter(name, given[name], "pending-reboot") for name in sorted(given)]


def instance_parameters(settings: DatabaseSettings) -> list[Parameter]:
    """Who waits for a lock, and how long reading from storage takes."""
    match settings.engine:
        case "aurora-postgresql":
            return [Parameter("log_lock_waits", "1"), Parameter("track_io_timing", "1")]
        case "aurora-mysql":
            return [Parameter("innodb_print_all_deadlocks", "1")]


def family(settings: DatabaseSettings) -> str:
    """The family of the parameter groups: aurora-postgresql16, aurora-mysql8.0."""
    return f"{settings.engine}{settings.major_version}"


def has_performance_insights(settings: DatabaseSettings) -> bool:
    """Aurora MySQL has none on the burstable classes.

    Aurora user guide, "Amazon Aurora DB engine, Region, and instance class support for Performance
    Insights" [M].
    """
    return not (settings.engine == "aurora-mysql" and settings.instance_class.startswith("db.t"))
