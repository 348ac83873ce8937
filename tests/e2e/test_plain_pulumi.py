"""Plain `pulumi` and `firstbell` see the same resources, names, parents and inputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pulumi import automation

from cli.localcloud import project, server
from cli.program import run as program
from cli.stack import open_stack
from tests.e2e.conftest import Firstbell
from tests.e2e.recording_monitor import UNKNOWN, run_program


def planned(firstbell: Firstbell, file: Path) -> dict[str, dict[str, Any]]:
    """What the real engine plans in an inline preview: the goal of each resource by URN."""
    stack = open_stack("autumn", lambda _: None)
    options = automation.LocalWorkspaceOptions(
        work_dir=str(stack.work_dir),
        env_vars=dict(stack.environment),
        pulumi_command=automation.PulumiCommand(root=str(stack.engine.root)),
    )
    automation.create_or_select_stack(
        stack_name="autumn", project_name="firstbell", program=program, opts=options
    ).preview(plan=str(file))
    plans = json.loads(file.read_text())["resourcePlans"]
    return {
        urn: plan["goal"]
        for urn, plan in plans.items()
        if not plan["goal"]["type"].startswith(("pulumi:pulumi:Stack", "pulumi:providers:"))
    }


def same(recorded: Any, inline: Any) -> bool:
    """Equal, but for unknown values and for what the provider's check has added and listed."""
    if UNKNOWN in (recorded, inline):
        return True
    if isinstance(recorded, Mapping) and isinstance(inline, Mapping):
        added = {"__defaults", *inline.get("__defaults", ())}
        return set(inline) - added <= set(recorded) <= set(inline) and all(
            same(recorded[key], inline[key]) for key in recorded
        )
    if isinstance(recorded, list) and isinstance(inline, list):
        return len(recorded) == len(inline) and all(map(same, recorded, inline))
    return recorded == inline


def test_a_language_host_registers_what_the_inline_preview_does(
    firstbell: Firstbell, tmp_path: Path
) -> None:
    firstbell("local", "start", "--at", "2026-08-01T00:00Z")
    firstbell("season", "plan", "-s", "autumn")
    inline = planned(firstbell, tmp_path / "plan.json")
    config = yaml.safe_load((firstbell.stacks / "Pulumi.autumn.yaml").read_text())["config"]
    recording, finished = run_program(
        "autumn",
        config,
        {"FIRSTBELL_HOME": str(firstbell.home), "FIRSTBELL_STACKS": str(firstbell.stacks)},
    )
    assert finished.returncode == 0, finished.stderr
    resources = {
        urn: resource
        for urn, resource in recording.resources.items()
        if resource.type != "pulumi:pulumi:Stack"
    }
    assert len(resources) > 50
    assert set(resources) == set(inline)
    for urn, resource in resources.items():
        goal = inline[urn]
        assert (resource.type, resource.name) == (goal["type"], goal["name"])
        assert resource.parent == goal.get("parent", "")
        given = (goal.get("inputDiff") or {}).get("adds") or {}
        assert same(dict(resource.inputs), given), urn


def test_the_program_runs_with_nothing_but_pulumi_and_says_what_is_wrong(
    firstbell: Firstbell,
) -> None:
    _, finished = run_program(
        "autumn",
        {"aws:region": "eu-north-1", "firstbell:platform": {"domian": "lms.example.org"}},
        {"FIRSTBELL_HOME": str(firstbell.home), "FIRSTBELL_STACKS": str(firstbell.stacks)},
    )
    assert finished.returncode != 0
    assert "unknown key 'domian' (did you mean 'domain'?)" in finished.stderr


def test_the_generated_project_is_ready_for_plain_pulumi(firstbell: Firstbell) -> None:
    firstbell("local", "start", "--at", "2026-08-01T00:00Z")
    firstbell("season", "plan", "-s", "autumn")
    firstbell("local", "env", "-s", "autumn")
    generated = yaml.safe_load((project.folder() / "Pulumi.yaml").read_text())
    assert generated["name"] == "firstbell"
    cloud = server.running()
    assert cloud is not None
    stack = open_stack("autumn", lambda _: None)
    listed = automation.LocalWorkspace(
        work_dir=str(project.folder()),
        env_vars=project.environment(cloud),
        pulumi_command=automation.PulumiCommand(root=str(stack.engine.root)),
    ).list_stacks()
    assert [entry.name for entry in listed] == ["autumn"]
