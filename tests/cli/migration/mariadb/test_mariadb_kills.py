"""The kill matrix on MariaDB: the runner dies at every journal write, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cli.migration.proof.mariadb import MariaDbScene
from tests.cli.migration.test_kills import play


@pytest.mark.slow
def test_a_runner_killed_once_at_every_journal_write_loses_and_doubles_nothing(
    stage: Callable[..., MariaDbScene], capsys: pytest.CaptureFixture[str]
) -> None:
    """Start; cutover; revert; cutover, aborted in flip; cutover; commit: one migration."""
    evidence, kills, left = play(stage())
    with capsys.disabled():
        print(f"\n{sum(kills.values())} kills in {len(kills)} states: {evidence.to_json()}")  # noqa: T201
    assert sum(kills.values()) > 150
    assert left == []
