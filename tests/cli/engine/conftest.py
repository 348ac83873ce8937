"""A machine of its own for each test: a PATH with fake `go` and `pulumi`, an empty cache.

The fakes are real executables, so that processes, locks and signals are real too.
"""

from __future__ import annotations

import json
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli import engine

FAKE_GO = """
import json, os, pathlib, sys, time
here = pathlib.Path(__file__).parent.parent
behaviour = json.loads((here / "go.json").read_text())
if sys.argv[1] == "version":
    print(f"go version go{behaviour['version']} linux/amd64")
elif sys.argv[1] == "env":
    print(here / "modules", here / "objects", sep="\\n")
else:
    with (here / "builds").open("a") as log:
        log.write(f"{os.getpid()}\\n")
    output = pathlib.Path(sys.argv[sys.argv.index("-o") + 1])
    for line in behaviour["says"]:
        print(line, file=sys.stderr, flush=True)
    output.write_text("half a binary")
    time.sleep(behaviour["seconds"])
    if behaviour["exit"] == 0:
        output.write_text(f"#!/bin/sh\\necho {behaviour['makes']}\\n")
        output.chmod(0o755)
    sys.exit(behaviour["exit"])
"""


@dataclass
class Machine:
    """What is installed on it."""

    root: Path

    @property
    def cache(self) -> Path:
        return self.root / "cache" / "firstbell" / "engine"

    @property
    def built(self) -> Path:
        return self.cache / f"v{engine.VERSION}" / "bin" / "pulumi"

    def builds(self) -> list[int]:
        """Process ids of the `go build`s so far."""
        log = self.root / "builds"
        return [int(line) for line in log.read_text().split()] if log.exists() else []

    def go(
        self,
        *,
        version: str = "1.26.0",
        seconds: float = 0,
        exit_code: int = 0,
        says: tuple[str, ...] = (),
        makes: str = f"v{engine.VERSION}",
    ) -> None:
        """Install a Go that builds an engine which answers `makes`."""
        self.executable("bin/go", FAKE_GO)
        behaviour = {
            "version": version,
            "seconds": seconds,
            "exit": exit_code,
            "says": says,
            "makes": makes,
        }
        (self.root / "go.json").write_text(json.dumps(behaviour))

    def pulumi(self, version: str, place: str = "bin/pulumi") -> Path:
        """Install a Pulumi CLI that answers `version`."""
        return self.executable(place, f"print({version!r})")

    def executable(self, place: str, program: str) -> Path:
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!{sys.executable} -I\n" + textwrap.dedent(program))
        path.chmod(0o755)
        return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FIRSTBELL_PULUMI", raising=False)
    return Machine(tmp_path)
