"""The local cloud's server: one moto process for all local stacks, started, found and stopped.

`cloud.json` names the server: endpoint, process and generation (a random name that a server carries
in its arguments and answers when asked). A server keeps everything in memory, so another generation
means that all resources are gone.
"""

from __future__ import annotations

import functools
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import filelock
import psutil

from cli.localcloud import clock, files, sessions
from cli.localcloud.endpoint import IDENTITY_PATH, check_environment
from cli.localcloud.sessions import ACCESS_KEY
from infra import paths
from infra.errors import FirstbellError, InputError

LOOPBACK: Final = "127.0.0.1"
# Measured: 0.8 s on 2 idle cores; the rest is for a busy machine.
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 5.0
LOCK_SECONDS: Final = 120.0
# Only a server that hangs takes so long: a dead one refuses at once, a busy one answers late.
ANSWER_SECONDS: Final = 10.0

State = Literal["running", "hanging", "lost", "stopped"]


@dataclass(frozen=True)
class LocalCloud:
    """A running server."""

    endpoint: str
    generation: str
    pid: int

    def client(self, service: str, region: str) -> Any:
        """A boto3 client that can reach nothing but this server."""
        return _client(self.endpoint, service, region)

    def regions(self) -> list[str]:
        """The Regions in which something may be scheduled.

        Raises:
            FirstbellError: the server is gone.
        """
        identity = _ask(self.endpoint)
        if identity is None or identity["generation"] != self.generation:
            raise _lost()
        return identity["regions"]

    def load(self, region: str) -> threading.Thread:
        """Let the server load EC2, of which every stack has something, beside whatever goes on.

        moto loads a service when it is first asked; EC2 takes it more than a second.
        """
        loading = threading.Thread(target=_ask_for_zones, args=(self.endpoint, region), daemon=True)
        loading.start()
        return loading


def record_path() -> Path:
    """Where the running server is written down."""
    return paths.local_cloud() / "cloud.json"


def running() -> LocalCloud | None:
    """The server that runs and answers, or None. Changes nothing."""
    cloud = _recorded()
    if cloud is None:
        return None
    identity = _ask(cloud.endpoint)
    if identity is None or identity["generation"] != cloud.generation:
        return None
    return cloud


def state() -> State:
    """How the server is."""
    return look()[0]


def look() -> tuple[State, LocalCloud | None]:
    """How the server is, and itself when it runs.

    `lost` is gone without having been stopped; `hanging` is alive but does not answer.
    """
    recorded = _recorded()
    if recorded is None:
        return "stopped", None
    if (cloud := running()) is not None:
        return "running", cloud
    return ("lost" if _process(recorded) is None else "hanging"), None


def ensure_started(*, at: datetime | None = None, port: int | None = None) -> LocalCloud:
    """The running server; starts one when there is none.

    `at` sets the clock, which never goes back; `port` 0 or None takes a free one.

    Raises:
        InputError: the port is taken, the clock is past `at`, or an endpoint of the environment
            is not loopback.
        FirstbellError: the server does not start, or one that is there does not answer.
    """
    check_environment(os.environ)
    with _lock():
        now = clock.start_time(at)
        recorded = _recorded()
        if recorded is not None and _process(recorded) is not None:
            # It may be busy, or its start may have been killed halfway; only `stop` ends it.
            if not _answers(recorded):
                raise _hanging(recorded)
            if clock.stands_at() is None:
                clock.write(now, recorded.generation)
            _check_running(recorded, now, port)
            return recorded
        _kill_recorded()
        cloud = _start(port or 0)
        clock.write(now, cloud.generation)
        return cloud


def stop() -> bool:
    """Stop the server; says whether there was one. Its resources are gone, the clock stays."""
    with _lock():
        return _kill_recorded()


def reset() -> None:
    """Stop the server and forget all local resources, states and the clock.

    Nothing outside the local cloud's folder is touched.
    """
    with _lock() as lock_file:
        with suppress(files.SpoiltError):  # a server that no record names ends by itself
            _kill_recorded()
        for child in paths.local_cloud().iterdir():
            if child == lock_file:
                continue
            if child.is_dir() and not child.is_symlink():
                shutil.rmtree(child)
            else:
                child.unlink()


