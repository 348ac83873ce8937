"""The local cloud's small JSON records: whole or not there, never half written."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from infra.errors import FirstbellError


class SpoiltError(FirstbellError):
    """A record is not what we wrote."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            "the local cloud's record cannot be read",
            where=str(path),
            fix="start afresh: firstbell local reset",
        )


def write(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Replace a file in one step, so that a reader or a kill never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(path: Path, record: dict[str, Any]) -> None:
    """Replace a JSON record in one step."""
    write(path, json.dumps(record, indent=1, sort_keys=True) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON record, or None when there is none.

    Raises:
        SpoiltError: the file is not what we wrote.
    """
    try:
        record = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise SpoiltError(path) from error
    if not isinstance(record, dict):
        raise SpoiltError(path)
    return record
