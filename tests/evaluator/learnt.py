"""What histories of a season teach, worked out anew from their CSV files, in the plainest way.

The rules, as the planner states them: a day's label is its kind, with the weekday where that is
ordinary; the quantile of each local minute over the days of one label; outages (below 5 % of the
usual for 5 minutes, and 15 minutes after) and outliers (above 4 times every other day) left out;
fewer than 3 days of a label borrow; 2 minutes wider on both sides, 4 where fewer than 33 days were
seen; a year before the last is lifted to the last one's level.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]
Tables = dict[str, Curve]

TOTAL = "requests_per_second"
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
BORROWS = {
    "exam": ("grading", "school"),
    "grading": ("exam", "school"),
    "enrolment": ("school",),
    "school": ("exam", "grading", "enrolment", "custom"),
    "holiday": ("weekend", "break"),
    "break": ("holiday", "weekend"),
    "weekend": ("holiday", "break"),
}


@dataclass(frozen=True)
class Day:
    """What a market's calendar says of a day."""

    date: date
    base: str
    kind: str
    factor: float | None


def label(markets: Sequence[Day], *, measured: bool) -> str:
    """BASE or BASE/DETAIL of one day, the first market first; see `infra/season/demand.py`."""
    words = [_word(day, measured) for day in markets]
    base, *detail = words[0].split("/")
    details = " ".join([*detail, *words[1:]])
    return f"{base}/{details}" if details else base


def _word(day: Day, measured: bool) -> str:
    if measured and day.factor is not None and day.kind == day.base:
        return f"{day.base}/factor"
    special = day.kind != day.base and (measured or day.factor is None)
    if special:
        return day.kind if day.base == "school" else f"{day.base}/{day.kind}"
    if day.base in ("school", "weekend"):
        return f"{day.base}/{day.date:%a}".lower()
    return f"{day.base}/weekend" if day.date.weekday() > 4 else day.base


def history_days(path: Path) -> tuple[date, date]:
    """The dates of the first and the last row, with a day more on either side."""
    stamps = [row["timestamp"] for row in _rows(path)]
    first, last = (datetime.fromisoformat(stamp).date() for stamp in (stamps[0], stamps[-1]))
    return first - DAY, last + DAY


def _rows(path: Path) -> list[dict[str, str]]:
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))


