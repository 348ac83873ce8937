"""What preflight finds on real servers, each blocker beside the same database without it."""

from __future__ import annotations

import os
from collections.abc import Callable

from cli.migration import orders, states
from cli.migration.proof.scene import APPLICATION, DATABASE, Scene
from cli.migration.proof.servers import ADMIN, PostgresServer
from tests.cli.migration.conftest import leftovers


def names(scene: Scene, *accepted: str) -> set[str]:
    """The names of what blocks."""
    wanted = frozenset(accepted)
    return {each.name for each in orders.check(scene.name, wanted) if each.blocks(wanted)}


def sql(server: PostgresServer, statement: str, database: str = DATABASE) -> None:
    with server.connect(database) as conn:
        conn.execute(statement.encode())


def test_a_healthy_pair_has_no_blocker_and_its_peculiarities_are_explained(
    stage: Callable[..., Scene],
) -> None:
    scene = stage(16, 18)
    found = orders.check(scene.name)
    assert not [each for each in found if each.severity != "note"]
    text = "\n".join(str(each) for each in found)
    assert "moodle.mdl_nokey (all columns)" in text
    assert "moodle.mdl_unique (index mdl_unique_a_key)" in text
    assert "unlogged tables are carried inside the fence: moodle.mdl_cache" in text
    assert "materialised views are refreshed: moodle.mdl_active" in text
    assert "large objects are carried inside the fence" in text


def test_what_would_break_the_fence_or_the_stream_is_found(stage: Callable[..., Scene]) -> None:
    scene = stage(16, 18)
    source, target = scene.source, scene.target
    assert names(scene) == set()

    sql(source, "ALTER TABLE moodle.mdl_user ENABLE ALWAYS TRIGGER trim_names")
    assert names(scene) == {"always-triggers"}
    assert names(scene, "always-triggers") == set()
    sql(source, "ALTER TABLE moodle.mdl_user ENABLE TRIGGER trim_names")

    sql(source, "CREATE DATABASE wiki OWNER lms_app")
    assert names(scene) == {"shared-role-source"}
    assert names(scene, "shared-role-source") == {"shared-role-source"}
    sql(source, "DROP DATABASE wiki", "postgres")

    sql(target, "CREATE TABLE public.full_already (a int)")
    assert names(scene) == {"target-not-empty"}
    sql(target, "DROP TABLE public.full_already")

    sql(
        target, "CREATE SUBSCRIPTION other CONNECTION 'dbname=x' PUBLICATION y WITH (connect=false)"
    )
    assert names(scene) == {"subscriptions-target"}
    sql(target, "ALTER SUBSCRIPTION other SET (slot_name = NONE)")
    sql(target, "DROP SUBSCRIPTION other")

    with source.connect(DATABASE):  # somebody else who signs in with the migration's own role
        assert names(scene) == {"application-role-source"}

    sql(source, "ALTER ROLE postgres NOLOGIN")
    assert names(scene) == {"only-superuser-source"}
    sql(source, "ALTER ROLE postgres LOGIN")

    sql(source, "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w")
    sql(source, "CREATE FOREIGN TABLE moodle.far (a int) SERVER s")
    assert names(scene) == {"foreign-tables"}
    sql(source, "DROP FOREIGN DATA WRAPPER w CASCADE")
    assert names(scene) == set()


def test_settings_that_replication_needs_are_found_with_the_way_on(
    stage: Callable[..., Scene],
) -> None:
    scene = stage(16, 18)
    for setting in (
        "wal_level = replica",
        "max_prepared_transactions = 5",
        "max_replication_slots = 2",
    ):
        sql(scene.source, f"ALTER SYSTEM SET {setting}", "postgres")
    scene.source.stop()
    scene.source.start()
    with scene.source.connect(DATABASE) as conn:
        conn.execute("BEGIN")
        conn.execute("INSERT INTO moodle.mdl_unique VALUES (1000, 'x')")
        conn.execute("PREPARE TRANSACTION 'later'")
    found = {each.name: each for each in orders.check(scene.name)}
    wanted = {"wal-level-source", "prepared-transactions-source", "max-replication-slots-source"}
    assert wanted <= found.keys()
    assert all(found[name].severity == "blocker" and found[name].fix for name in wanted)
    sql(scene.source, "ROLLBACK PREPARED 'later'")


def test_an_unreachable_peer_is_told_from_one_that_only_refuses_a_password(
    stage: Callable[..., Scene],
) -> None:
    scene = stage(16, 18)
    scene.write_spec(source={"dsn": "env:SCENE_SOURCE", "peer_dsn": "env:FAR"})
    os.environ["FAR"] = f"host=127.0.0.1 port=1 dbname={DATABASE} user={ADMIN}"
    assert names(scene) == {"network-target-to-source"}
    os.environ["FAR"] = scene.source.dsn(DATABASE, APPLICATION, "wrong")
    assert names(scene) == set()


def test_preflight_changes_nothing(stage: Callable[..., Scene]) -> None:
    scene = stage(16, 18)
    run = orders.looking(scene.name)
    states.findings(run)
    assert leftovers(run) == []
    run.close()
