"""Reads measured load: requests per second against time, from CSV.

Columns: `timestamp` (ISO 8601 with an offset; the start of what the row measures) and
`requests_per_second`; optionally `static_`, `dynamic_` and `login_requests_per_second`. `.gz` too.
What the numbers mean for a kind of day is `profiles`' business.
"""

from __future__ import annotations

import csv
import gzip
import io
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from infra.errors import InputError, Problem, Problems, nearest

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

TOTAL: Final = "requests_per_second"
CLASSES: Final = ("dynamic", "static", "login")
COLUMNS: Final = ("timestamp", TOTAL, *(f"{name}_{TOTAL}" for name in CLASSES))
SHORTEST_DAYS: Final = 7
MINUTES_A_DAY: Final = 1440
COARSEST_MINUTES: Final = 60
MOST_PROBLEMS: Final = 20

_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_EXAMPLE: Final = "2025-08-18T07:00:00+02:00"


@dataclass(frozen=True)
class History:
    """Load over time. Row `i` holds for `resolution_minutes` from `minutes[i]`."""

    source: str
    minutes: Ints
    """Minutes since 1970-01-01T00:00Z, strictly increasing."""
    requests_per_second: Floats
    classes: Mapping[str, Floats]
    """Requests per second of the classes the source tells apart: dynamic, static, login."""
    resolution_minutes: int
    warnings: tuple[str, ...] = ()
    """What is doubtful about it, without the name of the file."""

    @property
    def name(self) -> str:
        """The file's name without its folder: what is learnt must not depend on where it lies."""
        return Path(self.source).name

    @property
    def first(self) -> datetime:
        return _moment(int(self.minutes[0]))

    @property
    def end(self) -> datetime:
        """The end of the last row (exclusive)."""
        return _moment(int(self.minutes[-1]) + self.resolution_minutes)


@dataclass
class _Rows:
    """Raw rows, with the line of the file that each stands on."""

    minutes: Ints
    values: Floats
    lines: Ints
    problems: list[Problem] = field(default_factory=list[Problem])


def read_history(path: Path, zone: ZoneInfo | None = None) -> History:
    """Read a history from CSV (plain or gzip).

    `zone` is the zone of timestamps without an offset; without it those are an error.

    Raises:
        InputError: the file cannot be read, or is shorter than a week.
        Problems: rows are wrong; each is named with its line.
    """
    return parse_history(read_bytes(path), str(path), zone)


def read_bytes(path: Path) -> bytes:
    """A file's content, unpacked when it is gzip.

    Raises:
        InputError: there is no such file, or it is no gzip although it says so.
    """
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except OSError as error:
        raise InputError(f"cannot read it: {error}", where=str(path)) from error
    except EOFError as error:
        raise InputError("the gzip file is cut off", where=str(path)) from error


def parse_history(data: bytes, source: str, zone: ZoneInfo | None = None) -> History:
    """Parse the text of a history. `source` names it in errors. Raises as `read_history` does."""
    data = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    if not data.strip():
        raise InputError("is empty", where=source, fix=f"the first line is {','.join(COLUMNS[:2])}")
    header, _, body = data.partition(b"\n")
    columns = _columns(header, source)
    rows = _parse_fast(body, columns)
    # numpy reads an empty field as -1: whatever looks wrong is read again, row by row.
    if rows is None or _wrong_values(rows, columns, source):
        rows = _parse_slow(body, columns, source, zone)
    rows.problems += _wrong_values(rows, columns, source)
    rows.problems += _wrong_order(rows, source)
    _raise(rows.problems, source)
    return _history(rows, columns, source)


def from_counts(source: str, minutes: Ints, counts: Mapping[str, Ints]) -> History:
    """A history of one-minute rows from requests counted per minute and class."""
    rates = {name: counts[name] / 60 for name in CLASSES}
    return History(source, minutes, sum(rates.values(), np.zeros(len(minutes))), rates, 1)


