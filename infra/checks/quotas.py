"""AWS's quotas against what a stack asks for at its largest.

Each quota stands here once, with its code, its default and its source. A stack states what AWS has
raised under `quotas`; a limit that cannot be raised is checked by the settings themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, cast

from infra import instances
from infra.checks.base import PLATFORM, Findings, Subject
from infra.checks.fleets import registered, running
from infra.errors import Problem
from infra.season import limits
from infra.season.compile import MOST_ACTIONS
from infra.season.season_file import TargetKind
from infra.settings.base import Unsound, sound, sound_figures
from infra.settings.dns import certifiable
from infra.settings.fleet import FleetSettings
from infra.settings.names import requested
from infra.settings.network import NetworkSettings


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


def _vcpus(key: str, families: str, code: str, default: int = 0) -> Quota:
    name = f"Running On-Demand {families} instances"
    return Quota(f"{key}_vcpus", name, default, "ec2", code, by_account=True)


# "Amazon EC2 On-Demand instance quotas" (EC2 instance types guide): vCPUs of running instances, by
# family. A new account has 5 of the standard ones and none of the others.
STANDARD_VCPUS: Final = _vcpus(
    "standard", "Standard (A, C, D, H, I, M, R, T, Z)", "L-1216C47A", default=5
)
DL_VCPUS: Final = _vcpus("dl", "DL", "L-6E869C2A")
F_VCPUS: Final = _vcpus("f", "F", "L-74FC7D96")
G_AND_VT_VCPUS: Final = _vcpus("g_and_vt", "G and VT", "L-DB2E81BA")
HIGH_MEMORY_VCPUS: Final = _vcpus("high_memory", "High Memory", "L-43DA4232")
HPC_VCPUS: Final = _vcpus("hpc", "HPC", "L-F7808C92")
INF_VCPUS: Final = _vcpus("inf", "Inf", "L-1945791B")
P_VCPUS: Final = _vcpus("p", "P", "L-417A185B")
TRN_VCPUS: Final = _vcpus("trn", "Trn", "L-2C3B7624")
X_VCPUS: Final = _vcpus("x", "X", "L-7295265B")
# By the letters that a type begins with; those of Mac run on dedicated hosts, which no stack has.
VCPUS_BY_FAMILY: Final = {
    **dict.fromkeys(("a", "c", "cc", "cr", "d", "h", "hs", "i", "im", "is"), STANDARD_VCPUS),
    **dict.fromkeys(("m", "r", "t", "z"), STANDARD_VCPUS),
    "dl": DL_VCPUS,
    "f": F_VCPUS,
    "g": G_AND_VT_VCPUS,
    "gr": G_AND_VT_VCPUS,
    "hpc": HPC_VCPUS,
    "inf": INF_VCPUS,
    "p": P_VCPUS,
    "trn": TRN_VCPUS,
    "u": HIGH_MEMORY_VCPUS,
    "vt": G_AND_VT_VCPUS,
    "x": X_VCPUS,
}
# "Quotas" (ACM user guide); Service Quotas raises it to 100 at most.
CERTIFICATE_NAMES: Final = Quota(
    "certificate_names", "Domain names per ACM certificate", 10, "acm", "L-FB94F0B0"
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
    DL_VCPUS,
    F_VCPUS,
    G_AND_VT_VCPUS,
    HIGH_MEMORY_VCPUS,
    HPC_VCPUS,
    INF_VCPUS,
    P_VCPUS,
    TRN_VCPUS,
    X_VCPUS,
    CERTIFICATE_NAMES,
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


@dataclass(frozen=True)
class Demand:
    """So much of a quota is asked for, and by which key of the stack's file most of it.

    `region` is where the quota counts; `instead` is what helps without raising it.
    """

    quota: Quota
    needed: int
    where: str
    what: str
    region: str
    instead: str = "lower it"

    @property
    def request(self) -> str:
        """What raises the quota so far."""
        return self.quota.request(self.needed, self.region)

    @property
    def statement(self) -> str:
        """What the stack's file says once it is raised."""
        return f"{PLATFORM}/quotas/{self.quota.key}: {self.needed}"

    def exceeds(self, allowed: int, whose: str) -> Problem:
        """That there is less of it than is asked for."""
        return Problem(
            self.where,
            f"{self.what}, and the quota {self.quota.name!r} is {allowed:,} ({whose})",
            f"{self.instead}, or request the quota: {self.request}; once granted write "
            f"{self.statement}",
        )


