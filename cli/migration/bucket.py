"""A side's tree in S3: an object a file, and on the runner what S3 cannot keep.

Modes, owners, modification times, symbolic links and empty folders are rows of the manifest, and a
scan puts them beside what S3 lists, so that a tree reads the same as on a file system. Content is
proven by SHA-256: S3 refuses an object whose content has another one than was read, and an ETag
only tells whether an object was written again.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from cli.migration.engine import Finding
from cli.migration.entries import (
    BLOCK,
    UNKNOWN,
    Entry,
    Opened,
    mode_differs,
    mtime_differs,
    owners_differ,
)
from cli.migration.manifest import Kept, Manifest
from cli.migration.spec import Target
from infra.errors import FirstbellError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# S3 user guide, "Creating object key names", checked 2026-11-26.
MOST_KEY_BYTES: Final = 1024
# S3 user guide, "Amazon S3 multipart upload limits": at most 10,000 parts, at most 5 TiB.
MOST_PARTS: Final = 10_000
# One request each up to here; larger ones go in parts, each with a SHA-256 of its own.
_WHOLE_BYTES: Final = 16 * 1024 * 1024
_CONNECTIONS: Final = 16
_KEEP_EVERY: Final = 500
_MISSING: Final = ("404", "NoSuchKey", "NotFound")
_AWAY_STATUS: Final = 500


class Bucket:
    """A prefix of a bucket."""

    # What a row of the manifest keeps is compared; S3 has no owners.
    owners = True

    def __init__(self, target: Target, manifest: Manifest) -> None:
        self._name = target.bucket or ""
        self._prefix = f"{target.prefix.strip('/')}/" if target.prefix.strip("/") else ""
        self._target = target
        self._manifest = manifest
        self._made: S3Client | None = None
        self._lock = threading.Lock()
        self._fresh: list[Kept] = []

    def __str__(self) -> str:
        return str(self._target)

    @property
    def _client(self) -> S3Client:
        with self._lock:
            if self._made is None:
                addressing = "path" if self._target.endpoint else "auto"
                self._made = boto3.session.Session().client(
                    "s3",
                    endpoint_url=self._target.endpoint,
                    region_name=self._target.region,
                    config=Config(
                        connect_timeout=5,
                        read_timeout=60,
                        retries={"mode": "standard", "total_max_attempts": 4},
                        max_pool_connections=_CONNECTIONS,
                        s3={"addressing_style": addressing},
                    ),
                )
            return self._made

    @contextmanager
    def _asking(self, what: str) -> Generator[None]:
        """S3's answers in our words.

        Raises:
            FileNotFoundError: there is no such object.
            ConnectionError: S3 is away; the machine waits for it as for a server.
            FirstbellError: S3 refuses.
        """
        try:
            yield
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in _MISSING:
                raise FileNotFoundError(f"{self}: {what}") from error
            if status >= _AWAY_STATUS or code in ("SlowDown", "RequestTimeout"):
                raise ConnectionError(f"{self}: {error}") from error
            raise FirstbellError(
                f"S3 refuses: {what}",
                where=str(self),
                why=str(error),
                fix="check the bucket's policy and the runner's role"
                " (s3:ListBucket, GetObject, PutObject, DeleteObject, AbortMultipartUpload)",
            ) from error
        except (HTTPClientError, NoConnectionError) as error:
            raise ConnectionError(f"{self} does not answer: {error}") from error
        except BotoCoreError as error:
            raise FirstbellError(
                f"S3 cannot be asked: {what}", where=str(self), why=str(error)
            ) from error

    def _key(self, path: str) -> str:
        if self.refuses(path):
            raise FirstbellError(
                f"{path!r} cannot be an S3 key",
                where=str(self),
                fix="rename it, or leave it out with exclude:",
            )
        return self._prefix + path

    def refuses(self, path: str) -> bool:
        """Whether a path cannot be a key: no UTF-8, or too long."""
        try:
            return len((self._prefix + path).encode()) > MOST_KEY_BYTES
        except UnicodeEncodeError:
            return True

    # Looking

    def preflight(self, name: str, *, writes: bool) -> list[Finding]:
        """Whether the bucket is there and may be listed and written; leaves nothing behind."""
        key = f"{self._prefix}.firstbell-trial"
        try:
            with self._asking("list the bucket"):
                self._client.list_objects_v2(Bucket=self._name, Prefix=self._prefix, MaxKeys=1)
            if writes:
                # An upload that is begun and taken back proves the right to write.
                with self._asking("write to the bucket"):
                    begun = self._client.create_multipart_upload(Bucket=self._name, Key=key)
                    self._client.abort_multipart_upload(
                        Bucket=self._name, Key=key, UploadId=begun["UploadId"]
                    )
        except (FirstbellError, OSError) as error:
            detail = error.what if isinstance(error, FirstbellError) else str(error)
            why = error.why if isinstance(error, FirstbellError) else None
            return [
                Finding(
                    f"files-{name}",
                    "blocker",
                    f"{self} cannot be used: {detail}" + (f": {why}" if why else ""),
                    "create the bucket, or correct bucket, endpoint, region or the runner's role",
                )
            ]
        return []

    def free_bytes(self) -> int | None:
        """S3 has no such limit."""
        return None

    def refuse_missing(self, *, known: bool, receives: bool) -> None:
        """An emptied bucket would seem to have everything deleted."""
        with self._asking("list the bucket"):
            found = self._client.list_objects_v2(Bucket=self._name, Prefix=self._prefix, MaxKeys=1)
        if known and not receives and not found.get("KeyCount"):
            raise FirstbellError(
                f"{self} is empty, and was not before", fix="find out who emptied it"
            )

    def begin(self) -> None:
        """Nothing: a prefix needs no making."""

    def end(self, *, durable: bool) -> None:
        """What S3 answered is durable; the rows of the manifest are written now."""
        del durable
        self._flush()

    def scan(self, left_out: Callable[[str, str], bool]) -> dict[str, Entry]:
        """Every object as a file, with folders and links from the manifest.

        Raises:
            FirstbellError: a key is no path below the root, or a file and a folder at once.
        """
        self._flush()
        kept = self._manifest.kept()
        found: dict[str, Entry] = {}
        bad: list[str] = []
        for item in self._objects():
            path = str(item["Key"]).removeprefix(self._prefix)
            is_folder = path.endswith("/")
            path = path.removesuffix("/")
            if not path:
                continue
            if any(part in ("", ".", "..") for part in path.split("/")):
                bad.append(path)
                continue
            if self._is_out(path, left_out):
                continue
            if is_folder:
                found.setdefault(path, _folder(path, kept.get(path)))
            else:
                found[path] = _object(path, item, kept.get(path))
        for path in list(found):
            while (path := path.rpartition("/")[0]) and path not in found:
                found[path] = _folder(path, kept.get(path))
            if path and found[path].kind == "file":
                bad.append(path)
        if bad:
            raise FirstbellError(
                f"{len(bad)} keys are no files below a folder: {', '.join(map(repr, bad[:20]))}",
                where=str(self),
                why="a key must not be a folder of another, nor have an empty part, . or ..",
                fix="rename or delete them, or use another prefix",
            )
        for path, row in kept.items():
            if path not in found and row.kind != "file" and not self._is_out(path, left_out):
                found[path] = _entry_of(row)
        return found

    @staticmethod
    def _is_out(path: str, left_out: Callable[[str, str], bool]) -> bool:
        parts = path.split("/")
        return any(left_out("/".join(parts[: n + 1]), parts[n]) for n in range(len(parts)))

    def _objects(self) -> Generator[Any]:
        with self._asking("list the bucket"):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._name, Prefix=self._prefix):
                yield from page.get("Contents", ())

    def look(self, path: str) -> Entry | None:
        """One entry as it is now."""
        row = self._manifest.kept().get(path)
        with suppress(FileNotFoundError), self._asking(f"look at {path}"):
            head = self._client.head_object(Bucket=self._name, Key=self._key(path))
            item = {
                "Size": head["ContentLength"],
                "ETag": head["ETag"],
                "LastModified": head["LastModified"],
            }
            return _object(path, item, row)
        return _entry_of(row) if row is not None and row.kind != "file" else None

    @contextmanager
    def read(self, entry: Entry) -> Generator[Opened]:
        """The object as it is now, and its content."""
        with self._asking(f"read {entry.path}"):
            answer = self._client.get_object(Bucket=self._name, Key=self._key(entry.path))
            etag, size = answer["ETag"].strip('"'), answer["ContentLength"]
            now = entry._replace(size=size, etag=etag)
            if etag != entry.etag:
                now = now._replace(mtime_ns=_nanoseconds(answer["LastModified"]))
            body = answer["Body"]

            def blocks() -> Generator[bytes]:
                with self._asking(f"read {entry.path}"):
                    while block := body.read(BLOCK):
                        yield block

            try:
                yield now, blocks()
            finally:
                body.close()

    # Changing

    def write(self, entry: Entry, blocks: Iterable[bytes]) -> Entry:
        """Put an object; S3 compares its content with the SHA-256 of what was read."""
        key = self._key(entry.path)
        with self._asking(f"write {entry.path}"):
            if entry.size <= _WHOLE_BYTES:
                body = b"".join(blocks)
                size = len(body)
                answer = self._client.put_object(
                    Bucket=self._name,
                    Key=key,
                    Body=body,
                    ChecksumSHA256=base64.b64encode(sha256(body).digest()).decode(),
                )
                etag = answer["ETag"]
            else:
                stream = _Stream(blocks)
                self._client.upload_fileobj(
                    stream,  # pyright: ignore[reportArgumentType] (only read() is called)
                    self._name,
                    key,
                    ExtraArgs={"ChecksumAlgorithm": "SHA256"},
                    Config=TransferConfig(
                        multipart_threshold=_WHOLE_BYTES,
                        multipart_chunksize=max(_WHOLE_BYTES, entry.size // (MOST_PARTS // 2)),
                        use_threads=False,
                    ),
                )
                head = self._client.head_object(Bucket=self._name, Key=key)
                etag, size = head["ETag"], head["ContentLength"]
                if size != stream.size:
                    raise FirstbellError(f"{entry.path}: {stream.size} bytes sent, {size} there")
        there = entry._replace(size=size, etag=etag.strip('"'))
        self._keep(there)
        return there

    def folder(self, entry: Entry) -> None:
        """Remember a folder."""
        self._keep(entry)

    def link(self, entry: Entry) -> None:
        """Remember a symbolic link."""
        self._keep(entry)

    def adjust(self, entry: Entry, there: Entry | None) -> Entry | None:
        """Remember mode, owner and time."""
        if there is not None and not (
            owners_differ(entry, there) or mode_differs(entry, there) or mtime_differs(entry, there)
        ):
            return None
        now = entry if there is None else entry._replace(size=there.size, etag=there.etag)
        self._keep(now)
        return now

    def remove(self, path: str) -> bool:
        """Delete an object, or all below a folder, and what was kept of it."""
        self._flush()
        below = [p for p in self._manifest.kept() if p == path or p.startswith(f"{path}/")]
        self._manifest.unkeep(below)
        keys = [str(item["Key"]) for item in self._objects_at(path)]
        for start in range(0, len(keys), 1000):
            with self._asking(f"delete {path}"):
                self._client.delete_objects(
                    Bucket=self._name,
                    Delete={"Objects": [{"Key": key} for key in keys[start : start + 1000]]},
                )
        return bool(keys or below)

    def _objects_at(self, path: str) -> Generator[Any]:
        key = self._key(path)
        with self._asking("list the bucket"):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._name, Prefix=key):
                for item in page.get("Contents", ()):
                    if item.get("Key") == key or str(item.get("Key")).startswith(f"{key}/"):
                        yield item

    # What S3 cannot keep

    def _keep(self, entry: Entry) -> None:
        row = Kept(
            entry.path,
            entry.kind,
            entry.stamp if entry.kind == "file" else "",
            entry.mode,
            entry.uid,
            entry.gid,
            entry.mtime_ns,
            entry.link,
        )
        with self._lock:
            self._fresh.append(row)
            full = len(self._fresh) >= _KEEP_EVERY
        if full:
            self._flush()

    def _flush(self) -> None:
        with self._lock:
            rows, self._fresh = self._fresh, []
        if rows:
            self._manifest.keep(rows)


class _Stream:
    """Blocks as a file that can only be read."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._rest = b""
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        parts, have = [self._rest], len(self._rest)
        while size < 0 or have < size:
            block = next(self._blocks, b"")
            if not block:
                break
            parts.append(block)
            have += len(block)
        whole = b"".join(parts)
        cut = len(whole) if size < 0 else size
        given, self._rest = whole[:cut], whole[cut:]
        self.size += len(given)
        return given


