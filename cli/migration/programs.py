"""Whether this runner has the programs that a migration's file names."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence

from cli.migration.spec import Side, Smoke, Ways

# Where a command stands in the file, and its words.
Named = tuple[str, Sequence[str]]


def of_side(key: str, side: Side) -> Iterator[Named]:
    """What stops and starts the application on one side."""
    for name in ("stop", "start", "maintenance_on", "maintenance_off"):
        yield from ((f"{key}.{name}", command) for command in getattr(side, name))


def of_ways(key: str, ways: Ways) -> Iterator[Named]:
    """What sends users to and fro."""
    yield from ((f"{key}.to_target", command) for command in ways.to_target)
    yield from ((f"{key}.to_source", command) for command in ways.to_source)


def of_tests(tests: Iterable[Smoke]) -> Iterator[Named]:
    """Smoke tests that are commands."""
    yield from ((f"smoke test {test.name}", test.command) for test in tests if test.command)


def missing(commands: Iterable[Named]) -> list[str]:
    """Programs that are not here, each with where it is named."""
    return list(
        dict.fromkeys(
            f"{command[0]} ({where})"
            for where, command in commands
            if shutil.which(command[0]) is None
        )
    )
