"""season backtest: would the plan have held?"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from cli import render
from cli.commands.season import options, ways
from cli.context import Context, pass_context


@click.command(
    "backtest",
    epilog="Example: firstbell season backtest --season stacks/seasons/demo.yaml "
    "--from 2026-08-17 --to 2026-10-25 --demand demand/site-2026.csv",
)
@options.season_file
@options.span
@ways.demand
@ways.chart
@pass_context
def command(
    context: Context,
    *,
    season_file: Path | None,
    start: date | None,
    end: date | None,
    demand: tuple[str, ...],
    chart: Path | None,
) -> None:
    """Learn from the histories before --from, plan to --to, judge by the load that came.

    The load is what the histories hold from --from on, or what --demand gives.
    """
    from cli import planning, replays
    from infra.errors import InputError

    if start is None or end is None:
        raise InputError(
            "it is not said which days are judged",
            where="--from, --to",
            fix="name the first and the last day",
        )
    source = planning.source(context, season_file)
    with render.step(f"backtesting {source.path.name}"):
        found = replays.run_backtest(source, start, end, ways.files(demand))
    written = replays.write_charts(found.targets, chart) if chart else []
    for warning in found.warnings:
        render.warn(warning)
    if context.json:
        render.emit_json(
            "season-backtest", found.to_json() | {"charts": [str(path) for path in written]}
        )
        return
    ways.show(found.targets, f"learnt to {found.learnt_to}, judged {start} to {end}")
    for path in written:
        render.text(f"wrote {path}")
