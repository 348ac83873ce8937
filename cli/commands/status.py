"""status: where each scheduled target stands, and what comes next."""

from __future__ import annotations

from datetime import datetime

import click

from cli import render
from cli.context import Context, pass_context


@click.command("status", epilog="Example: firstbell status -s demo")
@pass_context
def command(context: Context) -> None:
    """Show demand, floor, in service, headroom and what comes next.

    Demand is what the season requires at this moment, in units; headroom is what serves beyond it.
    What no season schedules has neither.
    """
    from cli import verification
    from cli.stack import open_stack
    from infra import clock

    name = context.require_stack()
    with render.step(f"reading {name}") as progress:
        stack = open_stack(name, progress, cloud=context.cloud)
        targets = verification.status(stack)
    now = clock.now(stack.settings.cloud)
    if context.json:
        render.emit_json(
            "status",
            {
                "stack": name,
                "now": now.isoformat(),
                "targets": [target.to_json() for target in targets],
            },
        )
        return
    if not targets:
        render.text(f"{name} has nothing live that has a capacity: firstbell up -s {name}")
        return
    render.table(
        f"{name} at {_time(now)} UTC",
        [
            *("target", "floor now", "in service", "required", "headroom"),
            *("next change (UTC)", "next peak (UTC)"),
        ],
        [
            (
                target.target,
                target.floor,
                target.in_service,
                target.required,
                target.headroom,
                "none planned"
                if target.next_change is None
                else f"{_time(target.next_change)} to {target.next_floor}",
                "none planned"
                if target.next_peak is None
                else f"{_time(target.next_peak)} needs {target.peak}",
            )
            for target in targets
        ],
    )


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
