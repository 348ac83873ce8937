"""What a stack runs on against what its Region has, and against each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from infra import instances
from infra.errors import Problem
from infra.settings.base import sound
from infra.settings.database import REGIONS_WITHOUT_PROXY
from infra.settings.fleet import DEFAULT_IMAGE, FleetSettings
from infra.settings.platform import PLATFORM

if TYPE_CHECKING:
    from infra.settings.stack import StackSettings


# Where everything is offered that there is.
ANYWHERE: Final = "a Region that nobody knows"


def unknown_hardware(settings: StackSettings) -> Iterator[Problem]:
    """Types and classes that the generated table does not have for the stack's Region."""
    region = settings.region_or(ANYWHERE)
    for key, fleet in settings.platform.fleets.items():
        yield from sound(_unknown_types(key, fleet, region))
    for check in (unknown_class, _unknown_version, _unknown_node_type):
        yield from sound(check(settings))


def _unknown_types(key: str, fleet: FleetSettings, region: str) -> Iterator[Problem]:
    for kind in fleet.instance_types:
        if problem := instances.problem_with_instance_type(kind, region):
            yield Problem(f"{PLATFORM}/{key}/instance_types", problem.what, problem.fix)


def unknown_class(settings: StackSettings) -> Iterator[Problem]:
    """That the table does not have the database's class."""
    database = settings.platform.database
    if problem := instances.problem_with_database_class(
        database.instance_class, database.engine, settings.region_or(ANYWHERE)
    ):
        yield Problem(f"{PLATFORM}/database/instance_class", problem.what, problem.fix)


def _unknown_version(settings: StackSettings) -> Iterator[Problem]:
    database = settings.platform.database
    if problem := instances.problem_with_database_version(database.engine_version, database.engine):
        yield Problem(f"{PLATFORM}/database/version", problem.what, problem.fix)


def _unknown_node_type(settings: StackSettings) -> Iterator[Problem]:
    cache = settings.platform.cache
    if cache and (
        problem := instances.problem_with_cache_node_type(
            cache.node_type, settings.region_or(ANYWHERE)
        )
    ):
        yield Problem(f"{PLATFORM}/cache/node_type", problem.what, problem.fix)


def _unknown_locally(settings: StackSettings) -> Iterator[Problem]:
    """Errors locally; on AWS the table may be older than the Region."""
    if settings.cloud == "local":
        yield from unknown_hardware(settings)


def _nothing_to_run(settings: StackSettings) -> Iterator[Problem]:
    if settings.cloud == "local":
        return
    for key, fleet in settings.platform.fleets.items():
        yield from sound(_installs_nothing(key, fleet))


def _installs_nothing(key: str, fleet: FleetSettings) -> Iterator[Problem]:
    if fleet.installs_nothing:
        yield Problem(
            f"{PLATFORM}/{key}/image",
            "is missing, and a plain Amazon Linux serves nothing",
            "give an image that answers on the health path, or an application that installs one; "
            "otherwise its instances are replaced for ever",
        )


def _of_other_machines(settings: StackSettings) -> Iterator[Problem]:
    for key, fleet in settings.platform.fleets.items():
        yield from sound(_arm_without_image(key, fleet))


def _arm_without_image(key: str, fleet: FleetSettings) -> Iterator[Problem]:
    if fleet.image not in (None, DEFAULT_IMAGE):
        return
    for kind in fleet.instance_types:
        if (described := instances.instance_type(kind)) and described.architecture == "arm64":
            yield Problem(
                f"{PLATFORM}/{key}/instance_types",
                f"{kind} is an Arm machine, and the default image is for x86_64",
                "give an image for it, or another type",
            )


def has_proxies(settings: StackSettings) -> bool:
    """Whether AWS has an RDS Proxy for the stack's database, in its Region."""
    region = settings.region_or(ANYWHERE)
    return region not in REGIONS_WITHOUT_PROXY and settings.platform.database.has_proxies


def _no_proxy_there(settings: StackSettings) -> Iterator[Problem]:
    if settings.platform.database.proxy and settings.region in REGIONS_WITHOUT_PROXY:
        yield Problem(
            f"{PLATFORM}/database/proxy",
            f"{settings.region} has no RDS Proxy",
            "write proxy: false, or take another Region",
        )


CHECKS: Final = (_nothing_to_run, _of_other_machines, _no_proxy_there, _unknown_locally)
