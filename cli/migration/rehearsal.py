"""Rehearses a cutover and its way back between two scratch databases, and times every step.

Both are made from the soaking target. The source is not touched. What a scratch server cannot show
is named in the record.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from cli.migration import programs, states
from cli.migration.engine import Stage
from cli.migration.journal import Journal, root
from cli.migration.machine import Run, drive, elapsed
from cli.migration.phases import (
    REVERT,
    TIMED,
)
from cli.migration.spec import Rehearsal
from infra.errors import FirstbellError, InputError

_MOST_WRITES_PER_SECOND: Final = 2000.0
_LOAD_SECONDS: Final = 1.0


def rehearse(run: Run, progress: Callable[[str], None] = lambda _text: None) -> dict[str, object]:
    """One rehearsal: its record, which is also remembered in the journal.

    Raises:
        InputError: no rehearsal server is named, or the migration does not soak.
        FirstbellError: the rehearsal itself failed.
    """
    if run.spec.rehearsal is None:
        raise InputError(
            "no rehearsal server is named",
            where=f"{run.journal.meta['migration']}.yaml: rehearsal",
            fix="add rehearsal: {dsn: …, peer_dsn: …}: a scratch server, or the target's own",
        )
    if run.journal.current.state != "soak":
        raise InputError(
            f"a rehearsal needs a soaking target; the migration is in {run.journal.current.state}",
            fix="firstbell migrate status",
        )
    _refuse_missing_programs(run, run.spec.rehearsal)
    stage = run.engine.stage(run, run.spec.rehearsal)
    try:
        progress("loading the scratch databases")
        stage.build()
        progress("running the protocol")
        record = _play(run, stage)
    finally:
        progress("discarding the scratch databases")
        stage.clear()
    kept = run.journal.fact("rehearsals")
    run.journal.remember("rehearsals", [*(kept if isinstance(kept, list) else []), record])
    run.journal.note("rehearsed", **record)
    return record


def _refuse_missing_programs(run: Run, wanted: Rehearsal) -> None:
    missing = programs.missing(
        (
            *programs.of_side("rehearsal", wanted),
            *programs.of_ways("rehearsal.switch", wanted.switch),
            *programs.of_tests(wanted.smoke),
        )
    )
    if missing:
        raise InputError(
            f"not on this runner: {', '.join(missing)}",
            where=f"{run.journal.meta['migration']}.yaml: rehearsal",
            fix="write them, or take the keys out: what has no stand-in is named as not exercised",
        )


def _play(run: Run, stage: Stage) -> dict[str, object]:
    """Cut over and revert under load; what each step took."""
    journal_path = root(run.journal.meta["migration"]) / "rehearsals"
    journal_path.mkdir(parents=True, exist_ok=True)
    number = len(list(journal_path.glob("*.db"))) + 1
    journal = Journal.create(journal_path / f"{number}.db", f"{run.journal.meta['migration']}-r")
    nested = Run(
        run.name,
        run.spec,
        journal,
        stage.engine,
        accepted=stage.accepted,
        rehearsing=True,
    )
    rate = min(run.engine.observed_rate(), _MOST_WRITES_PER_SECOND)
    rows, size = nested.engine.sizes()
    try:
        _drive(nested, "soak")
        load = stage.load(rate)
        load.start()
        try:
            time.sleep(_LOAD_SECONDS)
            journal.order("cutover")
            _drive(nested, "hold")
            time.sleep(_LOAD_SECONDS)
            journal.order("back")
            _drive(nested, "soak")
        finally:
            load.end()
        taken = {name: length.total_seconds() for name, length in elapsed(journal, 1).items()}
    finally:
        journal.close()
    scaled = [f"load: {load.written} writes at {rate:.0f} a second, into one table"]
    left_out = [*stage.left_out]
    left_out += ["files (estimated from the passes)"] if run.trees else []
    wanted = run.spec.rehearsal
    if wanted is not None:
        left_out += [] if wanted.stop and wanted.start else ["application stop and start"]
        left_out += [] if wanted.switch.to_target else ["switch"]
        left_out += [] if wanted.smoke else ["smoke"]
    return {
        "at": run.now().isoformat(),
        "steps": {name: round(taken.get(name, 0.0), 3) for name in TIMED},
        "revert": round(sum(taken.get(name, 0.0) for name in REVERT), 3),
        "rows": rows,
        "bytes": size,
        "scaled": scaled,
        "not_exercised": left_out,
    }


def _drive(nested: Run, wanted: str) -> None:
    code = drive(nested, states.STATES)
    if nested.journal.current.state != wanted:
        last = nested.journal.last("outcome")
        raise FirstbellError(
            f"the rehearsal ended in {nested.journal.current.state}, not in {wanted}",
            why=str(last.data.get("text")) if last else f"code {code}",
        )