def check(subject: Subject) -> Findings:
    """Refuse what exceeds a quota that is known; say what one needs that only the account knows."""
    found = Findings()
    for demand in _demands(subject):
        with suppress(Unsound):
            found += _findings(subject, demand)
    return found + Findings(
        (
            *sound(_too_many_target_groups(subject)),
            *sound(_too_many_connections_a_gateway(subject)),
            *_too_many_actions(subject),
        )
    )


def _findings(subject: Subject, demand: Demand) -> Findings:
    quota = demand.quota
    stated = _stated(subject, quota)
    allowed = quota.default if stated is None else stated
    if demand.needed <= allowed:
        return Findings()
    if quota.by_account and stated is None:
        return _unstated(subject, demand)
    whose = "AWS's default" if stated is None else f"{PLATFORM}/quotas/{quota.key}"
    return Findings((demand.exceeds(allowed, whose),))


def of_account(subject: Subject) -> list[Demand]:
    """What only the account knows whether it has it: the stack's file does not say."""
    return [
        demand
        for demand in _demands(subject)
        if demand.quota.by_account and demand.needed and _stated(subject, demand.quota) is None
    ]


def _stated(subject: Subject, quota: Quota) -> int | None:
    return getattr(subject.settings.platform.quotas, quota.key)


def _unstated(subject: Subject, demand: Demand) -> Findings:
    """A quota that AWS sets for each account, more than a new one has.

    On AWS the account is asked. Locally, a new account's standard vCPUs would refuse every stack;
    of the other families it has none, which is worth an error.
    """
    quota = demand.quota
    if subject.settings.cloud == "aws":
        return Findings()
    if quota.default == 0:
        return Findings((demand.exceeds(0, "a new account's"),))
    return Findings(
        warnings=(
            f"{demand.what}; AWS sets the quota {quota.name!r} for each account (new ones have "
            f"{quota.default}): if yours is lower, {demand.request}; then write "
            f"{demand.statement}",
        )
    )


def _demands(subject: Subject) -> Iterator[Demand]:
    for demands in _DEMANDS:
        yield from sound(demands(subject))


def _targets(subject: Subject) -> Iterator[Demand]:
    region, tiers = subject.region, subject.settings.platform.tiers
    targets_of = sound_figures(tiers, registered)
    largest = max(targets_of, key=lambda name: targets_of[name], default="")
    total, while_replacing = sum(targets_of.values()), "while some are replaced"
    yield Demand(
        TARGETS_PER_LOAD_BALANCER,
        total,
        f"{PLATFORM}/tiers/{largest}/max",
        f"the tiers have {total:,} instances at most, {while_replacing}, all behind one load "
        "balancer",
        region,
    )
    for name, targets in targets_of.items():
        yield Demand(
            TARGETS_PER_TARGET_GROUP,
            targets,
            f"{PLATFORM}/tiers/{name}/max",
            f"{targets:,} instances in one target group, {while_replacing}",
            region,
        )


def _rules(subject: Subject) -> Iterator[Demand]:
    rules = len(subject.settings.platform.tiers)
    yield Demand(
        RULES_PER_LOAD_BALANCER,
        rules,
        f"{PLATFORM}/tiers",
        f"{rules:,} tiers, a listener rule each",
        subject.region,
    )


def _vcpu_demands(subject: Subject) -> Iterator[Demand]:
    """vCPUs of every group at its largest: of its types of a family the largest, since any may be
    what AWS has."""
    region, fleets = subject.region, subject.settings.platform.fleets
    by_quota: dict[Quota, dict[str, int]] = {}
    for key, by_family in sound_figures(fleets, _vcpus_of).items():
        for quota, vcpus in by_family.items():
            by_quota.setdefault(quota, {})[key] = vcpus
    for quota, by_group in by_quota.items():
        vcpus = sum(by_group.values())
        families = quota.name.removeprefix("Running On-Demand ").removesuffix(" instances")
        which = "standard families" if quota is STANDARD_VCPUS else f"the families {families}"
        yield Demand(
            quota,
            vcpus,
            f"{PLATFORM}/{max(by_group, key=lambda key: by_group[key])}/max",
            f"the largest fleet has {vcpus:,} vCPUs of {which}, with what comes before others go, "
            "finishes its requests and is prepared in warm pools",
            region,
        )


