"""Known-bad twins on MariaDB: each sabotage is found, and so is a protocol that lacks a part."""

from __future__ import annotations

from collections.abc import Callable

from cli.migration import machine, phases, states
from cli.migration.machine import Run
from cli.migration.proof.mariadb import MariaDbScene
from tests.cli.migration.conftest import begin, order, rehearsed
from tests.cli.migration.test_twins import nothing, without

# What is done to the target inside the fence, what names it, and what heals it.
SABOTAGE = (
    (
        "UPDATE mdl_user SET username = 'other' WHERE id = 7",
        "mdl_user: source 200 rows, target 200 rows; differing rows: (7) differs",
        "UPDATE mdl_user SET username = 'user7' WHERE id = 7",
    ),
    (
        "DELETE FROM mdl_parts WHERE id = 9",
        "mdl_parts: source 20 rows, target 19 rows; differing rows: (9,2026-01-08) missing on the"
        " target",
        "INSERT INTO mdl_parts VALUES (9, '2026-01-08')",
    ),
    (
        "ALTER TABLE mdl_user AUTO_INCREMENT = 1",
        "automatic id of mdl_user is behind: 201, not",
        "DO 0",
    ),
    (
        "REVOKE SELECT ON mdl_names FROM lms_reports",
        "grant 'lms_reports'@'' on mdl_names",
        "GRANT SELECT ON mdl_names TO lms_reports",
    ),
    (
        "ALTER TABLE mdl_files ADD COLUMN extra INT",
        "column mdl_files.extra",
        "ALTER TABLE mdl_files DROP COLUMN extra",
    ),
    (
        "CREATE OR REPLACE DEFINER = 'lms_app'@'%' FUNCTION mdl_next(n INT) RETURNS INT"
        " DETERMINISTIC RETURN n + 2",
        "routine function mdl_next",
        "CREATE OR REPLACE DEFINER = 'lms_app'@'%' FUNCTION mdl_next(n INT) RETURNS INT"
        " DETERMINISTIC RETURN n + 1",
    ),
)


def test_each_difference_inside_the_fence_is_named_and_brings_users_back(
    stage: Callable[..., MariaDbScene],
) -> None:
    scene = stage()
    run = begin(scene)
    rehearsed(run)
    for sabotage, named, heal in SABOTAGE:

        def spoil(found: Run, statement: str = sabotage) -> None:
            scene.target.sql(statement)
            states.STATES["verify"].act(found)

        run.journal.order("cutover")
        code = machine.drive(run, without(verify=spoil))
        last = run.journal.last("outcome")
        assert last is not None
        assert named in str(last.data["text"])
        assert code == phases.MISMATCH
        assert run.journal.current.state == "soak"
        assert run.source.open_to_applications()
        assert not run.target.open_to_applications()
        scene.target.sql(heal)
    assert order(run, "cutover") == 0


def test_the_protocol_without_a_part_loses_writes_and_with_it_goes_back(
    stage: Callable[..., MariaDbScene],
) -> None:
    scene = stage()
    run = begin(scene)

    # With the drain check a stalled applier only makes the cutover late.
    rehearsed(run, 0.5)
    run.journal.remember("window length", "15s")
    run.engine.halt("forward")
    scene.source.sql("DO 0")
    assert order(run, "cutover") == phases.LATE
    assert run.journal.current.state == "soak"
    assert run.source.open_to_applications()
    assert not run.target.open_to_applications()

    # With the token nothing opens over a way back that does not flow.
    def broken(found: Run) -> None:
        states.STATES["flip"].act(found)
        found.engine.halt("back")

    flip = machine.State("flip", broken, states.STATES["flip"].check, undo="abort")
    run.journal.order("cutover")
    assert machine.drive(run, without(flip=flip)) == phases.LATE
    assert run.source.open_to_applications()

    # Without the drain check the same stall loses writes.
    rehearsed(run)
    run.journal.remember("window length", "10m")
    run.engine.halt("forward")
    scene.start_load()
    scene.wait_for_writes(50)
    run.journal.order("cutover")
    machine.drive(run, without(drain=nothing, verify=nothing))
    assert run.journal.current.state == "hold"
    scene.wait_for_writes()
    scene.stop_load()
    assert len(scene.evidence(scene.target).lost) > 10


def test_without_the_fence_both_sides_acknowledge_writes(
    stage: Callable[..., MariaDbScene],
) -> None:
    scene = stage()
    run = begin(scene)
    rehearsed(run)
    scene.start_load()
    scene.wait_for_writes()
    token_only = machine.State("flip", states.STATES["flip"].act, nothing, undo="none")
    run.journal.order("cutover")
    machine.drive(run, without(fence=nothing, verify=nothing, flip=token_only))
    assert run.journal.current.state == "hold"
    scene.wait_for_writes(40)
    scene.stop_load()
    assert len(scene.evidence(scene.target).changes) > 1


def test_without_the_token_the_target_opens_although_nothing_flows_back(
    stage: Callable[..., MariaDbScene],
) -> None:
    scene = stage()
    run = begin(scene)
    rehearsed(run)

    def broken(found: Run) -> None:
        states.STATES["flip"].act(found)
        found.engine.halt("back")

    run.journal.order("cutover")
    machine.drive(run, without(flip=broken))
    assert run.journal.current.state == "hold"
    scene.start_load()
    scene.wait_for_writes(40)
    scene.stop_load()
    assert len(scene.evidence(scene.source).lost) > 10
