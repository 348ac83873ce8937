"""Runs the season benchmark and prints its tables.

    python -m tests.bench.season [--only NAME ...] [--folder KEEP]

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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import yaml

from infra.season.capacity import floors
from infra.season.plan import prepare, read_season
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
    processor: float
    """Seconds of processor time: what is left of `seconds` on a machine with nothing else to do."""
    megabytes: float


def plan(season: Path, home: Path, first: date | None = None, last: date | None = None) -> Run:
    """Plan in a process of its own.

    Raises:
        RuntimeError: the planner refused.
    """
    firstbell = str(Path(sys.executable).with_name("firstbell"))
    command = [firstbell, "season", "plan", "--json", "--season", str(season)]
    command += ["--from", str(first)] if first else []
    command += ["--to", str(last)] if last else []
    environment = {"FIRSTBELL_HOME": str(home), "FIRSTBELL_STACKS": str(season.parent)}
    text, measured = run(command, environment)
    actions = json.loads(text)["targets"]["web"]["actions"]
    return Run(actions, *measured)


# A small process of its own starts the command: a child's peak memory begins at its parent's.
MEASURE = """
import json, os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[2:], stdout=open(sys.argv[1], "wb"))
_, status, used = os.wait4(process.pid, 0)
print(json.dumps([time.perf_counter() - began, used.ru_utime + used.ru_stime,
                  used.ru_maxrss / 1024]))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def run(
    command: Sequence[str], environment: Mapping[str, str]
) -> tuple[str, tuple[float, float, float]]:
    """What a command prints; its seconds, seconds of processor time and megabytes.

    Raises:
        RuntimeError: it failed.
    """
    with tempfile.NamedTemporaryFile() as out:
        done = subprocess.run(
            [sys.executable, "-S", "-c", MEASURE, out.name, *command],
            cwd=ROOT,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{command} failed: {done.stderr[-2000:]}")
        seconds, processor, megabytes = json.loads(done.stdout)
        return out.read().decode(), (seconds, processor, megabytes)


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
        f"  {100 * outcome.waited:>7.3f} %  {more}"
    )


def heading(title: str) -> None:
    write(f"\n{title}")
    write(f"  {'':<44} {'bad':>6} {'÷ best':>7} {'inst.-h':>10}  had to wait")


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
    static = peers.static_peak(case.demand)
    row("static peak", replay(case.demand, static, scaling="none"))
    row(
        "perfect forecast, 8 steps a day at 0.75",
        replay(case.demand, peers.perfect_steps(case.demand, BOOT, 8)),
    )
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
        f"{run.seconds:.1f} s ({run.processor:.1f} s of processor), {run.megabytes:.0f} MB",
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
    hours = np.arange(len(floor)) // 60 % 24  # summer time; the load starts at midnight
    excess = (floor - best).clip(0) / best.sum()
    write("      floor above the optimum, by local hour, in % of the optimum:")
    write("      " + " ".join(f"{h}:{100 * excess[hours == h].sum():.1f}" for h in range(24)))


def attribute(case: Case, home: Path, use: float, outcome: Outcome) -> None:
    """What each part of the way from the optimum to the plan costs, each played on its own.

    In this order: holding `use` of the hard limit each minute with target tracking on top, draining
    and scaling in late, as if units started within a minute and actions on time; the lead that boot
    and lateness ask for; forecasting (a quantile of earlier days, widened) instead of knowing; 8
    levels a day instead of one a minute; one plan of 125 actions, in which days share levels.
    """
    season = read_season(case.season)
    need = prepare(season, cache=home / "cache" / "profiles").needs[0]
    # In the replay a unit serves a minute after its launch at the earliest.
    prompt = replay(case.demand, peers.perfect(case.demand, 1 - LATE, use), boot=1).cost
    lead = replay(case.demand, peers.perfect(case.demand, BOOT, use)).cost
    ahead = floors(need)[: len(case.demand)]
    forecast = replay(case.demand, ahead).cost
    steps = replay(case.demand, peers.steps_over(ahead, 8)).cost
    parts = {
        f"floor at {use} and tracking": prompt - 1,
        "lead": lead - prompt,
        "quantile": forecast - lead,
        "steps (8 a day)": steps - forecast,
        "blocks (125 actions)": outcome.cost - steps,
    }
    told = ", ".join(f"{name} {cost:.3f}" for name, cost in parts.items())
    write(f"      of the {outcome.cost - 1:.3f} above the optimum: {told}")