def generation_of(stack: str) -> str | None:
    """The generation of the server that a stack's state was made on, or None."""
    with suppress(FileNotFoundError):
        return _generation_path(stack).read_text().strip()
    return None


def remember_generation(stack: str, generation: str) -> None:
    """Note, before a stack is changed, on which server its resources live."""
    files.write(_generation_path(stack), generation + "\n")


def forget_generation(stack: str) -> None:
    """Note that a stack has no resources any more."""
    _generation_path(stack).unlink(missing_ok=True)


def stranded_stacks(generation: str | None) -> list[str]:
    """Stacks whose resources were lost with a server that is not of this generation."""
    folder = paths.local_cloud() / "generations"
    stacks = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return [stack for stack in stacks if generation_of(stack) != generation]


def check_generation(stack: str, cloud: LocalCloud) -> None:
    """Refuse a state whose resources were lost with an earlier server.

    Raises:
        InputError: they were.
    """
    if generation_of(stack) not in {None, cloud.generation}:
        raise InputError(
            f"the local cloud was restarted and lost the resources of stack {stack}",
            why="its server keeps them in memory; the stack's state still lists them",
            fix=f"firstbell local reset, then firstbell up -s {stack}",
        )


def _generation_path(stack: str) -> Path:
    return paths.local_cloud() / "generations" / stack


@contextmanager
def _lock() -> Generator[Path]:
    """One process at a time starts or stops the server. Dies with its process."""
    path = paths.local_cloud() / "server.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(path, timeout=LOCK_SECONDS):
            yield path
    except filelock.Timeout as error:
        raise FirstbellError(
            "another firstbell process has been starting or stopping the local cloud for "
            f"{LOCK_SECONDS:.0f} s",
            where=str(path),
            fix="end that process and run the command again",
        ) from error


def _recorded() -> LocalCloud | None:
    record = files.read_json(record_path())
    if record is None:
        return None
    try:
        return LocalCloud(str(record["endpoint"]), str(record["generation"]), int(record["pid"]))
    except (KeyError, ValueError) as error:
        raise files.SpoiltError(record_path()) from error


def _process(cloud: LocalCloud) -> psutil.Process | None:
    """The server's process, or None when it is gone.

    Known by the generation among its arguments: a process number may be given out again, and the
    start time that psutil computes moves when the system's clock is set.
    """
    try:
        process = psutil.Process(cloud.pid)
        return process if cloud.generation in process.cmdline() else None
    except psutil.Error:
        return None


def _ask(endpoint: str) -> dict[str, Any] | None:
    """Who serves at the endpoint, or None."""
    try:
        with _connection(endpoint) as connection:
            connection.request("GET", IDENTITY_PATH)
            identity = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    return identity if isinstance(identity, dict) and "generation" in identity else None


def _ask_for_zones(endpoint: str, region: str) -> None:
    """Ask for a Region's zones, without a client of boto3: EC2's takes a while to load as well."""
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        # The server looks at what a request is signed for, not at the signature.
        "Authorization": f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20260101/{region}/ec2/"
        "aws4_request, SignedHeaders=host, Signature=none",
    }
    body = "Action=DescribeAvailabilityZones&Version=2016-11-15"
    with suppress(OSError, http.client.HTTPException), _connection(endpoint) as connection:
        connection.request("POST", "/", body, headers)
        connection.getresponse().read()


@contextmanager
def _connection(endpoint: str) -> Generator[http.client.HTTPConnection]:
    """A connection to the server; it never goes through a proxy."""
    address = urlsplit(endpoint)
    with closing(
        http.client.HTTPConnection(address.hostname or "", address.port, timeout=ANSWER_SECONDS)
    ) as connection:
        yield connection


def _check_running(cloud: LocalCloud, now: datetime, port: int | None) -> None:
    if now != clock.read():
        raise InputError(
            f"the local cloud already runs, and its clock stands at {clock.text(clock.read())}",
            where="--at",
            fix=f"firstbell local advance --to {clock.text(now)}, or firstbell local reset first",
        )
    if port and port != urlsplit(cloud.endpoint).port:
        raise InputError(
            f"the local cloud already runs at {cloud.endpoint}",
            where="--port",
            fix="leave --port out, or stop it first: firstbell local stop (its resources are lost)",
        )


