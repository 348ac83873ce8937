"""status: where each scheduled target stands, and what comes next."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from cli import render
from cli.context import Context, pass_context

if TYPE_CHECKING:
    from cli.live import Refresh


@click.command("status", epilog="Example: firstbell status -s demo")
@pass_context
def command(context: Context) -> None:
    """Show demand, floor, in service, headroom and what comes next.

    Demand is what the season requires at this moment, in units; headroom is what serves beyond it.
    What no season schedules has neither. An instance refresh that is under way or failed is told.
    """
    from cli import live, verification
    from cli.stack import open_stack
    from infra import clock

    name = context.require_stack()
    with render.step(f"reading {name}") as progress:
        stack = open_stack(name, progress, cloud=context.cloud)
        found = live.read(stack)
        targets = verification.status(stack, found)
        refreshes = live.refreshes(stack, found)
    now = clock.now(stack.settings.cloud)
    if context.json:
        render.emit_json(
            "status",
            {
                "stack": name,
                "now": now.isoformat(),
                "targets": [target.to_json() for target in targets],
                "refreshes": [refresh.to_json() for refresh in refreshes],
            },
        )
        return
    for refresh in refreshes:
        _tell(refresh, name)
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
    if stack.local is not None and (below := verification.below_floor(targets)):
        render.note(
            f"{', '.join(below)}: what was started serves once it has booted, by the local cloud's "
            "clock, which stands still: firstbell local advance --by 20m"
        )


def _tell(refresh: Refresh, stack: str) -> None:
    since = f"since {_time(refresh.started)} UTC"
    if refresh.failed:
        render.warn(
            f"{refresh.target}: its instance refresh failed at {refresh.percent}% ({since}"
            + (f": {refresh.reason}" if refresh.reason else "")
            + "); the instances that are left serve on, new ones are of the new template: put the "
            f"old image back and run firstbell up -s {stack}"
        )
    else:
        render.note(
            f"{refresh.target}: an instance refresh is under way, {refresh.percent}% ({since})"
        )


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
