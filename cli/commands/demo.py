"""demo: the main job from end to end on the local cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli import render
from cli.context import Context, pass_context

if TYPE_CHECKING:
    from cli.demo import Stopwatch
    from cli.migration.demo import Result


@click.command("demo", epilog="Example: firstbell demo")
@click.option("--season-only", is_flag=True, help="Leave the migration out.")
@pass_context
def command(context: Context, season_only: bool) -> None:
    """Run the main job on the local cloud."""
    from cli import demo
    from cli.main import root
    from infra.errors import DriftError, MismatchError

    watch = demo.Stopwatch()

    def run(*arguments: str) -> None:
        render.heading(f"\n$ firstbell {' '.join(arguments)}")
        root.main(list(arguments), obj=Context(debug=context.debug), standalone_mode=False)
        watch.lap(" ".join(arguments[:2] if arguments[0] == "season" else arguments[:1]))

    render.heading("$ firstbell local start --at 2026-08-01T00:00Z")
    with render.step("starting the local cloud"):
        cloud = demo.start_local_cloud()
    render.text(f"local cloud at {cloud.endpoint}, its clock at {demo.STARTS:%Y-%m-%d %H:%M} UTC")
    watch.lap("local start")
    run("doctor")
    run("season", "plan", "-s", demo.STACK)
    run("preview", "-s", demo.STACK)
    run("up", "-s", demo.STACK)
    run("season", "verify", "-s", demo.STACK)

    render.heading("\nBehind the stack's back: one action deleted, one lowered, the group lowered")
    stack = demo.opened(lambda _: None)
    tampering = demo.tamper(stack)
    watch.lap("tamper")
    try:
        run("drift", "-s", demo.STACK)
    except DriftError as found:
        render.text(f"drift exits {found.exit_code}: {found.what}")
        watch.lap("drift")
    differences = demo.deployment.drift(stack, lambda _: None)
    if not demo.seen(tampering, differences):
        raise MismatchError(f"drift does not show the three changes, but {differences}")
    run("up", "-s", demo.STACK)
    run("drift", "-s", demo.STACK)

    render.heading("\nThe clock moves to a grading Monday, 2026-12-07")
    with render.step("advancing the clock") as progress:
        readings = demo.morning(stack, progress)
    watch.lap("local advance")
    render.table(
        "Stockholm time; units in service have had time to boot",
        ["time", "target", "floor", "in service", "required"],
        [
            (
                f"{entry.moment:%a %H:%M}",
                entry.target,
                entry.floor,
                entry.in_service,
                entry.required,
            )
            for entry in readings
        ],
    )
    short = [entry for entry in readings if entry.in_service < (entry.required or 0)]
    if short:
        raise MismatchError(f"fewer in service than required: {short}")
    run("status", "-s", demo.STACK)

    moved = None if season_only else _migrate(watch)

    render.table(
        "\nUnit-hours a month",
        ["target", "scheduled", "static peak", "saved"],
        [
            (
                saving.name,
                f"{saving.scheduled:,.0f}",
                f"{saving.static:,.0f}",
                f"{1 - saving.scheduled / saving.static:.0%}",
            )
            for saving in demo.savings(stack)
        ],
    )
    if moved is not None:
        render.table("A migration between two real servers", ["", ""], moved.rows_of_table())
    render.table(
        "Seconds",
        ["step", "seconds"],
        [(step, f"{seconds:.1f}") for step, seconds in watch.steps],
    )
    render.text(
        f"Built and proven: {len(stack.resources())} resources of stack {demo.STACK}, still up.\n"
        "Look around:        firstbell status -s demo\n"
        "                    firstbell season show -s demo --week 2026-12-07\n"
        "                    firstbell local advance --by 1h\n"
        '                    eval "$(firstbell local env -s demo)"  # for pulumi, aws, boto3\n'
        "Remove everything:  firstbell destroy -s demo --yes && firstbell local reset"
    )


def _migrate(watch: Stopwatch) -> Result:
    """Move a school from one PostgreSQL server to another, back, and over again."""
    from cli.migration import demo
    from infra.errors import MismatchError

    render.heading("\nA school moves from PostgreSQL 16 to 18, back, and over again, while in use")
    with render.step("migrating") as progress:
        result = demo.run(progress)
    watch.lap("migration")
    if not result.clean:
        raise MismatchError(f"the migration was not clean: {result}")
    return result
