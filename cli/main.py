"""The root command. Groups load lazily, so that `firstbell --help` stays fast."""

from __future__ import annotations

import atexit
import importlib
import os
import signal
import sys
from contextlib import suppress
from typing import Final

import click

from cli.context import Context, add_global_options
from infra.errors import FirstbellError

INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141

# name -> (module:attribute, the help's first line, which a test compares with the command's own).
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "preview": ("cli.commands.deploy:preview", "Show what `up` would change."),
    "up": ("cli.commands.deploy:up", "Create and update the stack's resources."),
    "drift": ("cli.commands.deploy:drift", "Show what differs between the cloud and the stack."),
    "destroy": ("cli.commands.deploy:destroy", "Remove the stack's resources."),
    "outputs": ("cli.commands.deploy:outputs", "Print the stack's outputs."),
    "status": (
        "cli.commands.status:command",
        "Show demand, floor, in service, headroom and what comes next.",
    ),
    "season": ("cli.commands.season:command", "Plan, show and verify the season's schedule."),
    "policy": (
        "cli.commands.policy:command",
        "List AWS's security controls and judge a stack by them.",
    ),
    "stack": ("cli.commands.stack:command", "List the stacks."),
    "migrate": (
        "cli.commands.migrate:command",
        "Move from your own machines to AWS, rehearsed, with a way back until you commit.",
    ),
    "local": ("cli.commands.local:command", "The embedded local cloud and its clock."),
    "doctor": ("cli.commands.doctor:command", "Check that everything needed is in place."),
    "demo": ("cli.commands.demo:command", "Run the main job on the local cloud."),
}


class LazyGroup(click.Group):
    """A group that imports a command only when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        loaded: click.Command = getattr(importlib.import_module(module), attribute)
        return add_global_options(loaded)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: firstbell preview -s demo",
)
@click.version_option(package_name="firstbell")
def root() -> None:
    """Elastic hosting of learning management systems, scheduled by the school calendar."""


add_global_options(root)


def main() -> None:
    """Run the command line and end with its exit code."""
    # A pipeline stops us with SIGTERM: end as cleanly as with Ctrl-C. Not what SIGINT does now: a
    # shell's background job ignores that, and would ignore both.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    ending = _Ending()
    # The first registered is the last that Python runs, when its threads have ended.
    atexit.register(ending.leave)
    ending.code = run()
    sys.exit(ending.code)


class _Ending:
    """How the process ends."""

    code = FirstbellError.exit_code
    """As it is for what nobody caught."""

    def leave(self) -> None:
        """End at once.

        What is left would take Python a third of a second to free, with signals at their default
        action: a late Ctrl-C would kill a command that has done its work.
        """
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        try:
            for stream in (sys.stdout, sys.stderr):
                if not stream.closed:
                    stream.flush()
        except BrokenPipeError:
            self.code = BROKEN_PIPE
        except OSError as error:
            self.code = self.code or FirstbellError.exit_code
            with suppress(OSError):
                sys.stderr.write(f"error: what was to be said cannot be written: {error}\n")
                sys.stderr.flush()
        os._exit(self.code)


def run() -> int:
    """Run the command line; turn every error into a message; returns the exit code."""
    context = Context()
    try:
        code = root.main(obj=context, standalone_mode=False)
    except FirstbellError as failure:
        _show(failure, context)
        return failure.exit_code
    except click.ClickException as failure:
        failure.show()
        # The option itself may stand behind the one that was wrong.
        if context.json or "--json" in sys.argv:
            from cli import render

            mistake = FirstbellError(failure.format_message())
            render.emit_json("error", {"error": mistake.to_json(), "exit_code": failure.exit_code})
        return failure.exit_code
    except (click.Abort, KeyboardInterrupt) as failure:
        # Who presses Ctrl-C again while Python waits for its threads wants it to end, and no
        # traceback.
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda *_: os._exit(INTERRUPTED))
        # Click makes an Abort of it that does not say in what state things are.
        state = str(failure) or str(failure.__cause__ or "")
        click.echo(f"interrupted: {state}" if state else "interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) went away; there is nobody left to tell.
        # As a program that SIGPIPE ends; 0 would hide a drift from `set -o pipefail`.
        sys.stderr.close()
        return BROKEN_PIPE
    except Exception as failure:
        if context.debug:
            raise
        unexpected = FirstbellError(
            f"{type(failure).__name__}: {failure}",
            why="this is a fault of firstbell itself",
            fix="run the command again with --debug and report what it prints",
        )
        _show(unexpected, context)
        return unexpected.exit_code
    return code if isinstance(code, int) else 0


def _show(failure: FirstbellError, context: Context) -> None:
    if context.debug:
        import traceback

        traceback.print_exception(failure)
    from cli import render

    render.error(failure, as_json=context.json)
