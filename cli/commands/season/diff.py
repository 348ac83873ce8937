"""season diff: what a change of the calendar does to actions and hours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from cli import render
from cli.context import Context, pass_context


def _said(action: Mapping[str, object]) -> str:
    when = action.get("Recurrence") or action.get("Schedule") or action.get("ScheduleExpression")
    first, last = (
        str(action.get(key, action.get(other, "")))[:10]
        for key, other in (("StartTime", "StartDate"), ("EndTime", "EndDate"))
    )
    return f"{when} from {first} to {last}"


@click.command(
    "diff",
    epilog="Example: firstbell season diff old.plan.json stacks/seasons/demo.yaml",
)
@click.argument("old", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("new", type=click.Path(path_type=Path, dir_okay=False))
@pass_context
def command(context: Context, *, old: Path, new: Path) -> None:
    """Show what differs between two plans: actions, hours, peaks.

    OLD and NEW are plan files, or season files that are planned now, each within its own bounds.
    A difference is no failure: it exits 0.
    """
    from cli import answers
    from infra.season.diff import diff

    with render.step(f"comparing {old.name} with {new.name}"):
        found = diff(answers.plan_of(old), answers.plan_of(new))
    if context.json:
        render.emit_json(
            "season-diff",
            {
                "changed": any(item.changed for item in found),
                "targets": [
                    {
                        "target": item.name,
                        "added": list(item.added),
                        "removed": list(item.removed),
                        "resized": [
                            {
                                "action": change.action,
                                "before": change.before,
                                "after": change.after,
                            }
                            for change in item.resized
                        ],
                        "instance_hours": {"before": item.hours_before, "after": item.hours_after},
                        "peak": {"before": item.peak_before, "after": item.peak_after},
                    }
                    for item in found
                ],
            },
        )
        return
    render.table(
        f"From {old.name} to {new.name}",
        ["target", "added", "removed", "resized", "unit-hours", "peak"],
        [
            (
                item.name,
                len(item.added),
                len(item.removed),
                len(item.resized),
                f"{item.hours_before:,.0f} -> {item.hours_after:,.0f} "
                f"({item.hours_after - item.hours_before:+,.0f})",
                f"{item.peak_before} -> {item.peak_after}",
            )
            for item in found
        ],
    )
    for item in found:
        for action in item.added:
            render.text(f"+ {item.name}: {_said(action)}")
        for action in item.removed:
            render.text(f"- {item.name}: {_said(action)}")
        for change in item.resized:
            render.text(
                f"~ {item.name}: {_said(change.action)}: {change.before} -> {change.after} units"
            )
