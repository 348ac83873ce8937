"""The runbook of a migration as Markdown: people, list, timetable, commands, what if."""

from __future__ import annotations

import shlex
import sys
from datetime import timedelta
from pathlib import Path

import jinja2

from cli.migration import gate, named
from cli.migration.durations import show_duration
from cli.migration.machine import Run


def render(run: Run, migration: str) -> str:
    """The runbook as of now; looks at both databases when the target soaks."""
    soaks = run.journal.current.state == "soak"
    planned = gate.plan(run) if soaks else None
    now = run.now()
    steps = {step.name: step for step in planned.steps} if planned else {}
    done = gate.rehearsals(run)
    kept = run.journal.fact("rehearsals")
    last = kept[-1] if isinstance(kept, list) and kept else {}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # noqa: S701 (Markdown, for a person's eyes)
        undefined=jinja2.StrictUndefined,
    )
    sides = (("source", run.spec.application.source), ("target", run.spec.application.target))
    commands = [
        (f"{what} ({side})", [shlex.join(command) for command in found])
        for side, each in sides
        for what, found in (("stop", each.stop), ("start", each.start))
    ]
    commands += [
        ("switch to the target", [shlex.join(c) for c in run.spec.switch.to_target]),
        ("switch back", [shlex.join(c) for c in run.spec.switch.to_source]),
    ]
    return environment.get_template("runbook.md.j2").render(
        name=migration,
        made=f"{now:%Y-%m-%d %H:%M}",
        file=named.folder() / f"{migration}.yaml",
        source=run.source.address,
        target=run.target.address,
        window=show_duration(gate.window(run)),
        accepted=sorted(run.accepted),
        gate=gate.evaluate(run) if soaks else [],
        budget=planned,
        allowed=_seconds(planned.allowed) if planned else "",
        revert=_seconds(planned.revert) if planned else "",
        timetable=[
            {
                "name": name,
                "expected": f"{expected:%H:%M:%S}",
                "latest": f"{latest:%H:%M:%S}",
                "p50": _seconds(steps[name].p50),
                "p90": _seconds(steps[name].p90),
                "basis": steps[name].basis,
            }
            for name, expected, latest in (planned.timetable(now) if planned else [])
        ],
        honesty=[
            f"{len(done)} rehearsals",
            f"scaled: {', '.join(last.get('scaled', [])) or 'nothing'}",
            f"not exercised: {', '.join(last.get('not_exercised', [])) or 'nothing'}",
        ],
        steps=commands,
        files=run.spec.files,
        not_kept=run.journal.fact("not kept") or "",
        python=sys.executable,
        reversible=run.engine.reversible,
    )


def _seconds(value: float) -> str:
    return show_duration(timedelta(seconds=value))
