"""Which migrations there are, and which one is meant."""

from __future__ import annotations

from pathlib import Path

from infra import paths
from infra.errors import InputError, nearest


def folder() -> Path:
    """Where migration files live."""
    return paths.stacks() / "migrations"


def names() -> list[str]:
    """The migrations there are."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def choose(name: str | None) -> str:
    """The migration's name: the given one, or the only one there is.

    Raises:
        InputError: no such migration, or none was named and there is not exactly one.
    """
    known = names()
    if name is None:
        if len(known) == 1:
            return known[0]
        raise InputError(
            "no migration was named",
            where="--migration",
            fix=f"add --migration NAME, one of: {', '.join(known) or 'none exist yet'}",
        )
    if name not in known:
        close = nearest(name, known)
        raise InputError(
            f"there is no migration {name!r}",
            where="--migration",
            fix=f"did you mean {close}?" if close else f"write {folder() / f'{name}.yaml'}",
        )
    return name
