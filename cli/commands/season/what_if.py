"""season what-if: what breaks first when more come than forecast."""

from __future__ import annotations

from math import isfinite
from pathlib import Path

import click

from cli import render
from cli.commands.season import options
from cli.context import Context, pass_context


@click.command("what-if", epilog="Example: firstbell season what-if -s demo --factor 2")
@options.season_file
@click.option(
    "--factor",
    type=click.FloatRange(0, min_open=True, max=1000),
    required=True,
    help="Times the forecast demand.",
)
@pass_context
def command(context: Context, *, season_file: Path | None, factor: float) -> None:
    """Show what breaks first at a multiple of the forecast, and the plan it would take.

    Web, replicas and every other maximum, the shared cap of limits/instances, the budget of
    actions, and the identity provider where the season gives limits/logins_per_second.
    """
    from cli import planning
    from infra.season.plan import read_season
    from infra.season.what_if import what_if

    source = planning.source(context, season_file)
    season = read_season(source.path)
    with render.step(f"planning {source.path.name} for {factor:g} times the demand"):
        found = what_if(
            season,
            factor,
            bounds=planning.bounds_of(source, season),
            cache=planning.profile_cache(),
        )
    if context.json:
        render.emit_json(
            "season-what-if",
            {
                "factor": factor,
                "limits": [
                    {
                        "name": item.name,
                        "needed": item.needed,
                        "limit": item.limit,
                        "unit": item.unit,
                        "breaks_at": item.breaks_at if isfinite(item.breaks_at) else None,
                        "broken": item.broken,
                        "when": item.when or None,
                        "note": item.note,
                    }
                    for item in found.limits
                ],
                "targets": {
                    name: {"peak": item.verdict["peak"], "instance_hours": item.instance_hours}
                    for name, item in found.targets.items()
                },
            },
        )
        return
    render.table(
        f"At {factor:g} times the forecast, what breaks first comes first",
        ["limit", "needed", "allowed", "breaks from", "at", "verdict"],
        [
            (
                item.name,
                f"{item.needed:,.4g} {item.unit}",
                f"{item.limit:,.4g}",
                f"x {item.breaks_at:g}" if isfinite(item.breaks_at) else "never",
                item.when,
                "; ".join(filter(None, ["breaks" if item.broken else "holds", item.note])),
            )
            for item in found.limits
        ],
    )
    render.table(
        "The plan it would take",
        ["target", "peak", "unit-hours"],
        [
            (name, item.verdict["peak"], f"{item.instance_hours:,.0f}")
            for name, item in found.targets.items()
        ],
    )
