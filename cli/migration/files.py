"""Carries a tree of files between the two sides, both ways: mounted folders, or S3 on the target.

A pass copies what is missing or different and never deletes: what is gone on the one side is listed
for the other and deleted at commit. A manifest remembers each entry's SHA-256 with its size, mtime,
ctime and inode (on S3 its ETag); a file is hashed again when any of them changed, so a pass that
was killed goes on where it was, and a changed byte under an equal size and mtime is found.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from cli.migration import stack_target
from cli.migration.engine import Finding
from cli.migration.entries import (
    UNKNOWN,
    Entry,
    Place,
    mode_differs,
    mtime_differs,
    owners_differ,
)
from cli.migration.folder import Folder
from cli.migration.manifest import Manifest, SumRow
from cli.migration.spec import Files, Target
from infra.errors import FirstbellError, MismatchError

if TYPE_CHECKING:
    from _hashlib import HASH

_WORKERS: Final = 8
_SAVE_EVERY: Final = 500
# Kernels stamp files with a clock that ticks every few milliseconds, network ones by seconds.
_TICK_SECONDS: Final = 2.0
_NAMED: Final = 20

# What every Moodle node makes for itself; copying it would carry locks and stale caches.
_MOODLE_OUT: Final = ("cache", "localcache", "temp", "lock")
_MAINTENANCE: Final = "climaintenance.html"
_FILEDIR: Final = "filedir"

Where = Literal["source", "target"]


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
    # What the place cannot keep, as a sentence.
    not_kept: str = ""

    def to_json(self) -> dict[str, object]:
        return {**vars(self), "seconds": round(self.seconds, 3)}


def place_of(target: Path | Target, manifest: Manifest) -> Place:
    """The place that a migration file names."""
    if isinstance(target, Path):
        return Folder(target)
    mount = target.mount
    if target.stack is not None:
        mount = stack_target.mount_point(target.stack, mount, "files.target.stack")
    if mount is not None:
        return Folder(mount / target.path, mount=mount)
    from cli.migration.bucket import Bucket

    return Bucket(target, manifest)


class Tree:
    """One tree of the migration, with its manifest."""

    def __init__(
        self, spec: Files, manifest: Path, *, now: Callable[[], float] = time.time
    ) -> None:
        self.spec = spec
        self.name = spec.name
        self.manifest = Manifest(manifest)
        self.places: dict[Where, Place] = {
            "source": Folder(spec.source),
            "target": place_of(spec.target, self.manifest),
        }
        self._now = now
        # A folder that is left out is not entered, so what lies in it needs no look.
        self._excluded = frozenset(each.strip("/") for each in spec.exclude)

    def close(self) -> None:
        self.manifest.close()

    # Looking

    def preflight(self) -> list[Finding]:
        """What stands in the way of copying; changes nothing."""
        source, target = self.places["source"], self.places["target"]
        found = source.preflight(self.name, writes=False) + target.preflight(self.name, writes=True)
        if found:
            return found
        if isinstance(source, Folder) and isinstance(target, Folder):
            for outer, inner, what in (
                (source, target, "the target lies in the source's own tree"),
                (target, source, "the source lies in the target's own tree"),
            ):
                if outer.contains(inner):
                    fix = "name a folder apart from the other"
                    return [Finding(f"files-{self.name}", "blocker", what, fix)]
        trees: dict[Where, dict[str, Entry]] = {}
        sides: tuple[Where, ...] = ("source", "target")
        for side in sides:
            try:
                trees[side] = self.scan(side) if side == "source" else self._there()
            except (FirstbellError, OSError) as error:
                found.append(self._no_scan(side, error))
        if found:
            return found
        mine, theirs = trees["source"], trees["target"]
        found += self._names(mine)
        found += self._disk(mine, theirs)
        found += self._unreadable(mine)
        if not self.manifest.knows("target"):
            found += self._others(mine, theirs)
        if not source.owners:
            found.append(
                Finding(
                    f"files-{self.name}-owners",
                    "accept",
                    "the runner is not root, so owners cannot be kept",
                    "run firstbell as root, or accept that every file belongs to the runner",
                )
            )
        return found

    def _no_scan(self, side: Where, error: FirstbellError | OSError) -> Finding:
        """Why the entries of a side are not known; S3 may be away, a folder gone."""
        detail, fix = str(error), f"wait until {self.places[side]} answers, then look again"
        if isinstance(error, FirstbellError):
            detail = f"{error.what}: {error.why}" if error.why else error.what
            fix = error.fix or "let the runner read everything, as root or by a group"
        return Finding(f"files-{self.name}", "blocker", f"on the {side}: {detail}", fix)

    def _there(self) -> dict[str, Entry]:
        """The target as it is before the first pass; its folder need not exist."""
        target = self.places["target"]
        if isinstance(target, Folder) and not target.root.is_dir():
            return {}
        return self.scan("target")

    def _unreadable(self, mine: dict[str, Entry]) -> list[Finding]:
        source = self.places["source"]
        closed = source.unreadable(mine.values()) if isinstance(source, Folder) else []
        if not closed:
            return []
        return [
            Finding(
                f"files-{self.name}-unreadable",
                "blocker",
                f"{len(closed)} files cannot be read by the runner: {', '.join(closed[:_NAMED])}",
                "run firstbell as root, or let its group read them",
            )
        ]

    def _others(self, mine: dict[str, Entry], theirs: dict[str, Entry]) -> list[Finding]:
        """What stands on the target before the first pass and will never be on the source."""
        others = [path for path in sorted(theirs) if path not in mine and not self._united(path)]
        if not others:
            return []
        return [
            Finding(
                f"files-{self.name}-not-empty",
                "blocker",
                f"{len(others)} entries are on the target alone, and stop the cutover in verify:"
                f" {', '.join(others[:_NAMED])}",
                "name an empty folder or prefix, or remove them; nothing is ever overwritten",
            )
        ]

    def _names(self, mine: dict[str, Entry]) -> list[Finding]:
        """Names that the target cannot carry, and what it cannot keep."""
        refuses = getattr(self.places["target"], "refuses", None)
        if refuses is None:
            return []
        bad = [path for path in mine if refuses(path)]
        found: list[Finding] = []
        if bad:
            named = ", ".join(repr(path) for path in bad[:_NAMED])
            found.append(
                Finding(
                    f"files-{self.name}-names",
                    "blocker",
                    f"{len(bad)} names cannot be S3 keys (UTF-8, at most 1,024 bytes): {named}",
                    "rename them, or take a file system (EFS) as the target",
                )
            )
        if kept := self.cannot_keep(mine):
            found.append(Finding(f"files-{self.name}-s3", "note", kept))
        return found

    def cannot_keep(self, entries: dict[str, Entry]) -> str:
        """What S3 cannot keep of these entries, as a sentence; empty for a file system."""
        if isinstance(self.places["target"], Folder):
            return ""
        links = sum(1 for entry in entries.values() if entry.kind == "link")
        holders = {path.rpartition("/")[0] for path in entries}
        empty = sum(1 for p, entry in entries.items() if entry.kind == "dir" and p not in holders)
        attributes = {(e.mode, e.uid, e.gid) for e in entries.values() if e.kind != "link"}
        return (
            f"S3 keeps no {len(attributes)} kinds of mode and owner, {links} symbolic links and"
            f" {empty} empty folders of {self.name}: they are recorded in {self.manifest.path.name}"
            " on the runner, stay on the source, and are put back there on the way back"
        )

    def _disk(self, mine: dict[str, Entry], theirs: dict[str, Entry]) -> list[Finding]:
        free = self.places["target"].free_bytes()
        if free is None:
            return []
        size = sum(entry.size for entry in mine.values())
        have = sum(entry.size for entry in theirs.values())
        if size - have <= free * 0.95:
            return []
        return [
            Finding(
                f"files-{self.name}-disk",
                "blocker",
                f"{size / 1e9:.2f} GB are to be copied and {free / 1e9:.2f} GB are free",
                "take a larger file system",
            )
        ]

    def _left_out(self, path: str, _name: str) -> bool:
        if self.spec.layout == "moodle" and (path in _MOODLE_OUT or path == _MAINTENANCE):
            return True
        return path in self._excluded

    def scan(self, side: Where) -> dict[str, Entry]:
        """Every entry of one side, caches left out.

        Raises:
            InputError: a folder cannot be read.
        """
        return self.places[side].scan(self._left_out)

    # Copying

    def carry(
        self, *, to: str, fenced: bool = False, stop: Callable[[], None]
    ) -> dict[str, object]:
        """One pass towards a side. `stop` is called now and then and may raise.

        With `fenced`, nothing may change on the other side any more, and that is checked.

        Raises:
            FirstbellError: something wrote to the fenced side, or a file cannot be read or written.
            MismatchError: inside the fence, somebody else changed files on the receiving side.
            ConnectionError: S3 is away.
        """
        try:
            return self._carry(to=to, fenced=fenced, stop=stop)
        except ConnectionError:
            raise
        except OSError as error:
            raise FirstbellError(
                f"a pass over {self.name} ended: {error.strerror or error}",
                where=str(error.filename or self.places["target"]),
                fix="mend it; the next pass goes on where this one ended",
            ) from error

    def _carry(self, *, to: str, fenced: bool, stop: Callable[[], None]) -> dict[str, object]:
        side: Where = "target" if to == "target" else "source"
        other: Where = "source" if side == "target" else "target"
        started, clock = time.monotonic(), self._now()
        self.places[other].refuse_missing(known=self.manifest.knows(other), receives=False)
        self.places[side].refuse_missing(known=self.manifest.knows(side), receives=True)
        done, mine = self._pass(other, side, stop)
        done.not_kept = self.cannot_keep(mine) if side == "target" else ""
        if fenced and done.touched:
            raise MismatchError(
                f"{len(done.touched)} files on the {side} are not what was copied there:"
                f" {', '.join(done.touched[:_NAMED])}",
                fix="find out who wrote them; delete them there and they are copied again",
            )
        if fenced:
            late = [
                path
                for path, entry in self.scan(other).items()
                if entry.ctime_ns > clock * 1e9
                or (entry.kind != "dir" and (path not in mine or mine[path].stamp != entry.stamp))
            ]
            if late:
                raise FirstbellError(
                    f"{len(late)} entries of {self.name} changed inside the fence: {late[:_NAMED]}",
                    fix="find what still writes there (cron, uploads) and add it to stop:",
                )
        self.places[side].end(durable=fenced)
        done.seconds = time.monotonic() - started
        return done.to_json()

    def _pass(self, a: Where, b: Where, stop: Callable[[], None]) -> tuple[Pass, dict[str, Entry]]:
        """Carry what differs; what was done, and the side that was read as it was found."""
        there_place = self.places[b]
        there_place.begin()
        with ThreadPoolExecutor(1) as beside:
            scanning = beside.submit(self.scan, b)
            mine = self.scan(a)
            theirs = scanning.result()
        equal = self.manifest.equal(a, b)
        resurrected = self.manifest.deferred(a)
        done = Pass(entries=len(mine))
        sums: list[SumRow] = []
        jobs: list[Entry] = []
        for path in sorted(mine):
            entry, there = mine[path], theirs.get(path)
            if path in resurrected and resurrected[path] == entry.stamp:
                continue  # deleted on the other side before the switch; waits for commit
            if there is not None and there.kind != entry.kind:
                # A file became a directory or a link: the old kind cannot stay beside it.
                there_place.remove(path)
                there = None
            if entry.kind == "dir":
                if there is None:
                    there_place.folder(entry)
            elif entry.kind == "link":
                if there is None or there.link != entry.link:
                    there_place.link(entry)
                    done.adjusted += 1
            elif there is not None and (entry.stamp, there.stamp) == equal.get(path):
                fresh = there_place.adjust(entry, there) if self._differs(entry, there) else None
                if fresh is not None:
                    done.adjusted += 1
                    # Changing mode or owner moved its ctime, not its content.
                    sums += self._again(b, path, fresh)
            elif there is not None and self._touched(b, entry, there, equal.get(path)):
                done.touched.append(f"{self.name}/{path}")
            else:
                jobs.append(entry)
        self._copy_all(a, b, jobs, sums=sums, done=done, stop=stop)
        # Deepest first, so that a directory's own mtime is set after its children were made.
        for path in sorted((p for p, e in mine.items() if e.kind == "dir"), reverse=True):
            there_place.adjust(mine[path], theirs.get(path))
        gone = {
            path: entry.stamp
            for path, entry in theirs.items()
            if path not in mine and not self._united(path) and entry.kind != "dir"
        }
        self.manifest.defer(b, gone)
        done.deferred = len(gone)
        return done, mine

    def _united(self, path: str) -> bool:
        """Whether the path is in a content-addressed tree: nothing in it is ever deleted."""
        return self.spec.layout == "moodle" and path.startswith(f"{_FILEDIR}/")

    def _again(self, side: Where, path: str, fresh: Entry) -> list[SumRow]:
        """The row of a file whose stamp moved while its content stayed."""
        known = self.manifest.one(side, path)
        return [] if known is None else [(side, path, fresh.stamp, known.sha256, known.sha1)]

    def _touched(self, b: Where, entry: Entry, there: Entry, equal: tuple[str, str] | None) -> bool:
        """Whether somebody else changed what was copied, while the original stayed the same.

        A pass that died between a copy and its manifest row leaves an original that changed since
        the row before, so it is not mistaken for that.
        """
        if equal is None or equal[0] != entry.stamp or equal[1] == there.stamp:
            return False
        known = self.manifest.one(b, entry.path)
        return known is not None and self._hash(b, there)[0] != known.sha256

    def _copy_all(
        self,
        a: Where,
        b: Where,
        jobs: list[Entry],
        *,
        sums: list[SumRow],
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
                        self.manifest.save(sums)
                        stop()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
            finally:
                self.manifest.save(sums)

    def _copy(self, a: Where, b: Where, entry: Entry) -> tuple[int, list[SumRow]] | None:
        """Copy one file, hashing what is read; None when it is gone."""
        sha256, sha1 = hashlib.sha256(), self._sha1(entry.path)
        try:
            with self.places[a].read(entry) as (before, content):
                there = self.places[b].write(before, _hashed(content, sha256, sha1))
        except FileNotFoundError:
            return None
        sums = (sha256.hexdigest(), sha1.hexdigest() if sha1 is not None else "")
        # If it changed while it was read, its stamp differs at the next look and it is read again.
        # A change within the clock's tick would keep the stamp, so a fresh one is not trusted.
        fresh = not before.etag and self._now() - before.ctime_ns / 1e9 < _TICK_SECONDS
        return before.size, [
            (a, entry.path, "" if fresh else before.stamp, *sums),
            (b, entry.path, there.stamp, *sums),
        ]

    def _sha1(self, path: str) -> HASH | None:
        if self._united(path):
            return hashlib.sha1(usedforsecurity=False)
        return None

    @staticmethod
    def _differs(entry: Entry, there: Entry) -> bool:
        """Whether mode, owner or mtime are known and not the entry's."""
        return (
            owners_differ(entry, there) or mode_differs(entry, there) or mtime_differs(entry, there)
        )

    # Comparing

    def sums(self, side: Where, stop: Callable[[], None]) -> dict[str, tuple[Entry, str, str]]:
        """SHA-256 (and in filedir SHA-1) of every entry of a side, read where it is not known."""
        known, entries = self.manifest.known(side), self.scan(side)
        results: dict[str, tuple[Entry, str, str]] = {}
        unknown: list[Entry] = []
        for path, entry in entries.items():
            if entry.kind != "file":
                results[path] = (entry, "", "")
            elif (have := known.get(path)) is not None and have.stamp == entry.stamp:
                results[path] = (entry, have.sha256, have.sha1)
            else:
                unknown.append(entry)
        rows: list[SumRow] = []
        with ThreadPoolExecutor(_WORKERS) as pool:
            hashes = pool.map(lambda entry: self._hash(side, entry), unknown)
            for entry, sums in zip(unknown, hashes, strict=True):
                results[entry.path] = (entry, *sums)
                rows.append((side, entry.path, entry.stamp, *sums))
                if len(rows) >= _SAVE_EVERY:
                    self.manifest.save(rows)
                    stop()
        self.manifest.save(rows)
        return results

    def _hash(self, side: Where, entry: Entry) -> tuple[str, str]:
        sha256, sha1 = hashlib.sha256(), self._sha1(entry.path)
        with self.places[side].read(entry) as (_, content):
            for _ in _hashed(content, sha256, sha1):
                pass
        return sha256.hexdigest(), sha1.hexdigest() if sha1 is not None else ""

    def compare(self, *, stop: Callable[[], None]) -> tuple[int, list[str]]:
        """Compare both sides' manifests: entries compared, and every difference as a sentence."""
        mine, theirs = self.sums("source", stop), self.sums("target", stop)
        waiting = {**self.manifest.deferred("source"), **self.manifest.deferred("target")}
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
        if a.kind == "link" or UNKNOWN in (a.mode, b.mode):
            return
        if a.mode != b.mode:
            yield f"modes {a.mode:o} and {b.mode:o}"
        if self.places["source"].owners and (a.uid, a.gid) != (b.uid, b.gid):
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
        if self.spec.layout != "moodle":
            return []
        return [
            f"{place}/{_MAINTENANCE}"
            for place in self.places.values()
            if place.remove(_MAINTENANCE)
        ]

    def delete_deferred(self) -> int:
        """Delete on the target what the source had deleted, unless it was touched since."""
        deleted, target = 0, self.places["target"]
        for path, stamp in self.manifest.deferred("target").items():
            there = target.look(path)
            if there is not None and there.stamp == stamp and target.remove(path):
                deleted += 1
        self.manifest.forget_deferred()
        return deleted


def _hashed(content: Iterable[bytes], *hashes: HASH | None) -> Generator[bytes]:
    """The same blocks, each hashed as it passes."""
    for block in content:
        for each in hashes:
            if each is not None:
                each.update(block)
        yield block


def _is_sha1(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return len(name) == 40 and all(c in "0123456789abcdef" for c in name)