# --- the cases ------------------------------------------------------------------------------------


def year(folder: Path) -> None:
    case = school_year(folder / "year")
    heading("School year, five markets, one plan for the year")
    show_peers(case)
    run = plan(case.season, folder / "home")
    outcome = show_plan(case, run, "firstbell, floor at 0.75")
    explain(case, run, outcome)
    attribute(case, folder / "home", 0.75, outcome)
    for factor in (1.1, 1.25):
        show_plan(case, run, f"  the same, demand x {factor}", factor=factor)
    slow = school_year(folder / "year", capacity=capacity(boot="10m"))
    show_plan(slow, plan(slow.season, folder / "home"), "  planned for boot 10 min", boot=10)
    lean = school_year(folder / "year", capacity=capacity(floor_utilisation=0.9))
    run = plan(lean.season, folder / "home")
    outcome = show_plan(lean, run, "firstbell, floor at 0.9")
    explain(lean, run, outcome)
    attribute(lean, folder / "home", 0.9, outcome)


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
            sum(run.processor for run in runs),
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


def surge(folder: Path) -> None:
    """40,000 logins per 20 minutes at 08:00 on a Monday, twice as many on Friday; announced."""
    monday = date(2026, 3, 16)
    factors = [2 ** (day / 4) for day in range(5)]
    bursts = [
        {
            "name": f"{day:%a}",
            "from": day,
            "to": day,
            "days": "all",
            "at": "08:00",
            "over": "20m",
            "widen": "3m",
            "logins": round(40_000 * factor),
        }
        for day, factor in zip([monday + timedelta(days=n) for n in range(5)], factors, strict=True)
    ]
    site = replace(MARKETS[1], users=40_000)
    case = declared(folder / "surge", site, bursts, first=monday, days=7)
    heading("Surge week, declared")
    show_peers(case)
    run = plan(case.season, folder / "home")
    explain(case, run, show_plan(case, run, "firstbell"))


def bell(folder: Path) -> None:
    """20,000 connections more between 08:50 and 09:00 on every school day of two weeks.

    The site below has 100,000 users and no bells of its own. With that many, a perfect forecast in
    8 steps a day (1.23) and target tracking (68 bad minutes) do as on the load that the bar was set
    on.
    """
    burst = {"name": "nine", "days": [*["mon", "tue", "wed", "thu", "fri"]], "at": "08:50"}
    burst |= {"over": "10m", "widen": "3m", "logins": 20_000}
    site = replace(MARKETS[1], users=100_000, bells=False)
    case = declared(folder / "bell", site, [burst], first=date(2026, 3, 2), days=14)
    heading("Bell of 20,000 in ten minutes, declared")
    show_peers(case)
    run = plan(case.season, folder / "home")
    explain(case, run, show_plan(case, run, "firstbell"))


def declared(
    folder: Path,
    site: Market,
    bursts: Sequence[Mapping[str, object]],
    *,
    first: date,
    days: int,
) -> Case:
    """A site learnt from eight weeks, and bursts that only the season file knows.

    Real arrivals start up to some minutes off (normal, one minute), vary by 5 % in number and by
    10 % a minute.
    """
    folder.mkdir(parents=True, exist_ok=True)
    market = replace(site, terms=("2025-08-18..2026-06-11",), breaks=(), grading=())
    last = first + timedelta(days=days - 1)
    history = generator.load(market, first - timedelta(days=56), first - timedelta(days=1))
    generator.write_csv(folder / "site.csv", *history)
    season = folder / "season.yaml"
    season.write_text(
        generator.season(
            [market],
            ["site.csv"],
            horizon={"from": first, "to": last},
            demand={"history": [{"file": "site.csv", "market": "sweden"}], "bursts": list(bursts)},
        )
    )
    start, end = moment(first), moment(last + timedelta(days=1))
    demand = total([generator.load(market, first, last, seed=2)], start, end)
    rng = np.random.default_rng(5)
    for burst in bursts:
        over = int(str(burst["over"]).rstrip("m"))
        for n in range(days):
            day = first + timedelta(days=n)
            if isinstance(burst["days"], list):
                if day.weekday() > 4:
                    continue
            elif day != burst["from"]:
                continue
            hour, _, minute = str(burst["at"]).partition(":")
            at = moment(day) + timedelta(hours=int(hour), minutes=int(minute))
            begin = (at - start) // timedelta(minutes=1) + round(float(rng.normal(0, 1)))
            rate = int(str(burst["logins"])) * generator.REQUESTS_PER_LOGIN / over / 60
            demand[begin : begin + over] += rate * rng.normal(1, 0.05) * rng.normal(1, 0.1, over)
    return Case(
        folder.name, season, start, total([history], start - timedelta(days=56), start), demand
    )


