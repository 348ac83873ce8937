"""preview, up, drift, destroy and outputs: what is done to a stack's resources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from cli import render
from cli.commands.policy import show as show_controls
from cli.context import Context, pass_context

if TYPE_CHECKING:
    from cli.checking import Checked
    from cli.lifecycle import Effect
    from cli.stack import OpenStack, Outcome
    from infra.settings.stack import StackSettings

# More changes than these are counted by type instead of listed.
MOST_ROWS: Final = 30
SHOWN_NAMES: Final = 4


_prices: Final = click.option(
    "--prices",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A dated table of prices (see `season prices`): a month gets a cost.",
)
_max_monthly_cost: Final = click.option(
    "--max-monthly-cost",
    "most",
    type=float,
    metavar="AMOUNT",
    help="Refuse a stack whose busiest month costs more at its floors, by --prices.",
)


_allow_data_replacement: Final = click.option(
    "--allow-data-replacement",
    "allowed",
    multiple=True,
    metavar="NAME",
    help="Let a resource that holds data be replaced or removed; once for each. A name that "
    "several have is written as TYPE::NAME.",
)


@click.command("preview", epilog="Example: firstbell preview -s demo")
@click.option("--all", "everything", is_flag=True, help="List every property that changes.")
@_prices
@_max_monthly_cost
@_allow_data_replacement
@pass_context
def preview(
    context: Context,
    *,
    everything: bool,
    prices: Path | None,
    most: float | None,
    allowed: tuple[str, ...],
) -> None:
    """Show what `up` would change.

    Says what becomes of what is there, and what a month takes. Refuses, with exit 2, what AWS, a
    quota or the database could not carry, what does not keep a security control, and what would
    lose data that was not named.
    """
    from cli import deployment

    stack, checked = _open_checked(context, prices, most)
    with render.step(f"previewing {stack.name}", left=render.NOTHING_CHANGED) as progress:
        found = deployment.preview(stack, progress)
    _show(
        context,
        "preview",
        stack,
        found.outcome,
        [*checked.warnings, *found.warnings],
        everything=everything,
        more=checked.to_json()
        | {"effects": [effect.to_json() for effect in found.effects]}
        | {"policy": found.controls.to_json()},
    )
    if not context.json:
        _show_effects(found.effects)
        _show_hours(checked)
        show_controls(found.controls)
    deployment.refuse(stack, found, allowed)


@click.command("up", epilog="Example: firstbell up -s demo --yes")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before changing an AWS account.")
@click.option("--all", "everything", is_flag=True, help="List every property that changed.")
@_prices
@_max_monthly_cost
@_allow_data_replacement
@pass_context
def up(
    context: Context,
    *,
    yes: bool,
    everything: bool,
    prices: Path | None,
    most: float | None,
    allowed: tuple[str, ...],
) -> None:
    """Create and update the stack's resources.

    Refuses first, with exit 2, what `preview` refuses. Ends with 1 when what was applied does not
    keep a security control.
    """
    from cli import deployment, policy

    stack, checked = _open_checked(context, prices, most)
    _announce(stack)
    if stack.local is None and not yes:
        _ask("Apply the stack to this account?")
    with render.step(f"applying {stack.name}", left=render.BEGUN) as progress:
        found = deployment.up(stack, progress, allow_data_replacement=allowed)
    for lock in found.recovered.locks:
        render.note(f"removed the lock of a run that is dead: {lock}")
    for urn in (*found.recovered.adopted, *found.recovered.cleared):
        render.note(f"left behind by a run that was killed, put right: {urn.rsplit('::', 1)[-1]}")
    for repaired in found.repaired:
        render.note(f"put right: {repaired}")
    _show(
        context,
        "up",
        stack,
        found.outcome,
        [*checked.warnings, *found.warnings],
        everything=everything,
        more=checked.to_json()
        | {
            "repaired": [str(floor) for floor in found.repaired],
            "policy": found.controls.to_json(),
        },
    )
    if not context.json:
        if checked.cost is not None:
            _show_hours(checked)
        show_controls(found.controls)
    policy.refuse_applied(found.controls, stack.name)


@click.command("drift", epilog="Example: firstbell drift -s demo")
@pass_context
def drift(context: Context) -> None:
    """Show what differs between the cloud and the stack.

    Exits 7 when something does. Nothing is changed; `up` puts it right.
    """
    from cli import deployment
    from infra.errors import DriftError

    stack = _open(context, deployment.planned)
    with render.step(
        f"comparing {stack.name} with its cloud", left=render.NOTHING_CHANGED
    ) as progress:
        differences = deployment.drift(stack, progress)
    if context.json:
        render.emit_json(
            "drift",
            {"stack": stack.name, "differences": [entry.to_json() for entry in differences]},
        )
    elif differences:
        render.table(
            f"Drift of {stack.name}",
            ["resource", "property", "expected", "found"],
            [(entry.name, entry.property, entry.expected, entry.found) for entry in differences],
        )
    else:
        render.text(f"No drift: the cloud is as {stack.name} left it.")
    if differences:
        raise DriftError(
            f"{len(differences)} difference{'s' if len(differences) != 1 else ''} in {stack.name}",
            fix=f"look at them, then run firstbell up -s {stack.name}",
        )


@click.command("destroy", epilog="Example: firstbell destroy -s demo --yes")
@click.option("--yes", "-y", is_flag=True, help="Do not ask; on AWS, --confirm is needed as well.")
@click.option("--confirm", metavar="NAME", help="The name of the stack, instead of typing it.")
@pass_context
def destroy(context: Context, yes: bool, confirm: str | None) -> None:
    """Remove the stack's resources.

    Says first what goes of the stack's data and what stays: database and cache leave a final
    snapshot, the backup vault stays with its recovery points. On AWS the stack's name is asked for,
    and what is protected is refused before anything is gone. On the local cloud protection is
    lifted.
    """
    from cli import deployment, protection

    stack = _open(context)
    _announce(stack)
    if confirm is not None or (stack.local is None and yes):
        protection.confirm(stack, confirm)
    if stack.local is None:
        protection.refuse(stack)
    elif guarded := protection.protected(stack):
        render.note(f"on the local cloud protection is lifted: {', '.join(guarded)}")
    for line in protection.outlook(stack):
        render.note(line)
    count = sum(entry["type"].startswith("aws:") for entry in stack.resources())
    if stack.local is None and confirm is None:
        question = f"Type {stack.name} to delete its {count} resources"
        with _answering(f"where nobody can answer, add --yes --confirm {stack.name}"):
            typed = click.prompt(question, err=True)
        protection.confirm(stack, typed)
    elif confirm is None and not yes:
        _ask(f"Delete the {count} resources of {stack.name}?")
    with render.step(f"destroying {stack.name}", left=render.BEGUN) as progress:
        outcome = deployment.destroy(stack, progress)
    _show(context, "destroy", stack, outcome, [], everything=False)


def _ask(question: str) -> None:
    """Go on only after a yes."""
    with _answering("where nobody can answer, add --yes"):
        sure = click.confirm(question, err=True)
    if not sure:
        raise click.Abort("nothing was changed")


@contextmanager
def _answering(hint: str) -> Generator[None]:
    """Say what a question without an answer leaves behind."""
    try:
        yield
    except click.Abort:
        click.echo(err=True)
        raise click.Abort(f"nothing was changed; {hint}") from None


@click.command("outputs", epilog="Example: firstbell outputs -s demo --json")
@pass_context
def outputs(context: Context) -> None:
    """Print the stack's outputs."""
    stack = _open(context)
    values = stack.outputs()
    if context.json:
        render.emit_json("outputs", {"stack": stack.name, "outputs": values})
        return
    if not values:
        render.text(f"{stack.name} has no outputs yet: run firstbell up -s {stack.name}")
        return
    render.table(f"Outputs of {stack.name}", ["output", "value"], list(_flat(values)))


