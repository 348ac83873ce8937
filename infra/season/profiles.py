"""Learns from a history what each kind of day looks like, minute by minute of local time.

A profile is a quantile over the days of its kind. Outages and outliers are found by rule, left out
and listed; kinds with too few days borrow from their neighbours; what the data does not support is
said in `notes`. The kinds themselves come from the calendar.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from infra.errors import InputError
from infra.season.history import (
    MINUTES_A_DAY,
    Floats,
    History,
    parse_history,
    read_bytes,
    utc_offsets,
)

VERSION: Final = 4
"""Part of the cache's key: raise it when the same history would be learnt differently."""

FEWEST_DAYS: Final = 3
"""Fewer days of a kind than this, and it borrows."""
MANY_DAYS: Final = 33
"""With fewer, the earliest and the latest start of a bell or a quiz have not been seen yet: where
starts are off at random, the next lies beyond n earlier ones with a chance of 2 / (n + 1)."""
WIDEN_MINUTES: Final = 2
WIDEN_MINUTES_FEW: Final = 4
"""The same for kinds with fewer than `MANY_DAYS`."""
FEWEST_DAYS_FOR_OUTLIERS: Final = 5
OUTAGE_SHARE: Final = 0.05
"""An outage: below this share of the usual, where the usual is at least `BUSY_SHARE` of a peak."""
OUTLIER_FACTOR: Final = 4.0
"""An outlier: above this multiple of what all but one of the other days of its kind show there."""
BUSY_SHARE: Final = 0.1
SHORTEST_OUTAGE_MINUTES: Final = 5
AFTER_OUTAGE_MINUTES: Final = 15
"""Left out after an outage as well: everybody comes back at once."""

RESTING: Final = frozenset({"weekend", "break", "holiday"})
NEIGHBOURS: Final[Mapping[str, Sequence[str]]] = {
    "exam": ("grading", "school"),
    "grading": ("exam", "school"),
    "enrolment": ("school",),
    "custom": ("school",),
    "school": ("exam", "grading", "enrolment", "custom"),
    "holiday": ("weekend", "break"),
    "break": ("holiday", "weekend"),
    "weekend": ("holiday", "break"),
}
"""Whom a kind borrows from, the best first."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Profile:
    """One kind of day. `rates` holds requests per second at each of 1,440 local minutes.

    Its keys are `total` and the classes that the history tells apart.
    """

    kind: str
    rates: Mapping[str, Floats]
    days: int
    """How many days it rests on (its own, or its neighbour's where it borrows)."""
    borrowed_from: str | None = None


@dataclass(frozen=True)
class LeftOut:
    """A stretch of one day that was not learnt from. Minutes are local, the end exclusive."""

    day: date
    first_minute: int
    end_minute: int
    reason: str

    def __str__(self) -> str:
        first, end = (f"{m // 60:02}:{m % 60:02}" for m in (self.first_minute, self.end_minute))
        return f"{self.day} {first}–{end}: {self.reason}"


@dataclass(frozen=True)
class Profiles:
    """What a history teaches about one market."""

    quantile: float
    kinds: Mapping[str, Profile]
    growth: float | None
    """The last year's load over the year before; None when there are no two years to compare.
    Profiles stand at the last year's level."""
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]


