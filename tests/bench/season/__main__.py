"""Runs the season benchmark and prints its tables.

    python -m tests.bench.season [--only NAME ...] [--floors OUT.npz]

Names: year, quarters, surge, bell, none, real, times, logs. `real` needs FIRSTBELL_BENCH_DATA.
Every plan is made in a process of its own; times are those of the whole process. `--only year`
takes about half a minute. Peers and planner see the same load; the load that judges is made after
the plan and is in no file that the planner reads.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from tests.bench.season import generator, peers
from tests.bench.season.generator import GROWTH, JUDGE, LEARN, MARKETS, Market
from tests.bench.season.replay import BASE, BOOT, LATE, Floats, Ints, Outcome, replay
from tests.evaluator.actions import read_all
from tests.evaluator.rules import rule_violations

ZONE = ZoneInfo("Europe/Stockholm")
ROOT = Path(__file__).parents[3]


def write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


# --- running the planner -------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """One run of `firstbell season plan --json`."""

    actions: list[dict[str, object]]
    seconds: float
    megabytes: float


def plan(season: Path, home: Path, first: date | None = None, last: date | None = None) -> Run:
    """Plan in a process of its own.

    Raises:
        RuntimeError: the planner refused.
    """
    command = [
        sys.executable,
        "-m",
        "cli.main",
        "season",
        "plan",
        "--season",
        str(season),
        "--json",
    ]
    command += ["--from", str(first)] if first else []
    command += ["--to", str(last)] if last else []
    began = time.perf_counter()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=out,
            stderr=err,
            env=os.environ | {"FIRSTBELL_HOME": str(home), "FIRSTBELL_STACKS": str(season.parent)},
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise RuntimeError(f"season plan failed: {err.read().decode()[-2000:]}")
        document = json.loads(out.read())
    seconds = time.perf_counter() - began
    return Run(document["targets"]["web"]["actions"], seconds, usage.ru_maxrss / 1024)


def floor_of(actions: Sequence[Mapping[str, object]], start: datetime, minutes: int) -> Ints:
    """The floor that the actions set, each 2 minutes late."""
    end = start + timedelta(minutes=minutes)
    fired = sorted(
        (moment, action.minimum)
        for action in read_all(actions)
        for moment in action.firings(start, end)
        if action.minimum is not None
    )
    floor = np.full(minutes, BASE, dtype=np.int64)
    for moment, minimum in fired:
        floor[(moment - start) // timedelta(minutes=1) + LATE :] = minimum
    return floor


# --- one case: history, season, load -------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A season file, the load before it and the load that judges it."""

    name: str
    season: Path
    start: datetime
    before: Floats
    demand: Floats
    growth: float = 1.0


def moment(day: date, zone: ZoneInfo = ZONE) -> datetime:
    return datetime.combine(day, datetime.min.time(), zone).astimezone(UTC)


