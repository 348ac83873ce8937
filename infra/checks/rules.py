"""Tiers that claim the same requests in part, as while a tenant moves from one to another."""

from __future__ import annotations

from itertools import combinations

from infra.checks.base import PLATFORM, Findings, Subject
from infra.settings.tiers import TierSettings


def check(subject: Subject) -> Findings:
    """Warn of each pair: only one of them gets the requests that both claim.

    Two tiers with the whole rule in common are an error of the stack's file.
    """
    tiers = {n: t for n, t in subject.settings.platform.tiers.items() if t.takes_requests}
    return Findings(
        warnings=tuple(
            f"{PLATFORM}/tiers/{one} and tiers/{other} both claim {', '.join(sorted(common))}: "
            "only one of them gets those requests; take them out of the other when the move is over"
            for one, other in combinations(tiers, 2)
            if (common := _common(tiers[one], tiers[other]))
        )
    )


def _common(one: TierSettings, other: TierSettings) -> frozenset[str]:
    """Hosts, or paths where neither names a host, that rules of the same kind have in common."""
    (hosts, paths), (other_hosts, other_paths) = one.rule, other.rule
    if bool(hosts) != bool(other_hosts) or bool(paths) != bool(other_paths):
        return frozenset()  # the more special rule comes first
    if not hosts:
        return paths & other_paths
    if paths and not paths & other_paths:
        return frozenset()
    return hosts & other_hosts
