"""`season report`: one HTML file that stands alone: no network, no script."""

from __future__ import annotations

import calendar
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cli.planning import Source, bounds_of, current, profile_cache
from cli.render import Progress
from infra.errors import InputError
from infra.season.grid import Floats
from infra.season.report import Curve, Day, Report, report

TEMPLATES: Final = Path(__file__).parent / "templates"
# The inside of a curve's drawing, in SVG units.
LEFT, TOP, WIDTH, HEIGHT = 60, 14, 570, 190
SHADES: Final = 6
# Marks of days that are not just school days, in the heat map.
MARKS: Final = {"exam": "E", "grading": "G", "enrolment": "N", "custom": "C", "holiday": "H"}


def build(source: Source, progress: Progress) -> Report:
    """The figures of the season's plan.

    Raises:
        InputError: there is no plan, or it does not belong to the season.
    """
    season, plan = current(source)
    bounds = bounds_of(source, season)
    return report(season, plan, bounds=bounds, cache=profile_cache(), progress=progress)


def figures(found: Report) -> dict[str, object]:
    """What the report says, for machines."""
    return {
        "season": found.season,
        "targets": [
            {
                "target": target.name,
                "peak": target.peak,
                "instance_hours": target.instance_hours,
                "static_peak_hours": target.static_peak_hours,
                "cost": found.plan.targets[target.name].cost,
                "actions": target.actions,
                "ways": [row.to_json() for row in target.rows],
            }
            for target in found.targets
        ],
        "riskiest_days": [
            {
                "date": risk.day.isoformat(),
                "at": risk.at,
                "target": risk.target,
                "kinds": dict(risk.kinds),
                "requests_per_second": round(risk.demand, 2),
                "in_service": risk.in_service,
                "used": round(risk.used, 4),
            }
            for risk in found.risks
        ],
        "assumptions": [
            {
                "what": fact.what,
                "value": fact.value,
                "source": fact.source,
                "assumed": fact.assumed,
            }
            for fact in found.facts
        ],
        "quality": list(found.quality),
    }


def write(found: Report, output: Path) -> None:
    """Write the report's file.

    Raises:
        InputError: it cannot be written.
    """
    try:
        output.write_text(render(found), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be written: {error}", where=f"--output {output}") from error


def render(found: Report) -> str:
    """The report as HTML; equal reports give equal bytes."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    helpers: dict[str, object] = {
        "months": months,
        "drawing": drawing,
        "said": said,
        "left": LEFT,
        "top": TOP,
        "width": WIDTH,
        "height": HEIGHT,
    }
    return environment.get_template("report.html.j2").render(report=found, **helpers)


@dataclass(frozen=True)
class Cell:
    """A day of the heat map; column 0 is Monday."""

    day: Day
    column: int
    row: int
    shade: int
    mark: str


@dataclass(frozen=True)
class Month:
    name: str
    rows: int
    cells: tuple[Cell, ...]


def months(days: Sequence[Day]) -> list[Month]:
    """The days as calendar months, shaded by their highest floor."""
    most = max(day.highest_floor for day in days)
    least = min(day.highest_floor for day in days)
    found: list[Month] = []
    for year, month in sorted({(day.day.year, day.day.month) for day in days}):
        offset = date(year, month, 1).weekday()
        cells = [
            Cell(
                day,
                day.day.weekday(),
                (day.day.day - 1 + offset) // 7,
                (day.highest_floor - least) * (SHADES - 1) // max(most - least, 1),
                _mark(day),
            )
            for day in days
            if (day.day.year, day.day.month) == (year, month)
        ]
        found.append(Month(f"{calendar.month_name[month]} {year}", cells[-1].row + 1, tuple(cells)))
    return found


def _mark(day: Day) -> str:
    kinds = {kind.partition(":")[0] for kind in day.kinds.values()}
    return next((mark for kind, mark in MARKS.items() if kind in kinds), "")


def said(kinds: Mapping[str, str]) -> str:
    """Kinds of a day in words; once where all markets agree."""
    different = set(kinds.values())
    if len(different) == 1:
        return different.pop()
    return ", ".join(f"{market} {kind}" for market, kind in kinds.items())


@dataclass(frozen=True)
class Drawing:
    """Paths of one day's curve, and its axes: (position, label)."""

    demand: str
    median: str | None
    floor: str
    serving: str
    left: tuple[tuple[float, str], ...]
    hours: tuple[tuple[float, str], ...]


def drawing(curve: Curve) -> Drawing:
    """A day's curves as SVG paths."""
    highest = max(float(line.max()) for line in (curve.demand, curve.floor, curve.serving))
    top = _round_up(max(highest, 1.0))
    minutes = len(curve.demand)
    filled = _path(curve.demand, top)
    return Drawing(
        demand=f"{filled}V{TOP + HEIGHT}H{LEFT}Z",
        median=None if curve.median is None else _path(curve.median, top),
        floor=_path(curve.floor, top),
        serving=_path(curve.serving, top),
        left=tuple((_y(top * share, top), f"{top * share:,g}") for share in (0, 0.5, 1)),
        hours=tuple(
            (round(LEFT + hour * 60 / minutes * WIDTH, 1), f"{hour:02}")
            for hour in range(0, minutes // 60 + 1, 4)
        ),
    )


def _round_up(value: float) -> float:
    """The next even step of a power of ten, whose half is a round figure as well."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.2, 1.6, 2, 3, 4, 6, 8, 10) if step * power >= value)


def _path(line: Floats, top: float) -> str:
    """Steps, drawn only where the value changes by something that can be seen."""
    values = [_y(value, top) for value in line.tolist()]
    path = [f"M{LEFT},{values[0]}"]
    for minute, (before, after) in enumerate(itertools.pairwise(values), start=1):
        if after != before:
            path.append(f"H{round(LEFT + minute / len(values) * WIDTH, 1)}V{after}")
    return "".join([*path, f"H{LEFT + WIDTH}"])


def _y(value: float, top: float) -> float:
    return round(TOP + HEIGHT - value / top * HEIGHT, 1)
