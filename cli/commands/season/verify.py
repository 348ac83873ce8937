"""season verify: the live actions, simulated against what the season requires."""

from __future__ import annotations

import click

from cli import render
from cli.context import Context, pass_context


@click.command("verify", epilog="Example: firstbell season verify -s demo")
@pass_context
def command(context: Context) -> None:
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
