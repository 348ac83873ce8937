"""Builds the Pulumi CLI from Go modules into the per-user cache.

One process builds at a time; the others wait and then use what it built. The binary is placed by
one rename, so a build that was killed leaves nothing that could be taken for an engine.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import filelock
import psutil

from cli.engine.find import version_of
from infra.errors import FirstbellError, InputError

MINIMUM_GO: Final = (1, 25)
INSTALLER: Final = "Pulumi's official installer script (docs: Download & install Pulumi)"

_PACKAGE: Final = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_MODULE_FOLDER: Final = Path(__file__).resolve().parent
_GB: Final = 10**9
# Measured on Linux/amd64 with empty caches (modules 1.4 GB, objects 1.7 GB, the same again in Go's
# work folder until the end, a binary of 0.1 GB), with a margin.
_MODULE_BYTES: Final = int(1.6 * _GB)
_OBJECT_BYTES: Final = int(1.9 * _GB)
_LINK_BYTES: Final = int(0.3 * _GB)


@dataclass(frozen=True)
class Need:
    """Room that the build needs below a folder."""

    folder: Path
    size: int
    what: str


def build(root: Path, version: str, progress: Callable[[str], None]) -> None:
    """Build `root`/bin/pulumi, or wait for the process that is building it.

    Raises:
        InputError: Go is missing or too old, the cache cannot be written, or the disk is too full.
        FirstbellError: the build failed.
    """
    go = find_go()
    cache = root.parent
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the engine's cache cannot be made: {error.strerror}",
            where=str(cache),
            fix="make it writable, or name another place in XDG_CACHE_HOME",
        ) from error
    holder = cache / "building.json"
    with _alone(cache / "building.lock", holder, progress):
        if (root / "bin" / "pulumi").exists():
            return
        _clear_remains(cache, holder)
        check_room(_needs(go, cache))
        with tempfile.TemporaryDirectory(prefix="build-", dir=cache) as work:
            _compile(go, version, Path(work), holder, progress)
            binary = Path(work) / "pulumi"
            answered = version_of(binary)
            if answered != version:
                raise FirstbellError(
                    "the engine that was built does not run",
                    where=str(_MODULE_FOLDER / "go.mod"),
                    why=f"it answers {answered!r} when asked for its version",
                    fix=f"use another one: {INSTALLER}",
                )
            (root / "bin").mkdir(parents=True, exist_ok=True)
            binary.replace(root / "bin" / "pulumi")


def find_go() -> str:
    """The `go` command.

    Raises:
        InputError: it is missing, or older than `MINIMUM_GO`.
    """
    needed = ".".join(map(str, MINIMUM_GO))
    fix = f"install Go {needed} or newer, or install the engine itself with {INSTALLER}"
    go = shutil.which("go")
    if go is None:
        raise InputError("building the engine needs Go, and there is no `go` on PATH", fix=fix)
    version = go_version(go)
    if version is None or version < MINIMUM_GO:
        found = "does not run" if version is None else f"is version {'.'.join(map(str, version))}"
        raise InputError(
            f"building the engine needs Go {needed} or newer",
            where=go,
            why=f"this one {found}",
            fix=fix,
        )
    return go


def go_version(go: str) -> tuple[int, int] | None:
    """Major and minor version of a `go` command; None when it does not answer."""
    try:
        # In a folder without go.mod: inside a module, `go` may answer for, or fetch, another one.
        answer = subprocess.run(
            [go, "version"], capture_output=True, text=True, check=True, cwd="/", timeout=60
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"go(\d+)\.(\d+)", answer)
    return (int(match[1]), int(match[2])) if match else None


def check_room(
    needs: Iterable[Need], free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
) -> None:
    """Refuse to start what the disk cannot hold; needs on one file system add up.

    Raises:
        InputError: a file system has less room than the build needs.
    """
    by_device: dict[int, list[Need]] = {}
    for need in needs:
        by_device.setdefault(_existing(need.folder).stat().st_dev, []).append(need)
    for together in by_device.values():
        folder = _existing(together[0].folder)
        needed, there = sum(need.size for need in together), free(folder)
        if there < needed:
            parts = ", ".join(f"{need.what} {need.size / _GB:.1f} GB" for need in together)
            raise InputError(
                f"building the engine needs {needed / _GB:.1f} GB of disk, "
                f"{there / _GB:.1f} GB are free",
                where=str(folder),
                why=parts,
                fix="make room, or move the caches with XDG_CACHE_HOME, GOCACHE and GOMODCACHE, "
                f"or install the engine itself with {INSTALLER}",
            )


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _needs(go: str, cache: Path) -> list[Need]:
    answer = subprocess.run(
        [go, "env", "GOMODCACHE", "GOCACHE"], capture_output=True, text=True, check=True, cwd="/"
    )
    modules, objects = map(Path, answer.stdout.splitlines()[:2])
    # Go's caches may already hold what an earlier, interrupted build fetched or compiled. What they
    # hold of other projects counts too: better to start and run out than to refuse what fits.
    objects_to_come = max(0, _OBJECT_BYTES - _used(objects))
    return [
        Need(modules, max(0, _MODULE_BYTES - _used(modules)), "modules"),
        Need(objects, objects_to_come, "compiled packages"),
        Need(cache, objects_to_come + _LINK_BYTES, "work folder and binary"),
    ]


def _used(folder: Path) -> int:
    """Bytes of disk below a folder."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            total += os.lstat(Path(path) / name).st_blocks * 512
    return total


