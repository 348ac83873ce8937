"""Benchmarks of the migration, each beside its peer in the same run.

`python -m tests.bench.migration [copy] [mariadb] [files] [s3] [outage] [status] [--quick]`. Ratios
count: the machine may be busy, so each pair is measured alternately and the medians are compared.
`--quick` takes a tenth of the data, to see that a benchmark runs; its figures say nothing.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from cli.migration import catalogue, checksums, locks, runner, schema
from cli.migration.journal import Journal, root
from cli.migration.machine import Run
from cli.migration.postgres import Server
from cli.migration.postgres_engine import PostgresEngine
from cli.migration.proof.scene import DATABASE, Scene
from cli.migration.proof.servers import PostgresServer
from tests.bench.migration import mariadb, trees
from tests.bench.migration.figures import row, seconds, verification
from tests.matrix.parts import folders

BIN = Path(sys.executable).parent


def tool(server: PostgresServer, program: str, *arguments: str, database: str = DATABASE) -> None:
    side = Server("x", conninfo(server, database), {}, "bench")
    subprocess.run(
        [str(schema.find_program(program, 18)), *arguments],
        env={"PATH": os.environ["PATH"], **side.child_environment()},
        check=True,
        capture_output=True,
    )


def conninfo(server: PostgresServer, database: str) -> dict[str, str]:
    from psycopg.conninfo import conninfo_to_dict

    return {k: str(v) for k, v in conninfo_to_dict(server.dsn(database)).items() if v is not None}


def fill(scene: Scene, rows: int) -> int:
    """About 350 bytes a row, as log tables have; the database's size in bytes."""
    scene.fill()
    with scene.source.connect(DATABASE) as conn:
        for part in range(4):
            conn.execute(
                f"CREATE TABLE moodle.big{part} (id bigserial PRIMARY KEY, at timestamptz,"
                " body text, extra jsonb)".encode()
            )
            conn.execute(
                f"INSERT INTO moodle.big{part} (at, body, extra) SELECT"
                " '2026-01-01'::timestamptz + i * interval '1 second', repeat(md5(i::text), 8),"
                f" jsonb_build_object('n', i) FROM generate_series(1, {rows // 4}) i".encode()
            )
            conn.execute(f"CREATE INDEX ON moodle.big{part} (at)".encode())
        conn.execute("VACUUM ANALYZE")
        found = conn.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(str(found[0])) if found else 0


def begin(scene: Scene) -> Run:
    journal = Journal.create(root(scene.name) / "journal.db", scene.name)
    run = runner.build(scene.name, journal)
    runner.carry(run, watch=False)
    return run


def copy_and_verify(scene: Scene, rows: int) -> None:
    size = fill(scene, rows)
    scene.write_spec()
    dump = scene.folder / "dump"
    with scene.target.connect("postgres") as conn:
        conn.execute("CREATE ROLE lms_app LOGIN")
        conn.execute("CREATE ROLE lms_reports")
        conn.execute("CREATE DATABASE peer")
    dumped = seconds(lambda: tool(scene.source, "pg_dump", "-Fd", "-j2", "-f", str(dump)))
    restored = seconds(
        lambda: tool(scene.target, "pg_restore", "-j2", "-d", "peer", str(dump), database="peer")
    )
    analysed = seconds(lambda: tool(scene.target, "vacuumdb", "-Z", "-q", database="peer"))
    shutil.rmtree(dump)
    with scene.target.connect("postgres") as conn:
        conn.execute("DROP DATABASE peer")
    ours = seconds(lambda: begin(scene))
    peer = dumped + restored + analysed
    row(
        f"initial copy, {size / 1e6:.0f} MB",
        f"{ours:.1f} s",
        f"{peer:.1f} s dump+restore",
        f"<= 1.25 ({ours / peer:.2f})",
        ours <= 1.25 * peer,
    )
    run = runner.build(scene.name, Journal.of(scene.name))
    engine = run.engine
    assert isinstance(engine, PostgresEngine)
    tables = catalogue.tables(engine.source)
    verification(
        "PostgreSQL",
        lambda: [
            pair[0].rows
            for pair in checksums.sum_tables(engine.source, engine.target, tables).values()
        ],
        [server.process.pid for server in (scene.source, scene.target) if server.process],
    )
    run.close()


