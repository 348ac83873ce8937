"""The kill matrix: the runner dies at every journal write, and nothing is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from cli.migration import runner
from cli.migration.journal import Journal, root
from cli.migration.proof.kills import Nursery, kill_log, killed
from cli.migration.proof.scene import Scene, SceneOf
from cli.migration.proof.writer import Evidence
from tests.cli.migration.conftest import closing, leftovers, rehearsed

# Enough for every write of a whole chain; more means that it does not get on.
MOST_LIVES = 900
# Until `schema` has locked it, the empty target is as open as it was found.
EMPTY_TARGET = ("preflight", "prepare", "schema")


class Chain:
    """Lives of one migration's runner, with the invariants looked at after every death."""

    def __init__(self, scene: SceneOf[Any]) -> None:
        self.scene = scene
        self.journal = Journal.create(root(scene.name) / "journal.db", scene.name)
        self.run = closing(runner.build(scene.name, self.journal))
        self.nursery = Nursery.open(scene.name, f"each:{scene.folder / 'kills.txt'}")
        self.lives = 0

    def until_rest(self, *, abort_in: str | None = None) -> int:
        """Live and die until the migration rests; optionally order it back once in a state."""
        while True:
            code = self.nursery.live()
            self.lives += 1
            assert self.lives < MOST_LIVES, f"no progress in {self.journal.current}"
            sides = [s.open_to_applications() for s in (self.run.source, self.run.target)]
            if self.journal.current.state not in EMPTY_TARGET:
                assert sides != [True, True], f"both take writes in {self.journal.current}"
            if not killed(code):
                return code
            if abort_in is not None and self.journal.current.state == abort_in:
                self.journal.order("back")
                abort_in = None


def test_a_runner_killed_once_at_every_journal_write_loses_and_doubles_nothing(
    stage: Callable[..., Scene], capsys: pytest.CaptureFixture[str]
) -> None:
    """Start; cutover; revert; cutover, aborted in flip; cutover; commit: one migration."""
    evidence, kills, left = play(stage(16, 18))
    with capsys.disabled():
        print(f"\n{sum(kills.values())} kills in {len(kills)} states: {evidence.to_json()}")  # noqa: T201
    assert sum(kills.values()) > 200
    assert left == []


def play(scene: SceneOf[Any]) -> tuple[Evidence, Counter[str], list[str]]:
    """The whole chain; what the writer saw, kills by state, and what of ours is left."""
    scene.start_load()
    scene.wait_for_writes()
    chain = Chain(scene)
    journal = chain.journal
    assert chain.until_rest() == 0
    assert journal.current.state == "soak"
    rehearsed(chain.run, 600)
    journal.remember("window length", "10h")
    scene.wait_for_writes()

    for goal, abort_in, ends_in in (
        ("cutover", None, "hold"),
        ("back", None, "soak"),
        ("cutover", "flip", "soak"),
        ("cutover", None, "hold"),
        ("commit", None, "committed"),
    ):
        journal.order(goal)
        assert chain.until_rest(abort_in=abort_in) == 0
        assert journal.current.state == ends_in
        scene.wait_for_writes()
    chain.nursery.close()
    scene.stop_load()

    evidence = scene.evidence(scene.target)
    kills = Counter(point.split("/")[2] for point in kill_log(scene.folder))
    assert (evidence.lost, evidence.doubled, evidence.overlaps) == ((), (), 0)
    assert [change[:2] for change in evidence.changes] == [
        ("source", "target"),
        ("target", "source"),
        ("source", "target"),
    ]
    return evidence, kills, leftovers(chain.run)