def _start(port: int) -> LocalCloud:
    generation = secrets.token_hex(8)
    with _listen(port) as bound:
        endpoint = f"http://{LOOPBACK}:{bound.getsockname()[1]}"
        read_end, write_end = os.pipe()
        try:
            # An interrupt before the record is written closes the pipe, and the child ends.
            child = _spawn(generation, bound.fileno(), read_end)
            cloud = LocalCloud(endpoint, generation, child.pid)
            files.write_json(
                record_path(),
                {"endpoint": endpoint, "generation": generation, "pid": child.pid},
            )
            os.write(write_end, b"g")
        finally:
            os.close(read_end)
            os.close(write_end)
    started = False
    try:
        started = _answers(cloud, child)
    finally:
        if not started:
            _kill_recorded()
    if not started:
        raise _not_started()
    # The server outlives this process; it is not waited for.
    child.returncode = 0
    return cloud


def _listen(port: int) -> socket.socket:
    bound = socket.socket()
    # As servers do: a port whose last connections are still closing can be taken at once.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((LOOPBACK, port))
        bound.listen(128)
    except (OSError, OverflowError) as error:
        bound.close()
        raise InputError(
            f"port {port} cannot be used: {getattr(error, 'strerror', None) or error}",
            where="--port",
            fix="name another one, or leave --port out: a free one is taken",
        ) from error
    return bound


def _spawn(generation: str, bound: int, go: int) -> subprocess.Popen[bytes]:
    log = paths.local_cloud() / "server.log"
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_"))
    }
    environment |= {
        "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",  # roles attach AWS's own policies
        "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",  # saves a second; images are named by the stack
        "MOTO_ACM_VALIDATION_WAIT": "0",  # else a certificate is pending for a minute of nobody's
    }
    arguments = ["--socket", str(bound), "--go", str(go), "--generation", generation]
    with log.open("wb") as output:
        return subprocess.Popen(
            [
                # -P: nothing of the working directory may stand in for a module.
                *(sys.executable, "-P", "-m", "cli.localcloud.serve"),
                *(*arguments, "--record", str(record_path())),
            ],
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(bound, go),
            start_new_session=True,  # Ctrl-C and the terminal's end are not for the server
        )


def _answers(cloud: LocalCloud, child: subprocess.Popen[bytes] | None = None) -> bool:
    """Wait until a server answers; not beyond the end of our own child."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if running() == cloud:
            return True
        if child is not None and child.poll() is not None:
            return False
        time.sleep(0.02)
    return False


def _kill_recorded() -> bool:
    """End the recorded server and its record; whether it was alive."""
    cloud = _recorded()
    if cloud is None:
        return False
    process = _process(cloud)
    if process is not None:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(STOP_SECONDS)
    record_path().unlink(missing_ok=True)
    return process is not None


def _not_started() -> FirstbellError:
    log = paths.local_cloud() / "server.log"
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return FirstbellError(
        "the local cloud's server does not start",
        where=str(log),
        why=lines[-1] if lines else "it wrote nothing",
        fix="firstbell doctor checks what it needs",
    )


def _hanging(cloud: LocalCloud) -> FirstbellError:
    return FirstbellError(
        f"the local cloud's server (process {cloud.pid}) does not answer",
        where=cloud.endpoint,
        fix="wait, or end it with firstbell local stop, which loses its resources",
    )


def _lost() -> FirstbellError:
    return FirstbellError(
        "the local cloud's server is gone, and its resources with it",
        fix="firstbell local reset, then firstbell up",
    )


@functools.cache
def _client(endpoint: str, service: str, region: str) -> Any:
    from botocore.config import Config

    # Loopback needs neither a proxy nor patience.
    config = Config(proxies={}, retries={"max_attempts": 1}, connect_timeout=5, read_timeout=60)
    return sessions.client(service, region, endpoint, config)
