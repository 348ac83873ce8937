"""The matrix's result: a row for each part of it, and every cell that was not clean by name."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cli.migration.proof.writer import Evidence

_HEAD: Final = ("", "", "points", "kills", "lost", "doubled", "overlapping")


@dataclass
class Row:
    """One part of the matrix: what was killed or cut, and in which states."""

    what: str
    where: str
    points: int = 0
    kills: int = 0
    lost: int = 0
    # Rows applied twice; for files, entries of ours that stay behind.
    doubled: int = 0
    # None where there are no two sides that could both take writes.
    overlapping: int | None = 0
    problems: list[str] = field(default_factory=list[str])

    def add(self, evidence: Evidence | None, kills: int, problems: Sequence[str]) -> None:
        """Count one cell in."""
        self.points += 1
        self.kills += kills
        self.problems += problems
        if evidence is not None:
            self.lost += len(evidence.lost)
            self.doubled += len(evidence.doubled)
            self.overlapping = (self.overlapping or 0) + evidence.overlaps

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, doubled, overlapping or otherwise wrong."""
        return not (self.lost or self.doubled or self.overlapping or self.problems)


class Table:
    """Rows in the order in which they were asked for."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Row] = {}

    def row(self, what: str, where: str) -> Row:
        """The row of a part; made when it is new."""
        return self.rows.setdefault((what, where), Row(what, where))

    @property
    def clean(self) -> bool:
        """Whether there is anything, and all of it clean."""
        return bool(self.rows) and all(row.clean for row in self.rows.values())

    def text(self) -> str:
        """The table for people, with a sum at the end and every problem below it."""
        rows = [*self.rows.values()]
        cells = [
            (
                row.what,
                row.where,
                *(f"{n}" for n in (row.points, row.kills, row.lost, row.doubled)),
                "-" if row.overlapping is None else f"{row.overlapping}",
            )
            for row in rows
        ]
        total = [sum(int(cell[n]) for cell in cells) for n in range(2, 6)]
        overlapping = sum(row.overlapping or 0 for row in rows)
        lines = [_HEAD, *cells, ("all", "", *map(str, total), str(overlapping))]
        widths = [max(len(line[n]) for line in lines) for n in range(len(_HEAD))]
        text = [
            "  ".join(
                each.ljust(width) if n < 2 else each.rjust(width)
                for n, (each, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        problems = [f"{row.what}, {row.where}: {each}" for row in rows for each in row.problems]
        return "\n".join([*text, *problems]) + "\n"

    def show(self) -> None:
        """Print it."""
        sys.stdout.write(self.text())
        sys.stdout.flush()

    def save(self, path: Path) -> None:
        """Keep it as JSON, for whoever puts several together."""
        path.write_text(json.dumps([vars(row) for row in self.rows.values()]))

    def load(self, path: Path) -> None:
        """Take in what another process saved."""
        for kept in json.loads(path.read_text()):
            row = Row(**kept)
            self.rows[row.what, row.where] = row
