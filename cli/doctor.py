"""What firstbell needs on this machine, checked one by one; nothing here changes anything.

Each check answers with a `Check`; none raises for what it finds.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from cli import engine
from infra import paths
from infra.errors import FirstbellError, InputError

if TYPE_CHECKING:
    from infra.settings.stack import StackSettings

MINIMUM_PYTHON: Final = (3, 11)
# States, plans and the local cloud's records of a few stacks stay far below it.
ROOM_BYTES: Final = 500_000_000
AWS_TIMEOUT_SECONDS: Final = 5

SET_UP: Final = "run make setup"


@dataclass(frozen=True)
class Check:
    """One line of the report. `failed` means that something needed is missing."""

    name: str
    status: Literal["ok", "note", "failed"]
    detail: str
    fix: str | None = None

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def examine(stack: str | None, cloud: Literal["local"] | None) -> list[Check]:
    """All checks of this machine, and of a stack when one is named."""
    checks = [
        python(sys.version_info[:3]),
        virtual_environment(Path(sys.prefix), editable_from()),
        packages(pinned(paths.PROJECT_ROOT / "requirements.lock"), installed_version),
        *engines(),
        plugin(plugin_path()),
        local_cloud(),
        room(paths.home()),
    ]
    return checks + ([] if stack is None else of_stack(stack, cloud))


def python(version: Sequence[int]) -> Check:
    """Whether this Python is new enough."""
    text = ".".join(map(str, version))
    if tuple(version[:2]) < MINIMUM_PYTHON:
        needed = ".".join(map(str, MINIMUM_PYTHON))
        return Check("Python", "failed", text, f"install Python {needed} or newer, then {SET_UP}")
    return Check("Python", "ok", text)


def virtual_environment(prefix: Path, source: Path | None) -> Check:
    """Whether we run from the project's .venv with the project installed editable.

    Plain `pulumi` runs the program there too, so it has to be that one.
    """
    name, expected = "virtual environment", paths.PROJECT_ROOT / ".venv"
    if source != paths.PROJECT_ROOT:
        return Check(
            name, "failed", f"firstbell is not installed editable from {paths.PROJECT_ROOT}", SET_UP
        )
    if prefix.resolve() != expected.resolve():
        return Check(
            name,
            "note",
            f"this is {prefix}",
            f"plain pulumi uses {expected}: {SET_UP}, then call .venv/bin/firstbell",
        )
    return Check(name, "ok", f"{prefix}, firstbell editable")


def editable_from() -> Path | None:
    """The folder that firstbell is installed from, if it is installed editable (PEP 610)."""
    try:
        record = metadata.distribution("firstbell").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    origin = json.loads(record or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(origin["url"].removeprefix("file://"))


def pinned(lock: Path) -> dict[str, str]:
    """Package -> version, as requirements.lock pins them."""
    return dict(re.findall(r"^([\w.-]+)(?:\[[^]]*\])?==(\S+)", lock.read_text(), re.MULTILINE))


def installed_version(package: str) -> str | None:
    """The installed version of a package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def packages(lock: Mapping[str, str], installed: Callable[[str], str | None]) -> Check:
    """Whether the packages are those of the lock; names the versions of Pulumi's SDK."""
    differing = [
        f"{name} {there or 'missing'} (pinned: {version})"
        for name, version in lock.items()
        if (there := installed(name)) != version
    ]
    if differing:
        shown = ", ".join(differing[:4]) + (", ..." if len(differing) > 4 else "")
        return Check("packages", "failed", f"{len(differing)} differ: {shown}", SET_UP)
    sdk = ", ".join(f"{name} {lock[name]}" for name in ("pulumi", "pulumi-aws") if name in lock)
    return Check("packages", "ok", f"{len(lock)} as pinned; {sdk}")


def engines() -> list[Check]:
    """The engine and how it was found; Go only when it has to be built."""
    name = "Pulumi engine"
    try:
        found = engine.find()
    except InputError as error:
        return [Check(name, "failed", error.what, error.fix)]
    if found is None:
        missing = Check(name, "failed", "not there yet", f"{SET_UP}: it builds {engine.VERSION}")
        return [missing, go()]
    checks = [Check(name, "ok", f"{found.version}, {found.how}")]
    if found.passed_over:
        fix = f"nothing to do; update it to {engine.VERSION} or newer to use it here"
        checks.append(Check(f"{name} on PATH", "note", found.passed_over, fix))
    return checks


def go() -> Check:
    """Whether Go can build the engine."""
    from cli.engine.build import find_go, go_version

    try:
        command = find_go()
    except InputError as error:
        return Check("Go", "failed", ", ".join(filter(None, [error.what, error.why])), error.fix)
    version = go_version(command) or ()
    return Check("Go", "ok", f"{'.'.join(map(str, version))} ({command})")


