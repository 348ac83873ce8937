"""Everything under `firstbell:platform`: one field a part of the platform."""

from __future__ import annotations

from typing import Final, Self

from pydantic import Field, model_validator

from infra.settings.account import AccountSettings
from infra.settings.backup import BackupSettings
from infra.settings.balancer import BalancerSettings
from infra.settings.base import Name, Settings
from infra.settings.cache import CacheSettings
from infra.settings.database import DatabaseSettings
from infra.settings.files import FilesSettings
from infra.settings.network import NetworkSettings
from infra.settings.quotas import QuotaSettings
from infra.settings.tiers import TierSettings

# What a season calls the other parts of the platform: no tier may have such a name.
SEASON_NAMES: Final = frozenset({"database", "cache", "workers", "balancer"})


class PlatformSettings(Settings):
    """Everything under `firstbell:platform`."""

    domain: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*\.[a-z]{2,}$")
    certificate_arn: str | None = Field(None, pattern=r"^arn:aws[\w-]*:acm:")
    owner: str = "platform"
    account: AccountSettings = AccountSettings.model_validate({})
    network: NetworkSettings = NetworkSettings.model_validate({})
    balancer: BalancerSettings = BalancerSettings.model_validate({})
    tiers: dict[Name, TierSettings] = Field(
        default_factory=lambda: {"web": TierSettings.model_validate({})}, min_length=1
    )
    database: DatabaseSettings = DatabaseSettings.model_validate({})
    cache: CacheSettings | None = None
    files: FilesSettings | None = None
    backup: BackupSettings = BackupSettings.model_validate({})
    quotas: QuotaSettings = QuotaSettings.model_validate({})

    @model_validator(mode="after")
    def _one_default_tier(self) -> Self:
        reserved = SEASON_NAMES & set(self.tiers)
        if reserved:
            raise ValueError(
                f"tiers: {', '.join(sorted(reserved))} is a season's own name for another part of "
                "the platform; name the tier otherwise"
            )
        catch_all = [name for name, tier in self.tiers.items() if not tier.hosts and not tier.paths]
        if len(catch_all) != 1:
            raise ValueError(
                "tiers: exactly one tier takes what no other claims (no hosts, no paths), not "
                f"{len(catch_all)}" + (f": {', '.join(catch_all)}" if catch_all else "")
            )
        return self
