"""What counts as lost, doubled and overlapping, each beside the same log without the fault."""

from __future__ import annotations

import json
from pathlib import Path

from cli.migration.proof import writer

Line = dict[str, object]


def sent(row: int, version: int = 0, op: str = "insert") -> Line:
    return {"op": op, "row": row, "version": version, "phase": "sent"}


def told(
    row: int,
    began: float,
    side: str = "source",
    *,
    version: int = 0,
    op: str = "insert",
    phase: str = "acknowledged",
) -> Line:
    line = sent(row, version, op) | {"phase": phase, "side": side}
    return line | {"began": began, "ended": began + 0.5}


def examined(folder: Path, lines: list[Line], rows: list[tuple[int, int]]) -> writer.Evidence:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "writer.jsonl").write_text(text)
    return writer.examine(folder, rows)


def test_an_acknowledged_write_that_is_not_there_is_lost_and_one_in_doubt_is_not(
    tmp_path: Path,
) -> None:
    lines = [
        told(1, 1.0),
        told(2, 2.0),
        told(2, 3.0, version=1, op="update"),
        told(3, 4.0),
        told(3, 5.0, version=1, op="delete"),
        told(4, 6.0, phase="doubt"),
        sent(5),
    ]
    for rows in ([(1, 0), (2, 1)], [(1, 0), (2, 1), (4, 0), (5, 0)]):
        found = examined(tmp_path, lines, rows)
        assert found.clean
        assert (found.acknowledged, found.in_doubt) == (5, 2)
    assert examined(tmp_path, lines, [(2, 1)]).lost == (1,)
    assert examined(tmp_path, lines, [(1, 0), (2, 0)]).lost == (2,), "its update is gone"
    assert examined(tmp_path, lines, [(1, 0), (2, 1), (3, 0)]).lost == (3,), "its delete is gone"


def test_a_row_that_is_there_twice_is_doubled(tmp_path: Path) -> None:
    lines = [told(1, 1.0), told(2, 2.0)]
    assert examined(tmp_path, lines, [(1, 0), (2, 0)]).clean
    assert examined(tmp_path, lines, [(1, 0), (2, 0), (2, 0)]).doubled == (2,)


def test_answers_of_both_sides_at_a_time_overlap_and_one_after_the_other_is_a_change(
    tmp_path: Path,
) -> None:
    rows = [(1, 0), (2, 0)]
    found = examined(tmp_path, [told(1, 1.0), told(2, 1.6, "target")], rows)
    assert found.overlaps == 0
    assert [change[:2] for change in found.changes] == [("source", "target")]
    assert examined(tmp_path, [told(1, 1.0), told(2, 1.4, "target")], rows).overlaps == 1
    # A probe of the other side counts as much as the writer.
    (tmp_path / "probe-target-application.jsonl").write_text(
        json.dumps({"side": "target", "began": 1.2, "ended": 1.3}) + "\n"
    )
    assert examined(tmp_path, [told(1, 1.0), told(2, 2.0)], rows).overlaps == 1
