"""Counts the requests of access logs per minute: nginx, Apache, IIS W3C and ALB, plain or gzip.

Blocks of some megabytes are read as arrays of bytes: times are compared with the line before and
parsed once a minute, requests are hashed and classified once for each different one. Lines that do
not have the usual layout go to a regular expression; what it cannot read either is malformed,
counted and sampled. Memory is bounded whatever the size and order of the logs.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from infra.errors import InputError
from infra.season.history import CLASSES, MINUTES_A_DAY, History, Ints, from_counts

Bytes = NDArray[np.uint8]

BLOCK_BYTES: Final = 8 * 1024 * 1024
LONGEST_LINE_BYTES: Final = 1024 * 1024
MOST_DAYS: Final = 1500
"""More different days than this in one reading is garbage, or needs more memory than promised."""
MOST_REMEMBERED: Final = 200_000
MOST_SAMPLES: Final = 5
MISSING_LOG_MINUTES: Final = MINUTES_A_DAY
"""Without a single line for so long, the log is missing; for less, there was no load."""

# A request longer than this is read by the regular expression.
_WINDOW: Final = 128
_PAD: Final = b" " * 512
_SPACE, _QUOTE, _QUESTION, _BRACKET, _NEWLINE = 32, 34, 63, 91, 10
_WEIGHTS: Final = (
    np.random.default_rng(20260810).integers(2**63, size=_WINDOW // 8, dtype=np.uint64) | 1
)

STATIC: Final = (
    r"\.(css|js|mjs|map|png|jpe?g|gif|svg|ico|webp|avif|woff2?|ttf|otf|eot|mp3|mp4|webm|m3u8|ts"
    r"|pdf|zip|txt|xml)$"
)
LOGIN: Final = (
    r"^POST \S*(/log-?in|/sign-?in|/session|/saml|/acs$|/shibboleth\.sso/)"
    r"|^GET \S*/(oauth|oidc|openid|auth)\S*/(callback|complete)"
)


@dataclass(frozen=True)
class Patterns:
    """Regular expressions over `METHOD /path`, without host and query; login goes before static.

    What matches neither is dynamic.
    """

    static: re.Pattern[str] = re.compile(STATIC, re.IGNORECASE)
    login: re.Pattern[str] = re.compile(LOGIN, re.IGNORECASE)

    def class_of(self, request: str) -> int:
        """The index in `CLASSES` of a request such as `GET https://host:443/login?next=/`."""
        method, _, url = request.partition(" ")
        path = re.sub(r"^[a-z]+://[^/]*", "", url.partition("?")[0])
        text = f"{method} {path}"
        if self.login.search(text):
            return CLASSES.index("login")
        return CLASSES.index("static" if self.static.search(text) else "dynamic")


@dataclass(frozen=True)
class Format:
    """A log format: its name, and the expression that reads one line of it.

    `time`: the minute as it stands in the line; `zone`: `+0200` (UTC where left out); `request`:
    method and path.
    """

    name: str
    line: re.Pattern[bytes]


COMBINED: Final = Format(
    "nginx or Apache",
    re.compile(
        rb"\[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d):\d\d (?P<zone>[+-]\d{4})\] "
        rb'"(?P<request>[A-Z]{3,10} [^ "?]+)'
    ),
)
ALB: Final = Format(
    "Application Load Balancer",
    re.compile(
        rb"^(?:http|https|h2|grpcs|ws|wss) (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d):\d\d[.\d]*Z "
        rb'[^"]*"(?P<request>[A-Z]{3,10} [^ "?]+)'
    ),
)
FORMATS: Final = (COMBINED, ALB)
W3C: Final = "IIS W3C"
FIX: Final = "the combined format of nginx or Apache, IIS W3C (with #Fields), or ALB access logs"


@dataclass(frozen=True)
class FileReport:
    """What one log file held."""

    path: Path
    format: str
    lines: int
    malformed: int
    samples: tuple[str, ...]
    """The first malformed lines, each as `file:line: text`."""


@dataclass(frozen=True)
class LogReport:
    """All logs together, and each file for itself."""

    history: History
    files: tuple[FileReport, ...]
    notes: tuple[str, ...]

    @property
    def lines(self) -> int:
        return sum(file.lines for file in self.files)

    @property
    def malformed(self) -> int:
        return sum(file.malformed for file in self.files)


@dataclass
class _Counts:
    """Requests by day, minute and class; UTC."""

    days: dict[int, Ints] = field(default_factory=dict[int, Ints])

    def add(self, minutes: Ints, classes: Ints, where: str) -> None:
        if not len(minutes):
            return
        slots = minutes * len(CLASSES) + classes
        a_day = MINUTES_A_DAY * len(CLASSES)
        first, last = int(slots.min()) // a_day, int(slots.max()) // a_day
        if last - first < 32:
            found = np.bincount(slots - first * a_day, minlength=(last - first + 1) * a_day)
            for day, counts in enumerate(found.reshape(-1, a_day), start=first):
                if counts.any():
                    self._of(day, where)[:] += counts
            return
        for day in np.unique(slots // a_day).tolist():
            self._of(day, where)[:] += np.bincount(
                slots[slots // a_day == day] - day * a_day, minlength=a_day
            )

    def _of(self, day: int, where: str) -> Ints:
        if day not in self.days:
            if len(self.days) >= MOST_DAYS:
                raise InputError(
                    f"more than {MOST_DAYS} different days", where=where, fix="read fewer years"
                )
            self.days[day] = np.zeros(MINUTES_A_DAY * len(CLASSES), dtype=np.int64)
        return self.days[day]


@dataclass
class _Reader:
    """One file being read."""

    path: Path
    patterns: Patterns
    counts: _Counts
    remembered: dict[int, int]
    """Class by the hash of a request."""
    block_bytes: int
    most_remembered: int
    format: str = ""
    lines: int = 0
    malformed: int = 0
    samples: list[str] = field(default_factory=list[str])
    times: dict[bytes, int | None] = field(default_factory=dict[bytes, "int | None"])

    def bad(self, line: int, text: bytes) -> None:
        self.malformed += 1
        if len(self.samples) < MOST_SAMPLES:
            shown = text[:200].decode("utf-8", "backslashreplace").rstrip()
            # Whoever sends requests must not write to the terminal of who reads the logs.
            safe = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in shown)
            self.samples.append(f"{self.path}:{line}: {safe}")

    def minute(self, stamp: bytes) -> int | None:
        """Minutes since the epoch of `10/Oct/2026:13:55+0200` or `2026-10-10T13:55`."""
        if stamp not in self.times:
            if len(self.times) > self.most_remembered:
                self.times.clear()
            self.times[stamp] = _minute(stamp)
        return self.times[stamp]


def read_logs(
    paths: Sequence[Path],
    *,
    patterns: Patterns | None = None,
    progress: Callable[[int], None] | None = None,
    block_bytes: int = BLOCK_BYTES,
    most_remembered: int = MOST_REMEMBERED,
) -> LogReport:
    """Count the requests of all `paths` together: several hosts and rotated files add up.

    Lines may be in any order. `progress` is told the number of plain bytes read, block by block.
    `block_bytes` and `most_remembered` (requests and minutes kept classified) bound the memory.

    Raises:
        InputError: a file cannot be read, is empty or is no access log; there is no request.
    """
    counts = _Counts()
    remembered: dict[int, int] = {}
    files: list[FileReport] = []
    for path in paths:
        reader = _Reader(
            path, patterns or Patterns(), counts, remembered, block_bytes, most_remembered
        )
        _read_file(reader, progress or (lambda _: None))
        files.append(
            FileReport(path, reader.format, reader.lines, reader.malformed, tuple(reader.samples))
        )
    source = ", ".join(str(path) for path in paths)
    minutes, by_class, notes = _flat(counts, source)
    return LogReport(from_counts(source, minutes, by_class), tuple(files), tuple(notes))


def _flat(counts: _Counts, source: str) -> tuple[Ints, dict[str, Ints], list[str]]:
    """Every minute from the first request to the last, without the stretches with no log at all."""
    if not counts.days:
        raise InputError("has no request in it", where=source, fix=FIX)
    minutes: list[Ints] = []
    tables: list[Ints] = []
    for day in sorted(counts.days):
        minutes.append(day * MINUTES_A_DAY + np.arange(MINUTES_A_DAY))
        tables.append(counts.days[day].reshape(MINUTES_A_DAY, len(CLASSES)))
    at, table = np.concatenate(minutes), np.concatenate(tables)
    busy = np.flatnonzero(table.any(axis=1))
    keep = np.zeros(len(at), dtype=bool)
    notes: list[str] = []
    edges = np.flatnonzero(np.diff(at[busy]) > MISSING_LOG_MINUTES)
    firsts = [int(busy[0]), *busy[edges + 1].tolist()]
    lasts = [*busy[edges].tolist(), int(busy[-1])]
    for first, last in zip(firsts, lasts, strict=True):
        keep[first : last + 1] = True
    for edge in edges.tolist():
        before, after = (
            datetime.fromtimestamp(int(at[busy[n]]) * 60, UTC) for n in (edge, edge + 1)
        )
        notes.append(
            f"{source}: no line between {before:%Y-%m-%dT%H:%MZ} and {after:%Y-%m-%dT%H:%MZ}: "
            "taken as a missing log, not as no load"
        )
    return (
        at[keep],
        {name: np.ascontiguousarray(table[keep, n]) for n, name in enumerate(CLASSES)},
        notes,
    )


def _read_file(reader: _Reader, progress: Callable[[int], None]) -> None:
    try:
        with reader.path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if zipped else raw  # type: ignore[assignment]  # a GzipFile reads like a file
            _read_stream(reader, _blocks(stream, reader), progress)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot read it: {error}", where=str(reader.path)) from error


def _blocks(stream: IO[bytes], reader: _Reader) -> Iterator[bytes]:
    """Whole lines, some megabytes at a time."""
    rest = b""
    while data := stream.read(reader.block_bytes):
        cut = data.rfind(b"\n") + 1
        if not cut:
            rest += data
            if len(rest) > LONGEST_LINE_BYTES + reader.block_bytes:
                raise InputError(
                    f"line {reader.lines + 1} is longer than {LONGEST_LINE_BYTES} bytes",
                    where=str(reader.path),
                    fix=FIX,
                )
            continue
        yield rest + data[:cut]
        rest = data[cut:]
    if rest:
        yield rest + b"\n"


def _read_stream(reader: _Reader, blocks: Iterable[bytes], progress: Callable[[int], None]) -> None:
    reading: Callable[[_Reader, bytes], None] | None = None
    for block in blocks:
        if reading is None:
            reading = _recognise(reader, block)
        reading(reader, block)
        progress(len(block))
    if reading is None:
        raise InputError("is empty", where=str(reader.path), fix=FIX)


def _recognise(reader: _Reader, block: bytes) -> Callable[[_Reader, bytes], None]:
    """How to read a file that starts with `block`; at least half of its first lines must fit."""
    head = [line for line in block[:65536].split(b"\n")[:50] if line.strip()]
    fields = [line for line in head if line.startswith(b"#Fields:")]
    if fields:
        reader.format = W3C
        return _W3C()
    best = max(FORMATS, key=lambda known: sum(bool(known.line.search(line)) for line in head))
    if not head or 2 * sum(bool(best.line.search(line)) for line in head) < len(head):
        shown = head[0][:100].decode("utf-8", "backslashreplace") if head else ""
        raise InputError(
            f"is no access log that firstbell knows; its first line is {shown!r}",
            where=f"{reader.path}:1",
            fix=FIX,
        )
    reader.format = best.name
    return _read_combined if best is COMBINED else _read_alb


def _lines(block: bytes) -> tuple[Bytes, Ints, Ints]:
    """The bytes (padded), and where each line starts and ends."""
    text = np.frombuffer(block + _PAD, dtype=np.uint8)
    ends = np.flatnonzero(text[: len(block)] == _NEWLINE)
    starts = np.empty_like(ends)
    starts[0], starts[1:] = 0, ends[:-1] + 1
    return text, starts, ends


def _next(places: Ints, after: Ints, ends: Ints) -> Ints:
    """For each line the first of the sorted `places` not before `after`; -1 when past its end."""
    at = np.searchsorted(places, after)
    found = np.append(places, np.iinfo(np.int64).max)[at]
    return np.where(found < ends, found, -1)


def _read_combined(reader: _Reader, block: bytes) -> None:
    text, starts, ends = _lines(block)
    brackets = np.flatnonzero(text[: len(block)] == _BRACKET)
    at = _next(brackets, starts, ends)
    # [10/Oct/2026:13:55:36 +0200] "
    stamps = sliding_window_view(text, 30)[np.maximum(at, 0)]
    layout = np.frombuffer(b'[../.../....:..:..:.. .....] "', dtype=np.uint8)
    fixed = np.flatnonzero(layout != ord("."))
    good = (at >= 0) & (at + 30 < ends) & (stamps[:, fixed] == layout[fixed]).all(axis=1)
    keys = stamps[:, [*range(1, 18), *range(22, 27)]]
    _count(
        reader, block, (text, starts, ends), COMBINED.line, good=good, keys=keys, request=at + 30
    )


def _read_alb(reader: _Reader, block: bytes) -> None:
    text, starts, ends = _lines(block)
    # https 2026-10-10T13:55:36.186641Z app/... "GET https://...
    head = sliding_window_view(text, 8)[starts]
    at = starts + np.argmax(head == _SPACE, axis=1) + 1
    quote = _next(np.flatnonzero(text[: len(block)] == _QUOTE), starts, ends)
    stamps = sliding_window_view(text, 17)[at]
    layout = np.frombuffer(b"....-..-..T..:..:", dtype=np.uint8)
    fixed = np.flatnonzero(layout != ord("."))
    good = (quote >= 0) & (at + 17 < ends) & (stamps[:, fixed] == layout[fixed]).all(axis=1)
    _count(
        reader,
        block,
        (text, starts, ends),
        ALB.line,
        good=good,
        keys=stamps[:, :16],
        request=quote + 1,
    )


class _W3C:
    """Reads the W3C format of IIS; `#Fields` may change within a file. Its times are UTC."""

    def __init__(self) -> None:
        self.line = re.compile(rb"(?!)")  # nothing fits before the first #Fields
        self.skip = 0
        self.fast = False

    def __call__(self, reader: _Reader, block: bytes) -> None:
        # Comments are rare and stand at line starts: between them the block is read at once.
        begin = 0
        while begin < len(block):
            if block[begin : begin + 1] == b"#":
                end = block.index(b"\n", begin) + 1
                self._comment(reader, block[begin:end])
            else:
                found = block.find(b"\n#", begin)
                end = len(block) if found < 0 else found + 1
                self._part(reader, block[begin:end])
            begin = end

    def _comment(self, reader: _Reader, line: bytes) -> None:
        reader.lines += 1
        if not line.startswith(b"#Fields:"):
            return
        names = line.split()[1:]
        need = (b"date", b"time", b"cs-method", b"cs-uri-stem")
        if missing := [name.decode() for name in need if name not in names]:
            raise InputError(
                f"#Fields lacks {', '.join(missing)}",
                where=f"{reader.path}:{reader.lines}",
                fix="log at least date, time, cs-method and cs-uri-stem",
            )
        method = names.index(b"cs-method")
        self.skip = method - 2
        self.fast = names[:2] == [b"date", b"time"] and names[method + 1] == b"cs-uri-stem"
        groups = {
            b"date": rb"(?P<date>\d{4}-\d\d-\d\d)",
            b"time": rb"(?P<time>\d\d:\d\d):\d\d",
            b"cs-method": rb"(?P<method>[A-Z]{3,10})",
            b"cs-uri-stem": rb"(?P<stem>\S+)",
        }
        self.line = re.compile(b"^" + b" ".join(groups.get(name, rb"\S+") for name in names))

    def _part(self, reader: _Reader, block: bytes) -> None:
        text, starts, ends = _lines(block)
        stamps = sliding_window_view(text, 20)[starts]
        layout = np.frombuffer(b"....-..-.. ..:..:.. ", dtype=np.uint8)
        fixed = np.flatnonzero(layout != ord("."))
        good = (starts + 20 < ends) & (stamps[:, fixed] == layout[fixed]).all(axis=1) & self.fast
        at = starts + 20
        window = sliding_window_view(text, 256)[at] == _SPACE
        lines = np.arange(len(starts))
        for _ in range(self.skip):
            space = np.argmax(window, axis=1)
            good &= window[lines, space]
            window[lines, space] = False
            at = starts + 20 + space + 1
        keys = stamps[:, :16].copy()
        keys[:, 10] = ord("T")
        _count(reader, block, (text, starts, ends), self.line, good=good, keys=keys, request=at)


def _count(
    reader: _Reader,
    block: bytes,
    lines: tuple[Bytes, Ints, Ints],
    pattern: re.Pattern[bytes],
    *,
    good: NDArray[np.bool_],
    keys: Bytes,
    request: Ints,
) -> None:
    """Count the lines of a block.

    `good` are those of the usual layout, with the text of their minute in `keys` and their method
    from `request`; the others are read by `pattern`.
    """
    text, starts, ends = lines
    minutes = np.full(len(starts), -1, dtype=np.int64)
    minutes[good] = _minutes(reader, keys[good])
    classes = np.full(len(starts), -1, dtype=np.int64)
    good &= minutes >= 0
    classes[good] = _classes(reader, text, request[good], ends[good])
    for n in np.flatnonzero(classes < 0).tolist():
        line = block[starts[n] : ends[n]]
        if not line.strip():
            continue
        minutes[n], classes[n] = _slowly(reader, line, pattern)
        if classes[n] < 0:
            reader.bad(reader.lines + n + 1, line)
    read = classes >= 0
    reader.counts.add(minutes[read], classes[read], str(reader.path))
    reader.lines += len(starts)


def _minutes(reader: _Reader, keys: Bytes) -> Ints:
    """Minutes since the epoch of rows of text; each run of equal rows is parsed once."""
    if not len(keys):
        return np.zeros(0, dtype=np.int64)
    changed = np.concatenate([[True], (keys[1:] != keys[:-1]).any(axis=1)])
    runs = np.flatnonzero(changed)
    parsed = [reader.minute(row.tobytes()) for row in keys[runs]]
    values = np.array([-1 if minute is None else minute for minute in parsed], dtype=np.int64)
    return values[np.cumsum(changed) - 1]


def _classes(reader: _Reader, text: Bytes, request: Ints, ends: Ints) -> Ints:
    """The class of each request that starts at `request`; -1 where it must be read slowly.

    The path ends at a space, a question mark or a quote.
    """
    if not len(request):
        return np.zeros(0, dtype=np.int64)
    window = sliding_window_view(text, _WINDOW)[request]
    lines = np.arange(len(request))
    stops = (window == _SPACE) | (window == _QUESTION) | (window == _QUOTE)
    method = np.argmax(stops, axis=1)
    stops[lines, method] = False
    length = np.argmax(stops, axis=1)
    good = (
        stops[lines, length]
        & (window[lines, method] == _SPACE)
        & (method >= 3)
        & (length > method + 1)
        & (request + length <= ends)
    )
    window[np.arange(_WINDOW) >= length[:, None]] = 0
    # Equal requests have equal hashes; different ones practically never. The shift lets the last
    # bytes of a word reach the low bits, which the product alone would lose.
    words = window.view(np.uint64)
    hashes = ((words ^ (words >> np.uint64(32))) * _WEIGHTS).sum(axis=1)
    different, first, which = np.unique(hashes, return_index=True, return_inverse=True)
    if len(reader.remembered) > reader.most_remembered:
        reader.remembered.clear()
    found: list[int] = []
    for key, n in zip(different.tolist(), first.tolist(), strict=True):
        known = reader.remembered.get(key)
        if known is None:
            known = reader.patterns.class_of(
                window[n, : length[n]].tobytes().decode("utf-8", "replace")
            )
            reader.remembered[key] = known
        found.append(known)
    return np.where(good, np.array(found, dtype=np.int64)[which], -1)


def _slowly(reader: _Reader, line: bytes, pattern: re.Pattern[bytes]) -> tuple[int, int]:
    """Minute and class of one line by its expression; class -1 when it does not fit."""
    match = pattern.search(line)
    if match is None:
        return -1, -1
    groups = match.groupdict()
    if "date" in groups:
        stamp, request = (
            groups["date"] + b"T" + groups["time"],
            b"%b %b"
            % (
                groups["method"],
                groups["stem"],
            ),
        )
    else:
        stamp, request = groups["time"] + groups.get("zone", b""), groups["request"]
    minute = reader.minute(stamp)
    if minute is None:
        return -1, -1
    return minute, reader.patterns.class_of(request.decode("utf-8", "replace"))


def _minute(stamp: bytes) -> int | None:
    try:
        text = stamp.decode("ascii")
        if text[2] == "/":
            moment = datetime.strptime(text, "%d/%b/%Y:%H:%M%z")
        else:
            moment = datetime.strptime(text, "%Y-%m-%dT%H:%M").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp()) // 60
