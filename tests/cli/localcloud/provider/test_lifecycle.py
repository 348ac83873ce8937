"""Every resource type through its whole life on the real engine and a real moto server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from cli.localcloud.provider.rows import ROWS
from cli.recovery.searches import SEARCHES
from tests.cli.localcloud.provider.chapters import (
    COLOURLESS,
    DRIFTS,
    PASSIVE,
    REMOVED,
    everything,
    left_over,
)
from tests.cli.localcloud.provider.chapters.base import Variant
from tests.cli.localcloud.provider.conftest import Bench, Moto

# How an exported state marks a secret.
SECRET_KEY, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"


@dataclass
class Journey:
    """What the engine said at each step of one long run, and the state after it."""

    counts: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    states: dict[str, dict[str, dict[str, Any]]] = field(
        default_factory=dict[str, dict[str, dict[str, Any]]]
    )
    log: str = ""
    written: str = ""
    left_over: list[str] = field(default_factory=list[str])
    looked_for: dict[str, list[str]] = field(default_factory=dict[str, list[str]])


@pytest.fixture(scope="module")
def journey(module_bench: Bench, moto: Moto) -> Journey:
    bench, result = module_bench, Journey()

    def step(name: str, run: Callable[[], dict[str, int]]) -> None:
        result.counts[name] = run()
        result.states[name] = bench.resources()

    def be(variant: Variant) -> None:
        bench.program = lambda: everything(variant)

    be(Variant())
    result.counts["preview"] = bench.preview()
    step("up", bench.up)
    step("refresh", bench.refresh)
    step("up again", bench.up)
    result.looked_for = {
        name: look_for(resource, moto) for name, resource in result.states["up again"].items()
    }
    for name, drift in DRIFTS.items():
        drift(moto.client, result.states["up again"][name])
    step("refresh after drift", bench.refresh)
    step("repair", bench.up)
    step("refresh after repair", bench.refresh)
    be(Variant(color="red"))
    result.counts["preview of update"] = bench.preview()
    step("update", bench.up)
    step("refresh after update", bench.refresh)
    be(Variant(color="red", name="b", cidr="10.1.0.0/16"))
    result.counts["preview of replacement"] = bench.preview()
    step("replacement", bench.up)
    step("refresh after replacement", bench.refresh)
    bench.destroy()
    result.written = bench.written()
    result.log = "\n".join(bench.log)
    result.left_over = left_over(moto.client)
    return result


def look_for(resource: dict[str, Any], moto: Moto) -> list[str]:
    """The ids of what the resource's inputs may have made, as recovery finds them."""
    inputs = resource.get("inputs", {})

    def client(service: str) -> Any:
        return moto.client(service, inputs.get("region"))

    search = SEARCHES.get(resource["type"])
    return sorted(search(client, inputs)) if search else []


def _ours(states: dict[str, dict[str, Any]]) -> set[str]:
    return {name for name, state in states.items() if state["type"] in ROWS}


def _all(journey: Journey) -> int:
    """Every resource and the stack itself."""
    return len(_ours(journey.states["up"])) + 1


def test_the_program_has_every_type_of_the_table(journey: Journey) -> None:
    assert {s["type"] for s in journey.states["up"].values()} >= set(ROWS)


def test_every_resource_has_a_drift(journey: Journey) -> None:
    assert set(DRIFTS) | PASSIVE == _ours(journey.states["up"])


def test_a_preview_promises_what_up_creates(journey: Journey) -> None:
    assert journey.counts["preview"] == journey.counts["up"] == {"create": _all(journey)}


@pytest.mark.parametrize(
    "step",
    [
        "refresh",
        "up again",
        "refresh after repair",
        "refresh after update",
        "refresh after replacement",
    ],
)
def test_nothing_changes_when_nothing_was_changed(journey: Journey, step: str) -> None:
    assert journey.counts[step] == {"same": _all(journey)}


def test_what_a_killed_run_may_have_made_is_found(journey: Journey) -> None:
    made = journey.states["up again"]
    lost = {
        name: (made[name]["id"], found)
        for name, found in journey.looked_for.items()
        if made[name]["type"] in SEARCHES and made[name]["id"] not in found
    }
    assert lost == {}


