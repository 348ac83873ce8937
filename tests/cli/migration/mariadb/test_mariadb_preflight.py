"""What preflight finds on real MariaDB servers, and bad input, each refused with the way on."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from cli.migration import orders
from cli.migration.engine import Finding
from cli.migration.journal import root
from cli.migration.mariadb import preflight
from cli.migration.mariadb.server import Address, Server
from cli.migration.proof.mariadb import MariaDbScene
from cli.migration.proof.scene import DATABASE
from cli.migration.proof.servers import ADMIN
from tests.cli.migration.conftest import Outcome

HIDDEN = "hunter2"
Firstbell = Callable[..., Outcome]


def names(scene: MariaDbScene, *accepted: str) -> set[str]:
    """The names of what blocks."""
    wanted = frozenset(accepted)
    return {each.name for each in orders.check(scene.name, wanted) if each.blocks(wanted)}


def test_what_would_break_the_fence_or_the_stream_is_found(
    stage: Callable[..., MariaDbScene], firstbell: Firstbell, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = stage()
    source, target = scene.source, scene.target
    found = orders.check(scene.name)
    assert not [each for each in found if each.severity != "note"]
    text = "\n".join(map(str, found))
    assert "`mdl_nokey`" in text
    assert "events are silent on the side that is fenced: tick" in text
    assert root(scene.name).joinpath("journal.db").exists() is False

    for wrong, right, name in (
        ("CREATE TABLE old (a INT) ENGINE = MyISAM", "DROP TABLE old", "not-innodb"),
        ("CREATE TABLE f (a FLOAT)", "DROP TABLE f", "float-without-key"),
        (
            "SET GLOBAL binlog_format = MIXED",
            "SET GLOBAL binlog_format = ROW",
            "binlog-format-source",
        ),
        (
            "SET GLOBAL binlog_row_image = MINIMAL",
            "SET GLOBAL binlog_row_image = FULL",
            "binlog-row-image-source",
        ),
        ("SET GLOBAL server_id = 2", "SET GLOBAL server_id = 1", "server-id"),
        ("SET GLOBAL gtid_domain_id = 2", "SET GLOBAL gtid_domain_id = 1", "gtid-domain"),
        (
            "SET GLOBAL binlog_expire_logs_seconds = 3600",
            "SET GLOBAL binlog_expire_logs_seconds = 0",
            "binlog-retention-source",
        ),
        ("SET GLOBAL sync_binlog = 0", "SET GLOBAL sync_binlog = 1", "durability-source"),
        ("SET GLOBAL sql_mode = ''", "SET GLOBAL sql_mode = DEFAULT", "sql-mode"),
        ("SET GLOBAL time_zone = '+05:00'", "SET GLOBAL time_zone = DEFAULT", "time-zone"),
        (
            "SET GLOBAL max_allowed_packet = 1073741824",
            "SET GLOBAL max_allowed_packet = 16777216",
            "max-allowed-packet",
        ),
        ("CREATE DATABASE wiki", "DROP DATABASE wiki", "other-databases-source"),
        (
            "CREATE DEFINER = 'gone'@'%' VIEW orphan AS SELECT 1 AS one",
            "DROP VIEW orphan",
            "definers",
        ),
        (
            "CHANGE MASTER 'other' TO MASTER_HOST = '127.0.0.1'",
            "RESET SLAVE 'other' ALL",
            "replicates-source",
        ),
        (
            "REVOKE SUPER ON *.* FROM root@'%'",
            "GRANT SUPER ON *.* TO root@'%'",
            "only-superuser-source",
        ),
    ):
        source.sql(wrong)
        assert names(scene) == {name}, wrong
        source.sql(right)
    source.sql("SET GLOBAL sync_binlog = 0")
    assert names(scene, "durability-source") == set()
    source.sql("SET GLOBAL sync_binlog = 1")

    target.sql("CREATE TABLE full_already (a INT)")
    assert names(scene) == {"target-not-empty"}
    target.sql("DROP TABLE full_already")
    with source.connect(DATABASE):  # somebody else who signs in with the migration's own account
        assert names(scene) == {"application-role-source"}
    os.environ["FAR"] = source.dsn().replace(str(source.port), "1")
    scene.write_spec(source={"dsn": "env:SCENE_SOURCE", "peer_dsn": "env:FAR"})
    assert names(scene) == {"network-target-to-source"}
    scene.write_spec()
    assert names(scene) == set()

    # What needs more than one statement.
    with source.connect(DATABASE) as conn, conn.cursor() as cursor:
        for statement in ("XA START 'x'", "INSERT INTO mdl_nokey VALUES (1, 'xa')", "XA END 'x'",
                          "XA PREPARE 'x'"):  # fmt: skip
            cursor.execute(statement)
    assert names(scene) == {"xa-source"}
    source.sql("XA ROLLBACK 'x'")
    with source.connect(user="root") as conn, conn.cursor() as cursor:
        cursor.execute("SET SESSION sql_log_bin = 0")
        cursor.execute(f"REVOKE PROCESS, SET USER ON *.* FROM {ADMIN}@'%'")
        rights = next(each for each in orders.check(scene.name) if each.name == "rights-source")
        assert rights.severity == "blocker"
        assert rights.detail.endswith("lacks PROCESS, SET USER")
        cursor.execute(f"GRANT PROCESS, SET USER ON *.* TO {ADMIN}@'%'")
        cursor.execute(f"REVOKE SUPER, BINLOG ADMIN ON *.* FROM {ADMIN}@'%'")
        outcome = firstbell("preflight")
        assert outcome.code == 2
        assert f"{ADMIN} on the source may not leave its statements out" in outcome.err
        assert "GRANT ALL PRIVILEGES ON *.*" in outcome.err
        cursor.execute(f"GRANT SUPER, BINLOG ADMIN ON *.* TO {ADMIN}@'%'")
    for side, other in (("SCENE_SOURCE", DATABASE), ("SCENE_TARGET", "lms2")):
        monkeypatch.setenv(side, source.dsn(other))
    source.sql("CREATE DATABASE lms2")
    assert "same-server" in names(scene)
    source.sql("DROP DATABASE lms2")
    target.sql("CREATE DATABASE lms2")
    scene.write_spec()
    monkeypatch.setenv("SCENE_TARGET", target.dsn("lms2"))
    assert {"database-name", "other-databases-target"} <= names(scene)
    target.sql("DROP DATABASE lms2")
    scene.write_spec()
    for conf, name in (
        ("skip_log_bin", "log-bin-source"),
        ("version = 11.9.1-MariaDB", "target-older"),
        ("version = 10.5.9-MariaDB", "version-source"),
        ("version = 8.0.40", None),
    ):
        source.stop()
        source.configure(f"{conf}\n")
        source.start()
        if name is not None:
            assert name in names(scene)
    outcome = firstbell("preflight")
    assert outcome.code == 2
    assert "the source is MySQL 8.0.40, not MariaDB" in outcome.err


def test_bad_input_before_the_start_is_refused_and_changes_nothing(
    stage: Callable[..., MariaDbScene], firstbell: Firstbell, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = stage(logs=20_000)
    source, target = os.environ["SCENE_SOURCE"], os.environ["SCENE_TARGET"]

    def refused(*texts: str) -> None:
        outcome = firstbell("start")
        assert outcome.code == 2, outcome.err
        assert "Traceback" not in outcome.err
        assert HIDDEN not in outcome.err
        for text in texts:
            assert text in outcome.err

    for value, *texts in (
        (source.replace(str(scene.source.port), "1"), "school.yaml: source.dsn", "not let us in"),
        (source.replace("adm1n", "wrong"), "does not let us in", "Access denied"),
        (f"mariadb://u:{HIDDEN}@/", "no usable connection string", "mariadb://USER:PASSWORD@HOST"),
        (f"postgresql://u:{HIDDEN}@h/d", "both sides are of one kind"),
    ):
        monkeypatch.setenv("SCENE_SOURCE", value)
        refused(*texts)
    monkeypatch.setenv("SCENE_SOURCE", source)
    monkeypatch.setenv("SCENE_TARGET", source.replace("127.0.0.1", "localhost"))
    refused("source and target are the same database", "school.yaml", "firstbell migrate preflight")
    monkeypatch.setenv("SCENE_TARGET", target.replace("adm1n", "wrong"))
    refused("school.yaml: target.dsn", "Access denied", "firstbell migrate preflight")
    monkeypatch.setenv("SCENE_TARGET", target)
    scene.write_spec(
        target={"dsn": "env:SCENE_TARGET", "peer_dsn": "env:SCENE_TARGET", "free_space": "1MB"}
    )
    refused("target-disk", "at least 1.3 times")
    files = {"name": "data", "source": "/nowhere/at/all", "target": str(scene.folder / "t")}
    scene.write_spec(files=[files])
    refused("/nowhere/at/all is missing or not readable")
    scene.write_spec(application={"kind": "generic", "source": {}, "target": {}})
    refused("source.stop is missing")
    scene.write_spec(target={"stack": "tiny"})
    refused("there is no stack 'tiny'", "target.dsn")

    assert not root(scene.name).joinpath("journal.db").exists()
    for server in (scene.source, scene.target):
        assert server.one("SELECT COUNT(*) FROM mysql.global_priv WHERE User LIKE 'firstb%'") == 0


def test_a_way_over_public_addresses_without_tls_is_to_be_accepted() -> None:
    def found(dsn: str, peer: str, ca: str | None = None) -> list[Finding]:
        one, other = (Address(host, 3306, "u", "lms", "p", ca) for host in (dsn, peer))
        return list(preflight.unencrypted(Server("target", one, other, "school")))

    (both,) = found("1.1.1.1", "2606:4700:4700::1111")
    assert (both.name, both.severity) == ("unencrypted-target", "accept")
    assert "from this runner (1.1.1.1) and from the other side (2606:" in both.detail
    assert "?ssl_ca=FILE to dsn and peer_dsn of the target" in both.fix
    (one,) = found("localhost", "1.1.1.1")
    assert "?ssl_ca=FILE to peer_dsn of the target" in one.fix
    assert found("1.1.1.1", "1.1.1.1", "/ca.pem") == []
    for private in ("127.0.0.1", "localhost", "10.0.0.1", "192.168.1.1", "100.64.0.1", "fd00::1"):
        assert found(private, private) == []
