"""Every command that a document shows is run here, in the document's order."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from cli.localcloud import server
from infra.paths import PROJECT_ROOT
from tests.e2e.conftest import SEASON, STACK, Firstbell

README = (PROJECT_ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
YAML = re.findall(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[list[str]]:
    return [shlex.split(line, comments=True) for line in block.splitlines() if line.strip()]


@pytest.fixture
def readme(stacks: Path, home: Path) -> Generator[Firstbell]:
    """The README's stack `mine`, and a small stack that goes by the name of `demo`."""
    (stacks / "seasons").mkdir()
    (stacks / "seasons" / "autumn.yaml").write_text(SEASON)
    (stacks / "Pulumi.demo.yaml").write_text(STACK)
    (stacks / "Pulumi.mine.yaml").write_text(YAML[0])
    yield Firstbell(stacks, home)
    server.stop()


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    assert commands(BLOCKS[0]) == [["make", "demo"], ["make", "test"]]
    for command in commands(BLOCKS[0]):
        subprocess.run([*command, "--dry-run"], cwd=PROJECT_ROOT, check=True, capture_output=True)


def test_the_commands_of_the_readme_run(readme: Firstbell) -> None:
    readme("local", "start", "--at", "2026-08-01T00:00Z")
    readme("season", "plan", "-s", "demo")
    readme("up", "-s", "demo")
    shown = [command for block in BLOCKS[1:] for command in commands(block)]
    assert len(shown) >= 10
    for command in shown:
        assert command[0] == "firstbell"
        readme(*command[1:])


def test_every_link_of_the_documents_leads_somewhere() -> None:
    for document in (PROJECT_ROOT / name for name in ("README.md", "CONTRIBUTING.md")):
        for link in re.findall(r"\]\((?!http)([^)#]+)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.name}: {link}"


def test_every_kind_of_json_document_is_described() -> None:
    described = set(
        re.findall(r"^\| `([a-z-]+)`", (PROJECT_ROOT / "docs/json.md").read_text(), re.M)
    )
    sources = [*(PROJECT_ROOT / "cli").rglob("*.py")]
    emitted = {
        kind
        for source in sources
        for kind in re.findall(r'emit_json\(\s*"([a-z-]+)"', source.read_text())
    }
    assert emitted <= described
