"""Seeded load of a made-up learning platform, minute by minute. Nothing here is measured.

Five markets, each with the calendar of two school years. A market's load in a minute is

    users / 1000 x (day curve of the day's kind x weekday x seasonal drift x period's factor
                    + bells) x day's luck x ten-minute wobble x minute's noise

- Day curves: school hours with a dip at noon and a homework hump in the evening; weekends with a
  hump on Sunday evening; breaks and public holidays nearly empty.
- Bells: the first one brings logins of 31 % of the users over about 15 minutes (10 requests each),
  later ones at the full hour a fifth of that; each day's bells come up to some minutes early or
  late (normal, 1.2 minutes). With 31 % a perfect forecast in 8 steps a day costs as much over the
  optimum as on the load that the bars were set on.
- Weekdays differ (Monday 1.06, Friday 0.85). Periods: grading 2.2 with a teachers' evening, exams
  1.6 with a quiz of half the usual logins within six minutes at 10:00, up to 10 minutes off.
- Luck of a day: lognormal, 7 %; wobble: lognormal, autocorrelated over ten minutes, 4 %; noise of a
  minute: 2 %.
- On about three days a year each market has a rush that nobody announced: half as much again for
  20 minutes.
- The second year is 1.15 times the first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import holidays
import numpy as np
import yaml
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DAY: Final = timedelta(days=1)
LEARN: Final = (date(2024, 8, 1), date(2025, 7, 31))
JUDGE: Final = (date(2025, 8, 1), date(2026, 7, 31))
GROWTH: Final = 1.15
REQUESTS_PER_LOGIN: Final = 10


@dataclass(frozen=True)
class Market:
    """A market; spans are `from..to`, both inclusive."""

    name: str
    zone: str
    users: int
    country: str
    subdivision: str | None
    bell: str
    terms: tuple[str, ...]
    breaks: tuple[str, ...]
    grading: tuple[str, ...] = ()
    exams: tuple[str, ...] = ()
    bells: bool = True
    """Whether lessons and quizzes begin for all at once."""


MARKETS: Final = (
    Market(
        "iceland", "Atlantic/Reykjavik", 30_000, "IS", None, "08:20",
        ("2024-08-22..2024-12-20", "2025-01-06..2025-06-06",
         "2025-08-22..2025-12-19", "2026-01-05..2026-06-05"),
        ("2024-10-24..2024-10-28", "2025-04-14..2025-04-21",
         "2025-10-23..2025-10-27", "2026-03-30..2026-04-06"),
        ("2024-12-09..2024-12-20", "2025-05-19..2025-06-06",
         "2025-12-08..2025-12-19", "2026-05-18..2026-06-05"),
    ),
    Market(
        "sweden", "Europe/Stockholm", 300_000, "SE", None, "08:10",
        ("2024-08-19..2024-12-20", "2025-01-09..2025-06-12",
         "2025-08-18..2025-12-19", "2026-01-08..2026-06-11"),
        ("2024-10-28..2024-11-01", "2025-02-17..2025-02-21", "2025-04-14..2025-04-17",
         "2025-10-27..2025-10-31", "2026-02-16..2026-02-20", "2026-03-30..2026-04-02"),
        ("2024-12-09..2024-12-20", "2025-05-26..2025-06-12",
         "2025-12-08..2025-12-19", "2026-05-25..2026-06-11"),
    ),
    Market(
        "germany", "Europe/Berlin", 150_000, "DE", "NW", "07:55",
        ("2024-08-21..2025-07-11", "2025-08-27..2026-07-17"),
        ("2024-10-14..2024-10-26", "2024-12-23..2025-01-06", "2025-04-14..2025-04-26",
         "2025-10-13..2025-10-25", "2025-12-22..2026-01-06", "2026-03-30..2026-04-11"),
        ("2025-01-20..2025-01-31", "2025-06-23..2025-07-04",
         "2026-01-19..2026-01-30", "2026-06-29..2026-07-10"),
    ),
    Market(
        "switzerland", "Europe/Zurich", 80_000, "CH", "ZH", "07:30",
        ("2024-08-19..2025-07-11", "2025-08-18..2026-07-10"),
        ("2024-10-07..2024-10-19", "2024-12-23..2025-01-04", "2025-02-10..2025-02-21",
         "2025-04-21..2025-05-02", "2025-10-06..2025-10-18", "2025-12-22..2026-01-03",
         "2026-02-09..2026-02-20", "2026-04-20..2026-05-02"),
        ("2025-01-13..2025-01-31", "2025-06-23..2025-07-11",
         "2026-01-12..2026-01-30", "2026-06-22..2026-07-10"),
    ),
    Market(
        "england", "Europe/London", 250_000, "GB", "ENG", "08:45",
        ("2024-09-02..2024-12-20", "2025-01-06..2025-04-11", "2025-04-28..2025-07-22",
         "2025-09-01..2025-12-19", "2026-01-05..2026-03-27", "2026-04-13..2026-07-21"),
        ("2024-10-28..2024-11-01", "2025-02-17..2025-02-21", "2025-05-26..2025-05-30",
         "2025-10-27..2025-10-31", "2026-02-16..2026-02-20", "2026-05-25..2026-05-29"),
        exams=("2025-05-12..2025-05-23", "2025-06-02..2025-06-20",
               "2026-05-11..2026-05-22", "2026-06-01..2026-06-19"),
    ),
)  # fmt: skip


def span(text: str) -> tuple[date, date]:
    first, _, last = text.partition("..")
    return date.fromisoformat(first), date.fromisoformat(last)


def within(day: date, spans: Iterable[str]) -> bool:
    return any(first <= day <= last for first, last in map(span, spans))


def load(
    market: Market, first: date, last: date, *, seed: int = 1, factor: float = 1.0
) -> tuple[Ints, Floats]:
    """Minutes since the epoch and requests per second, over the local days first to last."""
    zone = ZoneInfo(market.zone)
    days = [first + n * DAY for n in range((last - first).days + 1)]
    text = f"{market.name} {first} {seed}"
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))
    public = holidays.country_holidays(
        market.country, subdiv=market.subdivision, years={day.year for day in days}
    )
    rushes = rng.random(len(days)) < 3 / 365
    minutes: list[Ints] = []
    rates: list[Floats] = []
    for n, day in enumerate(days):
        curve = _day(market, day, day in public, rng)
        if rushes[n]:
            at = int(rng.integers(480, 1200))
            curve[at : at + 20] *= 1.5
        curve *= np.exp(rng.normal(0, 0.07))
        drift = 1 + 0.06 * np.cos((day.timetuple().tm_yday - 20) / 365 * 2 * np.pi)
        start = datetime.combine(day, datetime.min.time(), zone)
        end = datetime.combine(day + DAY, datetime.min.time(), zone)
        begin = int(start.timestamp()) // 60
        count = int(end.timestamp()) // 60 - begin
        # On the days of a clock change the wall minutes are walked through in UTC.
        wall = np.arange(count)
        if count != 1440:
            wall = np.array([_wall_minute(begin + m, zone) for m in range(count)])
        minutes.append(begin + np.arange(count))
        rates.append(curve[wall] * drift)
    flat = np.concatenate(rates) * market.users / 1000 * factor
    wobble = rng.normal(0, 0.04, len(flat) // 10 + 2)
    flat *= np.exp(np.interp(np.arange(len(flat)) / 10, np.arange(len(wobble)), wobble))
    flat *= rng.gamma(2500, 1 / 2500, len(flat))
    return np.concatenate(minutes), np.round(flat, 4)


def _wall_minute(minute: int, zone: ZoneInfo) -> int:
    local = datetime.fromtimestamp(minute * 60, UTC).astimezone(zone)
    return local.hour * 60 + local.minute


def _hump(centre: float, width: float, height: float) -> Floats:
    """A bell curve over the day; hours in, requests per second per 1,000 users out."""
    return height * np.exp(-(((np.arange(1440) / 60 - centre) / width) ** 2) / 2)


def _plateau(first: float, last: float, height: float) -> Floats:
    hours = np.arange(1440) / 60
    return height / (1 + np.exp(-(hours - first) * 6)) / (1 + np.exp((hours - last) * 4))


def _arrivals(at: float, minutes: float, logins: float) -> Floats:
    """Requests per second of logins that peak after a third of `minutes` from `at`."""
    t = (np.arange(1440) - at) / minutes
    shape = np.where((t > 0) & (t < 2), t * np.exp(-3 * t), 0.0)
    return shape / shape.sum() * logins * REQUESTS_PER_LOGIN / 60


def _day(market: Market, day: date, public: bool, rng: np.random.Generator) -> Floats:
    hour, _, minute = market.bell.partition(":")
    bell = int(hour) * 60 + int(minute) + float(rng.normal(0, 1.2))
    grading, exam = within(day, market.grading), within(day, market.exams)
    weekend = day.weekday() > 4
    night = np.full(1440, 0.02)
    if public or not within(day, market.terms) or within(day, market.breaks):
        curve = night + _hump(14, 4, 0.05) + _hump(20, 2, 0.04)
    elif weekend:
        curve = night + _hump(13, 3, 0.1) + _hump(19.5, 2, 0.3 if day.weekday() == 6 else 0.1)
    else:
        curve = night + _plateau(bell / 60, 15.2, 0.6) - _hump(12.2, 0.5, 0.2)
        curve = curve + _hump(19.5, 1.6, 0.3)
        curve *= (1.06, 1.03, 0.97, 1.0, 0.85)[day.weekday()]
    if grading:
        curve = curve * 2.2 + _hump(20.5, 1.2, 0.5)
    if exam:
        curve = curve * 1.6
    if weekend or public or not within(day, market.terms) or within(day, market.breaks):
        return curve
    if not market.bells:
        return curve
    curve = curve + _arrivals(bell - 8, 15, 310)
    for lesson in range(1, 6):
        curve = curve + _arrivals(bell + 60 * lesson - 3, 8, 62)
    if exam:
        curve = curve + _arrivals(600 + float(rng.uniform(-10, 10)), 6, 155)
    return curve


def season(markets: Sequence[Market], histories: Sequence[str], **change: object) -> str:
    """The season file of these markets, planned from the named histories, one a market."""

    def spans(texts: Iterable[str], **more: str) -> list[dict[str, object]]:
        return [{"from": span(t)[0], "to": span(t)[1], **more} for t in texts]

    document: dict[str, object] = {
        "version": 1,
        "timezone": "Europe/Stockholm",
        "horizon": {"from": JUDGE[0], "to": JUDGE[1]},
        "markets": [
            {
                "name": market.name,
                "timezone": market.zone,
                "users": market.users,
                "holidays": {"country": market.country}
                | ({"subdivision": market.subdivision} if market.subdivision else {}),
                "terms": spans(market.terms),
                "breaks": spans(market.breaks),
                "periods": spans(market.grading, kind="grading") + spans(market.exams, kind="exam"),
            }
            for market in markets
        ],
        "demand": {
            "history": [
                {"file": file, "market": market.name}
                for file, market in zip(histories, markets, strict=True)
            ],
            "growth": GROWTH,
        },
        "capacity": {"web": dict(WEB)},
    }
    return yaml.safe_dump(document | change, sort_keys=False)


WEB: Final = {
    "kind": "autoscaling-group",
    "requests_per_second": 20,
    "utilisation": 0.6,
    "floor_utilisation": 0.75,
    "boot": "4m",
    "min": 2,
    "max": 400,
}


def write_csv(path: Path, minutes: Ints, rates: Floats) -> None:
    stamps = np.datetime_as_string(minutes.astype("datetime64[m]"))
    rows = np.char.add(np.char.add(stamps, "Z,"), np.char.mod("%.4f", rates))
    path.write_text("timestamp,requests_per_second\n" + "\n".join(rows.tolist()) + "\n")


def copies(count: int) -> list[Market]:
    """`count` markets: the five, and then more of them under other names and in other sizes."""
    made = list(MARKETS)
    while len(made) < count:
        model = MARKETS[len(made) % len(MARKETS)]
        name, users = f"{model.name}-{len(made)}", model.users * (3 + len(made) % 5) // 8
        made.append(replace(model, name=name, users=users))
    return made[:count]
