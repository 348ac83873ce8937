"""What every command is handed: the global options, wherever on the line they were given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import click

from infra.errors import InputError


@dataclass
class Context:
    """The global options of one run."""

    stack: str | None = None
    cloud: Literal["local"] | None = None
    json: bool = False
    debug: bool = False

    def require_stack(self) -> str:
        """The stack's name; the only stack there is when none was named.

        Raises:
            InputError: none was named and there is not exactly one.
        """
        if self.stack is not None:
            return self.stack
        from infra.settings.stack import stack_names

        names = stack_names()
        if len(names) == 1:
            return names[0]
        raise InputError(
            "no stack was named",
            where="--stack",
            fix=f"add -s NAME, one of: {', '.join(names) or 'none exist yet'}",
        )


pass_context: Final = click.make_pass_decorator(Context, ensure=True)


def _store(ctx: click.Context, param: click.Parameter, value: object) -> None:
    if value is not None and value is not False and param.name:
        setattr(ctx.find_root().ensure_object(Context), param.name, value)


def _global_options() -> list[click.Option]:
    return [
        click.Option(
            ["--stack", "-s"],
            metavar="NAME",
            help="The stack.",
            expose_value=False,
            callback=_store,
        ),
        click.Option(
            ["--cloud"],
            type=click.Choice(["local"]),
            help="Try the stack on the local cloud, whatever it says itself.",
            expose_value=False,
            callback=_store,
        ),
        click.Option(
            ["--json"],
            is_flag=True,
            help="Print one JSON document to standard output.",
            expose_value=False,
            callback=_store,
        ),
        click.Option(
            ["--debug"],
            is_flag=True,
            help="Show tracebacks and the engine's own log.",
            expose_value=False,
            callback=_store,
        ),
    ]


def add_global_options(command: click.Command) -> click.Command:
    """Let a command, and every command below it, take the global options too."""
    taken = {option for param in command.params for option in param.opts}
    for option in _global_options():
        if not taken & set(option.opts):
            command.params.append(option)
    if isinstance(command, click.Group):
        for child in command.commands.values():
            add_global_options(child)
    return command
