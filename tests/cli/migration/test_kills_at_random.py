"""Fifty seeded kills at random times inside effects, two migrations at a time; `make test-all`."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from cli.migration import runner
from cli.migration.journal import Journal, root
from cli.migration.proof.kills import Nursery
from cli.migration.proof.scene import Scene
from tests.cli.migration.conftest import closing, rehearsed

# Long enough to get into any effect, short enough to seldom end a whole cutover.
LONGEST_LIFE_SECONDS = 1.2
KILLS = 25


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_kills_at_random_times_lose_and_double_nothing(
    stage: Callable[..., Scene], capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 (when to kill, not a secret)
    scene = stage(16, 18)
    scene.start_load()
    scene.wait_for_writes()
    journal = Journal.create(root(scene.name) / "journal.db", scene.name)
    run = closing(runner.build(scene.name, journal))
    nursery = Nursery.open(scene.name, None)
    kills, switches = 0, 0
    assert nursery.live() == 0
    rehearsed(run, 600)
    journal.remember("window length", "10h")
    while kills < KILLS or journal.current.state not in ("soak", "hold"):
        now = journal.current
        if now.state == "soak" and now.goal == "soak":
            journal.order("cutover")
            switches += 1
        elif now.state == "hold" and now.goal == "cutover":
            journal.order("back")
            switches += 1
        code = nursery.live(chance.uniform(0.05, LONGEST_LIFE_SECONDS) if kills < KILLS else None)
        kills += code < 0
        sides = [server.open_to_applications() for server in (run.source, run.target)]
        assert sides != [True, True], f"both sides take writes in {journal.current}"
    nursery.close()
    scene.wait_for_writes()
    scene.stop_load()
    final = scene.target if journal.current.state == "hold" else scene.source
    evidence = scene.evidence(final)
    with capsys.disabled():
        print(f"\nseed {seed}: {kills} kills, {switches} switches: {evidence.to_json()}")  # noqa: T201
    assert (evidence.lost, evidence.doubled, evidence.overlaps) == ((), (), 0)
    assert len(evidence.changes) == switches
