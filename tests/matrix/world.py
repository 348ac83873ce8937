"""Two servers, their network, a migration's own folder: saved at a moment, and put back."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from cli.migration import runner, supervisor
from cli.migration.journal import Journal, root
from cli.migration.machine import Run
from cli.migration.proof.kills import Nursery
from cli.migration.proof.mariadb import MariaDbScene, MariaDbServer
from cli.migration.proof.scene import DATABASE, Scene, SceneOf
from cli.migration.proof.servers import PostgresServer
from cli.migration.proof.writer import Evidence
from tests.matrix.proxy import Proxy
from tests.matrix.uploads import Uploads

FILES: Final = 12
# Long enough for whatever a fault does to it: the matrix is not about the budget.
_STEP_SECONDS: Final = 600.0
# What an event that has begun may take.
_EVENT_SECONDS: Final = 0.3


class World:
    """One migration between two servers that reach one another, and are reached, by proxies."""

    def __init__(
        self,
        scene: SceneOf[Any],
        dsns: Callable[[Any, int], str],
        *,
        quiet: Callable[[], None] = lambda: None,
        empties: bool = False,
    ) -> None:
        self.scene = scene
        # Whether a crash empties tables that no log covers.
        self.empties = empties
        # Ends what servers do by themselves, before they are shut down.
        self._quiet = quiet
        self.servers = (scene.source, scene.target)
        # How the runner reaches each side, and how the other server does.
        self.to_runner = [Proxy(server.port) for server in self.servers]
        self.to_peer = [Proxy(server.port) for server in self.servers]
        for proxy in self.proxies:
            proxy.start()
        scene.fill(files=FILES)
        self.uploads = Uploads(
            scene.folder / "uploads", scene.folder / "uploads.lock", scene.dataroot, scene.mounted
        )
        self.uploads.begin()
        scene.write_spec(application={"kind": "moodle", **self.uploads.commands()})
        for side, server, near, far in zip(
            ("SOURCE", "TARGET"), self.servers, self.to_runner, self.to_peer, strict=True
        ):
            os.environ[f"SCENE_{side}"] = dsns(server, near.port)
            os.environ[f"SCENE_{side}_PEER"] = dsns(server, far.port)
        self._saved = Path(tempfile.mkdtemp(prefix="firstbell-matrix-"))
        self.nursery = Nursery.open(scene.name, None)
        self._run: Run | None = None

    @property
    def proxies(self) -> list[Proxy]:
        return [*self.to_runner, *self.to_peer]

    @property
    def folders(self) -> list[Path]:
        """Everything that a moment of the migration is made of."""
        return [
            *(server.folder / "data" for server in self.servers),
            root(self.scene.name),
            self.scene.proof,
            self.scene.dataroot,
            self.scene.mounted,
            self.scene.folder / "uploads",
        ]

    @property
    def run(self) -> Run:
        """A look at both sides and at the journal; closed when the world is put back."""
        if self._run is None:
            self._run = runner.build(self.scene.name, Journal.of(self.scene.name))
        return self._run

    def begin(self) -> None:
        """Write the journal of a migration that is about to start."""
        Journal.create(root(self.scene.name) / "journal.db", self.scene.name).close()

    def rehearsed(self) -> None:
        """Let the gate find a rehearsal, and a window that no fault outlasts."""
        steps = ("fence", "drain", "finalize", "verify", "flip", "switch", "smoke")
        record = {
            "at": "2026-08-01T00:00:00+00:00",
            "steps": dict.fromkeys(steps, _STEP_SECONDS),
            "revert": _STEP_SECONDS,
            "rows": 1000,
            "bytes": 100_000,
        }
        self.run.journal.remember("rehearsals", [record])
        self.run.journal.remember("window length", "10h")

    def start_load(self) -> None:
        """Let writer, uploads and probes work, from where they stopped."""
        (self.scene.proof / "stop").unlink(missing_ok=True)
        self.scene.start_load(0.01)
        self.uploads.start()

    def stop_load(self) -> None:
        """Let them end."""
        self.uploads.stop()
        self.scene.stop_load()

    def close(self) -> None:
        """Close our own connections and files."""
        if self._run is not None:
            self._run.close()
            for tree in self._run.trees:
                tree.close()
            self._run.journal.close()
            self._run = None

    def save(self, name: str) -> None:
        """Keep this moment, with the servers shut down in good order meanwhile."""
        self.close()
        self.stop_load()
        self._quiet()
        for server in reversed(self.servers):
            server.stop()
        for number, folder in enumerate(self.folders):
            _copy(folder, self._saved / name / str(number))
        for server in self.servers:
            server.start()

    def restore(self, name: str) -> None:
        """Put a saved moment back."""
        self.close()
        self.stop_load()
        for server in self.servers:
            server.kill()
        for number, folder in enumerate(self.folders):
            _copy(self._saved / name / str(number), folder)
        for server in self.servers:
            server.start()

    def evidence(self) -> Evidence:
        """What writer and probes saw, against the side that is open."""
        opened = self.run.target.open_to_applications()
        return self.scene.evidence(self.scene.target if opened else self.scene.source)

    def remove(self) -> None:
        """End everything and delete it."""
        self.close()
        self.uploads.stop()
        self.nursery.close()
        supervisor.end(self.scene.name)
        for proxy in self.proxies:
            proxy.end()
        self.scene.remove()
        shutil.rmtree(self._saved, ignore_errors=True)


def _copy(folder: Path, to: Path) -> None:
    """Make one tree the other's: what has size and time of its copy already stays.

    A file that was changed since has another time, because a copy carries the original's.
    """
    have = _entries(to)
    wanted = _entries(folder)
    for path in sorted(have.keys() - wanted.keys(), reverse=True):
        place = to / path
        if stat.S_ISDIR(have[path].st_mode):
            place.rmdir()
        else:
            place.unlink()
    for path, found in wanted.items():
        there = have.get(path)
        if there is not None and _same(found, there):
            continue
        place = to / path
        if stat.S_ISDIR(found.st_mode):
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.unlink(missing_ok=True)
            shutil.copy2(folder / path, place, follow_symlinks=False)
        if os.geteuid() == 0:
            os.chown(place, found.st_uid, found.st_gid, follow_symlinks=False)
        if not stat.S_ISLNK(found.st_mode):
            place.chmod(stat.S_IMODE(found.st_mode))


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    if stat.S_ISDIR(one.st_mode):
        return stat.S_ISDIR(other.st_mode)
    return (one.st_mode, one.st_size, one.st_mtime_ns, one.st_uid) == (
        other.st_mode,
        other.st_size,
        other.st_mtime_ns,
        other.st_uid,
    )


def _entries(root_: Path) -> dict[str, os.stat_result]:
    """Everything below a folder and the folder itself, parents first; sockets apart."""
    if not root_.exists():
        return {}
    found = {"": root_.stat()}
    todo = [""]
    while todo:
        folder = todo.pop()
        for item in os.scandir(root_ / folder):
            seen = item.stat(follow_symlinks=False)
            path = f"{folder}/{item.name}".lstrip("/")
            if stat.S_ISSOCK(seen.st_mode):
                continue
            found[path] = seen
            if stat.S_ISDIR(seen.st_mode):
                todo.append(path)
    return found


def postgres(folder: Path, source: PostgresServer, target: PostgresServer) -> World:
    """A school between two PostgreSQL servers."""

    def dsn(server: PostgresServer, port: int) -> str:
        return server.dsn(DATABASE).replace(f"port={server.port}", f"port={port}")

    return World(Scene(folder, source, target), dsn, empties=True)


def mariadb(folder: Path, source: MariaDbServer, target: MariaDbServer) -> World:
    """A school between two MariaDB servers."""

    def dsn(server: MariaDbServer, port: int) -> str:
        return server.dsn(DATABASE).replace(f":{server.port}/", f":{port}/")

    def quiet() -> None:
        # After a shutdown while an event wrote, the sides were seen to be one of its rows apart.
        for server in (source, target):
            server.sql("SET GLOBAL event_scheduler = OFF", database=None)
        time.sleep(_EVENT_SECONDS)

    return World(MariaDbScene(folder, source, target), dsn, quiet=quiet)
