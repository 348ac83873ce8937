"""plan, show and verify: from the school calendar to proven scheduled actions."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import click

from cli import render
from cli.context import Context, pass_context


@click.group("season", epilog="Example: firstbell season plan -s demo")
def command() -> None:
    """Plan, show and verify the season's schedule."""


_season_option = click.option(
    "--season",
    "season_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A season file; without it, the stack's.",
)


def _date(_: click.Context, parameter: click.Parameter, value: datetime | None) -> date | None:
    del parameter
    return value.date() if value else None


@command.command("plan", epilog="Example: firstbell season plan -s demo")
@_season_option
@click.option("--from", "start", type=click.DateTime(["%Y-%m-%d"]), callback=_date, help="Day.")
@click.option("--to", "end", type=click.DateTime(["%Y-%m-%d"]), callback=_date, help="Last day.")
@pass_context
def plan(context: Context, season_file: Path | None, start: date | None, end: date | None) -> None:
    """Plan the season and write the plan beside the season file.

    With --json the plan is printed and nothing is written.
    """
    from cli import planning

    source = planning.source(context, season_file)
    with render.step(f"planning {source.path.name}") as progress:
        planned = planning.plan(source, start=start, end=end, progress=progress)
    for warning in planned.plan.warnings:
        render.warn(warning)
    if context.json:
        click.echo(planned.plan.to_json(), nl=False)
        return
    changed = planning.write(planned)
    render.table(
        f"Plan of {planned.plan.season}, {planned.plan.covers_from} to {planned.plan.covers_to}",
        ["target", "kind", "actions", "peak", "unit-hours", "static peak", "saved"],
        [
            (
                name,
                target.kind,
                f"{len(target.actions)} of {target.verdict['actions_allowed']}",
                target.verdict["peak"],
                f"{target.instance_hours:,.0f}",
                f"{static:,.0f}",
                f"{1 - target.instance_hours / static:.0%}" if static else "",
            )
            for name, target in planned.plan.targets.items()
            for static in (float(str(target.verdict["static_peak_hours"])),)
        ],
    )
    render.text(f"{'wrote' if changed else 'unchanged:'} {planned.path}")


@command.command("show", epilog="Example: firstbell season show -s demo --week 2026-12-07")
@_season_option
@click.option("--week", type=click.DateTime(["%Y-%m-%d"]), callback=_date, help="A day of it.")
@pass_context
def show(context: Context, season_file: Path | None, week: date | None) -> None:
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


@command.command("verify", epilog="Example: firstbell season verify -s demo")
@pass_context
def verify(context: Context) -> None:
    """Read the live actions back and simulate those against what the season requires.

    Exits 3 when there is a gap.
    """
    from cli import verification
    from cli.stack import open_stack
    from infra.errors import MismatchError

    name = context.require_stack()
    with render.step(f"verifying {name}") as progress:
        stack = open_stack(name, progress, cloud=context.cloud)
        verdicts = verification.verify(stack)
    if context.json:
        render.emit_json(
            "season-verify", {"stack": name, "targets": [entry.to_json() for entry in verdicts]}
        )
    else:
        render.table(
            f"Live schedule of {name}",
            ["target", "live actions", "minutes simulated", "peak required", "verdict"],
            [
                (
                    entry.target,
                    entry.actions,
                    f"{entry.minutes:,}",
                    entry.peak,
                    "holds"
                    if entry.holds
                    else f"{len(entry.gaps)} gaps"
                    if entry.gaps
                    else "; ".join(entry.problems),
                )
                for entry in verdicts
            ],
        )
        gaps = [(entry.target, gap) for entry in verdicts for gap in entry.gaps]
        if gaps:
            render.table(
                "Gaps",
                ["target", "from (UTC)", "to (UTC)", "required", "in service"],
                [
                    (
                        target,
                        f"{gap.start:%Y-%m-%d %H:%M}",
                        f"{gap.end:%Y-%m-%d %H:%M}",
                        gap.required,
                        gap.in_service,
                    )
                    for target, gap in gaps
                ],
            )
    bad = [entry.target for entry in verdicts if not entry.holds]
    if bad:
        raise MismatchError(
            f"the live schedule of {', '.join(bad)} does not hold",
            fix=f"firstbell drift -s {name} shows what changed; firstbell up -s {name} repairs it",
        )