def _vcpus_of(group: FleetSettings) -> dict[Quota, int]:
    found: dict[Quota, int] = {}
    for kind in group.instance_types:
        quota = VCPUS_BY_FAMILY.get(_family(kind))
        described = instances.instance_type(kind)
        if quota is not None and described is not None:
            # Of some older types the table does not know how many: one each at least.
            vcpus = running(group) * (described.vcpus or 1)
            found[quota] = max(found.get(quota, 0), vcpus)
    return found


def _certificate_demands(subject: Subject) -> Iterator[Demand]:
    """The names in each certificate that is requested."""
    platform = subject.settings.platform
    names = [name for name in platform.names if certifiable(name)]
    hosts = sound_figures(platform.tiers, lambda tier: len(tier.hosts))
    most = max(hosts, key=lambda name: hosts[name], default="")
    for region in requested(subject.settings).values():
        yield Demand(
            CERTIFICATE_NAMES,
            len(names),
            f"{PLATFORM}/tiers/{most}/hosts",
            f"{len(names)} names are to stand in one certificate of {region}",
            region,
            "take a wildcard such as *.example.org for many, or give certificate_arn",
        )


def _db_instances(subject: Subject) -> Iterator[Demand]:
    replicas = subject.settings.platform.database.replicas.max
    yield Demand(
        DB_INSTANCES,
        replicas + 1,
        f"{PLATFORM}/database/replicas/max",
        f"{replicas} replicas and their writer",
        subject.region,
    )


def _elastic_ips(subject: Subject) -> Iterator[Demand]:
    gateways = _gateways(subject.settings.platform.network)
    yield Demand(
        ELASTIC_IPS,
        gateways,
        f"{PLATFORM}/network/nat",
        f"{gateways} NAT gateways, an Elastic IP address each",
        subject.region,
    )


def _gateways(network: NetworkSettings) -> int:
    return network.zones if network.nat == "zone" else 1


def _database_rules(subject: Subject) -> Iterator[Demand]:
    platform = subject.settings.platform
    clients, proxy = len(platform.groups), platform.database.proxy
    yield Demand(
        RULES_PER_SECURITY_GROUP,
        clients + proxy,
        f"{PLATFORM}/tiers",
        f"{clients:,} tiers and workers, a rule each in the database's security group"
        + (", and one for its proxy" if proxy else ""),
        subject.region,
    )


def _cache_nodes(subject: Subject) -> Iterator[Demand]:
    region, cache = subject.region, subject.settings.platform.cache
    if cache is None:
        return
    nodes = cache.shards * (1 + cache.replicas.max)
    where = f"{PLATFORM}/cache/{'shards' if cache.shards > 1 else 'replicas/max'}"
    what = f"{cache.shards} shards of {1 + cache.replicas.max} nodes are {nodes} cache nodes"
    yield Demand(CACHE_NODES, nodes, where, what, region)
    if cache.cluster_mode:
        yield Demand(CACHE_NODES_PER_CLUSTER, nodes, where, what, region)


def _reserved_capacity(subject: Subject) -> Iterator[Demand]:
    balancer = subject.targets.get("balancer")
    if balancer is None:
        return
    units = int(str(balancer.verdict["peak"]))
    yield Demand(
        RESERVED_CAPACITY_UNITS,
        units,
        "firstbell:season",
        f"the season reserves {units:,} load balancer capacity units",
        subject.region,
    )


_DEMANDS: Final = (
    _targets,
    _rules,
    _vcpu_demands,
    _certificate_demands,
    _db_instances,
    _elastic_ips,
    _database_rules,
    _cache_nodes,
    _reserved_capacity,
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


def _too_many_target_groups(subject: Subject) -> Iterator[Problem]:
    tiers = subject.settings.platform.tiers
    if len(tiers) > MAX_TARGET_GROUPS_PER_LOAD_BALANCER:
        yield Problem(
            f"{PLATFORM}/tiers",
            f"{len(tiers)} tiers, and AWS allows a load balancer "
            f"{MAX_TARGET_GROUPS_PER_LOAD_BALANCER} target groups, which cannot be raised",
            "put tiers that scale alike together, or split the stack",
        )


def _too_many_connections_a_gateway(subject: Subject) -> Iterator[Problem]:
    platform, network = subject.settings.platform, subject.settings.platform.network
    gateways = _gateways(network)
    # Each worker waits for one answer from outside at a time, at worst all from the same service.
    clients = sum(
        sound_figures(platform.tiers, lambda tier: tier.max * tier.workers_per_instance).values()
    )
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
