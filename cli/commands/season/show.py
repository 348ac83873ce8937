"""season show: the planned floors in the terminal."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from cli import render
from cli.commands.season import options
from cli.context import Context, pass_context


@click.command("show", epilog="Example: firstbell season show -s demo --week 2026-12-07")
@options.season_file
@click.option(
    "--week", type=click.DateTime(["%Y-%m-%d"]), callback=options.day, help="A day of it."
)
@pass_context
def command(context: Context, season_file: Path | None, week: date | None) -> None:
    """Show the planned floors: the whole season, or one week hour by hour."""
    from cli import planning

    source = planning.source(context, season_file)
    view = planning.week(source, week) if week else planning.year(source)
    if context.json:
        render.emit_json("season-show", view.to_json())
        return
    for title, lines in view.sections:
        render.heading(title)
        for line in lines:
            render.text(line)
