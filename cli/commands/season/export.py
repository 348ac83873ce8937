"""season export: the plan for those who own their groups already."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from cli import render
from cli.commands.season import options
from cli.context import Context, pass_context


@click.command(
    "export",
    epilog="Example: firstbell season export -s demo --group lms-web --format terraform",
)
@options.season_file
@click.option(
    "--group", required=True, metavar="NAME", help="The Auto Scaling group or cluster at AWS."
)
@click.option("--target", metavar="NAME", help="The season's target; without it, its only group.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["boto3", "cli", "terraform"]),
    default="boto3",
    show_default=True,
    help="JSON list of boto3 arguments, AWS CLI commands, or Terraform resources.",
)
@pass_context
def command(
    context: Context,
    *,
    season_file: Path | None,
    group: str,
    target: str | None,
    form: Literal["boto3", "cli", "terraform"],
) -> None:
    """Print the planned actions that are still to come, for a group of your own.

    Nothing is sent to AWS.
    """
    from cli import answers, planning
    from infra.errors import InputError
    from infra.season.export import export
    from infra.season.plan import check_plan, read_plan, read_season

    if not group.strip():
        raise InputError("is empty", where="--group", fix="name the group")
    source = planning.source(context, season_file)
    season = read_season(source.path)
    plan = read_plan(source.plan_path, command=source.command)
    now, bounds = planning.now(source), planning.bounds_of(source, season)
    for warning in check_plan(plan, season, bounds=bounds, now=now, command=source.command):
        render.warn(warning)
    name = answers.target_name(plan, target)
    text = export(plan.targets[name], target_name=name, group=group, now=now, form=form)
    if context.json:
        render.emit_json(
            "season-export", {"target": name, "group": group, "format": form, "text": text}
        )
        return
    click.echo(text, nl=False)
