"""`network`: the VPC and its subnets."""

from __future__ import annotations

import ipaddress
from typing import Final, Literal

from pydantic import Field, field_validator

from infra import instances
from infra.settings.base import Settings, rule

Nat = Literal["zone", "single"]
EndpointZones = Literal["one", "all"]
# What CloudWatch Logs takes, up to two years. API reference, PutRetentionPolicy.
RetentionDays = Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731]

# A VPC and a subnet may be /16 to /28. Amazon VPC user guide, "VPC CIDR blocks".
LARGEST_BLOCK_PREFIX: Final = 16
SMALLEST_BLOCK_PREFIX: Final = 28
# The same page: blocks that AWS refuses.
_RESERVED_BLOCKS: Final = tuple(
    ipaddress.IPv4Network(block)
    for block in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4")
)
# public, application, data
SUBNET_TIERS: Final = 3
# 4 x 4 slots of equal size, a row a subnet tier: a zone can be added without moving a subnet.
SUBNET_BITS: Final = 4
# The first four and the last address of a subnet are AWS's. VPC user guide, "Subnet CIDR blocks".
RESERVED_PER_SUBNET: Final = 5

# Services whose endpoints the controls EC2.10, 55, 56, 57, 58 and 60 ask for, where the Region has
# them: the last two, of Incident Manager, many have not.
CONTROLLED_SERVICES: Final = ("ec2", "ecr.api", "ecr.dkr", "ssm", "ssm-contacts", "ssm-incidents")
# What instances need to boot and to be reached: only where every zone has its own.
BOOT_SERVICES: Final = ("ec2messages", "logs", "secretsmanager", "ssmmessages")


class NetworkSettings(Settings):
    """The VPC: one block, cut into public, application and data subnets in each zone."""

    cidr: str = Field(
        "10.20.0.0/16", description="The VPC's IPv4 block, /16 to /28; it can never be changed."
    )
    zones: int = Field(3, ge=2, le=3, description="Availability zones that everything stands in.")
    nat: Nat = Field(
        "zone",
        description="A NAT gateway in each zone, or a single one, which costs less and takes the "
        "way out of all zones along when its own fails.",
    )
    endpoint_zones: EndpointZones = Field(
        "one",
        description="In which zones AWS's services have endpoints in the VPC. `all` adds those "
        "that instances need to boot and to be reached (secrets, logs, Session Manager), which in "
        "one zone would take the others along when it fails; NAT carries them otherwise.",
    )
    flow_log_days: RetentionDays = Field(
        30, description="How long the record of the VPC's connections is kept."
    )
    block_public_access: bool | None = Field(
        None,
        description="Whether VPC Block Public Access is on in the account's Region, this VPC "
        "excluded. It cuts the internet gateways of all other VPCs there, so that without a value "
        "`preview` and `up` refuse an account with such a VPC: write false where others share the "
        "account, true to cut them.",
    )

    @field_validator("cidr")
    @classmethod
    def _is_a_block(cls, value: str) -> str:
        try:
            block = ipaddress.ip_network(value)
        except ValueError as error:
            raise ValueError(f"is no block: {error}; write one such as 10.20.0.0/16") from error
        if not isinstance(block, ipaddress.IPv4Network):
            raise ValueError("must be an IPv4 block; write one such as 10.20.0.0/16")  # noqa: TRY004 (pydantic reports only these)
        if not LARGEST_BLOCK_PREFIX <= block.prefixlen <= SMALLEST_BLOCK_PREFIX:
            raise ValueError(
                "must be between /16 and /28, as AWS demands of a VPC; write /16 to /28"
            )
        if taken := [reserved for reserved in _RESERVED_BLOCKS if block.subnet_of(reserved)]:
            raise ValueError(
                f"lies in {taken[0]}, which no VPC may have; write one such as 10.20.0.0/16"
            )
        return value

    @rule(spoils="cidr")
    def _has_room_for_the_zones(self) -> None:
        if self.subnet_prefix > SMALLEST_BLOCK_PREFIX:
            needed = SMALLEST_BLOCK_PREFIX - SUBNET_BITS
            raise ValueError(
                f"cidr {self.cidr} is too small for {SUBNET_TIERS} subnets in each of "
                f"{self.zones} zones (AWS's smallest subnet is /28); use a /{needed} or larger"
            )

    @property
    def blocks_public_access(self) -> bool:
        """What `block_public_access` says, or its default."""
        return self.block_public_access is not False

    def interface_endpoints(self, region: str) -> tuple[str, ...]:
        """The services with an endpoint in the application subnets: one address each and zone."""
        wanted = CONTROLLED_SERVICES + (BOOT_SERVICES if self.endpoint_zones == "all" else ())
        return tuple(each for each in wanted if not instances.lacks_service(region, each))

    @property
    def subnet_prefix(self) -> int:
        """The prefix length of every subnet."""
        return ipaddress.ip_network(self.cidr).prefixlen + SUBNET_BITS

    def block_prefix_for(self, addresses: int) -> int:
        """The prefix length of the smallest block whose subnets have so many free addresses."""
        host_bits = (addresses + RESERVED_PER_SUBNET - 1).bit_length()
        prefix = 32 - host_bits - SUBNET_BITS
        return max(min(prefix, SMALLEST_BLOCK_PREFIX - SUBNET_BITS), LARGEST_BLOCK_PREFIX)
