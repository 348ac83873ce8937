"""Building the engine: one at a time, all or nothing, and what can go wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from cli import engine
from cli.engine.build import Need, check_room
from infra.errors import FirstbellError, InputError
from infra.paths import PROJECT_ROOT
from tests.cli.engine.conftest import Machine


def start() -> subprocess.Popen[str]:
    """Run the builder in a process of its own, as the Makefile does."""
    return subprocess.Popen(
        [sys.executable, "-m", "cli.engine"],
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(true: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def remains(machine: Machine) -> list[str]:
    return sorted(path.name for path in machine.cache.glob("build*") if path.suffix != ".lock")


def test_what_was_built_is_cached_and_not_built_again(machine: Machine) -> None:
    machine.go()
    built = engine.find_or_build(lambda _: None)
    assert (built.binary, built.version) == (machine.built, engine.VERSION)
    again = engine.find_or_build(lambda _: None)
    assert again.how == f"in the per-user cache ({machine.cache}/v{engine.VERSION})"
    assert len(machine.builds()) == 1
    assert remains(machine) == []


def test_progress_tells_the_stage_and_the_time(machine: Machine) -> None:
    says = ("go: downloading example.org/a v1.0.0", "internal/abi", "github.com/a/b.c/v2")
    machine.go(seconds=3, says=says)
    heard: list[str] = []
    engine.find_or_build(heard.append)
    assert heard[0] == "fetching modules, 0 so far, 0 s"
    assert heard[-1].startswith("compiling, 2 packages, ")


def test_of_two_processes_one_builds_and_the_other_waits_and_says_for_whom(
    machine: Machine,
) -> None:
    machine.go(seconds=3)
    first = start()
    wait_until(machine.builds)
    heard: list[str] = []
    engine.find_or_build(heard.append)
    assert f"waiting for process {first.pid}, which is building it" in heard[0]
    output, _ = first.communicate(timeout=90)
    assert first.returncode == 0
    assert f"built from Go modules ({machine.cache}/v{engine.VERSION})" in output
    assert len(machine.builds()) == 1


def test_a_build_that_was_killed_leaves_nothing_and_the_next_one_succeeds(
    machine: Machine,
) -> None:
    machine.go(seconds=600)
    first = start()
    wait_until(lambda: machine.builds() and (machine.cache / "building.json").exists())
    first.send_signal(signal.SIGKILL)
    first.communicate()
    (orphan,) = machine.builds()
    assert not machine.built.exists()
    assert psutil.pid_exists(orphan)

    machine.go()
    engine.find_or_build(lambda _: None)
    assert machine.built.exists()
    assert remains(machine) == []
    wait_until(lambda: not psutil.pid_exists(orphan) or _is_zombie(orphan))


def _is_zombie(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_an_unrelated_process_that_got_the_dead_builders_id_is_left_alone(
    machine: Machine,
) -> None:
    machine.go()
    with subprocess.Popen(["/bin/sleep", "600"], start_new_session=True) as bystander:
        machine.cache.mkdir(parents=True)
        record = f'{{"pid": 1, "go": {bystander.pid}, "go_started": 1000.0}}'
        (machine.cache / "building.json").write_text(record)
        engine.find_or_build(lambda _: None)
        assert bystander.poll() is None
        bystander.kill()


def test_ctrl_c_ends_the_build_its_compiler_and_its_remains(machine: Machine) -> None:
    machine.go(seconds=600)
    process = start()
    wait_until(lambda: machine.builds() and (machine.cache / "building.json").exists())
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=90)
    assert process.returncode == 130
    assert "Traceback" not in errors
    (compiler,) = machine.builds()
    wait_until(lambda: not psutil.pid_exists(compiler))
    assert remains(machine) == []
    assert not machine.built.exists()


@pytest.mark.parametrize("version", [None, "1.19.8", "1.24.13"])
def test_without_a_go_that_is_new_enough_both_ways_on_are_named(
    machine: Machine, version: str | None
) -> None:
    if version:
        machine.go(version=version)
    with pytest.raises(InputError) as refused:
        engine.find_or_build(lambda _: None)
    assert refused.value.exit_code == 2
    assert refused.value.fix is not None
    assert "install Go 1.25 or newer" in refused.value.fix
    assert "official installer script" in refused.value.fix
    assert not machine.cache.exists()


@pytest.mark.parametrize("version", ["1.25", "1.25.11", "1.30rc1"])
def test_a_go_of_the_least_version_builds(machine: Machine, version: str) -> None:
    machine.go(version=version)
    assert engine.find_or_build(lambda _: None).binary == machine.built


def test_a_failed_build_places_nothing_and_repeats_what_go_said(machine: Machine) -> None:
    machine.go(exit_code=1, says=("go: example.org/a@v1.0.0: dial tcp: no such host",))
    with pytest.raises(FirstbellError, match="no such host") as failed:
        engine.find_or_build(lambda _: None)
    assert failed.value.exit_code == 1
    assert not machine.built.exists()
    assert remains(machine) == []


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ("link: write /x: no space left on device", "make room"),
        ("verifying module: checksum mismatch", "differs from the one that go.sum pins"),
    ],
)
def test_a_full_disk_and_a_wrong_checksum_have_fixes_of_their_own(
    machine: Machine, said: str, fix: str
) -> None:
    machine.go(exit_code=1, says=(said,))
    with pytest.raises(FirstbellError, match=fix):
        engine.find_or_build(lambda _: None)


def test_a_binary_that_answers_another_version_is_not_placed(machine: Machine) -> None:
    machine.go(makes="v3.1.0")
    with pytest.raises(FirstbellError, match="does not run"):
        engine.find_or_build(lambda _: None)
    assert not machine.built.exists()


def test_a_cache_that_cannot_be_written_is_bad_input(machine: Machine) -> None:
    machine.go()
    (machine.root / "cache").write_text("a file stands where the folder should")
    with pytest.raises(InputError, match="cache cannot be made"):
        engine.find_or_build(lambda _: None)


def test_room_is_asked_for_per_file_system_and_added_up(tmp_path: Path) -> None:
    needs = [Need(tmp_path / "a", 600, "a"), Need(tmp_path / "b" / "c", 400, "b")]
    check_room(needs, free=lambda _: 1000)
    with pytest.raises(InputError) as refused:
        check_room(needs, free=lambda _: 999)
    assert refused.value.where == str(tmp_path)
    assert refused.value.exit_code == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_disk_without_room_is_refused_before_anything_is_built(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.go()
    small = machine.root / "small"
    small.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)]
    if subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("this machine does not let us mount")
    try:
        monkeypatch.setenv("XDG_CACHE_HOME", str(small))
        with pytest.raises(InputError, match=r"GB of disk, 0\.0 GB are free"):
            engine.find_or_build(lambda _: None)
        assert machine.builds() == []
    finally:
        subprocess.run(["/bin/umount", str(small)], check=True)