def none(folder: Path) -> None:
    """A shop-like load without terms: daily and weekly rhythm, and a level that wanders."""
    folder = folder / "none"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(11)
    first, judged, last = date(2025, 1, 6), date(2025, 7, 7), date(2025, 9, 28)
    count = (last - first).days * 1440 + 1440
    hours = np.arange(count) / 60
    rhythm = 1 + 0.75 * np.sin((hours % 24 - 9) / 24 * 2 * np.pi)
    rhythm *= np.where((hours // 24) % 7 > 4, 0.8, 1.0)
    knots = np.cumsum(rng.normal(0, 0.02, count // 360 + 2))
    knots -= np.linspace(0, knots[-1], len(knots))
    rates = 400 * rhythm * np.exp(np.interp(np.arange(count) / 360, np.arange(len(knots)), knots))
    rates = np.round(rates * rng.gamma(400, 1 / 400, count), 4)
    utc = ZoneInfo("UTC")
    begin = int(moment(first, utc).timestamp()) // 60
    cut = (judged - first).days * 1440
    generator.write_csv(folder / "site.csv", begin + np.arange(cut), rates[:cut])
    case = plain(folder, "no school", (judged, last), before=rates[:cut], demand=rates[cut:])
    heading("Load without a school calendar")
    show_peers(case)
    run = plan(case.season, folder / "home")
    explain(case, run, show_plan(case, run, "firstbell"))


def plain(
    folder: Path, name: str, days: tuple[date, date], *, before: Floats, demand: Floats
) -> Case:
    """A season of one market in UTC without terms and holidays, learnt from `site.csv`."""
    document = {
        "version": 1,
        "timezone": "UTC",
        "horizon": {"from": days[0], "to": days[1]},
        "markets": [{"name": "site"}],
        "demand": {"history": [{"file": "site.csv", "market": "site"}]},
        "capacity": capacity(),
    }
    season = folder / "season.yaml"
    season.write_text(yaml.safe_dump(document))
    return Case(name, season, moment(days[0], ZoneInfo("UTC")), before, demand)


def real(folder: Path) -> None:
    """Two weeks at a real load balancer: planned from the first, judged on the second."""
    data = os.environ.get("FIRSTBELL_BENCH_DATA")
    heading("Real load balancer, 5-minute rows, one week learnt, one judged")
    if not data:
        write("  skipped: FIRSTBELL_BENCH_DATA is not set")
        return
    folder = folder / "real"
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        line.split(",")
        for line in (Path(data) / "elb-requests-5min.csv").read_text().splitlines()[1:]
    ]
    at = [datetime.fromisoformat(stamp).replace(tzinfo=UTC) for stamp, _ in rows]
    start = moment(at[0].date() + timedelta(days=1), ZoneInfo("UTC"))
    # Requests per 5 minutes, scaled up so that the peak needs some dozen instances.
    begin = int(start.timestamp()) // 60
    rates = np.full(13 * 1440, np.nan)
    for stamp, (_, value) in zip(at, rows, strict=True):
        minute = int(stamp.timestamp()) // 60 - begin
        if 0 <= minute < len(rates):
            rates[minute : minute + 5] = float(value) / 300 * 400
    known = np.flatnonzero(np.isfinite(rates))
    rates = np.interp(np.arange(len(rates)), known, rates[known])
    cut = 7 * 1440
    generator.write_csv(folder / "site.csv", begin + np.arange(cut), rates[:cut])
    first = start.date() + timedelta(days=7)
    days = (first, first + timedelta(days=5))
    case = plain(folder, "real", days, before=rates[:cut], demand=rates[cut:])
    row("target tracking alone", replay(case.demand))
    row("steps of one", replay(case.demand, scaling="step"))
    static = peers.static_peak(case.demand)
    row("static peak", replay(case.demand, static, scaling="none"))
    run = plan(case.season, folder / "home")
    explain(case, run, show_plan(case, run, "firstbell"))


def times(folder: Path) -> None:
    """Whole-process times and memory of planning, by markets and by years of history."""
    write(
        "\nTimes of `firstbell season plan`, whole process (and of processor), 1-minute histories"
    )
    write(f"  {'':<30} {'learning too':>20} {'learnt before':>20} {'memory':>9}")
    for count in (1, 5, 20):
        # Twenty markets need more than the 400 instances of five.
        roomy = capacity(max=2000)
        case = school_year(folder / f"times-{count}", generator.copies(count), capacity=roomy)
        with tempfile.TemporaryDirectory() as home:
            cold, warm = plan(case.season, Path(home)), plan(case.season, Path(home))
        write(
            f"  {f'{count} markets':<30} {_time(cold):>20} {_time(warm):>20}"
            f" {max(cold.megabytes, warm.megabytes):>6.0f} MB"
        )
    for years in (1, 3):
        case = school_year(folder / f"times-{years}-years", MARKETS[1:2])
        history = folder / f"times-{years}-years" / "sweden.csv"
        first = LEARN[1] - timedelta(days=365 * years - 1)
        generator.write_csv(history, *generator.load(MARKETS[1], first, LEARN[1]))
        with tempfile.TemporaryDirectory() as home:
            cold, warm = plan(case.season, Path(home)), plan(case.season, Path(home))
        write(
            f"  {f'1 market, {years} years of history':<30} {_time(cold):>20} {_time(warm):>20}"
            f" {max(cold.megabytes, warm.megabytes):>6.0f} MB"
        )


def _time(run: Run) -> str:
    return f"{run.seconds:.1f} s ({run.processor:.1f} s)"


LOG_LINE = (
    '10.{n}.{m}.7 - - [{at:%d/%b/%Y:%H:%M:%S} +0200] "GET {path} HTTP/1.1" 200 5120 '
    '"https://lms.example.org/my/" "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/126.0"\n'
)


def logs(folder: Path) -> None:
    """How fast a gigabyte of access log is counted, and in how much memory."""
    path = folder / "access.log"
    folder.mkdir(parents=True, exist_ok=True)
    paths = ["/my/", "/course/view.php?id={k}", "/theme/app.css", "/api/courses/{k}/items/{m}"]
    if not path.exists():
        with path.open("w") as out:
            for hour in range(24 * 8):
                at = datetime(2026, 9, 7, tzinfo=UTC) + timedelta(hours=hour)
                part = [
                    LOG_LINE.format(
                        n=k % 250, m=k % 199, at=at + timedelta(seconds=k // 10),
                        path=paths[k % 4].format(k=k * 7 % 5000, m=k % 199),
                    )
                    for k in range(30_000)
                ]  # fmt: skip
                out.write("".join(part))
    code = (
        "import sys; from pathlib import Path; from infra.season.learn import learn; "
        "learn([Path(sys.argv[1])])"
    )
    _, (seconds, processor, megabytes) = run([sys.executable, "-c", code, str(path)], {})
    size = path.stat().st_size / 1e6
    write(
        f"\nAccess log of {size:,.0f} MB: {seconds:.1f} s, {size / seconds:.0f} MB/s "
        f"({size / processor:.0f} MB/s of processor time), {megabytes:.0f} MB of memory"
    )


def main() -> int:
    cases: dict[str, Callable[[Path], None]] = {
        "year": year,
        "quarters": quarters,
        "surge": surge,
        "bell": bell,
        "none": none,
        "real": real,
        "times": times,
        "logs": logs,
    }
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