def outage(scene: Scene, users: int, logs: int) -> float:
    scene.fill(users=users, logs=logs)
    scene.write_spec()
    scene.start_load()
    scene.wait_for_writes()
    run = begin(scene)
    steps = ("fence", "drain", "finalize", "verify", "flip", "switch", "smoke")
    run.journal.remember(
        "rehearsals",
        [
            {
                "at": "2026-08-01T00:00:00+00:00",
                "steps": dict.fromkeys(steps, 1.0),
                "revert": 4.0,
                "rows": 0,
                "bytes": 0,
            }
        ],
    )
    run.journal.order("cutover")
    runner.carry(run, watch=False)
    scene.wait_for_writes()
    scene.stop_load()
    return scene.evidence(scene.target).changes[0][2]


def status(scene: Scene) -> None:
    """What a runner that is alive published, and the databases' own answer when none is."""
    scene.fill()
    scene.write_spec()
    begin(scene)
    command = [str(BIN / "firstbell"), "migrate", "status", "--json"]

    def asked() -> float:
        return seconds(lambda: subprocess.run(command, check=True, capture_output=True))

    journal = Journal.of(scene.name)
    taken: dict[str, list[float]] = {"a runner is alive": [], "no runner is": []}
    for _ in range(7):
        with locks.file_lock(scene.name):
            journal.show(writable={"source": True, "target": False})
            taken["a runner is alive"].append(asked())
        taken["no runner is"].append(asked())
    journal.close()
    for how, each in taken.items():
        middle = statistics.median(each)
        row(
            f"status --json, whole process, {how}", f"{middle:.2f} s", "", "<= 0.5 s", middle <= 0.5
        )


def scene_in(folder: Path) -> Scene:
    os.environ["FIRSTBELL_HOME"] = str(folder / "home")
    os.environ["FIRSTBELL_STACKS"] = str(folder / "stacks")
    return Scene(folder, PostgresServer.create(16), PostgresServer.create(18))


@contextmanager
def scenes() -> Generator[Scene]:
    """Two PostgreSQL servers, and firstbell's own folders beside them."""
    with folders() as folder:
        scene = Scene(folder, PostgresServer.create(16), PostgresServer.create(18))
        try:
            yield scene
        finally:
            scene.remove()


def outages(*, quick: bool) -> None:
    """With the demo's load, and with ten times its data."""
    for users, logs in ((2_000, 10_000),) if quick else ((20_000, 100_000), (200_000, 1_000_000)):
        with scenes() as scene:
            took = outage(scene, users, logs)
        limit = "<= 10 s" if logs <= 100_000 else ""
        row(f"write outage, {users + logs:,} rows", f"{took:.1f} s", "", limit, took <= 10)


def copies(*, quick: bool) -> None:
    with scenes() as scene:
        copy_and_verify(scene, 200_000 if quick else 2_000_000)


def looks(*, quick: bool) -> None:
    del quick
    with scenes() as scene:
        status(scene)


BENCHMARKS = {
    "copy": copies,
    "mariadb": mariadb.copy_and_verify,
    "status": looks,
    "files": trees.to_folder,
    "s3": trees.to_s3,
    "outage": outages,
}


def main(arguments: list[str]) -> int:
    quick = "--quick" in arguments
    wanted = [each for each in arguments if each != "--quick"] or list(BENCHMARKS)
    if unknown := sorted(set(wanted) - BENCHMARKS.keys()):
        sys.stderr.write(f"no {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}\n")
        return 2
    sys.stdout.write(f"on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    for name in wanted:
        BENCHMARKS[name](quick=quick)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
