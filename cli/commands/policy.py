"""`policy list` and `policy check`: the security controls, and whether a stack keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli import render
from cli.context import Context, pass_context

if TYPE_CHECKING:
    from infra.policy.report import Report


@click.group("policy", epilog="Example: firstbell policy check -s demo")
def command() -> None:
    """List AWS's security controls and judge a stack by them."""


@command.command("list", epilog="Example: firstbell policy list --json")
@pass_context
def list_controls(context: Context) -> None:
    """List the controls: what each asks, of which resources, and those that concern nothing here.

    `preview` and `policy check` judge a stack by them; exceptions stand in stacks/exceptions.yaml.
    """
    from infra.policy.base import source
    from infra.policy.catalogue import CONTROLS, NOT_APPLICABLE

    controls: list[dict[str, object]] = [
        {
            "id": control.id,
            "title": control.title,
            "types": list(control.types),
            "source": source(control.id),
        }
        for control in CONTROLS
    ]
    without: list[dict[str, object]] = [
        {"id": entry.id, "title": entry.title, "reason": entry.reason, "source": source(entry.id)}
        for entry in NOT_APPLICABLE
    ]
    if context.json:
        render.emit_json("policy-list", {"controls": controls, "not_applicable": without})
        return
    render.table(
        "Controls that the pack checks",
        ["control", "title", "resources"],
        [
            (
                control.id,
                control.title,
                ", ".join(kind.rsplit(":", 1)[-1] for kind in control.types),
            )
            for control in CONTROLS
        ],
    )
    render.table(
        "Controls that concern nothing here",
        ["control", "title", "reason"],
        [(entry.id, entry.title, entry.reason) for entry in NOT_APPLICABLE],
    )


@command.command("check", epilog="Example: firstbell policy check -s demo")
@pass_context
def check(context: Context) -> None:
    """Judge what is applied, from the state; exits 2 when a control fails.

    Quicker than `preview`, and finds exceptions that have expired since.
    """
    from cli import policy
    from cli.stack import open_stack
    from infra import clock

    name = context.require_stack()
    with render.step(f"opening {name}") as progress:
        stack = open_stack(name, progress, cloud=context.cloud)
        today = clock.now(stack.settings.cloud).date()
        report = policy.check_state(name, stack.resources(), today)
    if context.json:
        render.emit_json("policy-check", {"stack": name} | report.to_json())
    else:
        show(report)
    policy.refuse(report, name)


def show(report: Report) -> None:
    """The report for people: one line, then what is not plainly in order."""
    render.text(report.summary())
    if report.violations:
        render.table(
            "Controls that are not kept",
            ["control", "resource", "property", "value", "fix"],
            [
                (entry.control.id, entry.resource.name, fault.property, fault.value, fault.fix)
                for entry in report.violations
                for fault in (entry.fault,)
                if fault is not None
            ],
        )
    if report.undetermined:
        controls = list(dict.fromkeys(entry.control.id for entry in report.undetermined))
        render.text(
            "Judged again after `up`, since values are not known yet (--json lists them): "
            + ", ".join(controls)
        )
    if report.excepted:
        render.table(
            "Exceptions",
            ["control", "resource", "until", "reason"],
            [
                (entry.control.id, entry.resource.name, exception.expires, exception.reason)
                for entry, exception in report.excepted
            ],
        )
    for exception in report.unused:
        render.warn(f"stacks/exceptions.yaml: nothing needs the exception {exception}")
