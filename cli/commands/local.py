"""`firstbell local`: the embedded local cloud and its clock."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

import click

from cli import render
from cli.context import Context, pass_context
from infra.clock import parse
from infra.errors import InputError

_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


class Time(click.ParamType[datetime]):
    """An ISO 8601 time with an offset."""

    name = "TIME"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        moment = parse(str(value), param.opts[0] if param else "TIME")
        # The clock counts in whole seconds.
        return moment.replace(microsecond=0)


class Duration(click.ParamType[timedelta]):
    """A length of time such as 90m, 1h30m or 7d."""

    name = "DURATION"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        if not re.fullmatch(r"(\d{1,6}[dhms])+", str(value)):
            raise InputError(
                f"{value!r} is not a length of time",
                where=param.opts[0] if param else None,
                fix="write it like 90m, 1h30m or 7d",
            )
        parts = re.findall(r"(\d+)([dhms])", str(value))
        return sum((timedelta(**{_UNITS[unit]: int(count)}) for count, unit in parts), timedelta())


@click.group(epilog="Example: firstbell local start --at 2026-08-01T00:00Z")
def command() -> None:
    """The embedded local cloud and its clock."""


@command.command(epilog="Example: firstbell local start --at 2026-08-01T00:00Z")
@click.option("--at", type=Time(), help="Set the clock: it starts here and stands still.")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="The port; without it a free one is taken."
)
@pass_context
def start(context: Context, at: datetime | None, port: int | None) -> None:
    """Start the local cloud; `up` on a local stack does so by itself."""
    from cli.localcloud import server

    if server.running() is None:
        with render.step("Starting the local cloud"):
            server.ensure_started(at=at, port=port)
    else:
        server.ensure_started(at=at, port=port)
    _show_status(context)


@command.command(epilog="Example: firstbell local stop")
@pass_context
def stop(context: Context) -> None:
    """Stop the local cloud. Its resources are lost; its clock and states stay."""
    from cli.localcloud import server

    stopped = server.stop()
    stranded = server.stranded_stacks(None)
    if context.json:
        render.emit_json("local-stop", {"stopped": stopped, "stranded_stacks": stranded})
        return
    render.text("The local cloud is stopped." if stopped else "The local cloud was not running.")
    _explain_stranded(stranded)


@command.command(epilog="Example: firstbell local status --json")
@pass_context
def status(context: Context) -> None:
    """Show whether the local cloud runs, where, and what its clock says."""
    _show_status(context)


@command.command(epilog="Example: firstbell local reset")
@pass_context
def reset(context: Context) -> None:
    """Stop the local cloud and forget its resources, states and clock."""
    from cli.localcloud import server

    server.reset()
    if context.json:
        render.emit_json("local-reset", {"reset": True})
        return
    render.text("The local cloud is gone, with all its resources, states and its clock.")


@command.command(epilog="Example: firstbell local advance --to 2026-12-07T07:55+01:00")
@click.option("--to", type=Time(), help="The time to move the clock to.")
@click.option("--by", type=Duration(), help="How far to move it: 90m, 1h30m, 7d.")
@pass_context
def advance(context: Context, to: datetime | None, by: timedelta | None) -> None:
    """Move the clock; scheduled actions that fall due are played in order."""
    from cli.localcloud import clock, server

    if (to is None) == (by is None):
        raise InputError("name the time to move to", where="--to, --by", fix="give one of them")
    cloud = server.running()
    if cloud is None:
        raise InputError(
            "the local cloud does not run", where="local advance", fix="firstbell local start"
        )
    now = clock.read()
    try:
        until = to if to is not None else now + (by or timedelta())
    except OverflowError as error:
        raise InputError("is too far", where="--by", fix="stay before the year 9999") from error
    with render.step(f"Moving the clock to {clock.text(until)}") as progress:
        played = clock.advance(cloud, until, progress)
    for failure in played.failures:
        render.warn(failure)
    last = {event.target: event for event in played.changes}
    if context.json:
        render.emit_json(
            "local-advance",
            {
                "from": clock.text(now),
                "now": clock.text(until),
                "actions_fired": played.fired,
                "changes": len(played.changes),
                "failures": played.failures,
                "targets": [
                    {
                        "target": event.target,
                        "changed_at": clock.text(event.at),
                        "cause": event.action,
                        "minimum": event.minimum,
                        "maximum": event.maximum,
                        "size": event.size,
                    }
                    for event in last.values()
                ],
            },
        )
        return
    if last:
        render.table(
            "Last change of each target",
            ["target", "at", "by", "minimum", "maximum", "size"],
            [
                (
                    event.target,
                    clock.text(event.at),
                    *(event.action, event.minimum, event.maximum, event.size),
                )
                for event in last.values()
            ],
        )
    render.text(
        f"It is {clock.text(until)}; {played.fired} scheduled actions fired, "
        f"{len(played.changes)} changes of size or bounds."
    )


@command.command(epilog="Example: firstbell local env -s demo")
@pass_context
def env(context: Context) -> None:
    """Print the exports with which pulumi, aws and boto3 reach the local cloud.

    Read them into a shell with eval "$(firstbell local env -s NAME)". With -s NAME the stack is
    made ready too, for pulumi -C .firstbell/local/project preview -s NAME.
    """
    from cli.localcloud import project, server

    if context.stack is not None:
        project.prepare(context.stack)
    cloud = server.ensure_started()
    if context.stack is not None:
        project.initialise(context.stack, cloud, render.note)
    if context.json:
        variables = project.environment(cloud, context.stack)
        render.emit_json("local-env", {"set": variables, "unset": list(project.UNSET)})
        return
    for line in project.exports(cloud, context.stack):
        render.text(line)


def _show_status(context: Context) -> None:
    from cli.localcloud import clock, server

    (state, cloud), now = server.look(), clock.stands_at()
    stranded = server.stranded_stacks(cloud.generation if cloud else None)
    if context.json:
        render.emit_json(
            "local-status",
            {
                "state": state,
                "endpoint": cloud.endpoint if cloud else None,
                "pid": cloud.pid if cloud else None,
                "generation": cloud.generation if cloud else None,
                "clock": clock.text(now) if now else None,
                "stranded_stacks": stranded,
            },
        )
        return
    match state:
        case "running" if cloud:
            render.text(f"The local cloud runs at {cloud.endpoint} (process {cloud.pid}).")
        case "hanging":
            render.text("The local cloud's server runs but does not answer.")
            render.text("fix: firstbell local stop")
        case "lost":
            render.text("The local cloud's server is gone without having been stopped.")
        case _:
            render.text("The local cloud does not run.")
    if now:
        render.text(f"Its clock stands at {clock.text(now)}.")
    _explain_stranded(stranded)


def _explain_stranded(stacks: list[str]) -> None:
    if stacks:
        render.warn(
            f"the resources of {', '.join(stacks)} were lost with the server that held them; "
            "firstbell local reset, then firstbell up, makes them anew"
        )