def by_local_day(path: Path, zone: ZoneInfo, naive: ZoneInfo | None) -> tuple[date, Tables]:
    """The first local date, and a table of days x minutes for the total and each class."""
    rows = _rows(path)
    moments: list[datetime] = []
    for row in rows:
        moment = datetime.fromisoformat(row["timestamp"])
        if moment.tzinfo is None:
            utc = moment.replace(tzinfo=naive).astimezone(UTC)
            if moments and utc <= moments[-1]:
                utc = moment.replace(tzinfo=naive, fold=1).astimezone(UTC)
            moment = utc
        moments.append(moment.astimezone(UTC))
    steps = Counter(after - before for before, after in itertools.pairwise(moments))
    width = max(steps, key=lambda step: (steps[step], -step)) // MINUTE
    walls = [
        (moment + n * MINUTE).astimezone(zone).replace(tzinfo=None)
        for moment in moments
        for n in range(width)
    ]
    first = min(walls).date()
    count = (max(walls).date() - first).days + 1
    zero = datetime.combine(first, datetime.min.time())
    at = np.array([(wall - zero) // MINUTE for wall in walls])
    tables: Tables = {}
    for name in [key for key in rows[0] if key != "timestamp"]:
        flat = np.full(count * 1440, np.nan)
        # A minute that the clock shows twice keeps the higher value.
        np.fmax.at(flat, at, np.repeat([float(row[name]) for row in rows], width))
        tables[name.removesuffix(TOTAL).rstrip("_") or "total"] = flat.reshape(count, 1440)
    return first, tables


def learn(
    tables: Tables, labels: Sequence[str], wanted: set[str], quantile: float
) -> dict[str, Tables]:
    """For each wanted label its profile: by class, 1,440 local minutes."""
    total = tables["total"]
    blank = np.zeros(total.shape, dtype=np.bool_)
    for each in set(labels):
        rows = [n for n, found in enumerate(labels) if found == each]
        if len(rows) >= 5:
            blank[rows] = _unusual(total[rows])
    for table in tables.values():
        table[blank] = np.nan
    _lift(tables, labels)
    return {each: _profile(tables, labels, each, quantile) for each in wanted}


def _unusual(days: Curve) -> NDArray[np.bool_]:
    usual = quantile_of(days, 0.5)
    least = 0.1 * np.nanmax(usual)
    outage = (usual >= least) & (days < 0.05 * usual)
    second = np.sort(np.nan_to_num(days, nan=-np.inf), axis=0)[-2]
    others = np.maximum(_wide(second, 10), max(float(least), 1e-9))
    outlier = (days > 4 * others) & (days > 4 * _wide(usual, 10))
    blank = np.zeros(days.shape, dtype=np.bool_)
    for row, minutes in enumerate(outage):
        run = 0
        for minute in range(1441):
            if minute < 1440 and minutes[minute]:
                run += 1
                continue
            if run >= 5:
                blank[row, minute - run : minute + 15] = True
            run = 0
    return blank | outlier


def _lift(tables: Tables, labels: Sequence[str]) -> None:
    total = tables["total"]
    age = (len(labels) - 1 - np.arange(len(labels))) // 365
    means = np.array([np.nan if np.isnan(day).all() else np.nanmean(day) for day in total])
    ratios: list[float] = []
    for each in set(labels):
        own = np.array([found == each for found in labels]) & np.isfinite(means)
        last, before = means[own & (age == 0)], means[own & (age == 1)]
        if len(last) >= 10 and len(before) >= 10 and before.mean() > 0:
            ratios.append(last.mean() / before.mean())
    if ratios:
        for table in tables.values():
            table[age > 0] *= np.median(ratios)


def _profile(tables: Tables, labels: Sequence[str], wanted: str, quantile: float) -> Tables:
    total = tables["total"]
    bases = np.array([_base(each) for each in labels])
    own = np.array([each == wanted for each in labels])
    chosen, borrowed = own, False
    if _observed(total[own]) < 3:
        base = _base(wanted)
        lenders = [base] if "/" in wanted else []
        for lender in [*lenders, *BORROWS.get(base, ("school",))]:
            if _observed(total[bases == lender]) >= 3:
                chosen, borrowed = bases == lender, True
                break
        else:
            if not own.any():
                chosen, borrowed = np.ones(len(labels), dtype=np.bool_), True
    wide = 2 if _observed(total[chosen]) >= 33 else 4
    found: Tables = {}
    for name, table in tables.items():
        rate = quantile_of(table[chosen], quantile)
        if borrowed and own.any():
            rate = np.fmax(rate, quantile_of(table[own], 1.0))
        found[name] = _wide(_filled(rate), wide)
    return found


def _base(of: str) -> str:
    return re.split("[/:]", of, maxsplit=1)[0]


def _observed(days: Curve) -> int:
    return int((np.isfinite(days).sum(axis=1) >= 720).sum())


def quantile_of(days: Curve, quantile: float) -> Curve:
    """The quantile of each minute over the days that have it."""
    found = np.full(days.shape[1], np.nan)
    seen = days[np.isfinite(days).any(axis=1)]
    whole = np.isfinite(seen).all(axis=0)
    if len(seen):
        found[whole] = np.quantile(seen[:, whole], quantile, axis=0)
    for minute in np.flatnonzero(~whole):
        values = seen[np.isfinite(seen[:, minute]), minute]
        found[minute] = np.quantile(values, quantile) if len(values) else np.nan
    return found


def _filled(rate: Curve) -> Curve:
    """A minute that no day has takes the higher of its measured neighbours, over midnight too."""
    known = np.flatnonzero(np.isfinite(rate))
    if not len(known):
        return np.zeros(len(rate))
    filled = rate.copy()
    for minute in np.flatnonzero(np.isnan(rate)):
        after = known[known > minute][0] if (known > minute).any() else known[0]
        before = known[known < minute][-1] if (known < minute).any() else known[-1]
        filled[minute] = max(rate[before], rate[after])
    return filled


def _wide(rate: Curve, minutes: int) -> Curve:
    return np.max([np.roll(rate, n) for n in range(-minutes, minutes + 1)], axis=0)


def dynamic_rest(profile: Tables) -> Tables:
    """Classes of a profile; what no class claims is dynamic."""
    classes = {name: rate for name, rate in profile.items() if name != "total"}
    rest = np.maximum(profile["total"] - np.sum([np.zeros(1440), *classes.values()], axis=0), 0)
    return classes | {"dynamic": classes.get("dynamic", np.zeros(1440)) + rest}


def factor_of(days: Sequence[Day], users: Sequence[int]) -> float:
    """The markets' factors on one day, weighed by their users."""
    weights = users if any(users) else [1] * len(users)
    factors = [day.factor or 1.0 for day in days]
    return sum(w * f for w, f in zip(weights, factors, strict=True)) / sum(weights)
