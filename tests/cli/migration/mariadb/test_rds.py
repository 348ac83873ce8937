"""RDS for MariaDB as the target: the whole protocol through the service's stored procedures."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from cli.migration import orders, rehearsal
from cli.migration.mariadb.dialect import Connection, OwnServer, Rds, Statement
from cli.migration.mariadb.gtid import Position
from cli.migration.proof.mariadb import MariaDbScene
from cli.migration.proof.servers import ADMIN
from tests.cli.migration.conftest import begin, leftovers, order, rehearsed
from tests.cli.migration.mariadb.conftest import mariadb
from tests.cli.migration.mariadb.rds import RdsStandIn

HERE = Connection("firstbell_x_fwd", "10.0.0.5", 3306, "firstbell_x_repl", "hunter2")
STANDING = Position.parse("1-1-40")
# How the scene's objects come to belong to an account that the master user may create for.
OURS = (
    f"CREATE OR REPLACE DEFINER = '{ADMIN}'@'%' FUNCTION mdl_next(n INT) RETURNS INT DETERMINISTIC"
    " RETURN n + 1",
    f"CREATE OR REPLACE DEFINER = '{ADMIN}'@'%' TRIGGER trim_names BEFORE INSERT ON mdl_user"
    " FOR EACH ROW SET NEW.username = TRIM(NEW.username)",
    f"CREATE OR REPLACE DEFINER = '{ADMIN}'@'%' EVENT tick ON SCHEDULE EVERY 1 SECOND DO"
    " INSERT INTO mdl_nokey VALUES (0, 'tick')",
)


def test_rds_is_told_by_its_procedures_and_the_password_stands_apart() -> None:
    assert Rds().configure(HERE, Position.parse("1-1-99"), STANDING) == [
        Statement(
            "CALL mysql.rds_set_external_master_gtid('10.0.0.5', 3306, 'firstbell_x_repl',",
            "hunter2",
            ", '1-1-99', 0)",
        )
    ]
    # Its procedure always moves the position, so that going on means naming where it stands.
    assert Rds().configure(HERE, None, STANDING)[0].after == ", '1-1-40', 0)"
    assert [each.text for each in (Rds().start(""), Rds().stop(""), Rds().forget(""))] == [
        "CALL mysql.rds_start_replication",
        "CALL mysql.rds_stop_replication",
        "CALL mysql.rds_reset_external_master",
    ]
    assert Rds().kill(7).text == "CALL mysql.rds_kill(7)"
    assert "hunter2" not in repr(HERE)


def test_an_own_servers_position_is_left_alone_when_replication_goes_on() -> None:
    assert [each.text[:20] for each in OwnServer().configure(HERE, None, STANDING)] == [
        "CHANGE MASTER 'first"
    ]
    assert OwnServer().configure(HERE, STANDING, STANDING)[0].text == (
        "SET GLOBAL gtid_slave_pos = '1-1-40'"
    )


def test_somebody_elses_replication_on_rds_is_never_taken_for_ours() -> None:
    def label(user: str, name: str = "", host: str = "10.0.0.5") -> str | None:
        return Rds().label({"Connection_name": name, "Master_User": user, "Master_Host": host})

    assert label("firstbell_x_repl") == "firstbell_x_fwd"
    assert label("firstbell_x_nobody") == "firstbell_x_nobody"
    assert label("reporting") == "the default one"
    assert label("firstbell_x_repl", "channel") == "channel"
    assert label("", host="") is None


def until(true: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_migration_to_rds_goes_there_and_back_and_there_without_losing_a_write(
    stage: Callable[..., MariaDbScene],
) -> None:
    scene = stage()
    target = RdsStandIn.of(scene.target)
    scene.target = target

    found = {each.name: each for each in orders.check(scene.name)}
    assert {name for name, each in found.items() if each.severity != "note"} == {
        "binlog-retention-target",
        "definers-target",
        "function-creators-target",
        "grants-target",
    }
    assert "'root'@'%' " in found["grants-target"].detail
    scene.source.sql(*OURS)
    with target.connect("mysql") as conn, conn.cursor() as cursor:
        cursor.execute(found["binlog-retention-target"].fix)
    target.sql("SET GLOBAL log_bin_trust_function_creators = 1", database=None)
    target.sql("SET GLOBAL general_log = 1", database=None)
    assert "statement-log-target" in {each.name for each in orders.check(scene.name)}
    target.sql("SET GLOBAL general_log = 0", database=None)
    accepted = frozenset({"grants-target"})
    assert not [each for each in orders.check(scene.name, accepted) if each.blocks(accepted)]

    scene.start_load()
    scene.wait_for_writes()
    run = begin(scene, accept=accepted)
    rehearsed(run)
    scene.wait_for_writes()
    assert order(run, "cutover") == 0
    scene.wait_for_writes()
    # What the target unlocked must not have opened the source.
    assert not run.source.open_to_applications()
    assert order(run, "back") == 0
    assert not run.target.open_to_applications()
    scene.wait_for_writes()
    assert order(run, "cutover") == 0
    scene.wait_for_writes()
    scene.stop_load()
    evidence = scene.evidence(target)
    assert (evidence.lost, evidence.doubled, evidence.overlaps) == ((), (), 0)
    assert [change[:2] for change in evidence.changes] == [
        ("source", "target"),
        ("target", "source"),
        ("source", "target"),
    ]

    # The twin: without the filter, which a crash takes away, what RDS unlocks opens the source.
    engine, unlock = mariadb(run), "ALTER USER lms_app@'%' ACCOUNT UNLOCK"
    scene.source.kill()
    scene.source.start()
    run.close()
    with target.connect() as conn, conn.cursor() as cursor:
        cursor.execute(unlock)
        until(run.source.open_to_applications)
        engine.keep_up(run)
        assert engine.source.leaves_accounts_alone(engine.name("back"))
        cursor.execute(unlock)
    engine.drain(run, "back")
    assert not run.source.open_to_applications()

    assert order(run, "commit") == 0
    assert leftovers(run) == []
    assert run.target.open_to_applications()
    assert target.calls()[-3:] == ["start", "stop", "reset"]


@pytest.mark.slow
def test_a_rehearsal_may_use_rds_too_and_giving_up_leaves_nothing_there(
    stage: Callable[..., MariaDbScene],
) -> None:
    scene = stage(rehearsal=True)
    assert scene.rehearsal_target is not None
    scene.target = RdsStandIn.of(scene.target)
    scene.rehearsal_target = RdsStandIn.of(scene.rehearsal_target)
    for rds in (scene.target, scene.rehearsal_target):
        rds.sql("SET GLOBAL log_bin_trust_function_creators = 1", database=None)
        rds.sql("CALL rds_set_configuration('binlog retention hours', 168)", database="mysql")
    scene.source.sql(*OURS)
    run = begin(scene, accept=["grants-target"])
    steps = rehearsal.rehearse(run)["steps"]
    assert isinstance(steps, dict)
    assert all(steps[name] > 0 for name in ("fence", "drain", "verify", "flip"))
    assert order(run, "discard") == 0
    assert run.journal.current.state == "discarded"
    assert leftovers(run) == []
    tables = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'lms'"
    assert scene.target.one(tables) == 0
    assert run.source.open_to_applications()
