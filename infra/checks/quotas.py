"""AWS's quotas against what a stack asks for at its largest.

Each quota stands here once, with its code, its default and its source. A stack states what AWS has
raised under `quotas`; a limit that cannot be raised is checked by the settings themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, cast

from infra import instances
from infra.checks.base import PLATFORM, Findings, Subject
from infra.errors import Problem
from infra.season import limits
from infra.season.compile import MOST_ACTIONS
from infra.season.season_file import TargetKind


@dataclass(frozen=True)
class Quota:
    """One adjustable quota. `key` is its name under `quotas`; `code` None goes to Support.

    `by_account`: AWS sets it for each account, so that its default says little.
    """

    key: str
    name: str
    default: int
    service: str
    code: str | None
    by_account: bool = False

    def request(self, value: int, region: str) -> str:
        """What raises it."""
        if self.code is None:
            return f'a Support case: raise "{self.name}" in {region} to {value}'
        return (
            f"aws service-quotas request-service-quota-increase --service-code {self.service} "
            f"--quota-code {self.code} --desired-value {value} --region {region}"
        )


# Sources: "Quotas for your Application Load Balancers" (ELB user guide), "Quotas and constraints
# for Amazon Aurora", "Elastic IP addresses" and "Amazon EC2 endpoints and quotas" (AWS General
# Reference), "Amazon VPC quotas", "Quotas for ElastiCache"; codes as `aws service-quotas
# list-aws-default-service-quotas` prints them, read in public copies of that list. Checked
# 2026-11-26.
TARGETS_PER_LOAD_BALANCER: Final = Quota(
    "targets_per_load_balancer",
    "Targets per Application Load Balancer",
    limits.TARGETS_PER_LOAD_BALANCER,
    "elasticloadbalancing",
    "L-7E6692B2",
)
TARGETS_PER_TARGET_GROUP: Final = Quota(
    "targets_per_target_group",
    "Targets per Target Group per Region",
    1_000,
    "elasticloadbalancing",
    "L-A0D0B863",
)
RULES_PER_LOAD_BALANCER: Final = Quota(
    "rules_per_load_balancer",
    "Rules per Application Load Balancer",
    100,
    "elasticloadbalancing",
    "L-7EED9B64",
)
STANDARD_VCPUS: Final = Quota(
    "standard_vcpus",
    "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
    5,
    "ec2",
    "L-1216C47A",
    by_account=True,
)
DB_INSTANCES: Final = Quota("db_instances", "DB instances", 40, "rds", "L-7B6409FD")
ELASTIC_IPS: Final = Quota("elastic_ips", "EC2-VPC Elastic IPs", 5, "ec2", "L-0263D0A3")
RULES_PER_SECURITY_GROUP: Final = Quota(
    "rules_per_security_group",
    "Inbound or outbound rules per security group",
    60,
    "vpc",
    "L-0EA8095F",
)
CACHE_NODES: Final = Quota("cache_nodes", "Nodes per Region", 300, "elasticache", "L-DFE45DF3")
CACHE_NODES_PER_CLUSTER: Final = Quota(
    "cache_nodes_per_cluster",
    "Nodes per cluster (cluster mode enabled)",
    90,
    "elasticache",
    "L-AF354865",
)
# "Reserved Application Load Balancer Capacity Units (LCUs) per Region" is 0 until it is raised.
RESERVED_CAPACITY_UNITS: Final = Quota(
    "reserved_capacity_units",
    "Reserved Application Load Balancer Capacity Units (LCUs) per Region",
    0,
    "elasticloadbalancing",
    None,
)
QUOTAS: Final = (
    TARGETS_PER_LOAD_BALANCER,
    TARGETS_PER_TARGET_GROUP,
    RULES_PER_LOAD_BALANCER,
    STANDARD_VCPUS,
    DB_INSTANCES,
    ELASTIC_IPS,
    RULES_PER_SECURITY_GROUP,
    CACHE_NODES,
    CACHE_NODES_PER_CLUSTER,
    RESERVED_CAPACITY_UNITS,
)
# Not adjustable. ELB user guide, "Quotas for your Application Load Balancers".
MAX_TARGET_GROUPS_PER_LOAD_BALANCER: Final = 100
# Not adjustable. VPC user guide, "NAT gateway basics": simultaneous connections to one destination
# from the one address that each of ours has.
MAX_CONNECTIONS_PER_NAT_DESTINATION: Final = 55_000
STANDARD_FAMILIES: Final = frozenset("acdhimrtz")
# The quotas of the other families' running on-demand vCPUs: 0 in a new account.
OTHER_FAMILIES: Final = {
    "f": ("F", "L-74FC7D96"),
    "g": ("G and VT", "L-DB2E81BA"),
    "inf": ("Inf", "L-1945791B"),
    "p": ("P", "L-417A185B"),
    "trn": ("Trn", "L-2C3B7624"),
    "vt": ("G and VT", "L-DB2E81BA"),
    "x": ("X", "L-7295265B"),
}


@dataclass(frozen=True)
class Demand:
    """So much of a quota is asked for, and by which key of the stack's file most of it."""

    quota: Quota
    needed: int
    where: str
    what: str


