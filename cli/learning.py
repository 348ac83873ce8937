"""`season learn`: histories from logs, and profiles from the season's histories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from cli.planning import Source, profile_cache
from infra.errors import InputError
from infra.season.calendar import DAY, DayKind, day_kinds
from infra.season.demand import learnt_from
from infra.season.history import write_history
from infra.season.learn import Learnt
from infra.season.learn import learn as learn_files
from infra.season.logs import Patterns
from infra.season.plan import read_season
from infra.season.profiles import Profiles


def learn(
    files: Sequence[Path], output: Path, patterns: Patterns, *, progress: Callable[[str], None]
) -> Learnt:
    """Read the files and write their history; nothing is written when something is wrong.

    Raises:
        InputError: a file is no log and no history, or the output cannot be written.
    """
    if not output.parent.is_dir():
        raise InputError(
            f"the folder {output.parent} does not exist", where="--output", fix="make it first"
        )
    if any(path.exists() and output.exists() and path.samefile(output) for path in files):
        raise InputError(
            "is one of the files to learn from", where=f"--output {output}", fix="name another"
        )
    if not output.name.endswith((".csv", ".csv.gz")):
        raise InputError(
            "is no name of a history", where=f"--output {output}", fix="end it in .csv or .csv.gz"
        )
    read = 0

    def told(count: int) -> None:
        nonlocal read
        read += count
        progress(f"{read / 1e6:,.0f} MB")

    learnt = learn_files(files, patterns=patterns, progress=told)
    # The ending decides whether it is gzipped.
    partial = output.with_name(f".partial-{output.name}")
    try:
        write_history(learnt.history, partial)
        partial.replace(output)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"cannot be written: {error}", where=f"--output {output}") from error
    return learnt


@dataclass(frozen=True)
class HistoryProfiles:
    """What one history of a season teaches."""

    file: Path
    market: str | None
    profiles: Profiles

    def to_json(self) -> dict[str, object]:
        return {
            "file": str(self.file),
            "market": self.market,
            "quantile": self.profiles.quantile,
            "growth": self.profiles.growth,
            "kinds": [
                {
                    "kind": profile.kind,
                    "days": profile.days,
                    "borrowed_from": profile.borrowed_from,
                    "peak_requests_per_second": round(float(profile.rates["total"].max()), 3),
                    "peak_minute": int(profile.rates["total"].argmax()),
                }
                for profile in self.profiles.kinds.values()
            ],
            "left_out": [str(item) for item in self.profiles.left_out],
            "notes": list(self.profiles.notes),
        }


def profiles(source: Source) -> list[HistoryProfiles]:
    """The profiles of every history that the season names.

    Raises:
        InputError: it names none, or one cannot be learnt from.
    """
    season = read_season(source.path)
    if not season.demand.history:
        raise InputError(
            "the season has no history",
            where=f"{source.path}: demand/history",
            fix="make one of access logs: firstbell season learn FILE... --output CSV",
        )
    known = [market.name for market in season.markets]
    for item in season.demand.history:
        if item.market is not None and item.market not in known:
            raise InputError(
                f"there is no market {item.market!r}",
                where=f"{source.path}: demand/history",
                fix=f"one of: {', '.join(known)}",
            )
    horizon = season.horizon
    kinds: dict[str, dict[date, DayKind]] = {
        market.name: day_kinds(market, horizon.from_ - DAY, horizon.to + DAY)
        for market in season.markets
    }
    return [
        HistoryProfiles(
            item.file, item.market, learnt_from(season, item, kinds, cache=profile_cache())[0]
        )
        for item in season.demand.history
    ]
