"""A stack's file as a whole: reading it, and the checks that look at more than one part."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from infra import instances, paths, yaml_file
from infra.errors import InputError, Problem, Problems, nearest
from infra.settings.base import Settings
from infra.settings.database import REGIONS_WITHOUT_PROXY
from infra.settings.fleet import DEFAULT_IMAGE
from infra.settings.names import problems_with_names
from infra.settings.platform import PLATFORM, PlatformSettings, problems_between_parts
from infra.validation import read_partly

# Load balancer and target group names take 32 characters; ours are "<stack>-<tier>-" plus 7 random
# ones. ELB API reference, CreateTargetGroup.
MAX_STACK_AND_TIER_NAME: Final = 24
# Names of load balancers know no underscore, those of databases no capital letter.
_STACK_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
# How Regions of China, the governments' and the sovereign clouds begin. AWS General Reference,
# "Partitions".
OTHER_PARTITIONS: Final = ("cn-", "us-gov-", "us-iso", "eu-iso", "eusc-")
_ACCOUNT_ID: Final = re.compile(r"\d{12}")


class StackSettings(Settings):
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
    PLATFORM,
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
        InputError: there is no such stack, or its file is no YAML or says a key twice.
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
    document: Any = yaml_file.read(path)
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
            Problem(
                "firstbell:season",
                f"must be a path relative to stacks/, not {season!r}",
                "write one such as seasons/autumn.yaml",
            )
        )
    where_to = cloud or config.get("firstbell:cloud", "local")
    if where_to not in ("local", "aws"):
        problems.append(
            Problem(
                "firstbell:cloud", f"must be local or aws, not {where_to!r}", "write one of them"
            )
        )
        where_to = "local"  # what only AWS needs is not missing because of that
    region = config.get("aws:region")
    if not isinstance(region, str):
        what = "is missing" if region is None else f"must be a Region's name, not {region!r}"
        problems.append(Problem("aws:region", what, "write one such as eu-north-1"))
    elif region.startswith(OTHER_PARTITIONS):
        problems.append(
            Problem(
                "aws:region",
                f"{region!r} is no Region of AWS's commercial partition, and in others ARNs and "
                "names of services are different",
                "take another Region; firstbell knows no other partition",
            )
        )
    elif where_to == "local" and region not in instances.regions():
        close = nearest(region, instances.regions())
        problems.append(
            Problem(
                "aws:region",
                f"{region!r} is no known Region",
                f"did you mean {close!r}?" if close else None,
            )
        )
    accounts: tuple[str, ...] = ()
    if where_to == "aws":
        unsound = _problems_with_accounts(config.get("aws:allowedAccountIds"))
        accounts = () if unsound else tuple(config["aws:allowedAccountIds"])
        problems += unsound
    platform, found = read_partly(PlatformSettings, config.get(PLATFORM), source, key=PLATFORM)
    problems += found
    if platform is not None:
        broken = [problem.where for problem in found]
        problems += [
            problem
            for problem in (
                *problems_with_names(
                    platform,
                    region if isinstance(region, str) else None,
                    on_aws=where_to == "aws",
                    accounts=accounts,
                    broken=broken,
                ),
                *_problems_between_parts(platform, stack, region, where_to, broken),
            )
            if not any(f"{problem.where}/".startswith(f"{where}/") for where in broken)
        ]
    if problems or platform is None:
        raise Problems(source, problems)
    return StackSettings(
        stack=stack,
        region=str(region),
        cloud=where_to,
        season=season,
        allowed_account_ids=accounts,
        platform=platform,
    )


def _problems_between_parts(
    platform: PlatformSettings, stack: str, region: object, cloud: str, broken: Sequence[str]
) -> Iterator[Problem]:
    """What is wrong although each part is right by itself; `broken` are the parts left out."""
    whole = not any(where.startswith(f"{PLATFORM}/tiers") for where in broken)
    yield from problems_between_parts(platform, with_all_tiers=whole)
    if isinstance(region, str):
        yield from _problems_with_hardware(platform, region, local=cloud == "local")
    for tier in platform.tiers:
        if len(f"{stack}-{tier}") > MAX_STACK_AND_TIER_NAME:
            yield Problem(
                f"{PLATFORM}/tiers/{tier}",
                f"the stack's and the tier's name together have more than "
                f"{MAX_STACK_AND_TIER_NAME - 1} characters; AWS allows 32 in a target group's "
                "name, 8 of which make it unique",
                "shorten one of them",
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
    fleets = platform.fleets
    found = [
        Problem(
            f"{PLATFORM}/{key}/image",
            "is missing, and a plain Amazon Linux serves nothing",
            "give an image that answers on the health path, or an application that installs one; "
            "otherwise its instances are replaced for ever",
        )
        for key, fleet in fleets.items()
        if not local and fleet.installs_nothing
    ]
    found += [
        Problem(
            f"{PLATFORM}/{key}/instance_types",
            f"{kind} is an Arm machine, and the default image is for x86_64",
            "give an image for it, or another type",
        )
        for key, fleet in fleets.items()
        if fleet.image in (None, DEFAULT_IMAGE)
        for kind in fleet.instance_types
        if (described := instances.instance_type(kind)) and described.architecture == "arm64"
    ]
    if platform.database.proxy and region in REGIONS_WITHOUT_PROXY:
        found.append(
            Problem(
                f"{PLATFORM}/database/proxy",
                f"{region} has no RDS Proxy",
                "write proxy: false, or take another Region",
            )
        )
    return found + (list(unknown_hardware(platform, region)) if local else [])


def unknown_hardware(platform: PlatformSettings, region: str) -> Iterator[Problem]:
    """Types and classes that the generated table does not have for a Region."""
    for key, fleet in platform.fleets.items():
        for kind in fleet.instance_types:
            if problem := instances.problem_with_instance_type(kind, region):
                yield Problem(f"{PLATFORM}/{key}/instance_types", problem.what, problem.fix)
    database = platform.database
    if problem := instances.problem_with_database_class(
        database.instance_class, database.engine, region
    ):
        yield Problem(f"{PLATFORM}/database/instance_class", problem.what, problem.fix)
    if problem := instances.problem_with_database_version(database.engine_version, database.engine):
        yield Problem(f"{PLATFORM}/database/version", problem.what, problem.fix)
    if platform.cache and (
        problem := instances.problem_with_cache_node_type(platform.cache.node_type, region)
    ):
        yield Problem(f"{PLATFORM}/cache/node_type", problem.what, problem.fix)


def _shown(path: Path) -> str:
    """A path as people read it: relative to the project where it lies in it."""
    inside = paths.PROJECT_ROOT in path.parents
    return str(path.relative_to(paths.PROJECT_ROOT)) if inside else str(path)
