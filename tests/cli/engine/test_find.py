"""Which Pulumi CLI is used: the named one, the one on PATH, the cached one, in this order."""

from __future__ import annotations

from pathlib import Path

import pytest
from pulumi.automation import PulumiCommand

from cli import engine
from cli.engine.find import new_enough, version_of
from infra.errors import InputError
from tests.cli.engine.conftest import Machine


def test_the_named_engine_comes_before_the_one_on_path(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.pulumi("v3.300.0")
    named = machine.pulumi("v3.301.0", "elsewhere/bin/pulumi")
    monkeypatch.setenv("FIRSTBELL_PULUMI", str(named))
    found = engine.find()
    assert found is not None
    assert (found.root, found.version) == (machine.root / "elsewhere", "3.301.0")
    assert found.how == f"named by FIRSTBELL_PULUMI ({named})"


@pytest.mark.parametrize("version", ["v3.258.9", "v2.300.0", "v4.0.0"])
def test_a_named_engine_of_another_version_is_refused_with_exit_2(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    machine.go()
    named = machine.pulumi(version, "old/pulumi")
    monkeypatch.setenv("FIRSTBELL_PULUMI", str(named))
    with pytest.raises(InputError) as refused:
        engine.find_or_build(lambda _: None)
    assert refused.value.exit_code == 2
    assert refused.value.where == "FIRSTBELL_PULUMI"
    assert refused.value.what == f"{named} is version {version.removeprefix('v')}"
    assert machine.builds() == []
    assert not machine.cache.exists()


def test_a_named_engine_that_is_not_there_is_refused_with_exit_2(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTBELL_PULUMI", str(machine.root / "nothing"))
    with pytest.raises(InputError, match="is not an executable Pulumi CLI"):
        engine.find()


def test_an_engine_on_path_of_exactly_the_least_version_is_used(machine: Machine) -> None:
    on_path = machine.pulumi(f"v{engine.VERSION}")
    found = engine.find()
    assert found is not None
    assert found == engine.Engine(machine.root, engine.VERSION, f"on PATH ({on_path})")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("print('v3.258.0')", "is version 3.258.0"),
        ("raise SystemExit(1)", "does not run"),
        ("print('hello')", "does not run"),
    ],
)
def test_an_engine_on_path_that_will_not_do_is_passed_over_with_a_note(
    machine: Machine, program: str, said: str
) -> None:
    on_path = machine.executable("bin/pulumi", program)
    cached = machine.pulumi("never asked", f"cache/firstbell/engine/v{engine.VERSION}/bin/pulumi")
    notes: list[str] = []
    found = engine.find_or_build(notes.append)
    note = f"{on_path} {said}, passed over: {engine.VERSION} or newer is needed"
    assert (found.binary, found.version, found.passed_over) == (cached, engine.VERSION, note)
    assert notes == [note]


def test_without_any_engine_find_builds_nothing(machine: Machine) -> None:
    machine.go()
    assert engine.find() is None
    assert machine.builds() == []


def test_an_engine_outside_a_bin_folder_can_still_be_a_root(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = machine.pulumi("v3.400.0", "tools/pulumi-3.400")
    monkeypatch.setenv("FIRSTBELL_PULUMI", str(named))
    roots = {found.root for _ in range(2) if (found := engine.find())}
    (root,) = roots
    assert (root / "bin" / "pulumi").resolve() == named
    assert str(PulumiCommand(root=str(root)).version) == "3.400.0"


def test_a_relative_cache_home_is_ignored(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    monkeypatch.setenv("HOME", str(machine.root))
    place = f".cache/firstbell/engine/v{engine.VERSION}/bin/pulumi"
    cached = machine.pulumi("never asked", place)
    found = engine.find()
    assert found is not None
    assert found.binary == cached


@pytest.mark.parametrize(
    ("version", "enough"),
    [
        ("3.258.99", False),
        ("3.259.0", True),
        ("3.259.1", True),
        ("3.1000.0", True),
        ("4.0.0", False),
        ("3.260.0-dev.0", True),
    ],
)
def test_versions_compare_as_numbers_within_one_major_version(version: str, enough: bool) -> None:
    assert new_enough(version) is enough


def test_the_version_built_is_the_one_that_go_mod_pins() -> None:
    folder = Path(engine.__file__).parent
    pinned = (folder / "go.mod").read_text()
    for module in ("pkg/v3", "sdk/v3"):
        assert f"github.com/pulumi/pulumi/{module} v{engine.VERSION} " in pinned


def test_the_real_engine_answers_with_its_version() -> None:
    found = engine.find_or_build(lambda _: None)
    assert version_of(found.binary) == found.version
    assert str(PulumiCommand(root=str(found.root)).version) == found.version