def write_history(history: History, path: Path) -> None:
    """Write it as CSV that `read_history` reads, in UTC, gzipped when the name ends in .gz."""
    names = [name for name in CLASSES if name in history.classes]
    stamps = np.datetime_as_string(history.minutes.astype("datetime64[m]"))
    columns = [history.requests_per_second, *(history.classes[name] for name in names)]
    text = io.StringIO()
    text.write(",".join(["timestamp", TOTAL, *(f"{name}_{TOTAL}" for name in names)]) + "\n")
    for stamp, *values in zip(stamps, *(column.tolist() for column in columns), strict=True):
        text.write(f"{stamp}:00Z," + ",".join(f"{value:.6g}" for value in values) + "\n")
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def utc_offsets(minutes: Ints, zone: ZoneInfo) -> Ints:
    """Minutes to add to `minutes` (since the epoch, UTC, increasing) for local time.

    Offsets change only on a quarter of an hour, in every zone since 1970.
    """
    if not len(minutes):
        return np.zeros(0, dtype=np.int64)
    first = int(minutes[0]) // 15
    hours = range(first, int(minutes[-1]) // 15 + 1)
    offsets = [
        int((_moment(quarter * 15).astimezone(zone).utcoffset() or timedelta()).total_seconds())
        // 60
        for quarter in hours
    ]
    return np.array(offsets, dtype=np.int64)[minutes // 15 - first]


def _columns(header: bytes, source: str) -> list[str]:
    names = [name.strip().strip('"') for name in header.decode("utf-8", "replace").split(",")]
    where = f"{source}:1"
    problems = [
        Problem(where, f"unknown column {name[:40]!r}", _did_you_mean(name))
        for name in names
        if name not in COLUMNS
    ]
    problems += [
        Problem(where, f"column {name!r} is missing", f"the first line is {','.join(COLUMNS[:2])}")
        for name in COLUMNS[:2]
        if name not in names
    ]
    problems += [
        Problem(where, f"column {name!r} stands twice", "leave one")
        for name in COLUMNS
        if names.count(name) > 1
    ]
    _raise(problems, source)
    return names


def _did_you_mean(name: str) -> str:
    close = nearest(name, COLUMNS)
    return f"did you mean {close!r}?" if close else f"known are {', '.join(COLUMNS)}"


def _parse_fast(body: bytes, columns: Sequence[str]) -> _Rows | None:  # noqa: PLR0911 (each return is one way in which the file is not that plain)
    """Rows whose timestamps come first and all have one layout; None when they do not.

    Whole columns of bytes are read at once: 525,600 rows in a third of a second, where row by row
    takes four.
    """
    width = body.find(b",")
    digits = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15]
    if columns[0] != "timestamp" or b'"' in body or width < 17 or b"\n\n" in body:
        return None
    text = np.frombuffer(body if body.endswith(b"\n") else body + b"\n", dtype=np.uint8)
    ends = np.flatnonzero(text == ord("\n"))
    starts = np.concatenate([[0], ends[:-1] + 1])
    if (ends - starts <= width).any() or (text[starts + width] != ord(",")).any():
        return None
    stamps = sliding_window_view(text, width)[starts]
    sample = stamps[0].tobytes().decode("ascii", "replace")
    zulu = sample.endswith("Z")
    if not zulu:
        if sample[-3] != ":" or sample[-6] not in "+-":
            return None
        digits += [width - 5, width - 4, width - 2, width - 1]
    fixed = [4, 7, 10, 13] + ([16] if width > 17 and sample[16] == ":" else [])
    if ((stamps[:, digits] < ord("0")) | (stamps[:, digits] > ord("9"))).any() or any(
        (stamps[:, place] != stamps[0, place]).any() or sample[place] not in "-T :"
        for place in fixed
    ):
        return None
    minutes = _fast_minutes(stamps)
    if minutes is None:
        return None
    if zulu:
        if (stamps[:, -1] != ord("Z")).any():
            return None
    else:
        sign = np.where(stamps[:, -6] == ord("-"), -1, 1)
        if (stamps[:, -3] != ord(":")).any() or not np.isin(stamps[:, -6], [43, 45]).all():
            return None
        zone = (stamps[:, [-5, -4, -2, -1]] - ord("0")).astype(np.int64)
        minutes -= sign * (zone @ np.array([600, 60, 10, 1]))
    values = text.copy()
    sliding_window_view(values, width + 1, writeable=True)[starts] = ord(" ")
    values[ends] = ord(",")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            numbers = np.fromstring(values.tobytes().decode("ascii"), sep=",")
        except (DeprecationWarning, ValueError):
            return None
    if len(numbers) != len(starts) * (len(columns) - 1):
        return None
    lines = np.arange(2, len(starts) + 2)
    return _Rows(minutes, numbers.reshape(len(starts), -1), lines)


def _fast_minutes(stamps: NDArray[np.uint8]) -> Ints | None:
    """Minutes since the epoch of rows of text such as `2025-08-18T07:00`, wall time."""

    def number(*places: int) -> Ints:
        total = np.zeros(len(stamps), dtype=np.int64)
        for place in places:
            total = total * 10 + (stamps[:, place] - ord("0"))
        return total

    day, hour, minute = number(0, 1, 2, 3, 5, 6, 8, 9), number(11, 12), number(14, 15)
    if (hour > 23).any() or (minute > 59).any():
        return None
    different, which = np.unique(day, return_inverse=True)
    try:
        ordinals = [date(d // 10000, d // 100 % 100, d % 100) for d in different.tolist()]
    except ValueError:
        return None
    first = np.array([day.toordinal() - _EPOCH_ORDINAL for day in ordinals], dtype=np.int64)
    return (first[which] * 24 + hour) * 60 + minute


def _parse_slow(body: bytes, columns: Sequence[str], source: str, zone: ZoneInfo | None) -> _Rows:
    """Row by row: for rarer layouts, and to say exactly what is wrong where."""
    minutes: list[int] = []
    values: list[list[float]] = []
    lines: list[int] = []
    problems: list[Problem] = []
    previous: datetime | None = None
    reader = csv.reader(io.StringIO(body.decode("utf-8", "replace"), newline=""))
    at = columns.index("timestamp")
    for row in reader:
        line = reader.line_num + 1
        where = f"{source}:{line}"
        if not row:
            continue
        if len(row) != len(columns):
            problems.append(
                Problem(where, f"has {len(row)} fields, not {len(columns)}", "one for each column")
            )
            continue
        try:
            moment = _timestamp(row[at], zone, previous)
            numbers = [_number(text) for n, text in enumerate(row) if n != at]
        except ValueError as error:
            problems.append(Problem(where, str(error)))
            continue
        previous = moment
        minutes.append(int(moment.timestamp()) // 60)
        values.append(numbers)
        lines.append(line)
    shape = (len(values), len(columns) - 1)
    return _Rows(
        np.array(minutes, dtype=np.int64),
        np.array(values, dtype=np.float64).reshape(shape),
        np.array(lines, dtype=np.int64),
        problems,
    )


def _timestamp(text: str, zone: ZoneInfo | None, previous: datetime | None) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(f"{text!r} is no time; write it like {_EXAMPLE}") from error
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    if zone is None:
        raise ValueError(
            f"{text!r} has no time zone; write it like {_EXAMPLE}, or give the history's `timezone`"
        )
    utc = moment.replace(tzinfo=zone).astimezone(UTC)
    if previous is not None and utc <= previous:
        # The hour that the end of daylight saving repeats.
        return moment.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return utc


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no number") from error


def _wrong_values(rows: _Rows, columns: Sequence[str], source: str) -> list[Problem]:
    names = [name for name in columns if name != "timestamp"]
    wrong = np.argwhere(~(np.isfinite(rows.values) & (rows.values >= 0)))
    return [
        Problem(
            f"{source}:{rows.lines[row]}",
            f"{names[column]} is {rows.values[row, column]:g}",
            "a rate is a number of at least 0",
        )
        for row, column in wrong[: MOST_PROBLEMS + 1].tolist()
    ]


def _wrong_order(rows: _Rows, source: str) -> list[Problem]:
    steps = np.diff(rows.minutes)
    problems: list[Problem] = []
    for at in np.flatnonzero(steps <= 0)[: MOST_PROBLEMS + 1].tolist():
        moment = _moment(int(rows.minutes[at + 1]))
        what = "stands twice" if steps[at] == 0 else "goes back in time"
        problems.append(
            Problem(
                f"{source}:{rows.lines[at + 1]}",
                f"{moment:%Y-%m-%dT%H:%MZ} {what}",
                "one row a minute at the finest, in order of time",
            )
        )
    return problems


def _history(rows: _Rows, columns: Sequence[str], source: str) -> History:
    if len(rows.minutes) < 2:
        raise InputError(
            "has no load in it" if not len(rows.minutes) else "has a single row",
            where=source,
            fix=f"at least {SHORTEST_DAYS} days of rows such as {_EXAMPLE},12.5",
        )
    steps = np.diff(rows.minutes)
    widths, counts = np.unique(steps, return_counts=True)
    resolution = int(widths[counts.argmax()])
    if resolution > COARSEST_MINUTES:
        raise InputError(
            f"its rows are {resolution} minutes apart",
            where=source,
            why=f"a row of more than {COARSEST_MINUTES} minutes hides every peak",
            fix="export it at 1 to 5 minutes",
        )
    off_grid = np.flatnonzero(steps % resolution)
    _raise(
        [
            Problem(
                f"{source}:{rows.lines[at + 1]}",
                f"{_moment(int(rows.minutes[at + 1])):%Y-%m-%dT%H:%MZ} is not a multiple of "
                f"{resolution} minutes after the row before",
                "rows at a regular distance",
            )
            for at in off_grid[: MOST_PROBLEMS + 1].tolist()
        ],
        source,
    )
    days = (int(rows.minutes[-1]) + resolution - int(rows.minutes[0])) / 1440
    if days < SHORTEST_DAYS:
        raise InputError(
            f"covers {days:.1f} days",
            where=source,
            why="a shorter history than a week does not show every weekday",
            fix=f"at least {SHORTEST_DAYS} days",
        )
    names = [name for name in columns if name != "timestamp"]
    by_name = {name: np.ascontiguousarray(rows.values[:, n]) for n, name in enumerate(names)}
    return History(
        source=source,
        minutes=rows.minutes,
        requests_per_second=by_name[TOTAL],
        classes={
            name: by_name[f"{name}_{TOTAL}"] for name in CLASSES if f"{name}_{TOTAL}" in by_name
        },
        resolution_minutes=resolution,
        warnings=tuple(_gaps(rows, steps, resolution)),
    )


def _gaps(rows: _Rows, steps: Ints, resolution: int) -> Iterable[str]:
    gaps = np.flatnonzero(steps > resolution)
    if not len(gaps):
        return
    missing = int((steps[gaps] - resolution).sum())
    longest = int(gaps[steps[gaps].argmax()])
    yield (
        f"line {rows.lines[longest + 1]}: {len(gaps)} gap{'s' if len(gaps) > 1 else ''}, "
        f"{missing} minutes in all; the longest lasts {int(steps[longest]) - resolution} minutes "
        f"from {_moment(int(rows.minutes[longest]) + resolution):%Y-%m-%dT%H:%MZ}"
    )


def _raise(problems: Sequence[Problem], source: str) -> None:
    if not problems:
        return
    shown = list(problems[:MOST_PROBLEMS])
    if len(problems) > MOST_PROBLEMS:
        shown.append(Problem(source, "and more of the kind"))
    raise Problems(source, shown)


def _moment(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)
