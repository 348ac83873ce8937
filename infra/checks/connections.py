"""Whether the database can hold the connections of every instance at the season's peak.

`sum over tiers of max x workers_per_instance x connections_per_worker + cron_connections +
connection_margin` must not exceed 80 % of the class's `max_connections`; a proxy in between shares
few connections among many clients, and needs no check.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final

from infra import instances
from infra.checks.base import PLATFORM, Findings, Subject
from infra.errors import Problem
from infra.settings import hardware
from infra.settings.base import Unsound, sound_figures
from infra.settings.database import DatabaseEngine

# What may be used of max_connections: the rest is for failover, when the reader's connections
# come to the writer, and for AWS's own.
USABLE: Final = 0.8
# LEAST({DBInstanceClassMemory/9531392}, 5000). Aurora user guide, "Maximum connections to an
# Aurora PostgreSQL DB instance", checked 2026-11-26. DBInstanceClassMemory is a little less than
# the class's memory, since the operating system takes its share first: USABLE covers it.
POSTGRESQL_BYTES_PER_CONNECTION: Final = 9_531_392
POSTGRESQL_MOST_CONNECTIONS: Final = 5_000
# By the size of a memory-optimised class (R, X). Aurora user guide, "Maximum connections to an
# Aurora MySQL DB instance", checked 2026-11-26.
MYSQL_BY_SIZE: Final = {
    "large": 1_000,
    "xlarge": 2_000,
    "2xlarge": 3_000,
    "4xlarge": 4_000,
    "8xlarge": 5_000,
    "12xlarge": 6_000,
    "16xlarge": 6_000,
    "24xlarge": 7_000,
    "32xlarge": 7_000,
}
# The same table's burstable classes.
MYSQL_BURSTABLE_BY_SIZE: Final = {"small": 45, "medium": 90, "large": 135}


def max_connections(instance_class: str, engine: DatabaseEngine) -> int | None:
    """A class's default `max_connections`; None where its memory or size is not known."""
    match = re.fullmatch(r"db\.([a-z]+)\d\w*\.(\w+)", instance_class)
    if match is None:
        return None
    family, size = match.groups()
    if engine == "aurora-mysql":
        return (MYSQL_BURSTABLE_BY_SIZE if family == "t" else MYSQL_BY_SIZE).get(size)
    # A DB instance class has the memory of the EC2 instance type of its name.
    described = instances.instance_type(instance_class.removeprefix("db."))
    if described is None or described.memory_mib is None:
        return None
    memory = described.memory_mib * 1024 * 1024
    return min(memory // POSTGRESQL_BYTES_PER_CONNECTION, POSTGRESQL_MOST_CONNECTIONS)


def check(subject: Subject) -> Findings:
    """Refuse tiers that together open more connections than the database takes; say where it is to
    take more than its class bears."""
    findings = Findings()
    for found in (_too_many, _more_than_the_class):
        with suppress(Unsound):
            findings += found(subject)
    return findings


def _more_than_the_class(subject: Subject) -> Findings:
    database = subject.settings.platform.database
    stated = database.max_connections
    usual = max_connections(database.instance_class, database.engine)
    if stated is None or usual is None or stated <= usual:
        return Findings()
    return Findings(
        warnings=(
            f"{PLATFORM}/database/max_connections: {stated:,} is more than the {usual:,} that AWS "
            f"reckons from the memory of {database.instance_class}, of which each connection takes "
            "some; take a larger class, or watch FreeableMemory",
        )
    )


def _too_many(subject: Subject) -> Findings:
    platform = subject.settings.platform
    database = platform.database
    has_proxies = hardware.has_proxies(subject.settings)
    if database.proxy and has_proxies:
        return Findings()  # the tiers' connections end at the proxy, which queues for the writer's
    by_tier = sound_figures(
        platform.tiers,
        lambda tier: tier.max * tier.workers_per_instance * tier.connections_per_worker,
    )
    needed = sum(by_tier.values()) + database.cron_connections + database.connection_margin
    most = database.max_connections or max_connections(database.instance_class, database.engine)
    if database.max_connections is None and any(hardware.unknown_class(subject.settings)):
        most = None  # what a class takes that there is not
    if most is None:
        return Findings(
            warnings=(
                f"the memory of {database.instance_class} is not known, so that nothing says "
                f"whether it takes the {needed:,} connections of the largest fleet; write "
                f"{PLATFORM}/database/max_connections",
            )
        )
    usable = int(USABLE * most)
    if needed <= usable or not by_tier:
        return Findings()
    largest = max(by_tier, key=lambda name: by_tier[name])
    tier = platform.tiers[largest]
    others = sum(by_tier.values()) - by_tier[largest]
    class_key = f"{PLATFORM}/database/instance_class"
    return Findings(
        (
            Problem(
                f"{PLATFORM}/tiers/{largest}/max",
                f"{tier.max} instances x {tier.workers_per_instance} workers x "
                f"{tier.connections_per_worker} connections"
                + (f" + {others:,} of the other tiers" if others else "")
                + f" + {database.cron_connections} cron + {database.connection_margin} margin = "
                f"{needed:,} connections, and {database.engine} on {database.instance_class} "
                f"takes {most:,}, of which {USABLE:.0%} ({usable:,}) may be used",
                f"lower max or workers_per_instance, take a larger {class_key}, or write "
                f"{PLATFORM}/database/proxy: true"
                if has_proxies
                else f"lower max or workers_per_instance, or take a larger {class_key}",
            ),
        )
    )
