"""The local cloud's server as real processes: started, found, killed, lost, and never orphaned."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from cli.localcloud import clock, files, server
from infra.errors import FirstbellError, InputError
from tests.cli.localcloud.conftest import server_processes

AUGUST = datetime(2026, 8, 1, tzinfo=UTC)


def firstbell(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", "from cli.main import main; main()", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def kill_server(cloud: server.LocalCloud) -> None:
    process = psutil.Process(cloud.pid)
    process.kill()
    wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


def test_a_started_server_answers_and_is_found_again(local_home: Path) -> None:
    cloud = server.ensure_started(at=AUGUST)
    assert urlsplit(cloud.endpoint).hostname == "127.0.0.1"
    assert cloud.client("sts", "eu-north-1").get_caller_identity()["Account"] == "123456789012"
    assert server.ensure_started() == cloud
    assert server.running() == cloud
    assert server.state() == "running"
    assert clock.read() == AUGUST
    assert [process.pid for process in server_processes(local_home)] == [cloud.pid]


def test_a_server_outlives_the_command_that_started_it_and_ends_with_stop(local_home: Path) -> None:
    started = firstbell("local", "start", "--at", "2026-08-01T00:00Z", "--json")
    status = json.loads(started.communicate(timeout=60)[0])
    assert started.returncode == 0
    assert status["state"] == "running"
    assert status["clock"] == "2026-08-01T00:00:00Z"
    cloud = server.running()
    assert cloud is not None
    assert status["pid"] == cloud.pid
    stopped = firstbell("local", "stop")
    assert "is stopped" in stopped.communicate(timeout=60)[0]
    assert server_processes(local_home) == []
    assert server.state() == "stopped"
    assert server.stop() is False


def test_two_starts_at_once_make_one_server(local_home: Path) -> None:
    both = [firstbell("local", "start", "--json") for _ in range(2)]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert answers[0]["generation"] == answers[1]["generation"]
    assert len(server_processes(local_home)) == 1


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.2, 0.5])
def test_ctrl_c_during_the_start_leaves_no_process_behind(local_home: Path, delay: float) -> None:
    starting = firstbell("local", "start")
    wait_until(lambda: bool(server_processes(local_home)))
    time.sleep(delay)
    starting.send_signal(signal.SIGINT)
    errors = starting.communicate(timeout=60)[1]
    assert "Traceback" not in errors
    if "done" in errors:  # it was ready before the signal came
        assert starting.returncode in (0, 130)
        assert server.state() == "running"
        return
    assert starting.returncode == 130
    wait_until(lambda: server_processes(local_home) == [])
    assert server.state() == "stopped"


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.2, 0.5])
def test_a_killed_start_leaves_a_server_that_is_known_or_none(
    local_home: Path, delay: float
) -> None:
    starting = firstbell("local", "start")
    wait_until(lambda: bool(server_processes(local_home)))
    time.sleep(delay)
    starting.kill()
    starting.communicate(timeout=60)
    if (record := files.read_json(server.record_path())) is not None:
        # The record stands before the server may serve, so it is found, and can be stopped.
        wait_until(lambda: server.state() == "running")
        assert [process.pid for process in server_processes(local_home)] == [record["pid"]]
        assert server.stop() is True
    wait_until(lambda: server_processes(local_home) == [])


@pytest.mark.parametrize("delay", [0.0, 0.2, 0.5])
def test_after_a_killed_start_the_next_one_goes_on(local_home: Path, delay: float) -> None:
    starting = firstbell("local", "start", "--at", "2026-08-01T00:00Z")
    wait_until(lambda: bool(server_processes(local_home)))
    time.sleep(delay)
    starting.kill()
    starting.communicate(timeout=60)
    cloud = server.ensure_started(at=AUGUST)
    assert server.running() == cloud
    assert clock.read() == AUGUST
    wait_until(lambda: [process.pid for process in server_processes(local_home)] == [cloud.pid])


def test_a_server_ends_by_itself_when_its_folder_is_removed(local_home: Path) -> None:
    cloud = server.ensure_started()
    server.record_path().unlink()
    wait_until(lambda: server_processes(local_home) == [])
    wait_until(
        lambda: not psutil.pid_exists(cloud.pid) or psutil.Process(cloud.pid).status() == "zombie"
    )


def test_a_lost_server_is_recognised_and_the_state_made_on_it_refused(local_home: Path) -> None:
    first = server.ensure_started(at=AUGUST)
    server.remember_generation("demo", first.generation)
    server.check_generation("demo", first)
    assert server.stranded_stacks(first.generation) == []
    kill_server(first)
    assert server.running() is None
    assert server.state() == "lost"
    shown = firstbell("local", "status")
    output, warnings = shown.communicate(timeout=60)
    assert "gone without having been stopped" in output
    assert "the resources of demo were lost" in warnings
    with pytest.raises(FirstbellError, match="is gone"):
        first.regions()

    second = server.ensure_started()
    assert second.generation != first.generation
    assert clock.read() == AUGUST
    with pytest.raises(InputError, match="lost the resources of stack demo") as caught:
        server.check_generation("demo", second)
    assert caught.value.fix == "firstbell local reset, then firstbell up -s demo"
    server.check_generation("never-made", second)
    server.forget_generation("demo")
    server.check_generation("demo", second)


def test_a_process_that_took_over_the_number_is_not_killed(local_home: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        record = {"endpoint": "http://127.0.0.1:9", "generation": "g", "pid": other.pid}
        files.write_json(server.record_path(), record)
        assert server.state() == "lost"
        assert server.stop() is False
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_foreign_server_on_the_recorded_port_is_not_taken_for_ours(local_home: Path) -> None:
    cloud = server.ensure_started()
    record = {"endpoint": cloud.endpoint, "generation": "another", "pid": cloud.pid}
    files.write_json(server.record_path(), record)
    assert server.running() is None
    wait_until(lambda: server_processes(local_home) == [])


def test_a_server_that_hangs_is_named_and_can_be_stopped(local_home: Path) -> None:
    cloud = server.ensure_started()
    psutil.Process(cloud.pid).suspend()
    assert server.look() == ("hanging", None)
    assert server.stop() is True
    assert server_processes(local_home) == []


def test_a_taken_port_is_refused_and_nothing_is_changed(local_home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        starting = firstbell("local", "start", "--port", str(port))
        errors = starting.communicate(timeout=60)[1]
        assert starting.returncode == 2
        assert f"port {port} cannot be used: Address already in use" in errors
        assert "Traceback" not in errors
        assert server.state() == "stopped"
        assert clock.stands_at() is None
    cloud = server.ensure_started(port=port)
    assert cloud.endpoint == f"http://127.0.0.1:{port}"
    with pytest.raises(InputError, match="already runs at"):
        server.ensure_started(port=port + 1)


def test_the_clock_of_a_running_cloud_is_not_set_by_start(local_home: Path) -> None:
    server.ensure_started(at=AUGUST)
    assert server.ensure_started(at=AUGUST)
    with pytest.raises(InputError, match="already runs") as caught:
        server.ensure_started(at=AUGUST.replace(day=2))
    assert caught.value.fix is not None
    assert "advance --to 2026-08-02T00:00:00Z" in caught.value.fix
    with pytest.raises(InputError, match="never goes back"):
        server.ensure_started(at=AUGUST.replace(month=7))
    server.stop()
    with pytest.raises(InputError, match="never goes back"):
        server.ensure_started(at=AUGUST.replace(month=7))
    server.ensure_started(at=AUGUST.replace(month=9))
    assert clock.read() == AUGUST.replace(month=9)


def test_reset_forgets_everything_local_and_nothing_else(local_home: Path) -> None:
    journal = local_home / "migrations" / "spring" / "journal.db"
    files.write(journal, "the journal")
    cloud = server.ensure_started(at=AUGUST)
    server.remember_generation("demo", cloud.generation)
    files.write(local_home / "local" / "state" / "kept", "")
    files.write(local_home / "local" / "recorded" / "kept", "")
    server.reset()
    assert server_processes(local_home) == []
    assert [path.name for path in (local_home / "local").iterdir()] == ["server.lock"]
    assert journal.read_text() == "the journal"
    server.reset()
    assert server.ensure_started(at=AUGUST.replace(month=7))
    assert clock.read() == AUGUST.replace(month=7)


def test_nothing_of_the_users_aws_set_up_reaches_the_client(
    local_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-real-token")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(local_home / "none"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    cloud = server.ensure_started()
    client = cloud.client("ec2", "eu-west-3")
    assert client.meta.endpoint_url == cloud.endpoint
    assert client.describe_vpcs()["Vpcs"][0]["CidrBlock"] == "172.31.0.0/16"


def test_an_endpoint_that_is_not_loopback_keeps_the_cloud_from_starting(
    local_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_RDS", "https://rds.eu-north-1.amazonaws.com")
    with pytest.raises(InputError, match="not a loopback address"):
        server.ensure_started()
    assert not (local_home / "local").exists()


def test_a_server_that_cannot_start_says_why(
    local_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(FirstbellError, match="does not start") as caught:
        server.ensure_started()
    assert caught.value.where == str(local_home / "local" / "server.log")
    assert server.state() == "stopped"
    assert clock.stands_at() is None


@pytest.mark.parametrize("content", ["{", "[]", '{"endpoint": "http://127.0.0.1:9"}'])
def test_a_spoilt_record_is_an_error_with_a_way_out(local_home: Path, content: str) -> None:
    files.write(server.record_path(), content)
    with pytest.raises(FirstbellError, match="cannot be read") as caught:
        server.running()
    assert caught.value.fix == "start afresh: firstbell local reset"
    server.reset()
    assert server.state() == "stopped"


def test_the_server_process_holds_no_terminal_and_no_folder(local_home: Path) -> None:
    cloud = server.ensure_started()
    process = psutil.Process(cloud.pid)
    assert process.cwd() == "/"
    assert os.getsid(cloud.pid) == cloud.pid
    assert process.terminal() is None
