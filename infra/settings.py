"""A stack's configuration: what `stacks/Pulumi.<stack>.yaml` may say, and its errors.

Models only; nothing here talks to AWS or Pulumi. Every setting reaches a resource or a check.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from infra import instances, paths
from infra.errors import InputError, Problem, Problems, nearest
from infra.validation import validate

DatabaseEngine = Literal["aurora-postgresql", "aurora-mysql"]
Nat = Literal["zone", "single"]

# A VPC and a subnet may be /16 to /28. Amazon VPC user guide, "VPC CIDR blocks".
LARGEST_BLOCK_PREFIX: Final = 16
SMALLEST_BLOCK_PREFIX: Final = 28
# public, application, data
SUBNET_TIERS: Final = 3
# 4 x 4 slots of equal size, a row a subnet tier: a zone can be added without moving a subnet.
SUBNET_BITS: Final = 4
# Load balancer and target group names take 32 characters; ours are "<stack>-<tier>-" plus 7 random
# ones. ELB API reference, CreateTargetGroup.
MAX_STACK_AND_TIER_NAME: Final = 24
# Names of load balancers know no underscore, those of databases no capital letter.
_STACK_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_ACCOUNT_ID: Final = re.compile(r"\d{12}")
# Not adjustable. ELB user guide, "Quotas for your Application Load Balancers".
MAX_CONDITION_VALUES_PER_RULE: Final = 5

# Major versions: AWS applies minor ones by itself; one named here would then be a downgrade.
DEFAULT_ENGINE_VERSION: Final[dict[DatabaseEngine, str]] = {
    "aurora-postgresql": "16",
    "aurora-mysql": "8.0",
}
# Amazon Linux 2023, kept current by AWS; EC2 resolves it when an instance starts.
DEFAULT_IMAGE: Final = (
    "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
)

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=16)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkSettings(_Settings):
    """The VPC: one block, cut into public, application and data subnets in each zone."""

    cidr: str = "10.20.0.0/16"
    zones: int = Field(3, ge=2, le=3)
    nat: Nat = "zone"

    @field_validator("cidr")
    @classmethod
    def _is_a_block(cls, value: str) -> str:
        block = ipaddress.ip_network(value)
        if block.version != 4:
            raise ValueError("must be an IPv4 block such as 10.20.0.0/16")
        if not LARGEST_BLOCK_PREFIX <= block.prefixlen <= SMALLEST_BLOCK_PREFIX:
            raise ValueError("must be between /16 and /28, as AWS demands of a VPC")
        return value

    @model_validator(mode="after")
    def _has_room_for_the_zones(self) -> Self:
        if self.subnet_prefix > SMALLEST_BLOCK_PREFIX:
            needed = SMALLEST_BLOCK_PREFIX - SUBNET_BITS
            raise ValueError(
                f"cidr {self.cidr} is too small for {SUBNET_TIERS} subnets in each of "
                f"{self.zones} zones (AWS's smallest subnet is /28); use a /{needed} or larger"
            )
        return self

    @property
    def subnet_prefix(self) -> int:
        """The prefix length of every subnet."""
        return ipaddress.ip_network(self.cidr).prefixlen + SUBNET_BITS


class TierSettings(_Settings):
    """One web tier: a launch template and an Auto Scaling group behind the load balancer."""

    hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    image: str = DEFAULT_IMAGE
    user_data: str | None = None
    port: int = Field(80, ge=1, le=65535)
    health_path: str = Field("/", pattern=r"^/")
    instance_types: tuple[str, ...] = Field(("m7i.large", "m6i.large", "m5.large"), min_length=1)
    min: int = Field(2, ge=0)
    max: int = Field(10, ge=1)
    boot_minutes: int = Field(4, ge=1, le=60)
    requests_per_target_per_minute: int = Field(1200, ge=1)
    volume_gib: int = Field(30, ge=8, le=16384)

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is greater than max {self.max}")
        if len(self.hosts) + len(self.paths) > MAX_CONDITION_VALUES_PER_RULE:
            raise ValueError(
                f"hosts and paths together have {len(self.hosts) + len(self.paths)} values; AWS "
                f"allows {MAX_CONDITION_VALUES_PER_RULE} in a listener rule; use wildcards"
            )
        return self

    @field_validator("image")
    @classmethod
    def _is_an_image(cls, value: str) -> str:
        if not re.fullmatch(r"ami-[0-9a-f]{8,17}|resolve:ssm:[\w./:-]+", value):
            raise ValueError("must be ami-... or resolve:ssm:PARAMETER")
        return value


class ReplicaSettings(_Settings):
    """How many Aurora replicas there may be."""

    min: int = Field(1, ge=0, le=15)
    max: int = Field(3, ge=0, le=15)

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is greater than max {self.max}")
        return self


class DatabaseSettings(_Settings):
    """The Aurora cluster: one writer, and replicas by schedule and by load."""

    engine: DatabaseEngine = "aurora-postgresql"
    version: str | None = None
    instance_class: str = "db.r6g.large"
    name: str = Field("lms", pattern=r"^[a-z][a-z0-9_]{0,62}$")
    replicas: ReplicaSettings = ReplicaSettings.model_validate({})
    backup_days: int = Field(14, ge=7, le=35)
    deletion_protection: bool = True

    @property
    def engine_version(self) -> str:
        return self.version or DEFAULT_ENGINE_VERSION[self.engine]


class PlatformSettings(_Settings):
    """Everything under `firstbell:platform`."""

    domain: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*\.[a-z]{2,}$")
    certificate_arn: str | None = Field(None, pattern=r"^arn:aws[\w-]*:acm:")
    owner: str = "platform"
    network: NetworkSettings = NetworkSettings.model_validate({})
    tiers: dict[Name, TierSettings] = Field(
        default_factory=lambda: {"web": TierSettings.model_validate({})}, min_length=1
    )
    database: DatabaseSettings = DatabaseSettings.model_validate({})

    @model_validator(mode="after")
    def _one_default_tier(self) -> Self:
        reserved = {"database", "cache", "workers", "balancer"} & set(self.tiers)
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


class StackSettings(_Settings):
    """What a stack's file says, as far as firstbell reads it."""

    stack: str
    region: str
    cloud: Literal["local", "aws"]
    season: str | None
    allowed_account_ids: tuple[str, ...]
    platform: PlatformSettings

    @property
    def season_file(self) -> Path | None:
        """The season file; paths in a stack's file are relative to stacks/."""
        return paths.stacks() / self.season if self.season else None

    @property
    def plan_file(self) -> Path | None:
        """The plan beside the season file."""
        return self.season_file.with_suffix(".plan.json") if self.season_file else None