def learn_profiles(
    history: History,
    kinds: Mapping[date, str],
    zone: ZoneInfo,
    quantile: float,
    *,
    wanted: Collection[str] = (),
    widen_minutes: tuple[int, int] = (WIDEN_MINUTES, WIDEN_MINUTES_FEW),
) -> Profiles:
    """Learn a profile for every kind in `kinds` and in `wanted`.

    `kinds` says what each local date of the history is. A kind may be `BASE/DETAIL`, such as
    `school/wed`: with too few days it learns from all days of its base. Each minute takes the
    highest quantile within `widen_minutes` on both sides, since clocks and bells differ: the first
    for kinds with `MANY_DAYS`, the second for those with fewer.

    Raises:
        InputError: the history lies entirely in weekends, breaks and holidays, or no date of it
            has a kind.
    """
    days, load = _by_local_day(history, zone)
    labels = [kinds.get(day) for day in days]
    whole = _whole_days(load["total"])
    _check_kinds(history, [label for label, seen in zip(labels, whole, strict=True) if seen])
    left_out = _leave_out(days, labels, load)
    growth = _growth(days, labels, load["total"])
    if growth is not None:
        last_year = np.array([day > days[-1] - timedelta(days=365) for day in days])
        for values in load.values():
            values[~last_year] *= growth
    notes = [f"{history.name}: {warning}" for warning in history.warnings]
    unknown = sum(label is None for label in labels)
    if unknown:
        notes.append(f"{history.name}: {unknown} days without a kind were not learnt from")
    learnt: dict[str, Profile] = {}
    for kind in sorted({label for label in labels if label} | set(wanted)):
        learnt[kind] = _learn(kind, labels, load, quantile, widen_minutes)
        notes += _say(history.name, learnt[kind], labels.count(kind))
    return Profiles(quantile, learnt, growth, tuple(left_out), tuple(notes))


def learn_file(
    path: Path,
    kinds: Mapping[date, str],
    zone: ZoneInfo,
    quantile: float,
    *,
    cache: Path,
    wanted: Collection[str] = (),
    widen_minutes: tuple[int, int] = (WIDEN_MINUTES, WIDEN_MINUTES_FEW),
) -> Profiles:
    """`learn_profiles` of a CSV file, remembered in the folder `cache` by content.

    Raises as `read_history` and `learn_profiles` do.
    """
    data = read_bytes(path)
    question = {
        "version": VERSION,
        "content": hashlib.sha256(data).hexdigest(),
        "name": path.name,
        "kinds": {day.isoformat(): kind for day, kind in sorted(kinds.items())},
        "zone": zone.key,
        "quantile": quantile,
        "wanted": sorted(wanted),
        "widen_minutes": widen_minutes,
    }
    key = hashlib.sha256(json.dumps(question).encode()).hexdigest()
    remembered = cache / f"{key}.npz"
    if (known := _recall(remembered)) is not None:
        return known
    profiles = learn_profiles(
        parse_history(data, str(path)),
        kinds,
        zone,
        quantile,
        wanted=wanted,
        widen_minutes=widen_minutes,
    )
    _remember(profiles, remembered)
    return profiles


def _by_local_day(history: History, zone: ZoneInfo) -> tuple[list[date], dict[str, Floats]]:
    """Local dates, and for `total` and each class a table of days x 1,440 minutes (NaN: no data).

    The hour that the end of daylight saving repeats keeps the higher of its two values.
    """
    wide = history.resolution_minutes
    minutes = (history.minutes[:, None] + np.arange(wide)).ravel()
    local = minutes + utc_offsets(minutes, zone)
    first = int(local.min()) // MINUTES_A_DAY
    count = int(local.max()) // MINUTES_A_DAY - first + 1
    repeated = bool((np.diff(local) <= 0).any())
    tables: dict[str, Floats] = {}
    for name, rates in {"total": history.requests_per_second, **history.classes}.items():
        table = np.full(count * MINUTES_A_DAY, np.nan)
        at, values = local - first * MINUTES_A_DAY, np.repeat(rates, wide)
        if repeated:
            np.fmax.at(table, at, values)
        else:
            table[at] = values
        tables[name] = table.reshape(count, MINUTES_A_DAY)
    start = date(1970, 1, 1) + timedelta(days=first)
    return [start + timedelta(days=n) for n in range(count)], tables


def _check_kinds(history: History, labels: Sequence[str | None]) -> None:
    known = {_base(label) for label in labels if label}
    if not known:
        raise InputError(
            f"covers {history.first:%Y-%m-%d} to {history.end:%Y-%m-%d}, of which the season's "
            "calendar knows no day",
            where=history.source,
            fix="add the terms and breaks of those years to the market",
        )
    if known <= RESTING:
        raise InputError(
            f"lies entirely in {' and '.join(sorted(known))} days",
            where=history.source,
            why="it says nothing about a school day",
            fix="add load from a term, or the terms of those years to the market",
        )


