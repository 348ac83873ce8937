"""Orders on real MariaDB servers: what is refused, a lost journal, the way back, giving up."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable

import pytest

from cli.migration import machine, orders, phases, states
from cli.migration.journal import root
from cli.migration.machine import Run
from cli.migration.mariadb.server import RunnerLock
from cli.migration.proof.mariadb import MariaDbScene
from cli.migration.spec import NOBODY
from infra.errors import InputError
from tests.cli.migration.conftest import Outcome, begin, leftovers, order, rehearsed
from tests.cli.migration.mariadb.conftest import mariadb
from tests.cli.migration.test_orders import change, refused
from tests.cli.migration.test_twins import without

Firstbell = Callable[..., Outcome]


def test_one_migration_of_database_and_files_is_ordered_lost_adopted_reverted_and_given_up(
    stage: Callable[..., MariaDbScene], firstbell: Firstbell, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = stage(files=30)
    refused(firstbell("status"), "was not started", "firstbell migrate start")
    run = begin(scene)
    given = next(scene.dataroot.glob("filedir/*/*/*"))
    content = scene.mounted / given.relative_to(scene.dataroot)

    # A second start, a second runner here, one on another machine.
    refused(firstbell("start"), "was started before", "firstbell migrate status")
    lock, second = RunnerLock(mariadb(run).source), RunnerLock(mariadb(run).source)
    lock.take()
    with pytest.raises(InputError, match="another runner works on migration school"):
        second.take(seconds=0.5)
    lock.close()
    second.take(seconds=5)
    second.close()
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("FIRSTBELL_HOME", str(scene.folder / "elsewhere"))
        refused(firstbell("start"), "belongs to migration 'school'", "firstbell migrate adopt")

    # Orders that do not fit.
    refused(firstbell("cutover"), "no rehearsal: firstbell migrate rehearse")
    rehearsed(run)
    refused(firstbell("cutover", "--window", "5s"), "window: P90", "of at most")
    refused(firstbell("revert"), "revert is not possible in soak")
    refused(firstbell("abort"), "abort is not possible in soak")
    refused(firstbell("commit", "--confirm", "other"), "'other' is not this migration's name")
    refused(firstbell("commit", "--confirm", scene.name), "commit is not possible in soak")
    change(scene, gate=[])
    refused(firstbell("cutover", "--dry-run"), "the cutover would not start")
    change(scene, gate=[{"name": "backup restored", "attested": NOBODY}])
    refused(firstbell("cutover"), "backup restored: nobody attests it yet", "dns ttl lowered")
    scene.write_spec(switch={"to_target": ["./no-switch on"], "to_source": ["./no-switch off"]})
    refused(firstbell("cutover"), "programs: not on this runner: ./no-switch (switch.to_target)")
    scene.write_spec()
    assert firstbell("cutover", "--dry-run").code == 0

    # Rows compared while users write: equal, and with one that is not.
    assert firstbell("verify").code == 0
    scene.target.sql("UPDATE mdl_user SET mood = NULL WHERE id = 3")
    unequal = firstbell("verify")
    assert unequal.code == phases.MISMATCH
    assert "mdl_user" in unequal.out + unequal.err
    assert "(3)" in unequal.out + unequal.err
    stopped = firstbell("cutover")
    assert (stopped.code, "verification: 1 differences" in stopped.err) == (phases.MISMATCH, True)
    scene.target.sql("UPDATE mdl_user SET mood = 'fine' WHERE id = 3")
    assert firstbell("verify").code == 0

    # One changed byte of equal size and time inside the fence: found, and users go back.
    def spoil(found: Run) -> None:
        refused(firstbell("pause"), "pause is not possible in verify", "firstbell migrate abort")
        kept, before = content.stat(), content.read_bytes()
        content.chmod(0o644)
        content.write_bytes(bytes([before[0] ^ 1]) + before[1:])
        os.utime(content, ns=(kept.st_atime_ns, kept.st_mtime_ns))
        states.STATES["verify"].act(found)

    run.journal.order("cutover")
    assert machine.drive(run, without(verify=spoil)) == phases.MISMATCH
    last = run.journal.last("outcome")
    assert last is not None
    assert content.name in str(last.data["text"])
    assert run.source.open_to_applications()
    content.unlink()
    assert order(run, "cutover") == 0
    assert hashlib.sha1(content.read_bytes(), usedforsecurity=False).hexdigest() == content.name
    refused(firstbell("pause"), "pause is not possible in hold")
    refused(firstbell("abort"), "fix: firstbell migrate revert")

    # The journal is lost while users are on the target, who write rows and files there.
    with scene.target.connect("lms") as conn, conn.cursor() as cursor:
        cursor.execute("INSERT INTO mdl_user (username) VALUES ('new on the target')")
    (scene.mounted / "lang" / "new.php").write_text("<?php // from the target")
    run.journal.close()
    shutil.rmtree(root(scene.name))
    assert orders.adopt(scene.name) == "hold"
    code, text = orders.follow(scene.name, orders.revert(scene.name))
    assert (code, text) == (0, "back on the source: ordered")
    found = scene.source.one("SELECT COUNT(*) FROM mdl_user WHERE username = 'new on the target'")
    assert found == 1
    assert (scene.dataroot / "lang" / "new.php").exists()

    # Given up: the target is as it was found, and nothing of ours is anywhere.
    journal = orders.opened(scene.name)
    assert journal.current.state == "soak"
    code, _ = orders.follow(scene.name, orders.abort(scene.name, discard=True))
    assert (code, journal.current.state) == (0, "discarded")
    journal.close()
    assert scene.target.one("SELECT COUNT(*) FROM information_schema.TABLES"
                            " WHERE TABLE_SCHEMA = 'lms'") == 0  # fmt: skip
    assert leftovers(run) == []
    assert run.source.open_to_applications()
    assert "lms_app" not in {user for user, *_ in mariadb(run).target.accounts()}
    refused(firstbell("revert"), "discarded")
    assert os.environ["SCENE_SOURCE"] not in firstbell("status").out
