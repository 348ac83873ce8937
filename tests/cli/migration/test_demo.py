"""The demo's migration, smaller: detached runner, rehearsal, files, two cutovers and a revert."""

from __future__ import annotations

from cli.migration import demo


def test_the_demo_loses_doubles_and_overlaps_nothing() -> None:
    said: list[str] = []
    result = demo.run(said.append, users=500, logs=2000, files=30, rehearsals=1)
    assert result.clean
    assert len(result.outages_seconds) == 3
    assert result.files > 30
    assert result.rows > 2500
    assert said[-1] == "commit: the target stays; everything of ours is removed"
