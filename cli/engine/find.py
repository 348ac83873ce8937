"""Where the Pulumi CLI is, and whether it is new enough."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.errors import InputError

# What is built, and the oldest one accepted: older ones are untested with our Python SDK.
# The same version stands in go.mod (a test compares them).
VERSION: Final = "3.259.0"

_VERSION_TIMEOUT_SECONDS: Final = 60


@dataclass(frozen=True)
class Engine:
    """A Pulumi CLI. `PulumiCommand(root=str(engine.root))` runs it."""

    root: Path
    """The folder that holds `bin/pulumi`."""
    version: str
    how: str
    """How it was found, for people."""
    passed_over: str | None = None
    """Why the `pulumi` on PATH is not used, if there is one."""

    @property
    def binary(self) -> Path:
        return self.root / "bin" / "pulumi"


def cache_folder() -> Path:
    """Where engines are cached, per user, by version (XDG base directory specification)."""
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = configured if configured.is_absolute() else Path.home() / ".cache"
    return base / "firstbell" / "engine"


def find() -> Engine | None:
    """The engine to use, or None when it would have to be built.

    Raises:
        InputError: `$FIRSTBELL_PULUMI` names something that does not run or is too old.
    """
    return _search()[0]


def find_or_build(progress: Callable[[str], None]) -> Engine:
    """The engine to use; builds it into the per-user cache when there is none.

    Args:
        progress: is told what happens, at most once a second while building.

    Raises:
        InputError: `$FIRSTBELL_PULUMI` is wrong, Go is missing or too old, or the disk is too full.
        FirstbellError: the build failed.
    """
    engine, passed_over = _search()
    if passed_over:
        progress(passed_over)
    if engine is not None:
        return engine
    from cli.engine import build

    root = cache_folder() / f"v{VERSION}"
    build.build(root, VERSION, progress)
    return Engine(root, VERSION, f"built from Go modules ({root})", passed_over)


def version_of(binary: Path) -> str | None:
    """What `pulumi version` answers, such as `3.259.0`; None when it does not answer."""
    try:
        answer = subprocess.run(
            [binary, "version"],
            capture_output=True,
            text=True,
            check=True,
            timeout=_VERSION_TIMEOUT_SECONDS,
            env=os.environ | {"PULUMI_SKIP_UPDATE_CHECK": "true"},
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\d+\.\d+\.\d+\S*", answer)
    return match.group() if match else None


def new_enough(version: str) -> bool:
    """Whether a version can be used: at least `VERSION`, of the same major version."""
    theirs, ours = _numbers(version), _numbers(VERSION)
    return theirs[0] == ours[0] and theirs >= ours


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _search() -> tuple[Engine | None, str | None]:
    """The engine, and why the one on PATH was passed over."""
    if explicit := os.environ.get("FIRSTBELL_PULUMI"):
        return _explicit(Path(explicit)), None
    passed_over = None
    if on_path := shutil.which("pulumi"):
        version = version_of(Path(on_path))
        if version is not None and new_enough(version):
            return Engine(_root(Path(on_path)), version, f"on PATH ({on_path})"), None
        found = "does not run" if version is None else f"is version {version}"
        passed_over = f"{on_path} {found}, passed over: {VERSION} or newer is needed"
    root = cache_folder() / f"v{VERSION}"
    # It was placed there by one rename, after it had answered with its version: no need to ask.
    if os.access(root / "bin" / "pulumi", os.X_OK):
        return Engine(root, VERSION, f"in the per-user cache ({root})", passed_over), passed_over
    return None, passed_over


def _explicit(binary: Path) -> Engine:
    where = "FIRSTBELL_PULUMI"
    fix = f"let it name a `pulumi` executable of version {VERSION} or newer, or unset it"
    version = version_of(binary)
    if version is None:
        raise InputError(f"{binary} is not an executable Pulumi CLI", where=where, fix=fix)
    if not new_enough(version):
        raise InputError(
            f"{binary} is version {version}",
            where=where,
            why=f"{VERSION} or a newer one of the same major version is needed",
            fix=fix,
        )
    return Engine(_root(binary), version, f"named by FIRSTBELL_PULUMI ({binary})")


def _root(binary: Path) -> Path:
    """A folder with `bin/pulumi`: the binary's own, or one made of a link in the cache."""
    binary = binary.absolute()
    if binary.parent.name == "bin" and binary.name == "pulumi":
        return binary.parent.parent
    root = cache_folder() / "links" / hashlib.sha256(bytes(binary)).hexdigest()[:16]
    link = root / "bin" / "pulumi"
    if not link.is_symlink():
        link.parent.mkdir(parents=True, exist_ok=True)
        fresh = link.with_name(f"pulumi.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(binary)
        fresh.replace(link)
    return root