def plugin_path() -> Path:
    """Where the local cloud's own provider stands for the engine."""
    version = installed_version("pulumi-aws")
    folder = paths.local_cloud() / "pulumi" / "plugins" / f"resource-aws-v{version}"
    return folder / "pulumi-resource-aws"


def plugin(path: Path) -> Check:
    """Whether the embedded provider is in place; the local cloud places it by itself."""
    name = "embedded provider"
    if not path.exists():
        return Check(name, "note", "not placed yet: the first local run places it")
    if not os.access(path, os.X_OK):
        return Check(name, "failed", f"{path} is not executable", "firstbell local reset")
    return Check(name, "ok", str(path))


def local_cloud() -> Check:
    """Whether the local cloud runs, and what its clock says."""
    from cli.localcloud import clock, server
    from cli.localcloud.endpoint import check_environment

    name = "local cloud"
    try:
        check_environment(os.environ)
        running = server.running()
        if running is not None:
            return Check(name, "ok", f"{running.endpoint}, {clock.text(clock.read())}")
        if server.state() == "lost":
            return Check(
                name,
                "failed",
                "its server is gone, and its resources with it",
                "firstbell local reset, then firstbell up",
            )
    except FirstbellError as error:
        return Check(name, "failed", str(error.what), error.fix)
    return Check(name, "note", "not running: up on a local stack starts it")


def room(
    folder: Path, free: Callable[[Path], int] = lambda at: shutil.disk_usage(at).free
) -> Check:
    """Whether .firstbell can be written and its disk has room."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    there = free(existing)
    if not os.access(existing, os.W_OK):
        fix = "make it writable, or name another folder in FIRSTBELL_HOME"
        return Check("disk", "failed", f"{existing} cannot be written", fix)
    detail = f"{there / 1e9:.1f} GB free at {folder}"
    if there < ROOM_BYTES:
        return Check("disk", "failed", detail, f"make room for {ROOM_BYTES / 1e9:.1f} GB there")
    return Check("disk", "ok", detail)


def of_stack(stack: str, cloud: Literal["local"] | None) -> list[Check]:
    """A stack's file and, when it goes to AWS, its credentials, account and Region."""
    from infra.settings.stack import read_stack

    try:
        settings = read_stack(stack, cloud=cloud)
    except InputError as error:
        return [Check("stack", "failed", str(error).splitlines()[0], error.fix or _rest(error))]
    where = "the local cloud" if settings.cloud == "local" else "AWS"
    found = Check("stack", "ok", f"{stack} goes to {where}, Region {settings.region}")
    if settings.cloud == "local":
        return [found]
    return [found, state_back_end(os.environ), *aws(settings, caller)]


def _rest(error: InputError) -> str:
    return "; ".join(line.strip(" -") for line in str(error).splitlines()[1:])


def state_back_end(environment: Mapping[str, str]) -> Check:
    """Whether something says where the state of an AWS stack is kept."""
    url = environment.get("PULUMI_BACKEND_URL")
    if not url:
        fix = "export PULUMI_BACKEND_URL='s3://BUCKET?region=REGION'"
        return Check("state", "failed", "PULUMI_BACKEND_URL is not set", fix)
    return Check("state", "ok", url)


def caller(region: str) -> str:
    """The account that the credentials of the environment belong to, asked in a Region."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=AWS_TIMEOUT_SECONDS,
        read_timeout=AWS_TIMEOUT_SECONDS,
        retries={"max_attempts": 1},
    )
    identity: Any = boto3.client("sts", region_name=region, config=config).get_caller_identity()
    return identity["Account"]


def aws(settings: StackSettings, account_in: Callable[[str], str]) -> Iterable[Check]:
    """Credentials, their account against `aws:allowedAccountIds`, and the Region.

    A Region that the account has not enabled does not accept its credentials.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    name, allowed = "AWS credentials", settings.allowed_account_ids
    try:
        account = account_in(settings.region)
    except (BotoCoreError, ClientError) as error:
        fix = (
            "sign in (aws sso login, or AWS_PROFILE), and see that the account has enabled "
            f"Region {settings.region}"
        )
        yield Check(name, "failed", f"{settings.region}: {error}", fix)
        return
    if account not in allowed:
        fix = (
            f"use credentials of {', '.join(allowed)}, or add the account to "
            f"aws:allowedAccountIds in Pulumi.{settings.stack}.yaml"
        )
        yield Check(name, "failed", f"account {account} is not one of the stack's", fix)
        return
    yield Check(name, "ok", f"account {account}, accepted in {settings.region}")
