"""From MariaDB 10 to a newer series: what the newer one does otherwise, and the whole life between.

FIRSTBELL_NEWER_MARIADB names the folder of a newer MariaDB (with `bin/` and `share/`), as its own
archives unpack to; without it the life between two series is skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.migration.mariadb import catalogue
from cli.migration.mariadb.dialect import Connection, OwnServer
from cli.migration.mariadb.gtid import Position
from cli.migration.mariadb.server import Address, Server
from cli.migration.proof.mariadb import MariaDbScene, MariaDbServer
from tests.cli.migration.conftest import begin, close_runs, leftovers, order, rehearsed
from tests.cli.migration.mariadb.conftest import SOURCE, TARGET, mariadb


def test_tls_is_asked_for_or_not_in_so_many_words() -> None:
    """From 11.4 on neither a subscriber nor a client keeps to the old default."""
    for ca, of_subscriber, of_client in (
        (None, ", MASTER_SSL = 0,", "--skip-ssl"),
        ("/ca.pem", ", MASTER_SSL = 1, MASTER_SSL_CA = '/ca.pem',", "--ssl-ca=/ca.pem"),
    ):
        to = Connection("fwd", "h", 3306, "u", "p", ca)
        (statement,) = OwnServer().configure(to, None, Position())
        assert of_subscriber in statement.text
        address = Address("h", 3306, "u", "lms", "p", ca)
        assert of_client in Server("source", address, address, "school").child_arguments()


def test_a_privilege_that_only_the_newer_server_has_is_no_difference() -> None:
    """ALL PRIVILEGES holds SHOW CREATE ROUTINE from 11.3 on."""
    lines = {
        ("grant", "'lms'@'%'"): "SELECT+,SHOW CREATE ROUTINE+,UPDATE+",
        ("grant", "'crew'@'%'"): "SHOW CREATE ROUTINE",
        ("grant", "'lms'@'%' on procedure p"): "Execute,Show Create Routine",
        ("table", "SHOW CREATE ROUTINE"): "InnoDB",
    }
    kept = catalogue.without_privileges(lines, {"SHOW CREATE ROUTINE"})
    assert kept == {
        ("grant", "'lms'@'%'"): "SELECT+,UPDATE+",
        ("grant", "'lms'@'%' on procedure p"): "Execute",
        ("table", "SHOW CREATE ROUTINE"): "InnoDB",
    }
    # Known-bad twin: what both servers know stays different.
    assert catalogue.without_privileges(lines, {"DELETE HISTORY"}) == lines


@pytest.fixture
def scene(home: Path, template: MariaDbServer) -> Iterator[MariaDbScene]:
    """A school between Debian's MariaDB and a newer one."""
    folder = os.environ.get("FIRSTBELL_NEWER_MARIADB")
    if folder is None:
        pytest.skip("no FIRSTBELL_NEWER_MARIADB")
    # Its first start would make a key for TLS, which took 38 seconds.
    newer = MariaDbServer.create(TARGET, conf="skip_ssl\n", home=Path(folder))
    scene = MariaDbScene(home, template.copy(SOURCE), newer)
    scene.fill(files=10)
    scene.write_spec()
    yield scene
    close_runs()
    scene.remove()


@pytest.mark.slow
def test_a_migration_to_a_newer_series_goes_there_and_back_and_there_without_losing_a_write(
    scene: MariaDbScene,
) -> None:
    scene.start_load()
    scene.wait_for_writes()
    run = begin(scene)
    rehearsed(run)
    engine = mariadb(run)
    assert engine.source.version[:2] < engine.target.version[:2]
    for goal in ("cutover", "back", "cutover", "commit"):
        assert order(run, goal) == 0
        scene.wait_for_writes()
    scene.stop_load()
    evidence = scene.evidence(scene.target)
    assert (evidence.lost, evidence.doubled, evidence.overlaps) == ((), (), 0)
    assert leftovers(run) == []