# The keys that a stack's file may have in these namespaces; others belong to other providers.
_KNOWN: Final = (
    "firstbell:cloud",
    "firstbell:season",
    "firstbell:platform",
)


def stack_file(stack: str) -> Path:
    """Where a stack's configuration stands."""
    return paths.stacks() / f"Pulumi.{stack}.yaml"


def stack_names() -> list[str]:
    """The stacks that have a file, sorted."""
    return sorted(
        path.name.removeprefix("Pulumi.").removesuffix(".yaml")
        for path in paths.stacks().glob("Pulumi.*.yaml")
    )


def read_stack(stack: str, *, cloud: Literal["local"] | None = None) -> StackSettings:
    """Read and check a stack's file; `cloud` overrides what it says.

    Raises:
        InputError: there is no such stack, or its file is no YAML.
        Problems: the file has errors; all of them are reported.
    """
    path = stack_file(stack)
    if not path.is_file():
        names = stack_names()
        close = nearest(stack, names)
        raise InputError(
            f"there is no stack {stack!r}",
            where=str(path),
            fix=(f"did you mean -s {close}?" if close else f"stacks: {', '.join(names) or 'none'}"),
        )
    try:
        document: Any = yaml.safe_load(path.read_text()) or {}
    except yaml.YAMLError as error:
        raise InputError(f"is not valid YAML: {error}", where=str(path)) from error
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise InputError(
            "has no mapping `config`", where=str(path), fix="see the smallest stack in README.md"
        )
    return from_config(stack, config, source=_shown(path), cloud=cloud)