def _nanoseconds(moment: Any) -> int:
    return int(moment.timestamp() * 1_000_000_000)


def _object(path: str, item: Any, kept: Kept | None) -> Entry:
    """An object as a file. Its clock is S3's, so `ctime_ns` says nothing."""
    size, etag = int(item["Size"]), str(item["ETag"]).strip('"')
    entry = Entry(
        path,
        "file",
        size,
        _nanoseconds(item["LastModified"]),
        0,
        0,
        UNKNOWN,
        UNKNOWN,
        UNKNOWN,
        etag=etag,
    )
    if kept is None or kept.kind != "file":
        return entry
    if kept.stamp == entry.stamp:
        entry = entry._replace(mtime_ns=kept.mtime_ns)
    # The application wrote it again: it is the same file, with the mode and owner that it had.
    return entry._replace(mode=kept.mode, uid=kept.uid, gid=kept.gid)


def _folder(path: str, kept: Kept | None) -> Entry:
    if kept is not None and kept.kind == "dir":
        return _entry_of(kept)
    return Entry(path, "dir", 0, UNKNOWN, 0, 0, UNKNOWN, UNKNOWN, UNKNOWN)


def _entry_of(row: Kept) -> Entry:
    kind = "dir" if row.kind == "dir" else "link"
    return Entry(row.path, kind, 0, row.mtime_ns, 0, 0, row.mode, row.uid, row.gid, row.link)