@pytest.mark.parametrize("name", DRIFTS)
def test_what_is_done_behind_our_back_is_seen(journey: Journey, name: str) -> None:
    before = journey.states["up again"][name]["inputs"]
    after = journey.states["refresh after drift"].get(name)
    if name in REMOVED:
        assert after is None
    else:
        assert after is not None
        assert after["inputs"] != before


@pytest.mark.parametrize("name", DRIFTS)
def test_what_was_done_behind_our_back_is_repaired(journey: Journey, name: str) -> None:
    before = journey.states["up again"][name]["inputs"]
    after = journey.states["refresh after repair"][name]["inputs"]
    if name == "group":
        # The repaired launch template is a new version of it.
        before, after = (
            {k: i[k] for k in i if k != "mixedInstancesPolicy"} for i in (before, after)
        )
    assert after == before


def test_nothing_that_did_not_drift_is_touched(journey: Journey) -> None:
    assert journey.counts["refresh after drift"]["same"] == _all(journey) - len(DRIFTS)
    assert journey.counts["repair"] == {
        "create": len(REMOVED),
        "same": _all(journey) - len(DRIFTS),
        "update": len(DRIFTS) - len(REMOVED),
    }


def test_updates_happen_in_place_and_really(journey: Journey) -> None:
    assert journey.counts["preview of update"] == journey.counts["update"]
    same = len(COLOURLESS) + 1  # and the stack itself
    assert journey.counts["update"] == {"same": same, "update": _all(journey) - same}
    states = journey.states["refresh after update"]
    assert states["group"]["outputs"]["maxSize"] == 8
    assert states["template"]["outputs"]["description"] == "red"
    assert states["rule"]["outputs"]["priority"] == 20
    assert states["cluster"]["outputs"]["backupRetentionPeriod"] == 14
    assert states["cluster"]["outputs"]["engineVersion"] == "16.8"
    assert states["scalable"]["outputs"]["maxCapacity"] == 6


def test_replacement_gives_new_things(journey: Journey) -> None:
    assert journey.counts["preview of replacement"] == journey.counts["replacement"]
    for name in ("vpc", "subnet-0", "security", "targets", "cluster", "certificate", "balancer"):
        old, new = (journey.states[s][name]["id"] for s in ("update", "replacement"))
        assert old != new, name


def test_destroy_leaves_nothing_behind(journey: Journey) -> None:
    assert journey.left_over == []


def test_a_secret_is_nowhere_in_plain_text(journey: Journey) -> None:
    assert "correct-horse-battery" not in journey.log + journey.written
    for step in ("up", "refresh", "update"):
        for kind in ("inputs", "outputs"):
            secret = journey.states[step]["cluster"][kind]["masterPassword"]
            assert secret == {SECRET_KEY: SECRET, "plaintext": '"correct-horse-battery"'}


def test_outputs_are_those_of_the_live_things(journey: Journey) -> None:
    states = journey.states["up"]
    assert states["vpc"]["outputs"]["arn"].startswith("arn:aws:ec2:eu-north-1:")
    assert states["vpc"]["outputs"]["mainRouteTableId"].startswith("rtb-")
    assert states["template"]["outputs"]["latestVersion"] == 1
    assert states["writer"]["outputs"]["writer"] is True
    assert states["balancer"]["outputs"]["arnSuffix"].startswith("app/")
    assert states["morning"]["outputs"]["startTime"] == "2026-08-03T05:45:00Z"
    assert states["morning"]["outputs"]["maxSize"] == -1
    assert states["role"]["outputs"]["name"].startswith("role-")
    assert states["vpc"]["outputs"]["tagsAll"] == states["vpc"]["inputs"]["tags"]


def test_a_new_launch_template_reaches_the_group(journey: Journey) -> None:
    group = journey.states["update"]["group"]["outputs"]
    template = journey.states["update"]["template"]["outputs"]
    policy = group["mixedInstancesPolicy"]["launchTemplate"]["launchTemplateSpecification"]
    assert policy["version"] == str(template["latestVersion"])
