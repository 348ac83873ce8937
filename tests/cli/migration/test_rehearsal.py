"""A rehearsal runs what stands in for the application's commands, and never those themselves."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.migration import rehearsal
from cli.migration.proof.scene import Scene
from infra.errors import InputError
from tests.cli.migration.conftest import begin
from tests.cli.migration.test_orders import change


def test_a_rehearsal_stops_switches_and_tests_by_its_stand_ins_alone(
    stage: Callable[..., Scene], tmp_path: Path
) -> None:
    said = tmp_path / "said"

    def say(word: str) -> list[str]:
        code = f"open({str(said)!r}, 'a').write({word!r} + ' ')"
        return [sys.executable, "-c", code]

    scene = stage(16, 18, rehearsal=18)
    real = {"stop": [say("REAL")], "start": [say("REAL")]}
    places = {"dsn": "env:SCENE_REHEARSAL", "peer_dsn": "env:SCENE_REHEARSAL"}
    change(
        scene,
        application={
            **{"kind": "generic", "source": real, "target": real},
            "smoke": [{"name": "front page", "command": say("REAL")}],
        },
        switch={"to_target": [say("REAL")], "to_source": [say("REAL")], "old_ttl": "1s"},
        rehearsal={
            **places,
            **{key: [say(key)] for key in ("stop", "start", "maintenance_on", "maintenance_off")},
            "switch": {"to_target": [say("to-target")], "to_source": [say("to-source")]},
            "smoke": [
                {"name": "sign in", "command": say("outside"), "when": "after"},
                {"name": "front page", "command": say("inside")},
            ],
        },
    )
    record = rehearsal.rehearse(begin(scene))
    assert said.read_text().split() == [
        *("maintenance_on", "stop", "start", "maintenance_off", "inside", "to-target", "outside"),
        *("maintenance_on", "stop", "start", "maintenance_off", "to-source"),
    ]
    assert record["not_exercised"] == ["roles but one", "grants", "retained WAL"]


def test_a_stand_in_that_is_not_on_this_runner_is_named_before_anything_is_made(
    stage: Callable[..., Scene],
) -> None:
    scene = stage(16, 18, rehearsal=18)
    change(
        scene,
        rehearsal={
            **dict.fromkeys(("dsn", "peer_dsn"), "env:SCENE_REHEARSAL"),
            "switch": {"to_target": ["./nothing a"], "to_source": ["./nothing b"]},
        },
    )
    run = begin(scene)
    with pytest.raises(InputError, match=r"\./nothing \(rehearsal.switch.to_target\)") as refused:
        rehearsal.rehearse(run)
    assert refused.value.exit_code == 2
    assert run.journal.fact("rehearsals") is None
