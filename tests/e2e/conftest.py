"""firstbell as its users run it: a process, a folder of stacks, a local cloud of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from cli.localcloud import server

# A school year cut short: one market, a grading fortnight, a bell, few actions.
SEASON = dedent(
    """
    version: 1
    timezone: Europe/Stockholm
    horizon: {from: 2026-08-10, to: 2026-12-20}
    markets:
      - name: sweden
        users: 100000
        source: assumed
        holidays: {country: SE}
        terms: [{name: autumn, from: 2026-08-17, to: 2026-12-18}]
        breaks: [{name: autumn break, from: 2026-10-26, to: 2026-10-30}]
        periods: [{name: grades, kind: grading, from: 2026-12-07, to: 2026-12-18, factor: 2}]
    demand:
      profiles:
        school:  {"00:00": 0.05, "07:00": 0.4, "08:00": 1.5, "16:00": 0.5, "21:00": 0.05}
        weekend: {"00:00": 0.05, "10:00": 0.3, "21:00": 0.05}
        break:   {"00:00": 0.05, "10:00": 0.2, "21:00": 0.05}
      bursts:
        - {name: first bell, market: sweden, days: school, at: "08:10", logins: 20000, over: 20m}
    capacity:
      web: {kind: autoscaling-group, requests_per_second: 20, utilisation: 0.6, boot: 4m}
      database: {kind: aurora-replicas, requests_per_second: 100, utilisation: 0.6, boot: 15m}
    """
)
STACK = dedent(
    """
    config:
      aws:region: eu-north-1
      firstbell:season: seasons/autumn.yaml
      firstbell:platform:
        domain: lms.example.org
        network: {nat: single}
        tiers: {web: {min: 2, max: 60}}
        database: {replicas: {min: 1, max: 8}}
    """
)


@dataclass
class Firstbell:
    """Runs commands against stacks and a local cloud that belong to one test."""

    stacks: Path
    home: Path
    environment: dict[str, str] = field(default_factory=dict[str, str])
    region: str = "eu-north-1"
    # The engine writes its state before and after each step, which is half of its work. Only what
    # is killed in the middle needs that; elsewhere the state is written when a command ends.
    checkpoints: bool = False

    def __call__(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        finished = subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            env=self.env(),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert finished.returncode == code, (
            f"firstbell {' '.join(arguments)} exited {finished.returncode}, not {code}\n"
            f"{finished.stdout[-4000:]}\n{finished.stderr[-4000:]}"
        )
        assert "Traceback" not in finished.stderr
        return finished

    def json(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        return json.loads(self(*arguments, "--json", code=code).stdout)

    def env(self) -> dict[str, str]:
        return os.environ | {
            "FIRSTBELL_HOME": str(self.home),
            "FIRSTBELL_STACKS": str(self.stacks),
            "PULUMI_SKIP_CHECKPOINTS": str(not self.checkpoints).lower(),
            **self.environment,
        }

    def client(self, service: str, region: str = "") -> Any:
        """A boto3 client, as somebody would use who changes things behind the stack's back."""
        cloud = server.running()
        assert cloud is not None
        return cloud.client(service, region or self.region)


@pytest.fixture
def firstbell(stacks: Path, home: Path) -> Generator[Firstbell]:
    """A stack `autumn` with a season, and no local cloud yet; none is left behind."""
    (stacks / "seasons").mkdir()
    (stacks / "seasons" / "autumn.yaml").write_text(SEASON)
    (stacks / "Pulumi.autumn.yaml").write_text(STACK)
    yield Firstbell(stacks, home)
    server.stop()
