"""`firstbell migrate`: from one's own machines to AWS, rehearsed, with a way back until commit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from cli import render
from cli.commands.migration_init import init
from cli.context import Context, pass_context
from infra.errors import FirstbellError, InputError

if TYPE_CHECKING:
    from cli.migration.journal import Event


class Length(click.ParamType[timedelta]):
    """A length of time such as 3h, 90m or 10s."""

    name = "LENGTH"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        from cli.migration.durations import parse_duration

        try:
            return parse_duration(value)
        except ValueError as error:
            raise InputError(
                str(error), where=param.opts[0] if param else None, fix="write it like 3h or 90m"
            ) from error


def _migration(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--migration", "-m", "name", metavar="NAME", help="The migration; default the only one."
    )(function)


def _chosen(name: str | None) -> str:
    from cli.migration import named

    return named.choose(name)


@click.group(epilog="Example: firstbell migrate status")
def command() -> None:
    """Move from your own machines to AWS, rehearsed, with a way back until you commit."""


command.add_command(init)


@command.command(epilog="Example: firstbell migrate preflight")
@_migration
@click.option("--accept", multiple=True, metavar="NAME", help="Accept a finding by its name.")
@pass_context
def preflight(context: Context, name: str | None, accept: tuple[str, ...]) -> None:
    """Look at both databases and explain what stands in the way; changes nothing."""
    from cli.migration import orders

    accepted = frozenset(accept)
    found = orders.check(_chosen(name), accepted)
    blocking = [each for each in found if each.blocks(accepted)]
    if context.json:
        render.emit_json(
            "migrate-preflight",
            {"blocked": bool(blocking), "findings": [vars(each) for each in found]},
        )
    else:
        render.table(
            "Preflight",
            ("What", "Weight", "Why", "Way on"),
            [
                (e.name, "accepted" if e.name in accepted else e.severity, e.detail, e.fix)
                for e in found
            ],
        )
    if blocking:
        raise InputError(
            f"{len(blocking)} finding{'s' if len(blocking) > 1 else ''} must be mended or accepted",
            fix="--accept NAME for those of weight `accept`",
        )


@command.command(epilog="Example: firstbell migrate start --accept collation")
@_migration
@click.option("--accept", multiple=True, metavar="NAME", help="Accept a finding by its name.")
@pass_context
def start(context: Context, name: str | None, accept: tuple[str, ...]) -> None:
    """Begin replication; returns while it goes on."""
    from cli.migration import orders

    migration = _chosen(name)
    orders.start(migration, accept)
    orders.await_runner(migration)
    _show_status(context, migration)


@command.command(epilog="Example: firstbell migrate status --json")
@_migration
@pass_context
def status(context: Context, name: str | None) -> None:
    """Show who can write, the time left, what happens next, and the next command."""
    _show_status(context, _chosen(name))


def _show_status(context: Context, migration: str) -> None:
    from cli.migration import status as looks
    from cli.migration.journal import Journal

    found = looks.read(migration, Journal.of(migration))
    if context.json:
        render.emit_json("migrate-status", found.to_json())
        return
    render.heading(found.first_line)
    rows: list[tuple[str, object]] = [
        ("state", f"{found.state} (attempt {found.attempt}, {found.direction})"),
        ("runner", "alive" if found.runner_alive else "none"),
        ("revert possible", "yes" if found.revert_possible else "no"),
        ("rehearsals", found.rehearsals),
    ]
    rows += [(key, _plain(value)) for key, value in found.progress.items() if key != "traceback"]
    if found.last_outcome is not None:
        rows.append(("last outcome", found.last_outcome.get("text")))
    render.table("", ("", ""), rows)


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {_plain(each)}" for k, each in value.items() if each is not None)
    if isinstance(value, list):
        return "; ".join(_plain(each) for each in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


@command.command(epilog="Example: firstbell migrate verify")
@_migration
@pass_context
def verify(context: Context, name: str | None) -> None:
    """Compare every row of both sides while users write; exit 3 on a difference."""
    from cli.migration import orders, runner
    from infra.errors import MismatchError

    migration = _chosen(name)
    run = orders.working(migration)
    orders.refuse_unless(run.journal, "verify", allowed=("soak",))
    try:
        orders.reach(run)
        with render.step("comparing rows"):
            found = runner.compare(run)
    finally:
        run.close()
    if context.json:
        render.emit_json("migrate-verify", found)
    differences = found["differences"]
    if isinstance(differences, list) and differences:
        raise MismatchError(f"{len(differences)} tables differ: " + "; ".join(differences))
    if not context.json:
        render.text(f"{found['rows']} rows compared in {found['seconds']} s: equal")


@command.command(epilog="Example: firstbell migrate rehearse --times 3")
@_migration
@click.option("--times", type=click.IntRange(1, 50), default=1, show_default=True)
@pass_context
def rehearse(context: Context, name: str | None, times: int) -> None:
    """Rehearse cutover and revert between two scratch databases, and time every step."""
    from cli.migration import orders, rehearsal

    run = orders.working(_chosen(name))
    records: list[dict[str, Any]] = []
    try:
        orders.reach(run)
        for number in range(1, times + 1):
            with render.step(f"rehearsal {number} of {times}") as progress:
                records.append(rehearsal.rehearse(run, progress))
    finally:
        run.close()
    if context.json:
        render.emit_json("migrate-rehearse", {"rehearsals": records})
        return
    steps = list(records[0]["steps"])
    render.table(
        "Rehearsals (seconds)",
        ("#", *steps, "revert"),
        [(i, *record["steps"].values(), record["revert"]) for i, record in enumerate(records, 1)],
    )
    render.text(f"scaled: {'; '.join(records[-1]['scaled'])}")
    render.text(f"not exercised: {', '.join(records[-1]['not_exercised'])}")


@command.command(epilog="Example: firstbell migrate cutover --window 3h --dry-run")
@_migration
@click.option("--window", type=Length(), help="How long users may be without the site.")
@click.option("--dry-run", is_flag=True, help="Show the list and the timetable; change nothing.")
@click.option("--extend-by", type=Length(), help="Move the window's end while it runs.")
@click.option(
    "--confirm",
    metavar="NAME",
    help="The migration's name: for --extend-by, and where there is no way back from switch on.",
)
@pass_context
def cutover(
    context: Context,
    *,
    name: str | None,
    window: timedelta | None,
    dry_run: bool,
    extend_by: timedelta | None,
    confirm: str | None,
) -> None:
    """Switch users to the target inside the window, or not at all."""
    from cli.migration import orders

    migration = _chosen(name)
    if extend_by is not None:
        orders.extend(migration, extend_by, confirm)
        _show_status(context, migration)
        return
    if dry_run:
        _timetable(context, migration, window)
        return
    _follow(context, migration, orders.cutover(migration, window, confirm))


def _timetable(context: Context, migration: str, window: timedelta | None) -> None:
    from cli.migration import gate, orders, runner
    from cli.migration.durations import show_duration

    items = orders.evaluate(migration, window)
    run = runner.build(migration, orders.opened(migration))
    run.window = window
    try:
        planned = gate.plan(run)
        now = run.now()
    finally:
        run.close()
    rows = planned.timetable(now) if planned else []
    if context.json:
        render.emit_json(
            "migrate-timetable",
            {
                "gate": [vars(item) for item in items],
                "fits": bool(planned and planned.fits),
                "honesty": planned.honesty if planned else None,
                "steps": [
                    {"step": step, "expected": expected, "latest_finish": latest}
                    for step, expected, latest in rows
                ],
            },
        )
    else:
        render.table(
            "Go or no-go",
            ("Item", "", "What"),
            [(item.name, "green" if item.green else "RED", item.detail) for item in items],
        )
        if planned:
            taken = {step.name: step for step in planned.steps}
            render.table(
                f"Timetable if it started now, UTC ({planned.honesty})",
                ("Step", "P50", "P90", "Expected end", "Latest finish"),
                [
                    (
                        step,
                        show_duration(timedelta(seconds=taken[step].p50)),
                        show_duration(timedelta(seconds=taken[step].p90)),
                        f"{expected:%H:%M:%S}",
                        f"{latest:%H:%M:%S}",
                    )
                    for step, expected, latest in rows
                ],
            )
    if any(not item.green for item in items):
        raise InputError("the cutover would not start", fix="mend what is red")


@command.command(epilog="Example: firstbell migrate abort")
@_migration
@click.option("--discard", is_flag=True, help="Give the migration up: empty the target.")
@pass_context
def abort(context: Context, name: str | None, discard: bool) -> None:
    """Go back before users were switched; replication stays armed."""
    from cli.migration import orders

    migration = _chosen(name)
    _follow(context, migration, orders.abort(migration, discard=discard))


@command.command(epilog="Example: firstbell migrate revert")
@_migration
@pass_context
def revert(context: Context, name: str | None) -> None:
    """Bring users back to the source with every write they made on the target."""
    from cli.migration import orders

    migration = _chosen(name)
    _follow(context, migration, orders.revert(migration))


@command.command(epilog="Example: firstbell migrate commit --confirm school")
@_migration
@click.option("--confirm", metavar="NAME", help="The migration's name.")
@pass_context
def commit(context: Context, name: str | None, confirm: str | None) -> None:
    """Make the target the only side, for good."""
    from cli.migration import orders

    migration = _chosen(name)
    _follow(context, migration, orders.commit(migration, confirm))


@command.command(epilog="Example: firstbell migrate pause")
@_migration
@pass_context
def pause(context: Context, name: str | None) -> None:
    """Let replication stand still; only before the fence."""
    from cli.migration import orders

    migration = _chosen(name)
    _follow(context, migration, orders.pause(migration))


@command.command(epilog="Example: firstbell migrate resume")
@_migration
@pass_context
def resume(context: Context, name: str | None) -> None:
    """Go on after a pause, after a start that failed, or when no runner is alive."""
    from cli.migration import orders

    migration = _chosen(name)
    paused = orders.opened(migration).current.goal == "pause"
    since = orders.resume(migration)
    if paused:
        _follow(context, migration, since)
        return
    orders.await_runner(migration)
    _show_status(context, migration)


@command.command(epilog="Example: firstbell migrate adopt -m school")
@_migration
@pass_context
def adopt(context: Context, name: str | None) -> None:
    """Rebuild a lost journal from what stands on both databases."""
    from cli.migration import orders

    migration = _chosen(name)
    orders.adopt(migration)
    _show_status(context, migration)


@command.command(epilog="Example: firstbell migrate runbook > runbook.md")
@_migration
@pass_context
def runbook(context: Context, name: str | None) -> None:
    """Print the runbook as Markdown."""
    from cli.migration import orders
    from cli.migration import runbook as book

    migration = _chosen(name)
    run = orders.looking(migration)
    try:
        orders.reach(run)
        text = book.render(run, migration)
    finally:
        run.close()
    if context.json:
        render.emit_json("migrate-runbook", {"markdown": text})
    else:
        click.echo(text)


@command.command(epilog="Example: firstbell migrate report > report.md")
@_migration
@pass_context
def report(context: Context, name: str | None) -> None:
    """Tell what happened, from the journal."""
    from cli.migration import orders
    from cli.migration import report as tells

    journal = orders.opened(_chosen(name))
    if context.json:
        render.emit_json("migrate-report", tells.build(journal))
    else:
        click.echo(tells.markdown(journal))


def _follow(context: Context, migration: str, since: int) -> None:
    """Show what the runner does until the order is carried out; exit as it ended."""
    from cli.migration import orders

    def show(event: Event) -> None:
        if event.phase == "enter":
            render.note(f"{event.at:%H:%M:%S} {event.step}")
        elif event.phase == "fail":
            render.warn(str(event.data.get("reason") or event.data.get("error")))

    try:
        code, text = orders.follow(migration, since, show)
    except KeyboardInterrupt:
        render.note(f"let go; the runner goes on: firstbell migrate status -m {migration}")
        raise
    if code:
        error = FirstbellError(text, fix=f"firstbell migrate status -m {migration}")
        error.exit_code = code
        raise error
    if context.json:
        render.emit_json("migrate-outcome", {"code": code, "text": text})
    else:
        render.text(text)
