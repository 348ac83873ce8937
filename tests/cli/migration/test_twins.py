"""Known-bad twins: each sabotage is found, and a protocol that lacks a part loses writes."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable

import pytest

from cli.migration import machine, phases, states
from cli.migration.machine import Run, State
from cli.migration.proof.scene import DATABASE, Scene
from cli.migration.proof.servers import PostgresServer
from tests.cli.migration.conftest import begin, leftovers, order, postgres, rehearsed


def nothing(_run: Run) -> None:
    """A part of the protocol that is left out."""


def without(**parts: Callable[[Run], None] | State) -> dict[str, State]:
    """The table of states with some replaced: by nothing, or by another state."""
    table = dict(states.STATES)
    for name, part in parts.items():
        table[name] = part if isinstance(part, State) else State(name, part, nothing, undo="none")
    return table


def sql(server: PostgresServer, statement: str) -> None:
    with server.connect(DATABASE) as conn:
        conn.execute("SET session_replication_role = replica")
        conn.execute(statement.encode())


@pytest.fixture
def soaking(stage: Callable[..., Scene]) -> tuple[Scene, Run]:
    """A scene whose migration soaks, with a rehearsal in the journal."""
    scene = stage(16, 18)
    run = begin(scene)
    rehearsed(run)
    return scene, run


def test_without_the_fence_both_sides_acknowledge_writes(soaking: tuple[Scene, Run]) -> None:
    scene, run = soaking
    scene.start_load()
    scene.wait_for_writes()
    token_only = State("flip", states.STATES["flip"].act, nothing, undo="none")
    run.journal.order("cutover")
    machine.drive(run, without(fence=nothing, verify=nothing, flip=token_only))
    assert run.journal.current.state == "hold"
    scene.wait_for_writes(40)
    scene.stop_load()
    evidence = scene.evidence(scene.target)
    assert len(evidence.changes) > 1


def test_without_the_drain_check_writes_are_lost(soaking: tuple[Scene, Run]) -> None:
    scene, run = soaking
    # A stalled apply worker, as a full disk or a long lock makes it.
    run.engine.halt("forward")
    scene.start_load()
    scene.wait_for_writes(50)
    run.journal.order("cutover")
    machine.drive(run, without(drain=nothing, verify=nothing))
    assert run.journal.current.state == "hold"
    scene.wait_for_writes()
    scene.stop_load()
    assert len(scene.evidence(scene.target).lost) > 10


def test_with_the_drain_check_the_same_stall_goes_back_in_time(
    soaking: tuple[Scene, Run],
) -> None:
    scene, run = soaking
    rehearsed(run, 0.5)
    run.journal.remember("window length", "12s")
    run.engine.halt("forward")
    sql(scene.source, "INSERT INTO moodle.proof_row (id, version) VALUES (1, 1)")
    assert order(run, "cutover") == phases.LATE
    assert run.journal.current.state == "soak"
    assert run.source.open_to_applications()
    assert not run.target.open_to_applications()


def test_without_the_token_the_target_opens_although_nothing_flows_back(
    soaking: tuple[Scene, Run],
) -> None:
    scene, run = soaking

    def broken_flip(found: Run) -> None:
        states.STATES["flip"].act(found)
        found.engine.halt("back")

    run.journal.order("cutover")
    machine.drive(run, without(flip=broken_flip))
    assert run.journal.current.state == "hold"
    scene.start_load()
    scene.wait_for_writes(40)
    scene.stop_load()
    assert len(scene.evidence(scene.source).lost) > 10


def test_with_the_token_the_same_fault_never_lets_the_target_open(
    soaking: tuple[Scene, Run],
) -> None:
    _, run = soaking
    rehearsed(run, 0.5)
    run.journal.remember("window length", "12s")
    flip = states.STATES["flip"]

    def broken(found: Run) -> None:
        flip.act(found)
        found.engine.halt("back")

    run.journal.order("cutover")
    code = machine.drive(run, without(flip=dataclasses.replace(flip, act=broken)))
    assert code == phases.LATE
    assert run.journal.current.state == "soak"
    assert run.source.open_to_applications()


# What is done to the target inside the fence, what names it, and what heals it.
SABOTAGE = (
    (
        "UPDATE moodle.mdl_user SET username = 'other' WHERE id = 7",
        "moodle.mdl_user: source 200 rows, target 200 rows; differing rows: (7) differs",
        "UPDATE moodle.mdl_user SET username = 'user7' WHERE id = 7",
    ),
    (
        "DELETE FROM moodle.mdl_nokey WHERE a = 9",
        "moodle.mdl_nokey: source 50 rows, target 49 rows;"
        " differing rows: (9,n9) missing on the target",
        "INSERT INTO moodle.mdl_nokey VALUES (9, 'n9')",
    ),
    (
        "SELECT setval('moodle.mdl_user_id_seq', 5)",
        "sequence moodle.mdl_user_id_seq is behind",
        "SELECT 1",
    ),
    ("SELECT lo_unlink(oid) FROM pg_largeobject_metadata", "large objects differ", "SELECT 1"),
    (
        "REVOKE SELECT ON moodle.mdl_names FROM lms_reports",
        "grant moodle.mdl_names",
        "GRANT SELECT ON moodle.mdl_names TO lms_reports",
    ),
    (
        "ALTER TABLE moodle.mdl_files ADD COLUMN extra int",
        "column moodle.mdl_files.extra",
        "ALTER TABLE moodle.mdl_files DROP COLUMN extra",
    ),
    (
        "CREATE OR REPLACE VIEW moodle.mdl_names AS"
        " SELECT id, username FROM moodle.mdl_user WHERE mood = 'bored'",
        "view moodle.mdl_names",
        "CREATE OR REPLACE VIEW moodle.mdl_names AS"
        " SELECT id, username FROM moodle.mdl_user WHERE mood = 'fine'",
    ),
)


def test_each_difference_inside_the_fence_is_named_and_brings_users_back(
    soaking: tuple[Scene, Run],
) -> None:
    scene, run = soaking
    for sabotage, named, heal in SABOTAGE:

        def spoil(found: Run, statement: str = sabotage) -> None:
            sql(scene.target, statement)
            states.STATES["verify"].act(found)

        run.journal.order("cutover")
        assert machine.drive(run, without(verify=spoil)) == phases.MISMATCH
        last = run.journal.last("outcome")
        assert last is not None
        assert named in str(last.data["text"])
        assert run.journal.current.state == "soak"
        assert run.source.open_to_applications()
        assert not run.target.open_to_applications()
        sql(scene.target, heal)
    assert order(run, "cutover") == 0


@pytest.mark.parametrize(
    "statement",
    [
        "REVOKE SELECT ON moodle.mdl_names FROM lms_reports",
        "DROP INDEX moodle.mdl_files_contenthash_idx",
    ],
)
def test_a_schema_that_differs_keeps_the_gate_closed(
    soaking: tuple[Scene, Run], statement: str
) -> None:
    scene, run = soaking
    sql(scene.target, statement)
    assert order(run, "cutover") == phases.MISMATCH
    assert run.journal.current.state == "soak"
    assert not any(event.step == "fence" for event in run.journal.events())


def test_a_changed_byte_in_a_file_stops_the_cutover(stage: Callable[..., Scene]) -> None:
    scene = stage(16, 18, files=5)
    run = begin(scene)
    rehearsed(run)
    tree = run.trees[0]
    tree.carry(to="target", stop=lambda: None)
    for path in sorted((scene.mounted / "filedir").rglob("*")):
        if path.is_file():
            # Copied a moment ago, its original's stamp is not trusted yet; an older file's is.
            original = scene.dataroot / path.relative_to(scene.mounted)
            os.utime(original, ns=(1, 1))
    aged = type(tree)(tree.spec, tree.manifest.path, now=lambda: 4e9)
    aged.carry(to="target", stop=lambda: None)
    aged.close()
    victim = next(p for p in (scene.mounted / "filedir").rglob("*") if p.is_file())
    stamp = victim.stat()
    victim.write_bytes(bytes([victim.read_bytes()[0] ^ 1]) + victim.read_bytes()[1:])
    os.utime(victim, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert order(run, "cutover") == phases.MISMATCH
    last = run.journal.last("outcome")
    assert last is not None
    assert victim.name in str(last.data["text"])
    assert run.source.open_to_applications()


def test_a_revert_whose_slot_was_lost_leaves_users_where_they_can_write(
    soaking: tuple[Scene, Run],
) -> None:
    _, run = soaking
    assert order(run, "cutover") == 0
    target, name = postgres(run).target, postgres(run).link("back").name
    target.drop_slot(name)
    assert order(run, "back") == phases.HUMAN
    assert run.journal.current.state == "hold"
    assert run.target.open_to_applications()
    assert not run.source.open_to_applications()
    assert order(run, "commit") == 0
    assert leftovers(run) == []


def test_a_smoke_test_that_fails_brings_users_back(stage: Callable[..., Scene]) -> None:
    scene = stage(16, 18)
    failing = {"name": "quiz", "command": ["false"], "when": "after", "timeout": "1s"}
    nothing_ = [["true"]]
    sides = {"stop": nothing_, "start": nothing_}
    scene.write_spec(
        application={"kind": "moodle", "source": sides, "target": sides, "smoke": [failing]}
    )
    run = begin(scene)
    rehearsed(run)
    assert order(run, "cutover") == phases.ERROR
    last = run.journal.last("outcome")
    assert last is not None
    assert "smoke test 'quiz' fails" in str(last.data["text"])
    assert run.journal.current.state == "soak"
    assert run.source.open_to_applications()
    assert not run.target.open_to_applications()