def _flat(values: dict[str, object], prefix: str = "") -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = []
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict):
            rows += _flat({str(inner): entry for inner, entry in value.items()}, f"{key}.")
        else:
            rows.append((key, value))
    return rows


def _open(context: Context, before: Callable[[StackSettings], object] | None = None) -> OpenStack:
    from cli.stack import open_stack

    name = context.require_stack()
    with render.step(f"opening {name}", left=render.NOTHING_CHANGED) as progress:
        return open_stack(name, progress, cloud=context.cloud, before=before)


def _open_checked(
    context: Context, prices: Path | None, most: float | None
) -> tuple[OpenStack, Checked]:
    """Open a stack that the checks let pass; they run before anything is started."""
    from cli import checking, program
    from infra.settings.stack import UnsoundStack

    asked = checking.Asked(prices, most)
    results: list[Checked] = []

    def before(settings: StackSettings) -> None:
        results.append(checking.check(settings, asked))
        # While the cloud and the engine start.
        program.load()

    try:
        stack = _open(context, before)
    except UnsoundStack as error:
        checking.check(error, asked)
        raise
    stack.load()
    (checked,) = results
    return stack, replace(checked, warnings=[*checked.warnings, *checking.check_cloud(stack)])


def _show_effects(effects: Sequence[Effect]) -> None:
    """What is felt of a change; what changes in place without being felt is only counted."""
    felt = [effect for effect in effects if effect.words != "in place"]
    if felt:
        # Like ones in one line: a hundred scheduled actions come and go with every plan.
        grouped: dict[tuple[str, str], list[str]] = {}
        for effect in felt:
            grouped.setdefault((_type(effect.type), effect.words), []).append(effect.name)
        render.table(
            "What happens to what is there",
            ["type", "what", "resources"],
            [
                (
                    kind,
                    words,
                    ", ".join(names[:SHOWN_NAMES])
                    + (f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""),
                )
                for (kind, words), names in grouped.items()
            ],
        )
    if len(effects) > len(felt):
        render.text(f"{len(effects) - len(felt)} more change in place")


