"""Options that several verbs of `season` share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

season_file: Final = click.option(
    "--season",
    "season_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A season file; without it, the stack's.",
)


def day(_: click.Context, parameter: click.Parameter, value: datetime | None) -> date | None:
    """Callback: a date instead of a time."""
    del parameter
    return value.date() if value else None


def span(command: Command) -> Command:
    """`--from` and `--to`, both inclusive."""
    for name, variable, text in (("--to", "end", "Last day."), ("--from", "start", "First day.")):
        option = click.option(
            name, variable, type=click.DateTime(["%Y-%m-%d"]), callback=day, help=text
        )
        command = option(command)
    return command
