"""Locks that may go and locks that must stay; and that everything the stack makes can be found."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from cli.localcloud import server
from cli.localcloud.provider.rows import ROWS
from cli.recovery.locks import release_locks
from cli.recovery.searches import REPEATABLE, SEARCHES
from infra.errors import FirstbellError


def no_client(service: str) -> Any:
    raise AssertionError(f"a file back end needs no {service}")


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    folder = tmp_path / "state/.pulumi/locks/organization/firstbell/demo"
    folder.mkdir(parents=True)
    return folder


def lock(pid: int, host: str | None = None) -> str:
    return json.dumps(
        {
            "pid": pid,
            "username": "ops",
            "hostname": host or socket.gethostname(),
            "timestamp": "2026-11-22T05:55:57Z",
        }
    )


def release(locks: Path) -> list[str]:
    back_end = f"{locks.parents[4].as_uri()}?metadata=skip"
    return list(release_locks(back_end, "demo", no_client, lambda _: None))


@pytest.fixture
def dead() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen(["/bin/true"]) as process:
        process.wait()
        return process.pid


@pytest.fixture
def engine(tmp_path: Path) -> Generator[subprocess.Popen[bytes]]:
    """A living process that is called pulumi."""
    binary = tmp_path / "pulumi"
    shutil.copy("/bin/sleep", binary)
    with subprocess.Popen([binary, "600"]) as process:
        yield process
        process.kill()


def test_the_lock_of_a_dead_process_of_this_host_is_removed(locks: Path, dead: int) -> None:
    (locks / "a.json").write_text(lock(dead))
    expected = f"process {dead} of ops on {socket.gethostname()}, since 2026-11-22T05:55:57Z"
    assert release(locks) == [expected]
    assert list(locks.iterdir()) == []


def test_the_lock_of_another_host_stays_even_when_no_such_process_is_here(
    locks: Path, dead: int
) -> None:
    (locks / "a.json").write_text(lock(dead, "build-agent-7"))
    with pytest.raises(FirstbellError, match="on build-agent-7"):
        release(locks)
    assert (locks / "a.json").exists()


def test_the_lock_of_a_living_engine_stays_and_its_owner_is_named(
    locks: Path, engine: subprocess.Popen[bytes]
) -> None:
    (locks / "a.json").write_text(lock(engine.pid))
    with pytest.raises(FirstbellError, match=f"process {engine.pid} of ops") as refused:
        release(locks)
    assert refused.value.what == "somebody else is working on this stack"
    assert (locks / "a.json").exists()


def test_a_process_number_that_something_else_has_by_now_counts_as_dead(locks: Path) -> None:
    (locks / "a.json").write_text(lock(os.getpid()))
    assert len(release(locks)) == 1


def test_an_engine_whose_program_is_gone_is_waited_for(locks: Path, tmp_path: Path) -> None:
    """It was told a port at which nobody listens any more, and ends by itself."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    binary = tmp_path / "pulumi"
    shutil.copy("/bin/bash", binary)
    script = ["-c", "read -t 2 < <(sleep 9)", f"--client=127.0.0.1:{port}"]
    with subprocess.Popen([binary, *script]) as engine:
        (locks / "a.json").write_text(lock(engine.pid))
        heard: list[str] = []
        back_end = locks.parents[4].as_uri()
        assert len(list(release_locks(back_end, "demo", no_client, heard.append))) == 1
        assert heard[0].startswith("waiting for the engine of a killed run to finish")


def test_a_lock_that_was_half_written_goes_unless_it_is_being_written_now(locks: Path) -> None:
    old, fresh = locks / "a.json.18ea.tmp", locks / "b.json.18eb.tmp"
    old.write_text('{"pid"')
    os.utime(old, (1_000_000_000, 1_000_000_000))
    fresh.write_text('{"pid"')
    assert release(locks) == []
    assert list(locks.iterdir()) == [fresh]


def test_without_locks_there_is_nothing_to_release(tmp_path: Path) -> None:
    assert list(release_locks(tmp_path.as_uri(), "demo", no_client, lambda _: None)) == []


@pytest.mark.parametrize("prefix", ["", "/team/pulumi"])
def test_a_dead_lock_in_an_s3_back_end_is_removed_and_no_other_object(
    home: Path, dead: int, prefix: str
) -> None:
    try:
        s3 = server.ensure_started().client("s3", "eu-north-1")
        where = {"LocationConstraint": "eu-north-1"}
        s3.create_bucket(Bucket="state", CreateBucketConfiguration=where)
        folder = f"{prefix.strip('/')}/.pulumi/locks/organization/firstbell".lstrip("/")
        s3.put_object(Bucket="state", Key=f"{folder}/demo/a.json", Body=lock(dead).encode())
        s3.put_object(Bucket="state", Key=f"{folder}/demo-2/b.json", Body=lock(dead).encode())
        back_end = f"s3://state{prefix}?region=eu-north-1"
        assert len(list(release_locks(back_end, "demo", lambda _: s3, lambda _: None))) == 1
        kept = [entry["Key"] for entry in s3.list_objects_v2(Bucket="state")["Contents"]]
        assert kept == [f"{folder}/demo-2/b.json"]
    finally:
        server.stop()


def test_everything_that_a_stack_can_make_can_be_looked_for() -> None:
    assert set(ROWS) - set(SEARCHES) - REPEATABLE == set()
