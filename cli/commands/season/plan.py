"""season plan: the plan, written beside the season file."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import render
from cli.commands.season import options
from cli.context import Context, pass_context

if TYPE_CHECKING:
    from infra.season.plan import Plan


@click.command("plan", epilog="Example: firstbell season plan -s demo --strict")
@options.season_file
@options.span
@click.option("--strict", is_flag=True, help="Refuse a plan that has warnings; write nothing.")
@click.option(
    "--prices",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A table of prices (see `season prices`): the plan gets a cost.",
)
@pass_context
def command(
    context: Context,
    *,
    season_file: Path | None,
    start: date | None,
    end: date | None,
    strict: bool,
    prices: Path | None,
) -> None:
    """Plan the season and write the plan beside the season file.

    With --from on the day after the earlier plan's last one, its actions that have not ended stay
    and count. With --json the plan is printed; no earlier plan is read and nothing is written.
    """
    from cli import planning

    source = planning.source(context, season_file)
    with render.step(f"planning {source.path.name}") as progress:
        planned = planning.plan(
            source,
            start=start,
            end=end,
            hand_over=not context.json,
            prices=prices,
            progress=progress,
        )
    if strict:
        planning.refuse_warnings(planned)
    for warning in planned.warnings:
        render.warn(warning)
    if context.json:
        click.echo(planned.plan.to_json(), nl=False)
        return
    changed = planning.write(planned)
    targets = planned.plan.targets
    render.table(
        f"Plan of {planned.plan.season}, {planned.plan.covers_from} to {planned.plan.covers_to}",
        ["target", "kind", "actions", "peak", "unit-hours", "static peak", "saved"],
        [
            (
                name,
                target.kind,
                f"{target.verdict['actions']} of {target.verdict['actions_allowed']}",
                target.verdict["peak"],
                f"{target.instance_hours:,.0f}",
                f"{static:,.0f}",
                f"{1 - target.instance_hours / static:.0%}" if static else "",
            )
            for name, target in targets.items()
            for static in (float(str(target.verdict["static_peak_hours"])),)
        ],
    )
    for name, target in targets.items():
        if target.carried:
            render.text(f"{name}: {target.carried} actions of the earlier plan stay until they end")
        if saved := float(str(target.verdict["one_more_action_saves_hours"])):
            render.text(f"{name}: one more action would save {saved:,.0f} unit-hours")
        if (above := target.verdict["above_lower_bound"]) is not None:
            render.text(
                f"{name}: at most {float(str(above)):.2%} above any plan of any number of actions"
            )
    if prices:
        _show_costs(planned.plan)
    render.text(f"{'wrote' if changed else 'unchanged:'} {planned.path}")
    with render.step("comparing with plans of a quarter each") as progress:
        rolling = planning.rolling(source, planned.plan, progress=progress)
    for name, hours in rolling.items():
        saved = targets[name].instance_hours - hours
        if saved > 0:
            render.text(
                f"{name}: planned quarter by quarter (--from and --to), "
                f"{hours:,.0f} unit-hours, {saved / targets[name].instance_hours:.1%} less"
            )


def _show_costs(plan: Plan) -> None:
    """The cost of the scheduled units alone, never without date and source of the price."""
    for name, target in plan.targets.items():
        cost = target.cost
        if cost is None:
            render.text(f"{name}: no cost, since the prices have none for what it runs")
            continue
        currency = cost["currency"]
        render.text(
            f"{name}: {cost['amount']:,.2f} {currency}, the static peak "
            f"{cost['static_peak']:,.2f} {currency}; {cost['item']} in {cost['region']} at "
            f"{cost['per_hour']} {currency} an hour as of {cost['date']} ({cost['source']})"
        )
