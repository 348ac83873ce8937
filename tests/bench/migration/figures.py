"""How a benchmark measures, and the line that it prints."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence

import psutil

ROUNDS = 3


def seconds(do: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.monotonic()
    do()
    return time.monotonic() - began


def row(name: str, ours: str, peer: str, limit: str, met: bool) -> None:
    """Print one figure, beside its peer and its limit; without a limit it is only shown."""
    verdict = ("met" if met else "NOT MET") if limit else ""
    sys.stdout.write(f"{name:50} {ours:>18} {peer:>24} {limit:>16} {verdict}\n")
    sys.stdout.flush()


def ratio(name: str, ours: float, peer: float, peer_name: str, most: float) -> None:
    """Print one figure that may take `most` times as long as its peer."""
    met = ours <= most * peer
    limit = f"<= {most} ({ours / peer:.2f})"
    row(name, f"{ours:.1f} s", f"{peer:.1f} s {peer_name}", limit, met)


def processor_seconds(servers: Sequence[int]) -> float:
    """What server processes took so far, with those of their children that have ended."""
    return sum(sum(psutil.Process(number).cpu_times()[:4]) for number in servers)


def verification(engine: str, rows: Callable[[], list[int]], servers: Sequence[int]) -> None:
    """Rows of one side a second, compared on both sides at the same time.

    Beside it, rows for each second of a processor that both servers took together: the machine may
    be busy, and here both sides share it.
    """
    taken: list[float] = []
    count = 0
    before = processor_seconds(servers)
    for _ in range(ROUNDS):
        began = time.monotonic()
        count = sum(rows())
        taken.append(time.monotonic() - began)
    rate = count / statistics.median(taken)
    spent = processor_seconds(servers) - before
    name = f"verification, {engine}, both sides"
    row(
        name,
        f"{rate:,.0f} rows/s",
        f"{ROUNDS * count / spent:,.0f} rows/processor-s",
        ">= 500,000",
        rate >= 500_000,
    )