def _learn(
    kind: str,
    labels: Sequence[str | None],
    load: Mapping[str, Floats],
    quantile: float,
    widen_minutes: tuple[int, int],
) -> Profile:
    own = np.array([label == kind for label in labels])
    base = _base(kind)
    lenders: list[tuple[str, Mask]] = []
    if "/" in kind:
        lenders.append((base, np.array([_base(label) == base for label in labels])))
    for neighbour in NEIGHBOURS.get(base, ("school",)):
        lenders.append((neighbour, np.array([_base(label) == neighbour for label in labels])))
    if not own.any():
        lenders.append(("all days", np.array([label is not None for label in labels])))
    lender, chosen = None, own
    if _observed(load["total"][own]) < FEWEST_DAYS:
        lender, chosen = next(
            (
                (name, mask)
                for name, mask in lenders
                if _observed(load["total"][mask]) >= FEWEST_DAYS or name == "all days"
            ),
            (None, own),
        )
    observed = _observed(load["total"][chosen])
    minutes = widen_minutes[observed < MANY_DAYS]
    rates: dict[str, Floats] = {}
    for name, table in load.items():
        rate = _quantile(table[chosen], quantile)
        if lender is not None and own.any():
            # The few days it has of its own may be higher than what it borrows.
            rate = np.fmax(rate, _quantile(table[own], 1.0))
        rates[name] = _widened(_filled(rate), minutes)
    return Profile(kind, rates, observed, lender)


def _base(label: str | None) -> str:
    return (label or "").partition("/")[0].partition(":")[0]


def _observed(table: Floats) -> int:
    """Days of which at least half was measured."""
    return int(_whole_days(table).sum())


def _whole_days(table: Floats) -> Mask:
    return np.isfinite(table).sum(axis=1) >= MINUTES_A_DAY // 2


def _quantile(table: Floats, quantile: float) -> Floats:
    """The quantile of each column over its finite values, linear between ranks, NaN if none."""
    ordered = np.sort(table, axis=0)  # NaN last
    count = np.isfinite(ordered).sum(axis=0)
    rank = quantile * np.maximum(count - 1, 0)
    low = np.floor(rank).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    columns = np.arange(table.shape[1])
    below, above = ordered[low, columns], ordered[high, columns]
    return below + (above - below) * (rank - low)


def _filled(rate: Floats) -> Floats:
    """Minutes that no day measured take the higher of their measured neighbours."""
    known = np.flatnonzero(np.isfinite(rate))
    if len(known) in (0, len(rate)):
        return np.nan_to_num(rate)
    after = np.searchsorted(known, np.arange(len(rate)))
    right = rate[known[after % len(known)]]
    left = rate[known[after - 1]]
    return np.where(np.isfinite(rate), rate, np.maximum(left, right))


def _widened(rate: Floats, minutes: int) -> Floats:
    return np.max([np.roll(rate, shift) for shift in range(-minutes, minutes + 1)], axis=0)


