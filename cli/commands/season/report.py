"""season report: one HTML file about the plan."""

from __future__ import annotations

from pathlib import Path

import click

from cli import render
from cli.commands.season import options
from cli.context import Context, pass_context


@click.command("report", epilog="Example: firstbell season report -s demo --output season.html")
@options.season_file
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where it goes; without it, SEASON.report.html in the working directory.",
)
@pass_context
def command(context: Context, *, season_file: Path | None, output: Path | None) -> None:
    """Write one HTML file about the plan, to look at and to send around.

    The year as a heat map, curves of days, the riskiest days, cost against the alternatives,
    assumptions and data quality. It needs no network and no script.
    """
    from cli import planning, season_report

    source = planning.source(context, season_file)
    with render.step(f"reporting on {source.path.name}") as progress:
        found = season_report.build(source, progress)
    path = output or Path(f"{found.season}.report.html")
    season_report.write(found, path)
    if context.json:
        render.emit_json("season-report", season_report.figures(found) | {"output": str(path)})
        return
    render.text(f"wrote {path}")
