"""What a running step shows, on a terminal and in the log of a pipeline."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from cli.render import Urgent, step

TOLD = (
    "from cli.render import Urgent, step\n"
    "with step('applying x') as progress:\n"
    "    progress('7 resources'); progress(Urgent('stopping')); progress('8 resources')\n"
)


def test_a_pipeline_sees_at_once_what_is_urgent_and_not_every_resource(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with step("applying x") as progress:
        progress("7 resources")
        progress(Urgent("stopping"))
    first, urgent, last = capsys.readouterr().err.splitlines()
    assert (first, urgent) == ("applying x ...", "  applying x: stopping")
    assert last.startswith("applying x: done in ")


@pytest.mark.parametrize(
    ("left", "stopped", "said"),
    [
        ("nothing was changed", KeyboardInterrupt(), "nothing was changed"),
        # What was stopped knows better.
        ("nothing was changed", KeyboardInterrupt("half of it"), "half of it"),
        (None, KeyboardInterrupt(), ""),
    ],
)
def test_a_step_that_is_stopped_says_in_what_state_that_leaves_things(
    left: str | None, stopped: KeyboardInterrupt, said: str
) -> None:
    with pytest.raises(KeyboardInterrupt) as caught, step("applying x", left=left):
        raise stopped
    assert str(caught.value) == said


def test_on_a_terminal_what_is_urgent_stays_when_the_spinner_goes_on() -> None:
    ours, theirs = pty.openpty()
    try:
        subprocess.run([sys.executable, "-c", TOLD], stderr=theirs, timeout=60, check=True)
        os.close(theirs)
        shown = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
    # A line of its own; the spinner's are overwritten.
    assert "applying x: stopping\r\n" in shown
    assert "7 resources\r\n" not in shown
