"""The whole protocol on real MariaDB servers, under a writer, without kills."""

from __future__ import annotations

from collections.abc import Callable

from cli.migration.proof.mariadb import MariaDbScene
from tests.cli.migration.conftest import Outcome, begin, leftovers, order, rehearsed
from tests.cli.migration.test_orders import refused


def test_a_migration_goes_there_and_back_and_there_without_losing_a_write(
    stage: Callable[..., MariaDbScene], firstbell: Callable[..., Outcome]
) -> None:
    scene = stage()
    scene.start_load()
    scene.wait_for_writes()
    run = begin(scene)
    rehearsed(run)
    scene.wait_for_writes()
    assert order(run, "cutover") == 0
    scene.wait_for_writes()
    assert order(run, "back") == 0
    assert run.journal.current.state == "soak"
    scene.wait_for_writes()
    assert order(run, "cutover") == 0
    scene.wait_for_writes()
    assert order(run, "commit") == 0
    scene.wait_for_writes()
    scene.stop_load()

    evidence = scene.evidence(scene.target)
    assert (evidence.lost, evidence.doubled, evidence.overlaps) == ((), (), 0)
    assert [change[:2] for change in evidence.changes] == [
        ("source", "target"),
        ("target", "source"),
        ("source", "target"),
    ]
    assert evidence.acknowledged > 100
    assert leftovers(run) == []
    refused(firstbell("revert"), "there is no way back after commit")
    refused(firstbell("pause"), "pause is not possible in committed")
    assert not run.source.open_to_applications()
    assert run.target.open_to_applications()