def from_config(
    stack: str, config: dict[str, Any], *, source: str, cloud: Literal["local"] | None = None
) -> StackSettings:
    """Check a stack's configuration values, keyed as in its file (`firstbell:platform`).

    Raises:
        Problems: all that is wrong.
    """
    problems = [
        Problem(key, "unknown key", f"did you mean {close!r}?" if close else f"known keys: {known}")
        for key in config
        if key.startswith("firstbell:") and key not in _KNOWN
        for known in (", ".join(_KNOWN),)
        for close in (nearest(key, _KNOWN),)
    ]
    if not _STACK_NAME.fullmatch(stack):
        problems.append(
            Problem(
                f"the stack's name {stack!r}",
                "must be of small letters, digits and single hyphens, as AWS's names are",
                "rename the file",
            )
        )
    season = config.get("firstbell:season")
    if season is not None and not isinstance(season, str):
        problems.append(
            Problem("firstbell:season", f"must be a path relative to stacks/, not {season!r}")
        )
    where_to = cloud or config.get("firstbell:cloud", "local")
    if where_to not in ("local", "aws"):
        problems.append(Problem("firstbell:cloud", f"must be local or aws, not {where_to!r}"))
    region = config.get("aws:region")
    if not isinstance(region, str):
        problems.append(Problem("aws:region", "is missing", "add it, for example eu-north-1"))
    elif where_to == "local" and region not in instances.regions():
        close = nearest(region, instances.regions())
        problems.append(
            Problem(
                "aws:region",
                f"{region!r} is no known Region",
                f"did you mean {close!r}?" if close else None,
            )
        )
    accounts = config.get("aws:allowedAccountIds")
    if where_to == "aws":
        problems += _problems_with_accounts(accounts)
    platform: PlatformSettings | None = None
    try:
        platform = validate(
            PlatformSettings, config.get("firstbell:platform"), source, key="firstbell:platform"
        )
    except Problems as found:
        problems += found.problems
    if platform is not None and where_to == "aws" and platform.certificate_arn is None:
        problems.append(
            Problem(
                "firstbell:platform/certificate_arn",
                "is missing, and AWS takes no listener without an issued certificate",
                "request one for the domain in ACM, validate it, and give its ARN",
            )
        )
    if platform is not None and isinstance(region, str):
        problems += _problems_with_hardware(platform, region, local=where_to == "local")
        for tier in platform.tiers:
            if len(f"{stack}-{tier}") > MAX_STACK_AND_TIER_NAME:
                problems.append(
                    Problem(
                        f"firstbell:platform/tiers/{tier}",
                        f"the stack's and the tier's name together have more than "
                        f"{MAX_STACK_AND_TIER_NAME - 1} characters",
                        "AWS allows 32 in a target group's name, 8 of which make it unique",
                    )
                )
    if problems or platform is None:
        raise Problems(source, problems)
    return StackSettings(
        stack=stack,
        region=str(region),
        cloud=where_to,
        season=season,
        allowed_account_ids=tuple(accounts) if where_to == "aws" and accounts else (),
        platform=platform,
    )


def _problems_with_accounts(accounts: object) -> list[Problem]:
    """Each in quotes: YAML takes a bare account id for a number, and loses its leading zero."""
    key, fix = "aws:allowedAccountIds", 'write ["111122223333"], each of twelve digits in quotes'
    if accounts is None or accounts == []:
        return [
            Problem(
                key,
                "is missing, and with cloud: aws it is mandatory",
                "list the account ids that this stack may be applied to",
            )
        ]
    if not isinstance(accounts, list):
        return [Problem(key, f"must be a list, not {accounts!r}", fix)]
    entries: list[object] = accounts
    return [
        Problem(key, f"{account!r} is no account id", fix)
        for account in entries
        if not isinstance(account, str) or not _ACCOUNT_ID.fullmatch(account)
    ]


def _problems_with_hardware(
    platform: PlatformSettings, region: str, *, local: bool
) -> list[Problem]:
    """Unknown instance types are errors locally; on AWS the table may be older than the Region."""
    found = [
        Problem(
            f"firstbell:platform/tiers/{name}/image",
            "is missing, and a plain Amazon Linux serves nothing",
            "give an image that answers on the health path, or user_data that installs one; "
            "otherwise the balancer's checks replace its instances for ever",
        )
        for name, tier in platform.tiers.items()
        if not local and tier.image == DEFAULT_IMAGE and tier.user_data is None
    ]
    found += [
        Problem(
            f"firstbell:platform/tiers/{name}/instance_types",
            f"{kind} is an Arm machine, and the default image is for x86_64",
            "give an image for it, or another type",
        )
        for name, tier in platform.tiers.items()
        if tier.image == DEFAULT_IMAGE
        for kind in tier.instance_types
        if (described := instances.instance_type(kind)) and described.architecture == "arm64"
    ]
    if not local:
        return found
    found += [
        Problem(f"firstbell:platform/tiers/{name}/instance_types", problem)
        for name, tier in platform.tiers.items()
        for kind in tier.instance_types
        if (problem := instances.problem_with_instance_type(kind, region))
    ]
    database = platform.database
    if problem := instances.problem_with_database_class(
        database.instance_class, database.engine, region
    ):
        found.append(Problem("firstbell:platform/database/instance_class", problem))
    return found


def _shown(path: Path) -> str:
    """A path as people read it: relative to the project where it lies in it."""
    inside = paths.PROJECT_ROOT in path.parents
    return str(path.relative_to(paths.PROJECT_ROOT)) if inside else str(path)
