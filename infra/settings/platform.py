"""Everything under `firstbell:platform`: one field a part of the platform."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import Field

from infra.settings.account import AccountSettings
from infra.settings.backup import BackupSettings
from infra.settings.balancer import BalancerSettings
from infra.settings.base import HOST, MAX_HOST, Name, Settings, sound
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
from infra.settings.tiers import TierSettings
from infra.settings.workers import GENERAL, WorkerSettings

PLATFORM: Final = "firstbell:platform"
# Values of the origin key that are valid at a time.
ORIGIN_KEYS: Final = 2
# Moodle's session cookie as long as `sessioncookie` is not set. Moodle, config-dist.php.
MOODLE_COOKIE: Final = "MoodleSession"


class PlatformSettings(Settings):
    """Everything under `firstbell:platform`."""

    domain: str = Field(
        pattern=HOST,
        max_length=MAX_HOST,
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
        return tuple(dict.fromkeys(name for name, _ in self.names_and_keys()))

    def names_and_keys(self) -> Iterator[tuple[str, str]]:
        """Each name of the site and the setting that says it."""
        yield from sound(self._domain_and_key())
        for name, tier in self.tiers.items():
            yield from sound(_hosts_and_key(name, tier))

    def _domain_and_key(self) -> Iterator[tuple[str, str]]:
        yield self.domain, "domain"

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
        return dict(sound(self._tiers_by_path())) | dict(sound(self._workers_by_path()))

    def _tiers_by_path(self) -> Iterator[tuple[str, FleetSettings]]:
        for name, tier in self.tiers.items():
            yield f"tiers/{name}", tier

    def _workers_by_path(self) -> Iterator[tuple[str, FleetSettings]]:
        if self.workers is not None:
            yield "workers", self.workers
            for name, job in self.workers.jobs.items():
                yield f"workers/jobs/{name}", job

    @property
    def groups(self) -> dict[str, FleetSettings]:
        """Every Auto Scaling group by its season name."""
        return {
            GENERAL if key == "workers" else key.rpartition("/")[2]: fleet
            for key, fleet in self.fleets.items()
        }


def _hosts_and_key(name: str, tier: TierSettings) -> Iterator[tuple[str, str]]:
    for host in tier.hosts:
        yield host.lower(), f"tiers/{name}/hosts"
