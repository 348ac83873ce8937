"""A scanner that is not ours finds no failed control of the list in the demo."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.localcloud import server
from infra.paths import PROJECT_ROOT
from tests.scanner import applied, known, prowler


@pytest.mark.slow
def test_prowler_finds_no_failed_control_in_the_demo(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTBELL_STACKS", str(PROJECT_ROOT / "stacks"))
    try:
        cloud, requests = applied.demo(tmp_path)
        failed, looked_at = prowler.scan(cloud, tmp_path)
    finally:
        server.stop()
    assert len(looked_at) >= 40, "the scan looked at next to nothing"
    assert known.judge(failed, known.read(), requests) == []
