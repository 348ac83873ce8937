"""A stack's file as a whole: reading it, and the checks that look at more than one part."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from infra import instances, paths, yaml_file
from infra.errors import InputError, Problem, Problems, nearest
from infra.settings.base import Settings, Unsound
from infra.settings.between import problems_between_parts
from infra.settings.partly import read_partly
from infra.settings.platform import PLATFORM, PlatformSettings

# Names of load balancers know no underscore, those of databases no capital letter.
_STACK_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
# How Regions of China, the governments' and the sovereign clouds begin. AWS General Reference,
# "Partitions".
OTHER_PARTITIONS: Final = ("cn-", "us-gov-", "us-iso", "eu-iso", "eusc-")
_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+)+-\d+")
_ACCOUNT_ID: Final = re.compile(r"\d{12}")


class StackSettings(Settings):
    """What a stack's file says, as far as firstbell reads it."""

    stack: str
    region: str
    cloud: Literal["local", "aws"]
    season: str | None
    allowed_account_ids: tuple[str, ...]
    platform: PlatformSettings

    def region_or(self, instead: str) -> str:
        """The Region, or this where it is unsound: for what is told all the same."""
        try:
            return self.region
        except Unsound:
            return instead

    @property
    def season_file(self) -> Path | None:
        """The season file; paths in a stack's file are relative to stacks/."""
        return paths.stacks() / self.season if self.season else None

    @property
    def plan_file(self) -> Path | None:
        """The plan beside the season file."""
        return self.season_file.with_suffix(".plan.json") if self.season_file else None


class UnsoundStack(Problems):
    """What is wrong with a stack's file.

    `sound` is the rest of it, with holes where the errors are (`infra/settings/partly.py`): what
    the rest breaks can be told as well.
    """

    def __init__(self, source: str, problems: Sequence[Problem], sound: StackSettings) -> None:
        super().__init__(source, problems)
        self.sound = sound


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
        UnsoundStack: the file has errors; all of them are reported.
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
        UnsoundStack: all that is wrong.
    """
    platform, below = read_partly(PlatformSettings, config.get(PLATFORM), PLATFORM)
    season, where_to = (
        config.get("firstbell:season"),
        cloud or config.get("firstbell:cloud", "local"),
    )
    region, accounts = config.get("aws:region"), config.get("aws:allowedAccountIds")
    problems = {
        "season": _problems_with_the_season(season),
        "cloud": _problems_with_the_cloud(where_to),
        "region": _problems_with_the_region(region, where_to),
        "allowed_account_ids": _problems_with_accounts(accounts) if where_to == "aws" else [],
    }
    settings = StackSettings.model_construct(
        stack=stack,
        region=region,
        cloud=where_to,
        season=season,
        # Where the stack goes to no account, none is wrong.
        allowed_account_ids=tuple(accounts)
        if where_to == "aws" and isinstance(accounts, list)
        else (),
        platform=platform,
    )
    settings.dig(*(key for key, found in problems.items() if found))
    found = [
        *_unknown_keys(config),
        *_problems_with_the_name(stack),
        *(problem for each in problems.values() for problem in each),
        *below,
        *problems_between_parts(settings),
    ]
    if found:
        raise UnsoundStack(source, found, settings)
    return settings


def _unknown_keys(config: Mapping[str, object]) -> Iterator[Problem]:
    """Of our own namespace; others belong to other providers."""
    for key in config:
        if key.startswith("firstbell:") and key not in _KNOWN:
            close = nearest(key, _KNOWN)
            known = f"known keys: {', '.join(_KNOWN)}"
            yield Problem(key, "unknown key", f"did you mean {close!r}?" if close else known)


def _problems_with_the_name(stack: str) -> list[Problem]:
    if _STACK_NAME.fullmatch(stack):
        return []
    return [
        Problem(
            f"the stack's name {stack!r}",
            "must be of small letters, digits and single hyphens, as AWS's names are",
            "rename the file",
        )
    ]


def _problems_with_the_season(season: object) -> list[Problem]:
    if season is None or (isinstance(season, str) and season):
        return []
    return [
        Problem(
            "firstbell:season",
            f"must be a path relative to stacks/, not {season!r}",
            "write one such as seasons/autumn.yaml",
        )
    ]


def _problems_with_the_cloud(cloud: object) -> list[Problem]:
    if cloud in ("local", "aws"):
        return []
    return [Problem("firstbell:cloud", f"must be local or aws, not {cloud!r}", "write one of them")]


def _problems_with_the_region(region: object, cloud: object) -> list[Problem]:
    key = "aws:region"
    if not isinstance(region, str):
        what = "is missing" if region is None else f"must be a Region's name, not {region!r}"
        return [Problem(key, what, "write one such as eu-north-1")]
    if region.startswith(OTHER_PARTITIONS):
        return [
            Problem(
                key,
                f"{region!r} is no Region of AWS's commercial partition, and in others ARNs and "
                "names of services are different",
                "take another Region; firstbell knows no other partition",
            )
        ]
    # On AWS the table may be older than the Region.
    if (cloud != "aws" or not _REGION.fullmatch(region)) and region not in instances.regions():
        close = nearest(region, instances.regions())
        fix = f"did you mean {close!r}?" if close else "write one such as eu-north-1"
        return [Problem(key, f"{region!r} is no known Region", fix)]
    return []


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


def _shown(path: Path) -> str:
    """A path as people read it: relative to the project where it lies in it."""
    inside = paths.PROJECT_ROOT in path.parents
    return str(path.relative_to(paths.PROJECT_ROOT)) if inside else str(path)
