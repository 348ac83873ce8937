"""What `simulate` and `backtest` share: options, and the table of ways to scale side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from cli import render

if TYPE_CHECKING:
    from infra.season.backtest import TargetBacktest

demand: Final = click.option(
    "--demand",
    multiple=True,
    metavar="[MARKET=]CSV",
    help="The load that came; without a market, the whole site's.",
)
LEGEND: Final = (
    "bad: minutes that violate the SLO (demand above the hard limit of what serves);",
    "hot: minutes above target utilisation; lost: requests not served in their",
    "minute; hours: of units; best: the clairvoyant optimum; over, under: unit-hours",
    "beyond it and short of it.",
)

chart: Final = click.option(
    "--chart",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the busiest day as SVG, a file for each target.",
)


def files(given: Sequence[str]) -> dict[str | None, Path]:
    """Files by market, of `MARKET=CSV` or `CSV`.

    Raises:
        InputError: a market is given twice.
    """
    from infra.errors import InputError

    found: dict[str | None, Path] = {}
    for text in given:
        market, _, path = text.rpartition("=")
        if (market or None) in found:
            raise InputError(
                f"{market or 'the whole site'} is given twice", where="--demand", fix="leave one"
            )
        found[market or None] = Path(path)
    return found


def show(targets: Sequence[TargetBacktest], title: str) -> None:
    """A table for each target."""
    for target in targets:
        render.table(
            f"{target.target}: {title}",
            [
                "way",
                "bad min",
                "hot min",
                "lost",
                "hours",
                "× best",
                "over",
                "under",
            ],
            [
                (
                    row.name,
                    f"{row.violation_minutes:,}",
                    f"{row.minutes_above_target:,}",
                    f"{row.unserved_share:.2%}",
                    f"{row.instance_hours:,.0f}",
                    f"{row.ratio_to_optimum:.2f}",
                    f"{row.over_hours:,.0f}",
                    f"{row.under_hours:,.0f}",
                )
                for row in target.rows
            ],
        )
    for line in LEGEND:
        render.text(line)
