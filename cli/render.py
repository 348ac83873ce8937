"""The one place that knows terminals: tables, progress, colours, JSON.

People on a terminal get tables and a spinner; a pipe gets plain lines; `--json` gets one document
`{"kind": ..., "version": 1, ...}` on standard output and everything else on standard error.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from rich.console import Console

    from infra.errors import FirstbellError

JSON_VERSION: Final = 1
# Kinds of the documents printed so far: there is to be one.
_emitted: Final[list[str]] = []
# Plain progress lines of a long step come this far apart.
PLAIN_PROGRESS_SECONDS: Final = 10.0


@cache
def console() -> Console:
    """Standard output."""
    from rich.console import Console

    return Console(highlight=False, emoji=False, soft_wrap=not sys.stdout.isatty())


@cache
def messages() -> Console:
    """Standard error: progress, notes, warnings and errors."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, emoji=False, soft_wrap=not sys.stderr.isatty())


def text(line: str = "", *, style: str | None = None) -> None:
    """One line of a report."""
    if style is None:
        # Not through rich, which would expand the tabs of a piped table.
        sys.stdout.write(line + "\n")
    else:
        console().print(line, style=style, markup=False)


def heading(line: str) -> None:
    """A heading of a report."""
    console().print(line, style="bold", markup=False)


def note(line: str) -> None:
    """Something worth knowing; not part of the report."""
    messages().print(line, style="dim", markup=False)


def warn(line: str) -> None:
    """Something that will matter later."""
    messages().print(f"warning: {line}", style="yellow", markup=False)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on a terminal, tab-separated lines with a header when piped."""
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        if title:
            text(title)
        for row in [list(columns), *cells]:
            text("\t".join(row))
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(
        title=title or None, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold"
    )
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in cells:
        drawn.add_row(*(Text(cell) for cell in row))
    console().print(drawn)


def emit_json(kind: str, payload: dict[str, object]) -> None:
    """Print one JSON document. Its shape is documented in docs/json.md and versioned."""
    document = {"kind": kind, "version": JSON_VERSION} | payload
    sys.stdout.write(json.dumps(document, indent=2, default=str) + "\n")
    _emitted.append(kind)


def error(failure: FirstbellError, *, as_json: bool) -> None:
    """Show an error: what, where, why and the way on."""
    # A command that reports differences has printed its document before it fails.
    if as_json and not _emitted:
        emit_json("error", {"error": failure.to_json(), "exit_code": failure.exit_code})
    messages().print(f"error: {failure}", style="red", markup=False)


# In what state Ctrl-C leaves things.
NOTHING_CHANGED: Final = "nothing was changed; run the same command to go on"
BEGUN: Final = "what was done is in the state; run the same command to go on"


class Urgent(str):
    """A detail of a step that must be seen at once, and stay to be read."""

    __slots__ = ()


class Progress(Protocol):
    """What a running step can be told."""

    def __call__(self, detail: str) -> None: ...


@contextmanager
def step(title: str, *, left: str | None = None) -> Generator[Progress]:
    """Show that a step runs, what it is at, and how long it took.

    A spinner on a terminal; elsewhere a line when it starts, at most one every ten seconds while it
    runs, and one when it ends. What is `Urgent` gets a line of its own, at once. `left` says in
    what state Ctrl-C leaves things, where what was stopped does not say it itself.
    """
    started = time.monotonic()
    with _saying(left), _shown(title, started) as progress:
        yield progress
    messages().print(f"{title}: done in {time.monotonic() - started:.1f} s", markup=False)


@contextmanager
def _saying(left: str | None) -> Generator[None]:
    try:
        yield
    except KeyboardInterrupt as stopped:
        if left is None or stopped.args:
            raise
        raise KeyboardInterrupt(left) from None


@contextmanager
def _shown(title: str, started: float) -> Generator[Progress]:
    if sys.stderr.isatty():
        with messages().status(title) as status:

            def shown(detail: str) -> None:
                if isinstance(detail, Urgent):
                    messages().print(f"{title}: {detail}", markup=False)
                else:
                    status.update(f"{title}: {detail}")

            yield shown
    else:
        messages().print(f"{title} ...", markup=False)
        last = started

        def plain(detail: str) -> None:
            nonlocal last
            if isinstance(detail, Urgent) or time.monotonic() - last >= PLAIN_PROGRESS_SECONDS:
                last = time.monotonic()
                messages().print(f"  {title}: {detail}", markup=False)

        yield plain