@contextmanager
def _alone(lock_file: Path, holder: Path, progress: Callable[[str], None]) -> Generator[None]:
    """Hold the cache's lock; the kernel frees it when the process dies, however it dies."""
    lock = filelock.FileLock(lock_file)
    started = time.monotonic()
    while not lock.is_locked:
        try:
            lock.acquire(timeout=1)
        except filelock.Timeout:
            who = _read(holder).get("pid", "another one")
            waited = time.monotonic() - started
            progress(f"waiting for process {who}, which is building it ({waited:.0f} s)")
    try:
        yield
    finally:
        lock.release()


def _read(holder: Path) -> Mapping[str, object]:
    try:
        return json.loads(holder.read_text())
    except (OSError, ValueError):
        return {}


def _clear_remains(cache: Path, holder: Path) -> None:
    """Remove what a killed build left; called by the lock's holder, so none of it is in use."""
    record = _read(holder)
    pid, started = record.get("go"), record.get("go_started")
    if isinstance(pid, int) and isinstance(started, float):
        try:
            if abs(psutil.Process(pid).create_time() - started) < 1:
                # Its own session: the group holds the compilers that it started.
                os.killpg(pid, signal.SIGKILL)
        except (psutil.NoSuchProcess, ProcessLookupError):
            pass
    holder.unlink(missing_ok=True)
    for folder in cache.glob("build-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _compile(
    go: str, version: str, work: Path, holder: Path, progress: Callable[[str], None]
) -> None:
    """Run `go build` with its progress; leaves `work`/pulumi."""
    variable = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
    command = [
        *(go, "build", "-v", "-mod=readonly", "-trimpath", "-tags", "osusergo"),
        *("-ldflags", f"-s -w -X {variable}=v{version}", "-o", str(work / "pulumi"), _PACKAGE),
    ]
    started = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=_MODULE_FOLDER,
        # Without cgo the result is the same whether or not there is a C compiler.
        env=os.environ | {"GOTMPDIR": str(work), "GOWORK": "off", "CGO_ENABLED": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            holder.write_text(
                json.dumps(
                    {
                        "pid": os.getpid(),
                        "go": process.pid,
                        "go_started": psutil.Process(process.pid).create_time(),
                    }
                )
            )
            stage = _Stage()
            assert process.stderr is not None  # noqa: S101 (asked for with PIPE)
            reader = threading.Thread(target=stage.read, args=(process.stderr,), daemon=True)
            reader.start()
            while process.poll() is None:
                progress(f"{stage}, {time.monotonic() - started:.0f} s")
                try:
                    process.wait(timeout=1)
                except subprocess.TimeoutExpired:
                    continue
            reader.join(timeout=5)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            holder.unlink(missing_ok=True)
    if process.returncode != 0:
        raise _failed(stage, work.parent)


class _Stage:
    """Where `go build -v` is, read from what it says on standard error."""

    def __init__(self) -> None:
        self.downloaded = 0
        self.compiled = 0
        self.linking = False
        self.last: deque[str] = deque(maxlen=20)

    def read(self, lines: Iterable[str]) -> None:
        for line in lines:
            said = line.rstrip()
            if said.startswith("go: downloading "):
                self.downloaded += 1
            elif said == _PACKAGE:
                self.linking = True
            elif re.fullmatch(r"[\w.~/-]+", said):
                self.compiled += 1
            else:
                self.last.append(said)

    def __str__(self) -> str:
        if self.linking:
            return "linking"
        if self.compiled:
            return f"compiling, {self.compiled} packages"
        return f"fetching modules, {self.downloaded} so far"


def _failed(stage: _Stage, cache: Path) -> FirstbellError:
    said = "\n".join(stage.last)
    if "no space left on device" in said:
        fix = "make room and run the same again; what was fetched and compiled is kept"
    elif "SECURITY ERROR" in said or "checksum mismatch" in said:
        fix = "a module differs from the one that go.sum pins: do not use it; find out why"
    else:
        fix = f"run the same again; or install the engine itself with {INSTALLER}"
    return FirstbellError("building the engine failed", where=str(cache), why=said or None, fix=fix)