def _leave_out(
    days: Sequence[date], labels: Sequence[str | None], load: Mapping[str, Floats]
) -> list[LeftOut]:
    """Blank outages and outliers in `load`, and list them."""
    total = load["total"]
    left_out: list[LeftOut] = []
    blank = np.zeros(total.shape, dtype=bool)
    for kind in sorted({label for label in labels if label}):
        rows = np.flatnonzero([label == kind for label in labels])
        if len(rows) < FEWEST_DAYS_FOR_OUTLIERS:
            continue
        table = total[rows]
        usual = _quantile(table, 0.5)
        busy = usual >= BUSY_SHARE * np.nanmax(usual)
        # The second highest day: what happened on two days is no accident.
        second = np.sort(np.where(np.isfinite(table), table, -np.inf), axis=0)[-2]
        high = max(float(np.nanmax(usual)) * BUSY_SHARE, 1e-9)
        outage = busy & (table < OUTAGE_SHARE * usual)
        outlier = (table > OUTLIER_FACTOR * np.maximum(_widened(second, 10), high)) & (
            table > OUTLIER_FACTOR * _widened(usual, 10)
        )
        for row, day_outage, day_outlier in zip(rows.tolist(), outage, outlier, strict=True):
            for first, end in _runs(day_outage):
                if end - first >= SHORTEST_OUTAGE_MINUTES:
                    end_after = min(end + AFTER_OUTAGE_MINUTES, MINUTES_A_DAY)
                    blank[row, first:end_after] = True
                    left_out.append(LeftOut(days[row], first, end_after, f"outage on a {kind} day"))
            for first, end in _runs(day_outlier & ~blank[row]):
                blank[row, first:end] = True
                left_out.append(
                    LeftOut(
                        days[row],
                        first,
                        end,
                        f"more than {OUTLIER_FACTOR:g} times any other {kind} day",
                    )
                )
    for table in load.values():
        table[blank] = np.nan
    return sorted(left_out, key=lambda item: (item.day, item.first_minute))


def _runs(mask: Mask) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _growth(days: Sequence[date], labels: Sequence[str | None], total: Floats) -> float | None:
    """The median over kinds of the mean day of the last year over that of the year before.

    Needs ten days of a kind in both years.
    """
    age = np.array([(days[-1] - day).days // 365 for day in days])
    means = np.array(
        [np.nan if np.isnan(row).all() else np.nanmean(row) for row in total], dtype=np.float64
    )
    ratios: list[float] = []
    for kind in {label for label in labels if label}:
        of_kind = np.array([label == kind for label in labels]) & np.isfinite(means)
        last, before = means[of_kind & (age == 0)], means[of_kind & (age == 1)]
        if len(last) >= 10 and len(before) >= 10 and before.mean() > 0:
            ratios.append(float(last.mean() / before.mean()))
    return float(np.median(ratios)) if ratios else None


def _say(source: str, profile: Profile, days: int) -> list[str]:
    if profile.borrowed_from is not None:
        return [
            f"{source}: {days} {profile.kind} days are too few to learn from; "
            f"borrowed from {profile.borrowed_from} ({profile.days} days)"
        ]
    if profile.days < FEWEST_DAYS:
        return [f"{source}: {profile.kind} rests on {days} days only, and no other kind is like it"]
    return []


def _remember(profiles: Profiles, path: Path) -> None:
    about = {
        "quantile": profiles.quantile,
        "growth": profiles.growth,
        "left_out": [asdict(item) | {"day": item.day.isoformat()} for item in profiles.left_out],
        "notes": profiles.notes,
        "kinds": [[p.kind, p.days, p.borrowed_from] for p in profiles.kinds.values()],
    }
    arrays = {
        f"{kind}|{name}": rate
        for kind, profile in profiles.kinds.items()
        for name, rate in profile.rates.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written beside and moved, so that a reader never sees half a file.
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, about=np.array(json.dumps(about)), **arrays)  # pyright: ignore[reportArgumentType]  # the stub takes the keyword allow_pickle for one of ours
    partial.replace(path)


def _recall(path: Path) -> Profiles | None:
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as stored:
        about = json.loads(str(stored["about"]))
        rates: dict[str, dict[str, Floats]] = {}
        for key in stored.files:
            if key != "about":
                kind, _, name = key.partition("|")
                rates.setdefault(kind, {})[name] = stored[key]
    return Profiles(
        quantile=about["quantile"],
        kinds={
            kind: Profile(kind, rates[kind], days, borrowed)
            for kind, days, borrowed in about["kinds"]
        },
        growth=about["growth"],
        left_out=tuple(
            LeftOut(**item | {"day": date.fromisoformat(item["day"])}) for item in about["left_out"]
        ),
        notes=tuple(about["notes"]),
    )
