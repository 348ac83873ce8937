"""`dns`: the hosted zone in Route 53 that the site's names stand in."""

from __future__ import annotations

from pydantic import Field

from infra.settings.base import HOST, Settings


def certifiable(host: str) -> bool:
    """Whether a certificate and a record can name a host: a wildcard is the whole first label."""
    return not set("*?") & set(host.removeprefix("*."))


class DnsSettings(Settings):
    """Certificates are requested and validated here, and the site's names point to it."""

    zone: str = Field(
        pattern=HOST,
        examples=["example.org"],
        description="The zone's name; the domain and the tiers' hosts lie in it.",
    )
    zone_id: str = Field(
        pattern=r"^Z[A-Z0-9]{1,31}$",
        examples=["Z0123456789ABCDEFGHIJ"],
        description="The zone's id, as Route 53 shows it.",
    )
    records: bool = Field(
        True,
        description="Point the site's names here. false before a migration, which does it itself. "
        "A record that is there already is never overwritten: AWS refuses it.",
    )

    def holds(self, host: str) -> bool:
        """Whether a name, with a wildcard or without, lies in the zone."""
        bare = host.removeprefix("*.")
        return bare == self.zone or bare.endswith(f".{self.zone}")
