"""The parts of the matrix, each played from its beginning into the table."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cli.migration.proof.mariadb import MariaDbServer
from cli.migration.proof.servers import PostgresServer
from tests.matrix import trees, world
from tests.matrix.cells import FAULT_RESTS, FAULT_STATES, FAULTS, ROUTES, Matrix
from tests.matrix.table import Row, Table

Say = Callable[[str], None]
# Seconds after a pass to S3 began.
_CUTS: Final = (0.05, 0.2, 0.5)
# What a sample of the passes leaves out between two points.
_SAMPLE_EVERY: Final = 12


@contextmanager
def folders() -> Generator[Path]:
    """A folder that the servers' user may enter; firstbell's own folders move into it meanwhile."""
    before = dict(os.environ)
    folder = Path(tempfile.mkdtemp(prefix="firstbell-matrix-"))
    folder.chmod(0o755)
    os.environ["FIRSTBELL_HOME"] = str(folder / "home")
    os.environ["FIRSTBELL_STACKS"] = str(folder / "stacks")
    try:
        yield folder
    finally:
        os.environ.clear()
        os.environ |= before
        shutil.rmtree(folder, ignore_errors=True)


def postgres(table: Table, say: Say, *, sample: bool) -> None:
    """PostgreSQL 16 to 18."""
    with folders() as folder:
        servers = [PostgresServer.create(version, fsync=False) for version in (16, 18)]
        _play(world.postgres(folder, *servers), "PostgreSQL", table, say, sample=sample)


def mariadb(table: Table, say: Say, *, sample: bool) -> None:
    """MariaDB to MariaDB."""
    with folders() as folder:
        servers = [MariaDbServer.create(number) for number in (1, 2)]
        _play(world.mariadb(folder, *servers), "MariaDB", table, say, sample=sample)


def _play(found: world.World, name: str, table: Table, say: Say, *, sample: bool) -> None:
    try:
        matrix = Matrix(found)
        matrix.prepare(lambda text: say(f"{name}: {text}"))
        _kills(matrix, name, table, say, sample=sample)
        _faults(matrix, name, table, say, sample=sample)
    finally:
        found.remove()


def _kills(matrix: Matrix, name: str, table: Table, say: Say, *, sample: bool) -> None:
    for times, how in ((1, "runner killed"), (2, "runner killed, and again on resuming")):
        for route, state, point in matrix.killed(sample=sample):
            # A state is entered once: nobody comes by that point again.
            if times > 1 and point.endswith("/enter"):
                continue
            result = matrix.kill(route, state, point, times=times)
            row = table.row(f"{name}, {how}", route.name)
            row.add(result.evidence, result.kills, [f"{point}: {p}" for p in result.problems])
            say(f"{name}: {how} {point}: {_verdict(result.problems)}")


def _faults(matrix: Matrix, name: str, table: Table, say: Say, *, sample: bool) -> None:
    routes = {route.name: route for route in ROUTES}
    for fault in FAULTS[:1] if sample else FAULTS:
        row = table.row(f"{name}, {fault}", "copy, fence … switch, abort, revert, soak, hold")
        for route, states in FAULT_STATES.items():
            for state in states:
                result = matrix.fault(routes[route], state, fault)
                row.add(result.evidence, result.kills, [f"{state}: {p}" for p in result.problems])
                say(f"{name}: {fault} in {state}: {_verdict(result.problems)}")
        for rest in FAULT_RESTS:
            result = matrix.fault_at_rest(rest, fault)
            row.add(result.evidence, result.kills, [f"{rest}: {p}" for p in result.problems])
            say(f"{name}: {fault} in {rest}: {_verdict(result.problems)}")


def files(table: Table, say: Say, *, sample: bool) -> None:
    """A tree to a mounted folder."""
    _passes("files to a folder", table, say, s3=False, sample=sample)


def s3(table: Table, say: Say, *, sample: bool) -> None:
    """A tree to S3, whose network is cut as well."""
    _passes("files to S3", table, say, s3=True, sample=sample)


def _passes(name: str, table: Table, say: Say, *, s3: bool, sample: bool) -> None:
    with folders() as folder:
        ground = trees.Ground(folder, s3=s3)
        try:
            for number, step in enumerate(trees.STEPS):
                row = table.row(f"{name}, pass killed", step.name)
                row.overlapping = None
                for point, result in ground.kills(number, every=_SAMPLE_EVERY if sample else 1):
                    _count(row, f"change {point}", result)
                say(f"{name}: {step.name} killed {row.kills} times: {_verdict(row.problems)}")
            for number, step in enumerate(trees.STEPS if s3 else ()):
                row = table.row(f"{name}, network cut", step.name)
                row.overlapping = None
                for seconds in _CUTS[:1] if sample else _CUTS:
                    _count(row, f"after {seconds} s", ground.cut(number, seconds))
                say(f"{name}: network cut in {step.name}: {_verdict(row.problems)}")
        finally:
            ground.close()


def _count(row: Row, where: str, result: trees.Result) -> None:
    row.add(None, result.kills, [f"{where}: {each}" for each in result.problems])
    row.lost += len(result.lost)
    row.doubled += len(result.left)
    row.problems += [f"{where}: {each}" for each in (*result.lost, *result.left)]


def _verdict(problems: list[str]) -> str:
    return "; ".join(problems) or "clean"


PARTS: Final = {"postgres": postgres, "mariadb": mariadb, "files": files, "s3": s3}