def _show_hours(checked: Checked) -> None:
    """Instance-hours a month, and their cost, never without date and source of the prices."""
    render.table(
        "Instance-hours a month at the floors; load above them comes on top",
        ["target", "item", "static at the peak", "scheduled", "busiest month"],
        [
            (
                row.name,
                row.item,
                f"{row.static:,.0f}",
                f"{row.scheduled:,.0f}",
                f"{row.busiest:,.0f}" + (f" ({row.busiest_month})" if row.busiest_month else ""),
            )
            for row in checked.hours
        ],
    )
    cost = checked.cost
    if cost is None:
        return
    render.text(
        f"A month costs {cost.scheduled:,.2f} {cost.currency} as scheduled, the busiest "
        f"{cost.busiest:,.2f}, static at the peak {cost.static:,.2f}; instances only, without "
        "storage, traffic, load balancers and gateways"
    )
    for price in cost.priced:
        render.text(f"  {price}")
    for item in cost.unpriced:
        render.warn(f"the prices have none for {item}: it is not in the amounts")


def _announce(stack: OpenStack) -> None:
    if stack.local is not None:
        render.note(f"{stack.name} goes to the local cloud at {stack.local.endpoint}")
    else:
        # One of the stack's allowed accounts: opening the stack has checked that.
        account = stack.client("sts").get_caller_identity()["Account"]
        render.warn(f"{stack.name} goes to AWS account {account}, Region {stack.settings.region}")


def _show(
    context: Context,
    kind: str,
    stack: OpenStack,
    outcome: Outcome,
    warnings: list[str],
    *,
    everything: bool,
    more: dict[str, object] | None = None,
) -> None:
    for warning in warnings:
        render.warn(warning)
    from cli.localcloud.provider.schema import recorded_types

    recorded = recorded_types() if stack.local is not None else frozenset[str]()
    if context.json:
        render.emit_json(
            kind,
            {
                "stack": stack.name,
                "counts": outcome.counts(),
                "changes": [
                    change.to_json() | ({"recorded": True} if change.type in recorded else {})
                    for change in outcome.changes
                ],
                "warnings": warnings,
            }
            | (more or {}),
        )
        return
    changes = [change for change in outcome.changes if everything or change.type.startswith("aws:")]
    if len(changes) > MOST_ROWS and not everything:
        counted = Counter((change.operation, _type(change.type, recorded)) for change in changes)
        render.table(
            f"{stack.name}: {kind} (--all lists each resource)",
            ["operation", "resources", "type"],
            [(operation, count, short) for (operation, short), count in sorted(counted.items())],
        )
    elif changes:
        render.table(
            f"{stack.name}: {kind}",
            ["operation", "type", "name", "properties"],
            [
                (
                    change.operation,
                    _type(change.type, recorded),
                    change.name,
                    _properties([entry.path for entry in change.properties], everything),
                )
                for change in changes
            ],
        )
    counts = ", ".join(f"{count} {operation}" for operation, count in outcome.counts().items())
    render.text(f"{stack.name}: {counts or 'no resources'}")


def _type(token: str, recorded: Set[str] = frozenset()) -> str:
    """`aws:ec2/vpc:Vpc` as people say it: ec2 Vpc."""
    module, _, name = token.removeprefix("aws:").partition(":")
    mark = " (recorded, not emulated)" if token in recorded else ""
    return f"{module.split('/')[0]} {name}{mark}"


def _properties(paths: list[str], everything: bool) -> str:
    shown = 4
    if everything or len(paths) <= shown:
        return ", ".join(paths)
    return ", ".join(paths[:shown]) + f" and {len(paths) - shown} more"
