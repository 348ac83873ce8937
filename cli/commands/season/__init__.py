"""The verbs of `season`: from the school calendar to proven scheduled actions, one file each."""

from __future__ import annotations

import click

from cli.commands.season import (
    backtest,
    calendar,
    diff,
    export,
    learn,
    plan,
    prices,
    report,
    show,
    simulate,
    stagger,
    verify,
    what_if,
)


@click.group("season", epilog="Example: firstbell season plan -s demo")
def command() -> None:
    """Plan, show and verify the season's schedule."""


for verb in (
    learn,
    calendar,
    plan,
    prices,
    show,
    report,
    simulate,
    backtest,
    stagger,
    what_if,
    diff,
    export,
    verify,
):
    command.add_command(verb.command)
