"""The real engine and a local cloud of its own; what the tests of the provider share."""

from __future__ import annotations

import functools
import json
import sys
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pulumi import automation

from cli.engine import find_or_build
from cli.localcloud import server, sessions
from cli.localcloud.plugin import Plugin
from cli.program import settled

REGION = "eu-north-1"
NOW = "2026-08-01T00:00:00Z"
PROJECT_ROOT = Path(__file__).resolve().parents[4]


@dataclass(frozen=True)
class Moto:
    """A running server of the local cloud."""

    endpoint: str

    def client(self, service: str, region: str | None = None) -> Any:
        return _client(self.endpoint, service, region or REGION)


@functools.cache
def _client(endpoint: str, service: str, region: str) -> Any:
    return sessions.client(service, region, endpoint)


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    home = tmp_path_factory.mktemp("cloud")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRSTBELL_HOME", str(home))
        cloud = server.ensure_started()
    yield Moto(cloud.endpoint)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRSTBELL_HOME", str(home))
        server.stop()


@dataclass
class Bench:
    """A stack on the real engine with the embedded provider; `program` may be exchanged."""

    stack: automation.Stack
    state: Path
    program: Callable[[], None] = lambda: None
    log: list[str] = field(default_factory=list[str])

    def run(self) -> None:
        self.program()

    def preview(self) -> dict[str, int]:
        return _counts(self.stack.preview(on_output=self.log.append).change_summary)

    def up(self) -> dict[str, int]:
        result = self.stack.up(on_output=self.log.append)
        return _counts(result.summary.resource_changes or {})

    def refresh(self) -> dict[str, int]:
        result = self.stack.refresh(on_output=self.log.append)
        return _counts(result.summary.resource_changes or {})

    def destroy(self) -> None:
        self.stack.destroy(on_output=self.log.append)

    def written(self) -> str:
        """The state as it lies on the disk, history and copies included."""
        return "".join(path.read_text() for path in sorted(self.state.rglob("*.json*")))

    def resources(self) -> dict[str, dict[str, Any]]:
        """The state's resources by name."""
        exported = self.stack.export_stack().deployment
        assert exported is not None
        return {
            resource["urn"].rpartition("::")[2]: resource
            for resource in exported.get("resources", [])
        }


def _counts(summary: Any) -> dict[str, int]:
    return {str(getattr(k, "value", k)): v for k, v in summary.items()}


@pytest.fixture(scope="session")
def engine_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PULUMI_HOME with the embedded provider as pulumi-aws's plugin."""
    home = tmp_path_factory.mktemp("pulumi")
    plugin = home / "plugins" / "resource-aws-v7.51.1"
    plugin.mkdir(parents=True)
    executable = plugin / "pulumi-resource-aws"
    executable.write_text(
        f'#!/bin/sh\ncd {PROJECT_ROOT}\nexec {sys.executable} -m cli.localcloud.provider "$@"\n'
    )
    executable.chmod(0o755)
    return home


@pytest.fixture
def bench(tmp_path: Path, engine_home: Path, moto: Moto) -> Iterator[Bench]:
    with _new_bench(tmp_path, engine_home, moto) as made:
        yield made


@pytest.fixture(scope="module")
def module_bench(
    tmp_path_factory: pytest.TempPathFactory, engine_home: Path, moto: Moto
) -> Iterator[Bench]:
    with _new_bench(tmp_path_factory.mktemp("bench"), engine_home, moto) as made:
        yield made


@contextmanager
def _new_bench(tmp_path: Path, engine_home: Path, moto: Moto) -> Generator[Bench]:
    root = find_or_build(lambda _: None).root
    local = tmp_path / "home" / "local"
    local.mkdir(parents=True)
    (local / "clock.json").write_text(json.dumps({"now": NOW, "generation": "test"}))
    state = tmp_path / "state"
    state.mkdir()
    made: list[Bench] = []

    async def program() -> None:
        made[0].run()
        await settled()

    name = f"t{uuid.uuid4().hex[:6]}"
    provider = {"AWS_ENDPOINT_URL": moto.endpoint, "FIRSTBELL_HOME": str(tmp_path / "home")}
    plugin = Plugin(provider, local / "provider.log")
    stack = automation.create_or_select_stack(
        name,
        "provider-test",
        program,
        opts=automation.LocalWorkspaceOptions(
            pulumi_command=automation.PulumiCommand(root=str(root), skip_version_check=True),
            env_vars={
                "PULUMI_HOME": str(engine_home),
                "PULUMI_BACKEND_URL": f"file://{state}",
                "PULUMI_CONFIG_PASSPHRASE": "test",
                "PULUMI_SKIP_UPDATE_CHECK": "true",
                # Half of the engine's work; nothing is killed here.
                "PULUMI_SKIP_CHECKPOINTS": "true",
                "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            }
            | provider
            | plugin.variables(),
        ),
    )
    stack.set_config("aws:region", automation.ConfigValue(REGION))
    made.append(Bench(stack, state))
    yield made[0]
    plugin.end()
