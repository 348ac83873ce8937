"""The stacks of this project."""

from __future__ import annotations

import click

from cli import render
from cli.context import Context, pass_context


@click.group("stack", epilog="Example: firstbell stack list")
def command() -> None:
    """List the stacks."""


@command.command("list", epilog="Example: firstbell stack list --json")
@pass_context
def list_stacks(context: Context) -> None:
    """List the stacks, with where they go and what schedules them."""
    from infra.errors import InputError
    from infra.settings.stack import read_stack, stack_names

    rows: list[list[str]] = []
    documents: list[dict[str, object]] = []
    for name in stack_names():
        try:
            settings = read_stack(name, cloud=context.cloud)
        except InputError as error:
            documents.append({"stack": name, "problem": str(error)})
            rows.append([name, error.what])
            continue
        tiers = list(settings.platform.tiers)
        documents.append(
            {
                "stack": name,
                "cloud": settings.cloud,
                "region": settings.region,
                "season": settings.season,
                "tiers": tiers,
            }
        )
        rows.append(
            [name, settings.cloud, settings.region, settings.season or "none", ", ".join(tiers)]
        )
    if context.json:
        render.emit_json("stack-list", {"stacks": documents})
        return
    render.table("Stacks", ["stack", "cloud", "Region", "season", "tiers"], rows)