def check(subject: Subject) -> Findings:
    """Refuse what exceeds a quota that is known; say what one needs that only the account knows."""
    settings = subject.settings
    found = Findings()
    for demand in _demands(subject):
        quota, region = demand.quota, settings.region
        stated: int | None = getattr(settings.platform.quotas, quota.key)
        allowed = quota.default if stated is None else stated
        if demand.needed <= allowed:
            continue
        request = quota.request(demand.needed, region)
        state = f"{PLATFORM}/quotas/{quota.key}: {demand.needed}"
        if quota.by_account and stated is None:
            found += Findings(
                warnings=(
                    f"{demand.what}; AWS sets the quota {quota.name!r} for each account (new ones "
                    f"have {quota.default}): if yours is lower, {request}; then write {state}",
                )
            )
            continue
        whose = "AWS's default" if stated is None else f"{PLATFORM}/quotas/{quota.key}"
        found += Findings(
            (
                Problem(
                    demand.where,
                    f"{demand.what}, and the quota {quota.name!r} is {allowed:,} ({whose})",
                    f"lower it, or request the quota: {request}; once granted write {state}",
                ),
            )
        )
    return found + Findings(
        (*_fixed_limits(subject), *_too_many_actions(subject)), tuple(_other_families(subject))
    )


def _demands(subject: Subject) -> Iterator[Demand]:
    platform = subject.settings.platform
    tiers = platform.tiers
    largest = max(tiers, key=lambda name: tiers[name].max)
    where = f"{PLATFORM}/tiers/{largest}/max"
    total = sum(tier.max for tier in tiers.values())
    yield Demand(
        TARGETS_PER_LOAD_BALANCER,
        total,
        where,
        f"the tiers have {total:,} instances at most, all behind one load balancer",
    )
    for name, tier in tiers.items():
        yield Demand(
            TARGETS_PER_TARGET_GROUP,
            tier.max,
            f"{PLATFORM}/tiers/{name}/max",
            f"{tier.max:,} instances in one target group",
        )
    rules = len(tiers)
    yield Demand(
        RULES_PER_LOAD_BALANCER,
        rules,
        f"{PLATFORM}/tiers",
        f"{rules:,} tiers, a listener rule each",
    )
    vcpus = _standard_vcpus(subject)
    yield Demand(
        STANDARD_VCPUS, vcpus, where, f"the largest fleet has {vcpus:,} vCPUs of standard families"
    )
    replicas = platform.database.replicas.max
    yield Demand(
        DB_INSTANCES,
        replicas + 1,
        f"{PLATFORM}/database/replicas/max",
        f"{replicas} replicas and their writer",
    )
    network = platform.network
    gateways = network.zones if network.nat == "zone" else 1
    yield Demand(
        ELASTIC_IPS,
        gateways,
        f"{PLATFORM}/network/nat",
        f"{gateways} NAT gateways, an Elastic IP address each",
    )
    clients = len(platform.groups)
    yield Demand(
        RULES_PER_SECURITY_GROUP,
        clients + platform.database.proxy,
        f"{PLATFORM}/tiers",
        f"{clients:,} tiers and workers, a rule each in the database's security group"
        + (", and one for its proxy" if platform.database.proxy else ""),
    )
    cache = platform.cache
    if cache is not None:
        nodes = cache.shards * (1 + cache.replicas.max)
        where = f"{PLATFORM}/cache/{'shards' if cache.shards > 1 else 'replicas/max'}"
        what = f"{cache.shards} shards of {1 + cache.replicas.max} nodes are {nodes} cache nodes"
        yield Demand(CACHE_NODES, nodes, where, what)
        if cache.cluster_mode:
            yield Demand(CACHE_NODES_PER_CLUSTER, nodes, where, what)
    balancer = subject.targets.get("balancer")
    if balancer is not None:
        units = int(str(balancer.verdict["peak"]))
        yield Demand(
            RESERVED_CAPACITY_UNITS,
            units,
            "firstbell:season",
            f"the season reserves {units:,} load balancer capacity units",
        )


