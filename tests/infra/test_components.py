"""Each part of the platform is a component of its own, and works without the rest."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import shutil
from pathlib import Path
from typing import Any, Final

import pulumi
import pytest

from infra.paths import PROJECT_ROOT
from tests.e2e.recording_monitor import run_program
from tests.infra.conftest import Recorded

DOCUMENT: Final = (PROJECT_ROOT / "docs" / "components.md").read_text()
PROGRAMS: Final = re.findall(r"^```python\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
ROWS: Final = dict(re.findall(r"^\| `(\w+)` \| `(\w+\.py)` \|", DOCUMENT, re.MULTILINE))


def components() -> dict[str, type[pulumi.ComponentResource]]:
    """Every component under infra/, by name."""
    modules = [
        importlib.import_module(f"infra.{path.stem}")
        for path in sorted((PROJECT_ROOT / "infra").glob("*.py"))
        if not path.stem.startswith("__") and "ComponentResource" in path.read_text()
    ]
    return {
        name: found
        for module in modules
        for name, found in vars(module).items()
        if inspect.isclass(found)
        and issubclass(found, pulumi.ComponentResource)
        and found.__module__ == module.__name__
    }


def run(program: str, folder: Path) -> Recorded:
    (folder / "__main__.py").write_text(program)
    plan = PROJECT_ROOT / "stacks" / "seasons" / "demo.plan.json"
    shutil.copy(plan, folder / "autumn.plan.json")
    recording, finished = run_program("mine", {"aws:region": "eu-north-1"}, {}, folder=folder)
    assert finished.returncode == 0, finished.stderr
    return Recorded(recording)


def test_every_component_is_listed_with_its_file_and_no_file_has_two() -> None:
    found = {name: f"{kind.__module__.split('.')[-1]}.py" for name, kind in components().items()}
    assert found == ROWS
    assert len(set(found.values())) == len(found)


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_component_is_made_of_a_name_typed_arguments_and_options(name: str) -> None:
    """Arguments are frozen, and each field says its type; settings are frozen, too."""
    _, _, args, opts = inspect.signature(components()[name].__init__).parameters.values()
    assert opts.annotation == "pulumi.ResourceOptions | None"
    assert opts.default is None or name == "ClosedBucket"
    module = importlib.import_module(f"infra.{ROWS[name].removesuffix('.py')}")
    kind: Any = getattr(module, args.annotation)
    if dataclasses.is_dataclass(kind):
        assert kind.__dataclass_params__.frozen  # pyright: ignore[reportAttributeAccessIssue] (of every dataclass)
        assert all("Any" not in str(field.type) for field in dataclasses.fields(kind))
    else:
        assert kind.model_config["frozen"]


def test_a_season_moves_groups_that_somebody_else_has_made(tmp_path: Path) -> None:
    made = run(
        PROGRAMS[0].replace("datetime.now(UTC)", "datetime(2026, 8, 1, tzinfo=UTC)"), tmp_path
    )
    groups = made.of_type("aws:autoscaling/schedule:Schedule").values()
    replicas = made.of_type("aws:appautoscaling/scheduledAction:ScheduledAction").values()
    assert {each["autoscalingGroupName"] for each in groups} == {"moodle-web-2019"}
    assert {each["resourceId"] for each in replicas} == {"cluster:moodle"}
    kinds = {resource.type for resource in made.recording.resources.values()}
    assert {kind for kind in kinds if kind.startswith("aws:")} == {
        "aws:autoscaling/schedule:Schedule",
        "aws:appautoscaling/scheduledAction:ScheduledAction",
    }


def test_a_network_a_cache_and_backups_need_no_stack(tmp_path: Path) -> None:
    made = run(PROGRAMS[1], tmp_path)
    (group,) = made.of_type("aws:elasticache/replicationGroup:ReplicationGroup").values()
    assert group["nodeType"] == "cache.m7g.large"
    (selection,) = made.of_type("aws:backup/selection:Selection").values()
    assert selection["selectionTags"][0]["value"] == "school"
    assert made.of_type("aws:rds/cluster:Cluster") == {}
