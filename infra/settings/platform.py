"""Everything under `firstbell:platform`: one field a part of the platform."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import Field

from infra.errors import Problem
from infra.settings.account import AccountSettings
from infra.settings.backup import BackupSettings
from infra.settings.balancer import BalancerSettings
from infra.settings.base import HOST, Name, Settings
from infra.settings.cache import CacheSettings
from infra.settings.database import DatabaseSettings
from infra.settings.dns import DnsSettings
from infra.settings.edge import EdgeSettings
from infra.settings.files import FilesSettings
from infra.settings.firewall import FirewallSettings
from infra.settings.fleet import FleetSettings
from infra.settings.network import NetworkSettings
from infra.settings.observability import ObservabilitySettings
from infra.settings.quotas import QuotaSettings
from infra.settings.tiers import MAX_CONDITION_VALUES_PER_RULE, TierSettings
from infra.settings.workers import WorkerSettings

PLATFORM: Final = "firstbell:platform"
# What a season calls the other parts of the platform: no tier may have such a name.
SEASON_NAMES: Final = frozenset({"database", "cache", "workers", "balancer"})

# Values of the origin key that are valid at a time.
ORIGIN_KEYS: Final = 2
# Moodle's session cookie as long as `sessioncookie` is not set. Moodle, config-dist.php.
MOODLE_COOKIE: Final = "MoodleSession"


class PlatformSettings(Settings):
    """Everything under `firstbell:platform`."""

    domain: str = Field(
        pattern=HOST,
        examples=["lms.example.org"],
        description="The site's name, which the certificate is for.",
    )
    certificate_arn: str | None = Field(
        None,
        pattern=r"^arn:aws[\w-]*:acm:",
        examples=["arn:aws:acm:REGION:ACCOUNT:certificate/ID"],
        description="An issued certificate for the domain and the tiers' hosts, in the stack's "
        "Region. Where it is left out one is requested; AWS needs dns then, to validate it.",
    )
    owner: str = Field(
        "platform",
        pattern=r"^[\w .:/=+@-]+$",
        max_length=256,
        examples=["platform-team"],
        description="The tag `owner` of every resource, of what every service of AWS takes in one.",
    )
    account: AccountSettings = AccountSettings.model_validate({})
    network: NetworkSettings = NetworkSettings.model_validate({})
    dns: DnsSettings | None = None
    edge: EdgeSettings | None = None
    firewall: FirewallSettings = FirewallSettings.model_validate({})
    balancer: BalancerSettings = BalancerSettings.model_validate({})
    tiers: dict[Name, TierSettings] = Field(
        default_factory=lambda: {"web": TierSettings.model_validate({})}, min_length=1
    )
    workers: WorkerSettings | None = None
    database: DatabaseSettings = DatabaseSettings.model_validate({})
    cache: CacheSettings | None = None
    files: FilesSettings | None = None
    backup: BackupSettings = BackupSettings.model_validate({})
    observability: ObservabilitySettings = ObservabilitySettings.model_validate({})
    quotas: QuotaSettings = QuotaSettings.model_validate({})

    @property
    def names(self) -> tuple[str, ...]:
        """The site's names: the domain, then the tiers' hosts."""
        hosts = (host.lower() for tier in self.tiers.values() for host in tier.hosts)
        return tuple(dict.fromkeys((self.domain, *hosts)))

    @property
    def closed_origin(self) -> bool:
        """Whether the load balancer takes requests from the CDN alone."""
        return self.edge is not None and not self.edge.serve_direct

    @property
    def default_root_object(self) -> str:
        """What the bare address asks for behind the CDN."""
        given = self.edge and self.edge.default_root_object
        return given or ("index.php" if self._runs_moodle else "index.html")

    @property
    def _runs_moodle(self) -> bool:
        return any(tier.application.kind == "moodle" for tier in self.tiers.values())

    @property
    def session_cookie(self) -> str | None:
        """The cookie that tells sessions apart, where it is known."""
        if self.firewall.session_cookie is not None:
            return self.firewall.session_cookie
        return MOODLE_COOKIE if self._runs_moodle else None

    @property
    def fleets(self) -> dict[str, FleetSettings]:
        """Everything that runs on instances, by its path below `firstbell:platform`."""
        found: dict[str, FleetSettings] = {f"tiers/{name}": t for name, t in self.tiers.items()}
        if self.workers is not None:
            found["workers"] = self.workers
            found |= {f"workers/jobs/{name}": job for name, job in self.workers.jobs.items()}
        return found

    @property
    def groups(self) -> dict[str, FleetSettings]:
        """Every Auto Scaling group by its season name."""
        return {**self.tiers, **(self.workers.groups if self.workers else {})}


def problems_between_parts(
    platform: PlatformSettings, *, with_all_tiers: bool = True
) -> Iterator[Problem]:
    """What is wrong between parts that are right by themselves, all of it.

    `with_all_tiers` is False where tiers with errors were left out, so that nobody knows whether
    one takes what no other claims.
    """
    yield from _names_of_the_season(platform)
    if with_all_tiers:
        yield from _not_one_default_tier(platform)
    yield from _rules_in_common(platform)
    if platform.edge is not None:
        yield from _no_room_for_the_key(platform)


def _names_of_the_season(platform: PlatformSettings) -> Iterator[Problem]:
    jobs = platform.workers.jobs if platform.workers else {}
    for where, names in (("tiers", platform.tiers), ("workers/jobs", jobs)):
        for name in sorted(SEASON_NAMES & set(names)):
            yield Problem(
                f"{PLATFORM}/{where}/{name}",
                f"{name} is a season's own name for another part of the platform",
                "name it otherwise",
            )
    for name in sorted(set(jobs) & set(platform.tiers)):
        yield Problem(
            f"{PLATFORM}/workers/jobs/{name}",
            "a tier has this name, and a season knows both by their names alone",
            "name one otherwise",
        )


def _not_one_default_tier(platform: PlatformSettings) -> Iterator[Problem]:
    catch_all = [name for name, tier in platform.tiers.items() if not tier.hosts and not tier.paths]
    if len(catch_all) != 1:
        yield Problem(
            f"{PLATFORM}/tiers",
            "exactly one tier takes what no other claims (no hosts, no paths), not "
            + (f"{len(catch_all)}: {', '.join(catch_all)}" if catch_all else "0"),
            "give hosts or paths to all but one"
            if catch_all
            else "add a tier without hosts and paths, or take them out of one",
        )


def _no_room_for_the_key(platform: PlatformSettings) -> Iterator[Problem]:
    """Behind the CDN every listener rule asks for the origin key, the old one or the new."""
    room = MAX_CONDITION_VALUES_PER_RULE - ORIGIN_KEYS
    for name, tier in platform.tiers.items():
        values = tier.condition_values
        if values > room:
            yield Problem(
                f"{PLATFORM}/tiers/{name}",
                f"its rule needs {values} values (hosts, paths, the header of takes_requests: "
                f"false); behind the edge, whose two keys stand in each rule, AWS's "
                f"{MAX_CONDITION_VALUES_PER_RULE} leave {room}",
                "use wildcards, or another tier",
            )


def _rules_in_common(platform: PlatformSettings) -> Iterator[Problem]:
    """Of two tiers with one rule, the lower priority would get nothing."""
    owner: dict[object, str] = {}
    for name, tier in platform.tiers.items():
        if not tier.takes_requests or not any(tier.rule):
            continue
        if (other := owner.setdefault(tier.rule, name)) != name:
            claimed = ", ".join(sorted(tier.rule[0] | tier.rule[1]))
            yield Problem(
                f"{PLATFORM}/tiers/{name}",
                f"claims the same hosts and paths as {other} ({claimed}), and only one of them "
                "would get requests",
                "give it others; to move them, write takes_requests: false in the one that does "
                "not take them yet",
            )
