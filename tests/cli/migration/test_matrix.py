"""The kill matrix: samples here, the whole in `make test-all` or by `python -m tests.matrix`.

What chains of kills prove within one migration stands in test_kills.py.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from cli.migration.proof.mariadb import installed
from cli.migration.proof.writer import Evidence
from tests.matrix import __main__ as command
from tests.matrix import trees
from tests.matrix.parts import PARTS
from tests.matrix.table import Table
from tests.matrix.uploads import EDITED, Uploads

CLEAN = Evidence(10, 0, (), (), (), 0, ())
LOST = Evidence(10, 0, (7,), (), (), 0, ())


def test_a_pass_that_is_killed_and_resumed_leaves_both_sides_equal_and_nothing_beside(
    tmp_path: Path,
) -> None:
    ground = trees.Ground(tmp_path, s3=False)
    try:
        killed = [result for _, result in ground.kills(0, every=15)]
        assert len(killed) > 4
        assert all(result.clean for result in killed), killed
        # Known-bad twins: nobody resumes; somebody does, and what was half written stays.
        alone = ground.kill(0, 40, resumed=False)
        assert alone.kills == 1
        assert any("is missing on the target" in each for each in alone.lost)
    finally:
        ground.close()


def test_an_upload_that_did_not_arrive_and_an_edit_that_was_undone_are_seen(
    tmp_path: Path,
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / EDITED).parent.mkdir(parents=True)
    uploads = Uploads(tmp_path / "uploads", tmp_path / "lock", source, target)
    uploads.begin()
    commands = yaml.safe_load(yaml.safe_dump(uploads.commands()))
    uploads.start()
    while len(uploads.acknowledged()) < 3:
        time.sleep(0.01)
    subprocess.run(commands["source"]["stop"][0], check=True)
    seen = uploads.acknowledged()
    shutil.copytree(source, target)
    time.sleep(0.2)
    assert uploads.acknowledged() == seen, "nobody writes once stop has returned"
    subprocess.run(commands["target"]["start"][0], check=True)
    while len(uploads.acknowledged()) == len(seen):
        time.sleep(0.01)
    uploads.stop()
    assert uploads.problems(target) == []
    # Known-bad twins: the side that was left, an older edit, a lost upload.
    assert len(uploads.problems(source)) == len(uploads.acknowledged()) - len(seen) + 1
    (target / EDITED).write_text(seen[0])
    assert uploads.problems(target) == [f"{EDITED} is not as it was edited last"]
    next(target.glob("filedir/*/*/*")).unlink()
    assert len(uploads.problems(target)) == 2


def test_the_table_shows_each_part_and_what_was_lost(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table()
    assert not table.clean, "an empty matrix proves nothing"
    table.row("PostgreSQL, runner killed", "cutover").add(CLEAN, 1, [])
    table.row("files, pass killed", "first pass").overlapping = None
    assert table.clean
    table.row("PostgreSQL, runner killed", "cutover").add(LOST, 2, ["before 1/forward/drain: x"])
    assert not table.clean
    assert table.text().splitlines() == [
        "                                       points  kills  lost  doubled  overlapping",
        "PostgreSQL, runner killed  cutover          2      3     1        0            0",
        "files, pass killed         first pass       0      0     0        0            -",
        "all                                         2      3     1        0            0",
        "PostgreSQL, runner killed, cutover: before 1/forward/drain: x",
    ]
    assert command.main(["oracle"]) == 2
    assert "no part oracle; there are: postgres, mariadb, files, s3" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("part", list(PARTS))
def test_no_isolated_kill_or_cut_loses_doubles_or_lets_both_sides_take_writes(
    part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if part == "mariadb" and not installed():
        pytest.skip("no MariaDB on this machine")
    table, say = Table(), _teller()
    PARTS[part](table, say, sample=False)
    with capsys.disabled():
        table.show()
    assert table.clean, table.text()


def _teller() -> Callable[[str], None]:
    return lambda text: print(text, file=sys.stderr)  # noqa: T201
