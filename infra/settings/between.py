"""What is wrong between parts of a stack's file that are each right by themselves.

Each check reads what it needs and is stopped where that is a hole (`partly`); nothing else is left
out with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from infra.errors import Problem
from infra.settings import hardware, names
from infra.settings.base import sound, sound_figures
from infra.settings.platform import ORIGIN_KEYS, PLATFORM
from infra.settings.tiers import MAX_CONDITION_VALUES_PER_RULE

if TYPE_CHECKING:
    from infra.settings.stack import StackSettings

# What a season calls the other parts of the platform: no tier may have such a name.
SEASON_NAMES: Final = frozenset({"database", "cache", "workers", "balancer"})
# Load balancer and target group names take 32 characters; ours are "<stack>-<tier>-" plus 7 random
# ones. ELB API reference, CreateTargetGroup.
MAX_STACK_AND_TIER_NAME: Final = 24


def problems_between_parts(settings: StackSettings) -> Iterator[Problem]:
    """All of it."""
    for check in _CHECKS:
        yield from sound(check(settings))


def _tiers_named_as_the_season_names_others(settings: StackSettings) -> Iterator[Problem]:
    yield from _named_as_others("tiers", settings.platform.tiers)


def _jobs_named_as_the_season_names_others(settings: StackSettings) -> Iterator[Problem]:
    platform = settings.platform
    jobs = platform.workers.jobs if platform.workers else {}
    yield from _named_as_others("workers/jobs", jobs)
    for name in sorted(set(jobs) & set(platform.tiers)):
        yield Problem(
            f"{PLATFORM}/workers/jobs/{name}",
            "a tier has this name, and a season knows both by their names alone",
            "name one otherwise",
        )


def _named_as_others(where: str, named: Mapping[str, object]) -> Iterator[Problem]:
    for name in sorted(SEASON_NAMES & set(named)):
        yield Problem(
            f"{PLATFORM}/{where}/{name}",
            f"{name} is a season's own name for another part of the platform",
            "name it otherwise",
        )


def _not_one_default_tier(settings: StackSettings) -> Iterator[Problem]:
    catch_all = [
        name
        for name, tier in settings.platform.tiers.items()
        # One that takes no requests yet has hosts or paths, or an error of its own.
        if tier.takes_requests and not tier.hosts and not tier.paths
    ]
    if len(catch_all) != 1:
        yield Problem(
            f"{PLATFORM}/tiers",
            "exactly one tier takes what no other claims (no hosts, no paths), not "
            + (f"{len(catch_all)}: {', '.join(catch_all)}" if catch_all else "0"),
            "give hosts or paths to all but one"
            if catch_all
            else "add a tier without hosts and paths, or take them out of one",
        )


def _rules_in_common(settings: StackSettings) -> Iterator[Problem]:
    """Of two tiers with one rule, the lower priority would get nothing."""
    owner: dict[object, str] = {}
    rules = sound_figures(
        settings.platform.tiers, lambda tier: tier.rule if tier.takes_requests else None
    )
    for name, claimed in rules.items():
        if claimed is None or not any(claimed):
            continue
        if (other := owner.setdefault(claimed, name)) != name:
            yield Problem(
                f"{PLATFORM}/tiers/{name}",
                f"claims the same hosts and paths as {other} "
                f"({', '.join(sorted(claimed[0] | claimed[1]))}), and only one of them would get "
                "requests",
                "give it others; to move them, write takes_requests: false in the one that does "
                "not take them yet",
            )


def _no_room_for_the_key(settings: StackSettings) -> Iterator[Problem]:
    """Behind the CDN every listener rule asks for the origin key, the old one or the new."""
    if settings.platform.edge is None:
        return
    most = MAX_CONDITION_VALUES_PER_RULE
    room = most - ORIGIN_KEYS
    values_of = sound_figures(settings.platform.tiers, lambda tier: tier.condition_values)
    for name, values in values_of.items():
        # More than AWS takes at all is the tier's own error.
        if room < values <= most:
            yield Problem(
                f"{PLATFORM}/tiers/{name}",
                f"its rule needs {values} values (hosts, paths, the header of takes_requests: "
                f"false); behind the edge, whose two keys stand in each rule, AWS's {most} leave "
                f"{room}",
                "use wildcards, or another tier",
            )


def _names_too_long(settings: StackSettings) -> Iterator[Problem]:
    for tier in settings.platform.tiers:
        if len(f"{settings.stack}-{tier}") > MAX_STACK_AND_TIER_NAME:
            yield Problem(
                f"{PLATFORM}/tiers/{tier}",
                f"the stack's and the tier's name together have more than "
                f"{MAX_STACK_AND_TIER_NAME - 1} characters; AWS allows 32 in a target group's "
                "name, 8 of which make it unique",
                "shorten one of them",
            )


_CHECKS: Final = (
    *names.CHECKS,
    _tiers_named_as_the_season_names_others,
    _jobs_named_as_the_season_names_others,
    _not_one_default_tier,
    _rules_in_common,
    _no_room_for_the_key,
    _names_too_long,
    *hardware.CHECKS,
)
