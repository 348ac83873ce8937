"""The whole scan, as `make scan` runs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from infra.paths import PROJECT_ROOT


@pytest.mark.slow
def test_a_scanner_that_is_not_ours_finds_no_failed_control_in_the_demo() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "tests.scanner"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
