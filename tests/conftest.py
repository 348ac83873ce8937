"""Builders that keep each test to what differs."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import yaml

# A shell that starts the tests in the background ignores Ctrl-C for them, and what ignores it hands
# that on to every process it starts; tests that send it need what a terminal gives.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no fault of what is tested.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

WriteStack = Callable[..., Path]


@pytest.fixture
def stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of stacks that firstbell takes for stacks/."""
    folder = tmp_path / "stacks"
    folder.mkdir()
    monkeypatch.setenv("FIRSTBELL_STACKS", str(folder))
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that firstbell takes for .firstbell/."""
    folder = tmp_path / "home"
    monkeypatch.setenv("FIRSTBELL_HOME", str(folder))
    return folder


@pytest.fixture
def write_stack(stacks: Path) -> WriteStack:
    """Writes a stack's file: the smallest one, with what a test changes."""

    def write(name: str = "tiny", **config: Any) -> Path:
        smallest = {
            "aws:region": "eu-north-1",
            "firstbell:platform": {"domain": "lms.example.org"},
        }
        path = stacks / f"Pulumi.{name}.yaml"
        path.write_text(yaml.safe_dump({"config": smallest | config}))
        return path

    return write
