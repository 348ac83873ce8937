"""season simulate: what the plan makes of a load, minute by minute."""

from __future__ import annotations

from pathlib import Path

import click

from cli import render
from cli.commands.season import options, ways
from cli.context import Context, pass_context


@click.command("simulate", epilog="Example: firstbell season simulate -s demo --factor 1.25")
@options.season_file
@click.option(
    "--factor",
    type=click.FloatRange(0, min_open=True, max=1000),
    default=1.0,
    show_default=True,
    help="Times the load.",
)
@ways.demand
@ways.chart
@pass_context
def command(
    context: Context,
    *,
    season_file: Path | None,
    factor: float,
    demand: tuple[str, ...],
    chart: Path | None,
) -> None:
    """Play the plan over its forecast, or a measured load, beside what others would do.

    Those who learn from the past are given this very load as their past.
    """
    from cli import planning, replays

    source = planning.source(context, season_file)
    with render.step(f"simulating {source.path.name}") as progress:
        found = replays.run_simulation(
            source, factor=factor, files=ways.files(demand), progress=progress
        )
    written = replays.write_charts(found.targets, chart) if chart else []
    for warning in found.warnings:
        render.warn(warning)
    if context.json:
        render.emit_json(
            "season-simulate",
            {
                "load": found.load,
                "targets": [target.to_json() for target in found.targets],
                "warnings": list(found.warnings),
                "charts": [str(path) for path in written],
            },
        )
        return
    ways.show(found.targets, found.load)
    for path in written:
        render.text(f"wrote {path}")
