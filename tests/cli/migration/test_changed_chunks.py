"""A window too short for all rows: what was written since they were equal, counts of the rest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from cli.migration import gate, report, runner
from cli.migration.phases import MISMATCH
from cli.migration.proof.scene import DATABASE, Scene
from tests.cli.migration.conftest import begin, order, rehearsed


def test_a_window_too_short_for_all_rows_compares_changed_chunks_and_says_so(
    stage: Callable[..., Scene],
) -> None:
    scene = stage(16, 18, logs=40_000)
    run = begin(scene)
    rehearsed(run, 1.0)
    kept = run.journal.fact("rehearsals")
    assert isinstance(kept, list)
    kept[0]["steps"]["verify"] = 500.0
    run.journal.remember("rehearsals", kept)
    run.window = timedelta(seconds=120)
    run.journal.remember("window length", "2m")

    planned = gate.plan(run)
    assert planned is not None
    assert not planned.fits, "nothing was ever compared, so all rows it must be"
    assert runner.compare(run)["differences"] == []
    planned = gate.plan(run)
    assert planned is not None
    assert planned.fits
    window = next(item for item in gate.evaluate(run) if item.name == "window")
    assert "verify compares changed chunks and counts" in window.detail

    with scene.source.connect(DATABASE) as conn:
        conn.execute("UPDATE moodle.mdl_log SET score = 1 WHERE id = 39000")
    assert order(run, "cutover") == 0
    assert run.journal.current.state == "hold"
    told = report.markdown(run.journal)
    assert "not all rows:" in told
    verified = report.build(run.journal)["verified"]
    assert isinstance(verified, list)
    assert verified[0]["all_rows"] is False
    assert 0 < verified[0]["hashed"] < verified[0]["rows"]
    assert order(run, "back") == 0

    # Known-bad twin: a value that changed on the target alone, since all were equal.
    with scene.target.connect(DATABASE) as conn:
        conn.execute("UPDATE moodle.mdl_log SET score = 2 WHERE id = 100")
    assert order(run, "cutover") == MISMATCH
    last = run.journal.last("outcome")
    assert last is not None
    assert "mdl_log_old" in str(last.data["text"])
