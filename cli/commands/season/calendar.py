"""season calendar: which kind each day is, and why."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from cli import render
from cli.commands.season import options
from cli.context import Context, pass_context


@click.command(
    "calendar",
    epilog="Example: firstbell season calendar -s demo --market sweden --from 2026-10-19 "
    "--to 2026-11-08",
)
@options.season_file
@click.option("--market", metavar="NAME", help="Only this market.")
@options.span
@pass_context
def command(
    context: Context,
    season_file: Path | None,
    market: str | None,
    start: date | None,
    end: date | None,
) -> None:
    """Show the kind of each day and the rule that made it so.

    Without --from and --to, the season's whole horizon. `without period` is the kind that the day
    would have without its exam, grading or other period.
    """
    from cli import planning

    source = planning.source(context, season_file)
    days = planning.calendar(source, market=market, start=start, end=end)
    if context.json:
        render.emit_json(
            "season-calendar",
            {
                "markets": {
                    name: [
                        {
                            "date": day.isoformat(),
                            "kind": kind.kind,
                            "without_period": kind.base,
                            "factor": kind.factor,
                            "rule": kind.rule,
                        }
                        for day, kind in kinds.items()
                    ]
                    for name, kinds in days.items()
                }
            },
        )
        return
    for name, kinds in days.items():
        render.table(
            name,
            ["day", "kind", "without period", "factor", "rule"],
            [
                (
                    f"{day:%a %Y-%m-%d}",
                    kind.kind,
                    kind.base if kind.base != kind.kind else "",
                    kind.factor,
                    kind.rule,
                )
                for day, kind in kinds.items()
            ],
        )