def total(parts: Sequence[tuple[Ints, Floats]], first: datetime, last: datetime) -> Floats:
    """The sum of several markets' loads, minute by minute in UTC."""
    begin, end = (int(m.timestamp()) // 60 for m in (first, last))
    added = np.zeros(end - begin)
    for minutes, rates in parts:
        inside = (minutes >= begin) & (minutes < end)
        added[minutes[inside] - begin] += rates[inside]
    return added


def school_year(folder: Path, markets: Sequence[Market] = MARKETS, **change: object) -> Case:
    """Five markets, learnt from one year, judged on the next."""
    folder.mkdir(parents=True, exist_ok=True)
    before: list[tuple[Ints, Floats]] = []
    for market in markets:
        part = generator.load(market, *LEARN)
        before.append(part)
        path = folder / f"{market.name}.csv"
        if not path.exists():
            generator.write_csv(path, *part)
    season = folder / "season.yaml"
    season.write_text(generator.season(markets, [f"{m.name}.csv" for m in markets], **change))
    after = [generator.load(m, *JUDGE, seed=2, factor=GROWTH) for m in markets]
    start, end = moment(JUDGE[0]), moment(JUDGE[1] + timedelta(days=1))
    return Case(
        "school year",
        season,
        start,
        total(before, moment(LEARN[0]), start),
        total(after, start, end),
        GROWTH,
    )


# --- tables ---------------------------------------------------------------------------------------


def row(name: str, outcome: Outcome, more: str = "") -> None:
    write(
        f"  {name:<44} {outcome.violations:>6} {outcome.cost:>7.3f} {outcome.hours:>10,.0f}"
        f"  {100 * outcome.unserved:>7.3f} %  {more}"
    )


def heading(title: str) -> None:
    write(f"\n{title}")
    write(f"  {'':<44} {'bad':>6} {'÷ best':>7} {'inst.-h':>10}  unserved")


def show_peers(case: Case) -> None:
    row("target tracking alone", replay(case.demand))
    row("steps of one", replay(case.demand, scaling="step"))
    row(
        "hourly predictive + target tracking",
        replay(case.demand, peers.hourly_predictive(case.before, case.demand)),
    )
    row(
        "fixed weekly hours + target tracking",
        replay(case.demand, peers.weekly_hours(case.before, case.demand, case.growth)),
    )
    static = peers.static_peak(case.before, case.demand, case.growth)
    row("static peak", replay(case.demand, static, scaling="none"))
    row(
        "perfect forecast, floor each minute at 0.75",
        replay(case.demand, peers.perfect(case.demand, BOOT)),
    )


def broken_rules(case: Case, actions: Sequence[Mapping[str, object]]) -> list[str]:
    until = case.start + timedelta(minutes=len(case.demand))
    return rule_violations({"web": actions}, since=case.start, until=until)


def show_plan(case: Case, run: Run, name: str, *, factor: float = 1.0, boot: int = BOOT) -> Outcome:
    floor = floor_of(run.actions, case.start, len(case.demand))
    outcome = replay(case.demand * factor, floor, boot=boot)
    rules = broken_rules(case, run.actions)
    row(
        name,
        outcome,
        f"{len(run.actions)} actions, {len(rules)} rules broken, "
        f"{run.seconds:.1f} s, {run.megabytes:.0f} MB",
    )
    for text in rules[:3]:
        write(f"      {text}")
    return outcome


def capacity(**change: object) -> dict[str, object]:
    return {"web": {**generator.WEB, **change}}


def explain(case: Case, run: Run, outcome: Outcome) -> None:
    """Where the violations and the excess over the optimum are."""
    for at in np.flatnonzero(outcome.violated)[:40].tolist():
        when = (case.start + timedelta(minutes=at)).astimezone(ZONE)
        write(
            f"      violated {when:%a %Y-%m-%d %H:%M}: {case.demand[at]:.0f} requests/s, "
            f"{outcome.served[at]} in service"
        )
    floor = floor_of(run.actions, case.start, len(case.demand))
    best = np.maximum(BASE, np.ceil(case.demand / 20))
    hours = (np.arange(len(floor)) + _wall_shift(case)) // 60 % 24
    excess = (floor - best).clip(0) / best.sum()
    write("      floor above the optimum, by local hour, in % of the optimum:")
    write("      " + " ".join(f"{h}:{100 * excess[hours == h].sum():.1f}" for h in range(24)))


def _wall_shift(case: Case) -> int:
    offset = case.start.astimezone(ZONE).utcoffset() or timedelta()
    return int(offset.total_seconds()) // 60


# --- the cases ------------------------------------------------------------------------------------


def year(folder: Path) -> None:
    case = school_year(folder / "year")
    heading("School year, five markets, one plan for the year")
    show_peers(case)
    run = plan(case.season, folder / "home")
    outcome = show_plan(case, run, "firstbell, floor at 0.75")
    explain(case, run, outcome)
    for factor in (1.1, 1.25):
        show_plan(case, run, f"  the same, demand x {factor}", factor=factor)
    slow = school_year(folder / "year", capacity=capacity(boot="10m"))
    show_plan(slow, plan(slow.season, folder / "home"), "  planned for boot 10 min", boot=10)
    lean = school_year(folder / "year", capacity=capacity(floor_utilisation=0.9))
    run = plan(lean.season, folder / "home")
    explain(lean, run, show_plan(lean, run, "firstbell, floor at 0.9"))


def quarters(folder: Path) -> None:
    heading("School year, planned quarter by quarter")
    edges = [date(2025, 8, 1), date(2025, 11, 1), date(2026, 2, 1), date(2026, 5, 1)]
    lasts = [edge - timedelta(days=1) for edge in edges[1:]] + [JUDGE[1]]
    for use in (0.75, 0.9):
        case = school_year(folder / "year", capacity=capacity(floor_utilisation=use))
        runs = [
            plan(case.season, folder / "home", first, last)
            for first, last in zip(edges, lasts, strict=True)
        ]
        together = Run(
            [action for run in runs for action in run.actions],
            sum(run.seconds for run in runs),
            max(run.megabytes for run in runs),
        )
        floor = floor_of(together.actions, case.start, len(case.demand))
        outcome = replay(case.demand, floor)
        counts = [len(run.actions) for run in runs]
        rules = [text for run in runs for text in broken_rules(case, run.actions)]
        row(
            f"firstbell by quarters, floor at {use}",
            outcome,
            f"{counts} actions, {len(rules)} rules broken, {together.seconds:.1f} s",
        )


def main() -> int:
    cases = {"year": year, "quarters": quarters}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=sorted(cases), default=list(cases))
    parser.add_argument("--folder", type=Path, help="keep histories here, to use them again")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder: Path = arguments.folder or Path(temporary)
        for name in arguments.only:
            cases[name](folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
