"""Carries a tree of files between two file systems that the runner mounts, both ways.

A pass copies what is missing or different and never deletes: what is gone on the one side is listed
for the other and deleted at commit. A manifest (SQLite) remembers each entry's SHA-256 with its
size, mtime, ctime and inode; a file is hashed again when any of them changed, so a pass that was
killed goes on where it was, and a changed byte under an equal size and mtime is found by its ctime.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, cast

from cli.migration.preflight import Finding
from cli.migration.spec import Files
from infra.errors import FirstbellError, InputError, MismatchError

if TYPE_CHECKING:
    from _hashlib import HASH

_BLOCK: Final = 1 << 20
_WORKERS: Final = 8
_PART: Final = ".firstbell-part-"
# A manifest row is safe to lose: the file is then hashed again.
_SAVE_EVERY: Final = 500
# Kernels stamp files with a clock that ticks every few milliseconds, network ones by seconds.
_TICK_SECONDS: Final = 2.0
_NAMED: Final = 20

# What every Moodle node makes for itself; copying it would carry locks and stale caches.
_MOODLE_OUT: Final = ("cache", "localcache", "temp", "lock")
_MAINTENANCE: Final = "climaintenance.html"
_FILEDIR: Final = "filedir"

Where = Literal["source", "target"]


class Entry(NamedTuple):
    """One entry of a tree, by its path relative to the root."""

    path: str
    kind: Literal["file", "dir", "link"]
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    mode: int
    uid: int
    gid: int
    link: str = ""

    @property
    def stamp(self) -> str:
        """What tells that a file is untouched."""
        return f"{self.size} {self.mtime_ns} {self.ctime_ns} {self.inode}"


@dataclass
class Pass:
    """What a pass did."""

    entries: int = 0
    copied: int = 0
    copied_bytes: int = 0
    adjusted: int = 0
    deferred: int = 0
    seconds: float = 0.0
    # Files on the receiving side that somebody else changed; they are named, never overwritten.
    touched: list[str] = field(default_factory=list[str])

    def to_json(self) -> dict[str, object]:
        return {**vars(self), "seconds": round(self.seconds, 3)}


class Tree:
    """One tree of the migration, with its manifest."""

    def __init__(
        self, spec: Files, manifest: Path, *, now: Callable[[], float] = time.time
    ) -> None:
        self.spec = spec
        self.name = spec.name
        self._manifest = manifest
        self._now = now
        self._owners = os.geteuid() == 0
        # A folder that is left out is not entered, so what lies in it needs no look.
        self._excluded = frozenset(each.strip("/") for each in spec.exclude)
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None

    # The manifest

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            self._manifest.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self._manifest, check_same_thread=False, timeout=30)
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(
                "CREATE TABLE IF NOT EXISTS sum (side TEXT, path TEXT, stamp TEXT, sha256 TEXT,"
                " sha1 TEXT, PRIMARY KEY (side, path)) WITHOUT ROWID;"
                "CREATE TABLE IF NOT EXISTS deferred (side TEXT, path TEXT, stamp TEXT,"
                " PRIMARY KEY (side, path)) WITHOUT ROWID;"
            )
            self._db = db
        return self._db

    def _known(self, side: Where) -> dict[str, tuple[str, str, str]]:
        rows = self._open().execute(
            "SELECT path, stamp, sha256, sha1 FROM sum WHERE side = ?", (side,)
        )
        return {path: (stamp, sha256, sha1) for path, stamp, sha256, sha1 in rows}

    def _deferred(self, side: Where) -> dict[str, str]:
        rows = self._open().execute("SELECT path, stamp FROM deferred WHERE side = ?", (side,))
        return dict(cast("list[tuple[str, str]]", rows.fetchall()))

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def root(self, side: Where) -> Path:
        return self.spec.source if side == "source" else self.spec.target

    # Looking

    def preflight(self) -> list[Finding]:
        """What stands in the way of copying; changes nothing."""
        found: list[Finding] = []
        source, target = self.spec.source, self.spec.target
        if not source.is_dir() or not os.access(source, os.R_OK | os.X_OK):
            return [
                Finding(
                    f"files-{self.name}",
                    "blocker",
                    f"{source} is missing or not readable by the runner",
                    "mount it on the runner, read-write, for the way back needs it too",
                )
            ]
        holder = target if target.exists() else target.parent
        if not holder.is_dir() or not os.access(holder, os.W_OK | os.X_OK):
            return [
                Finding(
                    f"files-{self.name}",
                    "blocker",
                    f"{target} cannot be written by the runner",
                    "mount the target's file system there",
                )
            ]
        if source.resolve() == target.resolve() or source.resolve() in target.resolve().parents:
            return [
                Finding(f"files-{self.name}", "blocker", "the target lies in the source's own tree")
            ]
        size = sum(entry.size for entry in self.scan("source").values() if entry.kind == "file")
        have = 0
        if target.is_dir():
            have = sum(e.size for e in self.scan("target").values() if e.kind == "file")
        free = shutil.disk_usage(holder).free
        if size - have > free * 0.95:
            found.append(
                Finding(
                    f"files-{self.name}-disk",
                    "blocker",
                    f"{size / 1e9:.2f} GB are to be copied and {free / 1e9:.2f} GB are free",
                    "take a larger file system",
                )
            )
        if not self._owners:
            found.append(
                Finding(
                    f"files-{self.name}-owners",
                    "accept",
                    "the runner is not root, so owners cannot be kept",
                    "run firstbell as root, or accept that every file belongs to the runner",
                )
            )
        return found

    def _left_out(self, path: str, name: str) -> bool:
        if name.startswith(_PART):
            return True
        if self.spec.layout == "moodle" and (path in _MOODLE_OUT or path == _MAINTENANCE):
            return True
        return path in self._excluded

    def scan(self, side: Where) -> dict[str, Entry]:
        """Every entry of one side, caches left out.

        Raises:
            InputError: a folder cannot be read.
        """
        root, found = str(self.root(side)), dict[str, Entry]()
        todo = [""]
        while todo:
            folder = todo.pop()
            try:
                with os.scandir(os.path.join(root, folder)) as listing:  # noqa: PTH118 (bytes matter)
                    items = list(listing)
            except FileNotFoundError:
                if not folder:
                    raise
                continue  # gone since its parent was read
            except OSError as error:
                raise InputError(f"cannot read {folder or root}", why=str(error)) from error
            for item in items:
                path = f"{folder}/{item.name}" if folder else item.name
                if self._left_out(path, item.name):
                    continue
                with suppress(FileNotFoundError):
                    entry = _entry(item, path)
                    if entry is not None:
                        found[path] = entry
                        if entry.kind == "dir":
                            todo.append(path)
        return found

    # Copying

    def carry(
        self, *, to: str, fenced: bool = False, stop: Callable[[], None]
    ) -> dict[str, object]:
        """One pass towards a side. `stop` is called now and then and may raise.

        With `fenced`, nothing may change on the other side any more, and that is checked.

        Raises:
            FirstbellError: something wrote to the fenced side.
            MismatchError: inside the fence, somebody else changed files on the receiving side.
        """
        side: Where = "target" if to == "target" else "source"
        other: Where = "source" if side == "target" else "target"
        started, clock = time.monotonic(), self._now()
        self._refuse_missing(other)
        done = self._pass(other, side, stop)
        if fenced and done.touched:
            raise MismatchError(
                f"{len(done.touched)} files on the {side} are not what was copied there:"
                f" {', '.join(done.touched[:_NAMED])}",
                fix="find out who wrote them; delete them there and they are copied again",
            )
        if fenced:
            late = [e.path for e in self.scan(other).values() if e.ctime_ns > clock * 1e9]
            if late:
                raise FirstbellError(
                    f"{len(late)} entries of {self.name} changed inside the fence: {late[:_NAMED]}",
                    fix="find what still writes there (cron, uploads) and add it to stop:",
                )
            os.sync()
        done.seconds = time.monotonic() - started
        return done.to_json()

    def _refuse_missing(self, side: Where) -> None:
        """An unmounted file system looks like an empty folder: everything would seem deleted."""
        root = self.root(side)
        if not root.is_dir():
            raise FirstbellError(f"{root} is not there", fix="mount it on the runner again")
        if self._known(side) and not any(root.iterdir()):
            raise FirstbellError(
                f"{root} is empty, and was not before", fix="mount it on the runner again"
            )

    def _pass(self, a: Where, b: Where, stop: Callable[[], None]) -> Pass:
        self.root(b).mkdir(parents=True, exist_ok=True)
        mine, theirs = self.scan(a), self.scan(b)
        known_a, known_b = self._known(a), self._known(b)
        resurrected = self._deferred(a)
        done = Pass(entries=len(mine))
        sums: list[tuple[str, str, str, str, str]] = []
        jobs: list[Entry] = []
        for path in sorted(mine):
            entry, there = mine[path], theirs.get(path)
            if path in resurrected and resurrected[path] == entry.stamp:
                continue  # deleted on the other side before the switch; waits for commit
            if there is not None and there.kind != entry.kind:
                # A file became a directory or a link: the old kind cannot stay beside it.
                self._remove(self.root(b) / path)
                there = None
            if entry.kind == "dir":
                (self.root(b) / path).mkdir(exist_ok=True)
            elif entry.kind == "link":
                if there is None or there.link != entry.link:
                    self._link(entry, self.root(b) / path)
                    done.adjusted += 1
            elif there is not None and self._same(
                entry, there, known_a.get(path), known_b.get(path)
            ):
                if self._differs(entry, there) and self._adjust(entry, there, self.root(b) / path):
                    done.adjusted += 1
                    # Changing mode or owner moved its ctime, not its content.
                    fresh = _stat(self.root(b) / path, path)
                    sums.append((b, path, fresh.stamp, *known_b[path][1:]))
            elif there is not None and self._touched(
                b, entry, there, known_a.get(path), known_b.get(path)
            ):
                done.touched.append(f"{self.name}/{path}")
            else:
                jobs.append(entry)
        self._copy_all(a, b, jobs, sums=sums, done=done, stop=stop)
        # Deepest first, so that a directory's own mtime is set after its children were made.
        for path in sorted((p for p, e in mine.items() if e.kind == "dir"), reverse=True):
            self._adjust(mine[path], theirs.get(path), self.root(b) / path, directory=True)
        gone = {
            path: entry
            for path, entry in theirs.items()
            if path not in mine and not self._united(path) and entry.kind != "dir"
        }
        with self._lock:
            db = self._open()
            db.execute("DELETE FROM deferred WHERE side = ?", (b,))
            db.executemany(
                "INSERT INTO deferred VALUES (?, ?, ?)",
                [(b, path, entry.stamp) for path, entry in gone.items()],
            )
            db.commit()
        done.deferred = len(gone)
        return done

    def _united(self, path: str) -> bool:
        """Whether the path is in a content-addressed tree: nothing in it is ever deleted."""
        return self.spec.layout == "moodle" and path.startswith(f"{_FILEDIR}/")

    @staticmethod
    def _same(
        entry: Entry,
        there: Entry,
        known: tuple[str, str, str] | None,
        known_there: tuple[str, str, str] | None,
    ) -> bool:
        """Whether both contents are known to be equal without reading them again."""
        if there.size != entry.size or known is None or known_there is None:
            return False
        return (
            known[0] == entry.stamp and known_there[0] == there.stamp and known[1] == known_there[1]
        )

    def _touched(
        self,
        b: Where,
        entry: Entry,
        there: Entry,
        known: tuple[str, str, str] | None,
        known_there: tuple[str, str, str] | None,
    ) -> bool:
        """Whether somebody else changed what was copied, while the original stayed the same.

        A pass that died between a copy and its manifest row leaves an original that changed since
        the row before, so it is not mistaken for that.
        """
        if known is None or known_there is None or known[1] != known_there[1]:
            return False
        if known[0] != entry.stamp or known_there[0] == there.stamp:
            return False
        return self._hash(self.root(b) / entry.path, entry)[0] != known[1]

    def _copy_all(
        self,
        a: Where,
        b: Where,
        jobs: list[Entry],
        *,
        sums: list[tuple[str, str, str, str, str]],
        done: Pass,
        stop: Callable[[], None],
    ) -> None:
        with ThreadPoolExecutor(_WORKERS) as pool:
            try:
                for job in as_completed([pool.submit(self._copy, a, b, entry) for entry in jobs]):
                    result = job.result()
                    if result is None:
                        continue
                    size, rows = result
                    done.copied += 1
                    done.copied_bytes += size
                    sums += rows
                    if len(sums) >= _SAVE_EVERY:
                        self._save(sums)
                        stop()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
            finally:
                self._save(sums)

    def _save(self, sums: list[tuple[str, str, str, str, str]]) -> None:
        with self._lock:
            db = self._open()
            db.executemany("REPLACE INTO sum VALUES (?, ?, ?, ?, ?)", sums)
            db.commit()
        sums.clear()

    def _copy(
        self, a: Where, b: Where, entry: Entry
    ) -> tuple[int, list[tuple[str, str, str, str, str]]] | None:
        """Copy one file by a temporary name, hashing what is read; None when it is gone."""
        origin, destination = self.root(a) / entry.path, self.root(b) / entry.path
        part = destination.with_name(_PART + hashlib.sha256(entry.path.encode()).hexdigest()[:24])
        sha256, sha1 = hashlib.sha256(), self._sha1(entry.path)
        try:
            with origin.open("rb") as reader:
                before = os.fstat(reader.fileno())
                with part.open("wb") as writer:
                    while block := reader.read(_BLOCK):
                        sha256.update(block)
                        if sha1 is not None:
                            sha1.update(block)
                        writer.write(block)
                    if self._owners:
                        os.fchown(writer.fileno(), before.st_uid, before.st_gid)
                    os.fchmod(writer.fileno(), stat.S_IMODE(before.st_mode))
        except FileNotFoundError:
            part.unlink(missing_ok=True)
            return None
        os.utime(part, ns=(before.st_atime_ns, before.st_mtime_ns))
        part.replace(destination)
        sums = (sha256.hexdigest(), sha1.hexdigest() if sha1 is not None else "")
        # If it changed while it was read, its stamp differs at the next look and it is read again.
        # A change within the clock's tick would keep the stamp, so a fresh one is not trusted.
        fresh = self._now() - before.st_ctime < _TICK_SECONDS
        stamp = "" if fresh else _make(before, entry.path, "file").stamp
        there = _stat(destination, entry.path).stamp
        return before.st_size, [
            (a, entry.path, stamp, *sums),
            (b, entry.path, there, *sums),
        ]

    def _sha1(self, path: str) -> HASH | None:
        if self.spec.layout == "moodle" and path.startswith(f"{_FILEDIR}/"):
            return hashlib.sha1(usedforsecurity=False)
        return None

    def _link(self, entry: Entry, destination: Path) -> None:
        part = destination.with_name(_PART + "link")
        part.unlink(missing_ok=True)
        part.symlink_to(entry.link)
        if self._owners:
            os.lchown(part, entry.uid, entry.gid)
        part.replace(destination)

    def _differs(self, entry: Entry, there: Entry) -> bool:
        """Whether mode, owner or mtime are not the entry's."""
        owners = self._owners and (there.uid, there.gid) != (entry.uid, entry.gid)
        return owners or there.mode != entry.mode or there.mtime_ns != entry.mtime_ns

    def _adjust(
        self, entry: Entry, there: Entry | None, path: Path, *, directory: bool = False
    ) -> bool:
        """Make mode, owner and mtime those of the entry; whether anything was changed."""
        have = there or _stat(path, entry.path)
        changed = False
        if self._owners and (have.uid, have.gid) != (entry.uid, entry.gid):
            os.chown(path, entry.uid, entry.gid)
            changed = True
        if have.mode != entry.mode:
            path.chmod(entry.mode)
            changed = True
        # A directory's own mtime moved while its children were made, so it is looked at afresh.
        mtime = path.stat().st_mtime_ns if directory else have.mtime_ns
        if changed or mtime != entry.mtime_ns:
            os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns))
            changed = True
        return changed

    @staticmethod
    def _remove(path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    # Comparing

    def sums(self, side: Where, stop: Callable[[], None]) -> dict[str, tuple[Entry, str, str]]:
        """SHA-256 (and in filedir SHA-1) of every entry of a side, read where it is not known."""
        known, entries = self._known(side), self.scan(side)
        results: dict[str, tuple[Entry, str, str]] = {}
        unknown: list[Entry] = []
        for path, entry in entries.items():
            if entry.kind != "file":
                results[path] = (entry, "", "")
            elif (have := known.get(path)) is not None and have[0] == entry.stamp:
                results[path] = (entry, have[1], have[2])
            else:
                unknown.append(entry)
        rows: list[tuple[str, str, str, str, str]] = []
        with ThreadPoolExecutor(_WORKERS) as pool:
            for entry, sums in zip(
                unknown,
                pool.map(lambda e: self._hash(self.root(side) / e.path, e), unknown),
                strict=True,
            ):
                results[entry.path] = (entry, *sums)
                rows.append((side, entry.path, entry.stamp, *sums))
                if len(rows) >= _SAVE_EVERY:
                    self._save(rows)
                    stop()
        self._save(rows)
        return results

    def _hash(self, path: Path, entry: Entry) -> tuple[str, str]:
        sha256, sha1 = hashlib.sha256(), self._sha1(entry.path)
        with path.open("rb") as reader:
            while block := reader.read(_BLOCK):
                sha256.update(block)
                if sha1 is not None:
                    sha1.update(block)
        return sha256.hexdigest(), sha1.hexdigest() if sha1 is not None else ""

    def compare(self, *, stop: Callable[[], None]) -> tuple[int, list[str]]:
        """Compare both sides' manifests: entries compared, and every difference as a sentence."""
        mine, theirs = self.sums("source", stop), self.sums("target", stop)
        waiting = {**self._deferred("source"), **self._deferred("target")}
        problems: list[str] = []
        for path in sorted(mine.keys() | theirs.keys()):
            one, other = mine.get(path), theirs.get(path)
            if (one is None or other is None) and (lone := one or other) is not None:
                entry = lone[0]
                if self._united(path) or waiting.get(path) == entry.stamp:
                    continue
                if entry.kind == "dir" and any(each.startswith(f"{path}/") for each in waiting):
                    continue  # it is left for what it holds, which waits for its deletion
                side = "source" if one is None else "target"
                problems.append(f"file {self.name}/{path} is missing on the {side}")
                continue
            if one is not None and other is not None:
                problems += [
                    f"file {self.name}/{path}: {what}" for what in self._unequal(one, other)
                ]
        problems += [
            f"file {self.name}/{path} on the {side}: its content is not what its name says"
            for side, tree in (("source", mine), ("target", theirs))
            for path, (entry, _, sha1) in sorted(tree.items())
            if sha1 and entry.kind == "file" and _is_sha1(path) and not path.endswith(sha1)
        ]
        return len(mine.keys() & theirs.keys()), problems

    def _unequal(self, one: tuple[Entry, str, str], other: tuple[Entry, str, str]) -> Iterator[str]:
        a, b = one[0], other[0]
        if a.kind != b.kind:
            yield f"a {a.kind} on the source, a {b.kind} on the target"
            return
        if one[1] != other[1]:
            yield "the contents differ"
        if a.link != b.link:
            yield f"points to {a.link} and to {b.link}"
        if a.kind == "link":
            return
        if a.mode != b.mode:
            yield f"modes {a.mode:o} and {b.mode:o}"
        if self._owners and (a.uid, a.gid) != (b.uid, b.gid):
            yield f"owners {a.uid}:{a.gid} and {b.uid}:{b.gid}"
        if a.kind == "file" and a.mtime_ns != b.mtime_ns:
            yield "modification times differ"

    def content_hashes(self, side: Where) -> set[str]:
        """The names in a Moodle filedir: SHA-1 of each content."""
        return {
            path.rsplit("/", 1)[-1]
            for path in self.scan(side)
            if path.startswith(f"{_FILEDIR}/") and _is_sha1(path)
        }

    # Around the switch

    def clear_maintenance(self) -> list[str]:
        """Remove Moodle's maintenance mark on both sides; it would keep users out."""
        cleared: list[str] = []
        if self.spec.layout != "moodle":
            return cleared
        for root in (self.spec.source, self.spec.target):
            mark = root / _MAINTENANCE
            if mark.exists():
                mark.unlink()
                cleared.append(str(mark))
        return cleared

    def delete_deferred(self) -> int:
        """Delete on the target what the source had deleted, unless it was touched since."""
        deleted = 0
        for path, stamp in self._deferred("target").items():
            place = self.spec.target / path
            with suppress(FileNotFoundError):
                if _stat(place, path).stamp == stamp:
                    place.unlink()
                    deleted += 1
        db = self._open()
        db.execute("DELETE FROM deferred")
        db.commit()
        return deleted


def _is_sha1(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return len(name) == 40 and all(c in "0123456789abcdef" for c in name)


def _entry(item: os.DirEntry[str], path: str) -> Entry | None:
    found = item.stat(follow_symlinks=False)
    if stat.S_ISLNK(found.st_mode):
        return _make(found, path, "link", str(Path(item.path).readlink()))
    if stat.S_ISDIR(found.st_mode):
        return _make(found, path, "dir")
    if stat.S_ISREG(found.st_mode):
        return _make(found, path, "file")
    return None  # sockets and pipes belong to processes, not to data


def _stat(place: Path, path: str) -> Entry:
    found = place.lstat()
    return _make(found, path, "dir" if stat.S_ISDIR(found.st_mode) else "file")


def _make(
    found: os.stat_result, path: str, kind: Literal["file", "dir", "link"], link: str = ""
) -> Entry:
    return Entry(
        path,
        kind,
        found.st_size if kind == "file" else 0,
        found.st_mtime_ns,
        found.st_ctime_ns,
        found.st_ino,
        stat.S_IMODE(found.st_mode),
        found.st_uid,
        found.st_gid,
        link,
    )
