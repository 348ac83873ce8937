"""doctor: is everything in place?"""

from __future__ import annotations

import click

from cli import render
from cli.context import Context, pass_context

MARKS = {"ok": "ok", "note": "note", "failed": "MISSING"}


@click.command("doctor", epilog="Example: firstbell doctor -s demo")
@pass_context
def command(context: Context) -> None:
    """Check that everything needed is in place.

    With -s NAME the stack is checked too: its file and, on AWS, credentials, account and Region.
    Exits 1 when something needed is missing.
    """
    from cli import doctor

    with render.step("looking around"):
        checks = doctor.examine(context.stack, context.cloud)
    failed = [check for check in checks if check.status == "failed"]
    if context.json:
        found = [check.to_json() for check in checks]
        render.emit_json("doctor", {"ok": not failed, "checks": found})
    else:
        render.table(
            "",
            ["", "what", "found"],
            [(MARKS[check.status], check.name, check.detail) for check in checks],
        )
        for check in checks:
            if check.fix and check.status != "ok":
                render.text(f"{check.name}: {check.fix}")
        render.text(
            f"{len(failed)} of {len(checks)} need mending" if failed else "Everything is in place."
        )
    if failed:
        raise click.exceptions.Exit(1)
