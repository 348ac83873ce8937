"""A side's tree in a folder that the runner mounts: local, NFS or EFS."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from cli.migration.engine import Finding
from cli.migration.entries import (
    BLOCK,
    UNKNOWN,
    Entry,
    Opened,
    mode_differs,
    mtime_differs,
    of_stat,
    owners_differ,
)
from infra.errors import FirstbellError, InputError

# Folders that are listed at a time.
_WALKERS: Final = 4
PART: Final = ".firstbell-part-"


class Folder:
    """A folder. With `mount`, a file system must be mounted there all the time."""

    def __init__(self, root: Path, *, mount: Path | None = None) -> None:
        self.root = root
        self.mount = mount
        self.owners = os.geteuid() == 0
        # What a pass that was killed left half written.
        self._parts = set[str]()

    def __str__(self) -> str:
        return str(self.root)

    # Looking

    def preflight(self, name: str, *, writes: bool) -> list[Finding]:
        """Whether the runner may use it; changes nothing."""
        found: list[Finding] = []
        if not writes and (not self.root.is_dir() or not _may(self.root, os.R_OK | os.X_OK)):
            found.append(
                Finding(
                    f"files-{name}",
                    "blocker",
                    f"{self.root} is missing or not readable by the runner",
                    "mount it on the runner, read-write, for the way back needs it too",
                )
            )
        if self.mount is not None and not self.mount.is_mount():
            found.append(
                Finding(
                    f"files-{name}-mount",
                    "blocker",
                    f"nothing is mounted on {self.mount}",
                    f"mount the file system there (EFS: mount -t efs FILE_SYSTEM_ID {self.mount})",
                )
            )
        elif writes and not _may(self._holder(), os.W_OK | os.X_OK):
            found.append(
                Finding(
                    f"files-{name}",
                    "blocker",
                    f"{self.root} cannot be written by the runner",
                    "mount the target's file system there",
                )
            )
        return found

    def unreadable(self, entries: Iterable[Entry]) -> list[str]:
        """Files that the runner may not read; root may read all, or learns it when it reads."""
        if self.owners:
            return []
        return [
            entry.path
            for entry in entries
            if entry.kind == "file" and not _may(self.root / entry.path, os.R_OK)
        ]

    def contains(self, other: Folder) -> bool:
        """Whether the other is this folder or lies in it, by whatever name."""
        root = self.root.resolve()
        for place in (other.root.resolve(), *other.root.resolve().parents):
            if place == root:
                return True
            with suppress(OSError):
                if place.samefile(root):
                    return True
        return False

    def _holder(self) -> Path:
        return self.root if self.root.exists() else self.root.parent

    def free_bytes(self) -> int | None:
        """Free space of the file system."""
        return shutil.disk_usage(self._holder()).free

    def refuse_missing(self, *, known: bool, receives: bool) -> None:
        """An unmounted file system looks like an empty folder: everything would seem deleted."""
        if self.mount is not None and not self.mount.is_mount():
            raise FirstbellError(
                f"nothing is mounted on {self.mount}", fix="mount it on the runner again"
            )
        if receives:
            return
        if not self.root.is_dir():
            raise FirstbellError(f"{self.root} is not there", fix="mount it on the runner again")
        if known and not any(self.root.iterdir()):
            raise FirstbellError(
                f"{self.root} is empty, and was not before", fix="mount it on the runner again"
            )

    def begin(self) -> None:
        """Make the root."""
        self.root.mkdir(parents=True, exist_ok=True)

    def end(self, *, durable: bool) -> None:
        """Nothing half written is left; when `durable`, written files are on disk from here on."""
        while self._parts:
            Path(self._parts.pop()).unlink(missing_ok=True)
        if durable:
            os.sync()

    def scan(self, left_out: Callable[[str, str], bool]) -> dict[str, Entry]:
        """Every entry by path; several folders at a time, for a network file system answers slowly.

        Raises:
            InputError: a folder cannot be read.
        """
        found = dict[str, Entry]()
        with ThreadPoolExecutor(_WALKERS) as pool:
            reading = {pool.submit(self._list, "", left_out)}
            while reading:
                done, reading = wait(reading, return_when=FIRST_COMPLETED)
                for each in done:
                    entries = each.result()
                    found.update((entry.path, entry) for entry in entries)
                    reading |= {
                        pool.submit(self._list, entry.path, left_out)
                        for entry in entries
                        if entry.kind == "dir"
                    }
        return found

    def _list(self, folder: str, left_out: Callable[[str, str], bool]) -> list[Entry]:
        """The entries of one folder."""
        prefix, found = f"{folder}/" if folder else "", list[Entry]()
        try:
            with os.scandir(f"{self.root}/{folder}") as listing:
                for item in listing:
                    path = prefix + item.name
                    if item.name.startswith(PART):
                        self._parts.add(item.path)
                        continue
                    if left_out(path, item.name):
                        continue
                    try:
                        entry = _entry(item, path)
                    except FileNotFoundError:
                        continue
                    if entry is not None:
                        found.append(entry)
        except FileNotFoundError:
            if not folder:
                raise
            return found  # gone since its parent was read
        except OSError as error:
            raise InputError(f"cannot read {folder or self.root}", why=str(error)) from error
        return found

    def look(self, path: str) -> Entry | None:
        """One entry as it is now."""
        with suppress(FileNotFoundError, NotADirectoryError):
            return _look(self.root / path, path)
        return None

    @contextmanager
    def read(self, entry: Entry) -> Generator[Opened]:
        """The file's entry at opening, and its content."""
        with (self.root / entry.path).open("rb", buffering=0) as reader:
            found = of_stat(os.fstat(reader.fileno()), entry.path, "file")

            def blocks() -> Generator[bytes]:
                while block := reader.read(BLOCK):
                    yield block

            yield found, blocks()

    # Changing

    def write(self, entry: Entry, blocks: Iterable[bytes]) -> Entry:
        """Write by a temporary name beside it, then rename."""
        place = self.root / entry.path
        part = place.with_name(
            PART + sha256(entry.path.encode(errors="surrogateescape")).hexdigest()[:24]
        )
        entry = self._complete(entry, place)
        try:
            with part.open("wb", buffering=0) as writer:
                number = writer.fileno()
                for block in blocks:
                    view = memoryview(block)
                    while view:
                        view = view[writer.write(view) :]
                if self.owners:
                    os.fchown(number, entry.uid, entry.gid)
                os.fchmod(number, entry.mode)
                os.utime(number, ns=(entry.mtime_ns, entry.mtime_ns))
            part.replace(place)
            return of_stat(place.lstat(), entry.path, "file")
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def _complete(self, entry: Entry, place: Path) -> Entry:
        """With the attributes of what is replaced, or else of the folder, for what nobody knows."""
        if entry.mode != UNKNOWN:
            return entry
        with suppress(FileNotFoundError):
            was = place.lstat()
            if stat.S_ISREG(was.st_mode):
                mode = stat.S_IMODE(was.st_mode)
                return entry._replace(mode=mode, uid=was.st_uid, gid=was.st_gid)
        holder = place.parent.stat()
        mode = stat.S_IMODE(holder.st_mode) & (0o777 if entry.kind == "dir" else 0o666)
        return entry._replace(mode=mode, uid=holder.st_uid, gid=holder.st_gid)

    def folder(self, entry: Entry) -> None:
        """Make a folder; its attributes follow when its children are there."""
        place = self.root / entry.path
        if place.is_dir():
            return
        whole = self._complete(entry, place)
        place.mkdir(exist_ok=True)
        if entry.mode == UNKNOWN:
            self.adjust(whole._replace(mtime_ns=UNKNOWN), None)

    def link(self, entry: Entry) -> None:
        """Make a symbolic link by a temporary name."""
        place = self.root / entry.path
        part = place.with_name(f"{PART}link")
        part.unlink(missing_ok=True)
        part.symlink_to(entry.link)
        if self.owners and entry.uid != UNKNOWN:
            os.lchown(part, entry.uid, entry.gid)
        part.replace(place)

    def adjust(self, entry: Entry, there: Entry | None) -> Entry | None:
        """Make mode, owner and mtime those of the entry."""
        place = self.root / entry.path
        have = there or _look(place, entry.path)
        changed = False
        if self.owners and owners_differ(entry, have):
            os.chown(place, entry.uid, entry.gid)
            changed = True
        if mode_differs(entry, have):
            place.chmod(entry.mode)
            changed = True
        # A folder's own mtime moved while its children were made, so it is looked at afresh.
        if entry.kind == "dir":
            have = have._replace(mtime_ns=place.stat().st_mtime_ns)
        if entry.mtime_ns != UNKNOWN and (changed or mtime_differs(entry, have)):
            os.utime(place, ns=(entry.mtime_ns, entry.mtime_ns))
            changed = True
        return _look(place, entry.path) if changed else None

    def remove(self, path: str) -> bool:
        """Remove an entry with all below it."""
        place = self.root / path
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
            return True
        with suppress(FileNotFoundError):
            place.unlink()
            return True
        return False


def _may(path: Path, how: int) -> bool:
    """Whether this process may, and not whoever started it."""
    return os.access(path, how, effective_ids=os.access in os.supports_effective_ids)


def _entry(item: os.DirEntry[str], path: str) -> Entry | None:
    found = item.stat(follow_symlinks=False)
    if stat.S_ISREG(found.st_mode):
        return of_stat(found, path, "file")
    if stat.S_ISDIR(found.st_mode):
        return of_stat(found, path, "dir")
    if stat.S_ISLNK(found.st_mode):
        return of_stat(found, path, "link", str(Path(item.path).readlink()))
    return None  # sockets and pipes belong to processes, not to data


def _look(place: Path, path: str) -> Entry:
    found = place.lstat()
    if stat.S_ISLNK(found.st_mode):
        return of_stat(found, path, "link", str(place.readlink()))
    return of_stat(found, path, "dir" if stat.S_ISDIR(found.st_mode) else "file")
