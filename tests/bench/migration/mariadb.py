"""MariaDB: the first copy beside mariadb-dump into mariadb, and the comparison of all rows."""

from __future__ import annotations

import subprocess

from cli.migration import runner
from cli.migration.journal import Journal, root
from cli.migration.mariadb import catalogue, sums
from cli.migration.mariadb.engine import MariaDbEngine
from cli.migration.proof.mariadb import MariaDbScene, MariaDbServer, program
from cli.migration.proof.scene import DATABASE
from cli.migration.proof.servers import ADMIN, ADMIN_PASSWORD
from tests.bench.migration.figures import ratio, seconds, verification
from tests.matrix.parts import folders

# A small server's cache; the tests' own is so small that only the disk would be measured.
CONF = "innodb_buffer_pool_size = 512M\ninnodb_log_file_size = 256M\n"


def copy_and_verify(*, quick: bool) -> None:
    """About 350 bytes a row, as log tables have."""
    with folders() as folder:
        source, target = (MariaDbServer.create(number, conf=CONF) for number in (1, 2))
        scene = MariaDbScene(folder, source, target)
        try:
            _play(scene, 200_000 if quick else 2_000_000)
        finally:
            scene.remove()


def _play(scene: MariaDbScene, rows: int) -> None:
    size = _fill(scene, rows)
    scene.write_spec()
    scene.target.sql("CREATE DATABASE peer", database=None)
    peer = seconds(lambda: _dump_into(scene.source, scene.target))
    scene.target.sql("DROP DATABASE peer", database=None)
    ours = seconds(lambda: _begin(scene))
    ratio(f"initial copy, MariaDB, {size / 1e6:.0f} MB", ours, peer, "mariadb-dump|mariadb", 1.25)
    run = runner.build(scene.name, Journal.of(scene.name))
    engine = run.engine
    assert isinstance(engine, MariaDbEngine)
    tables = catalogue.tables(engine.source)
    verification(
        "MariaDB",
        lambda: [
            pair[0].rows for pair in sums.sum_tables(engine.source, engine.target, tables).values()
        ],
        [server.process.pid for server in (scene.source, scene.target) if server.process],
    )
    run.close()


def _fill(scene: MariaDbScene, rows: int) -> int:
    scene.fill()
    for part in range(4):
        scene.source.sql(
            f"CREATE TABLE big{part} (id BIGINT AUTO_INCREMENT PRIMARY KEY, at DATETIME NOT NULL,"
            " body TEXT, extra JSON, KEY (at))",
            f"INSERT INTO big{part} (at, body, extra) SELECT '2020-01-01' + INTERVAL seq SECOND,"
            " REPEAT(MD5(seq), 8), JSON_OBJECT('n', seq)"
            f" FROM seq_1_to_{rows // 4}",
            f"ANALYZE NO_WRITE_TO_BINLOG TABLE big{part}",
        )
    query = (
        "SELECT SUM(DATA_LENGTH + INDEX_LENGTH) FROM information_schema.TABLES"
        f" WHERE TABLE_SCHEMA = '{DATABASE}'"
    )
    return int(str(scene.source.one(query)))


def _begin(scene: MariaDbScene) -> None:
    journal = Journal.create(root(scene.name) / "journal.db", scene.name)
    run = runner.build(scene.name, journal)
    assert runner.carry(run, watch=False) == 0
    journal.close()


def _dump_into(source: MariaDbServer, target: MariaDbServer) -> None:
    def client(name: str, server: MariaDbServer, *arguments: str) -> list[str]:
        return [
            *(str(program(name)), "--host=127.0.0.1", f"--port={server.port}"),
            *(f"--user={ADMIN}", *arguments),
        ]

    environment = {"MYSQL_PWD": ADMIN_PASSWORD}
    dump = subprocess.Popen(
        client("mariadb-dump", source, "--single-transaction", "--quick", DATABASE),
        env=environment,
        stdout=subprocess.PIPE,
    )
    subprocess.run(
        client("mariadb", target, "peer"), env=environment, stdin=dump.stdout, check=True
    )
    assert dump.wait() == 0
