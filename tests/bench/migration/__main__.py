"""Benchmarks of the migration, each beside its peer in the same run.

`python -m tests.bench.migration [copy] [files] [verify] [outage] [status]`. Ratios count: the
machine may be busy, so each pair is measured alternately and the medians are compared.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cli.migration import catalogue, checksums, locks, runner, schema
from cli.migration.files import Tree
from cli.migration.journal import Journal, root
from cli.migration.machine import Run
from cli.migration.postgres import Server
from cli.migration.postgres_engine import PostgresEngine
from cli.migration.proof.scene import DATABASE, Scene
from cli.migration.proof.servers import PostgresServer
from cli.migration.spec import Files

ROUNDS = 3


def seconds(do: Callable[[], object]) -> float:
    began = time.monotonic()
    do()
    return time.monotonic() - began


def row(name: str, ours: str, peer: str, limit: str, met: bool) -> None:
    sys.stdout.write(f"{name:46} {ours:>16} {peer:>22} {limit:>16} {'met' if met else 'NOT MET'}\n")
    sys.stdout.flush()


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
    run = runner.build(scene.name, Journal.open(root(scene.name) / "journal.db", scene.name))
    engine = run.engine
    assert isinstance(engine, PostgresEngine)
    tables = catalogue.tables(engine.source)
    took: list[float] = []
    count = 0
    for _ in range(ROUNDS):
        began = time.monotonic()
        sums = checksums.sum_tables(engine.source, engine.target, tables)
        took.append(time.monotonic() - began)
        count = sum(pair[0].rows for pair in sums.values())
    rate = count / statistics.median(took)
    row("verification, both sides", f"{rate:,.0f} rows/s", "", ">= 500,000", rate >= 500_000)
    run.close()


def file_pass(folder: Path) -> None:
    a = folder / "a"
    chunk = os.urandom(35_000)
    for number in range(20_000):
        place = a / f"{number % 256:02x}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"f{number}").write_bytes(number.to_bytes(4, "big") + chunk)
    rclone = str(Path(sys.executable).parent / "rclone")
    first: dict[str, list[float]] = {"ours": [], "rclone": []}
    again: dict[str, list[float]] = {"ours": [], "rclone": []}
    for round_ in range(ROUNDS):
        ours, peer = folder / f"ours{round_}", folder / f"peer{round_}"
        tree = Tree(Files(name="t", source=a, target=ours), folder / f"m{round_}.db")
        command = [rclone, "sync", str(a), str(peer), "--metadata", "--links"]
        command += ["--create-empty-src-dirs", "--transfers", "8", "--checkers", "8"]
        command += ["--config", "/dev/null", "-q"]
        for taken in (first, again):
            taken["ours"].append(seconds(lambda t=tree: t.carry(to="target", stop=lambda: None)))
            taken["rclone"].append(seconds(lambda c=command: subprocess.run(c, check=True)))
        tree.close()
        shutil.rmtree(ours)
        shutil.rmtree(peer)
    for name, taken in (("first file pass", first), ("file pass without change", again)):
        ours_, peer_ = statistics.median(taken["ours"]), statistics.median(taken["rclone"])
        row(
            f"{name}, 20,000 files, 701 MB",
            f"{ours_:.1f} s",
            f"{peer_:.1f} s rclone",
            f"<= 1.1 ({ours_ / peer_:.2f})",
            ours_ <= 1.1 * peer_,
        )


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
    command = [str(Path(sys.executable).parent / "firstbell"), "migrate", "status", "--json"]
    lock = locks.file_lock(scene.name)
    with lock:
        journal = Journal.open(root(scene.name) / "journal.db", scene.name)
        taken: list[float] = []
        for _ in range(7):
            journal.show(writable={"source": True, "target": False})
            taken.append(seconds(lambda: subprocess.run(command, check=True, capture_output=True)))
        journal.close()
    middle = statistics.median(taken)
    row("status --json, whole process", f"{middle:.2f} s", "", "<= 0.5 s", middle <= 0.5)


def scene_in(folder: Path) -> Scene:
    os.environ["FIRSTBELL_HOME"] = str(folder / "home")
    os.environ["FIRSTBELL_STACKS"] = str(folder / "stacks")
    return Scene(folder, PostgresServer.create(16), PostgresServer.create(18))


def main(wanted: list[str]) -> None:
    def does(name: str) -> bool:
        return not wanted or name in wanted

    sys.stdout.write(f"on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    for name, play in (
        ("copy", lambda scene: copy_and_verify(scene, 1_600_000)),
        ("status", lambda scene: (scene.fill(), scene.write_spec(), begin(scene), status(scene))),
    ):
        if does(name):
            with tempfile.TemporaryDirectory(prefix="firstbell-bench-") as folder:
                Path(folder).chmod(0o755)
                scene = scene_in(Path(folder))
                try:
                    play(scene)
                finally:
                    scene.remove()
    if does("files"):
        with tempfile.TemporaryDirectory(prefix="firstbell-bench-") as folder:
            file_pass(Path(folder))
    if does("outage"):
        for users, logs in ((20_000, 100_000), (200_000, 1_000_000)):
            with tempfile.TemporaryDirectory(prefix="firstbell-bench-") as folder:
                Path(folder).chmod(0o755)
                scene = scene_in(Path(folder))
                try:
                    took = outage(scene, users, logs)
                finally:
                    scene.remove()
                met = took <= 10 or logs > 100_000
                row(f"write outage, {users + logs:,} rows", f"{took:.1f} s", "", "<= 10 s", met)


if __name__ == "__main__":
    main(sys.argv[1:])