def _standard_vcpus(subject: Subject) -> int:
    """vCPUs at every group's max: of its types the largest, since any may be what AWS has."""
    return sum(
        group.max
        * max(
            (
                described.vcpus or 0
                for kind in group.instance_types
                if _family(kind) in STANDARD_FAMILIES
                and (described := instances.instance_type(kind)) is not None
            ),
            default=0,
        )
        for group in subject.settings.platform.groups.values()
    )


def _other_families(subject: Subject) -> Iterator[str]:
    """What a tier of another family needs; only the account knows what it has of it."""
    for key, group in subject.settings.platform.fleets.items():
        for kind in group.instance_types:
            name, code = OTHER_FAMILIES.get(_family(kind), (None, None))
            described = instances.instance_type(kind)
            if name is None or described is None:
                continue
            vcpus = group.max * (described.vcpus or 0)
            quota = Quota(key, f"Running On-Demand {name} instances", 0, "ec2", code)
            yield (
                f"{PLATFORM}/{key}: {group.max:,} {kind} have {vcpus:,} vCPUs, and the quota "
                f"{quota.name!r} is 0 in a new account: if yours is lower, "
                f"{quota.request(vcpus, subject.settings.region)}"
            )


def _too_many_actions(subject: Subject) -> Iterator[Problem]:
    """Scheduled actions that AWS would not take; the planner keeps to it, a file may not."""
    for name, target in subject.targets.items():
        if (most := MOST_ACTIONS.get(cast(TargetKind, target.kind))) is not None and len(
            target.actions
        ) > most:
            yield Problem(
                f"firstbell:season: capacity/{name}",
                f"the plan has {len(target.actions)} scheduled actions, and AWS allows {most} "
                f"for one {target.kind}, which cannot be raised",
                f"run firstbell season plan -s {subject.settings.stack}",
            )


def _family(instance_type: str) -> str:
    """The letter of a type's family: m of m7i.large; whole where it is no single letter."""
    match = re.match(r"[a-z]+", instance_type)
    return match.group() if match else ""


def _fixed_limits(subject: Subject) -> Iterator[Problem]:
    platform = subject.settings.platform
    if len(platform.tiers) > MAX_TARGET_GROUPS_PER_LOAD_BALANCER:
        yield Problem(
            f"{PLATFORM}/tiers",
            f"{len(platform.tiers)} tiers, and AWS allows a load balancer "
            f"{MAX_TARGET_GROUPS_PER_LOAD_BALANCER} target groups, which cannot be raised",
            "put tiers that scale alike together, or split the stack",
        )
    network = platform.network
    gateways = network.zones if network.nat == "zone" else 1
    # Each worker waits for one answer from outside at a time, at worst all from the same service.
    clients = sum(tier.max * tier.workers_per_instance for tier in platform.tiers.values())
    each = -(-clients // gateways)
    if each > MAX_CONNECTIONS_PER_NAT_DESTINATION:
        yield Problem(
            f"{PLATFORM}/network/nat",
            f"{clients:,} workers at the peak behind {gateways} NAT gateways are {each:,} "
            "connections each to one service outside, and AWS allows "
            f"{MAX_CONNECTIONS_PER_NAT_DESTINATION:,}, which cannot be raised",
            "write nat: zone, or lower workers_per_instance or max"
            if network.nat == "single"
            else "lower workers_per_instance or max",
        )
