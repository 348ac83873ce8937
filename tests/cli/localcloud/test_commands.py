"""`firstbell local` as people and scripts use it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.context import Context
from cli.localcloud import server
from cli.main import root
from infra.errors import InputError
from tests.conftest import WriteStack


def local(*arguments: str) -> str:
    ran = CliRunner().invoke(
        root, ["local", *arguments], obj=Context(), catch_exceptions=False, standalone_mode=False
    )
    return ran.stdout


def local_json(*arguments: str) -> dict[str, Any]:
    return json.loads(local(*arguments, "--json"))


def test_the_life_of_a_local_cloud(local_home: Path) -> None:
    assert local_json("status")["state"] == "stopped"
    started = local_json("start", "--at", "2026-08-01T02:00+02:00")
    assert started["state"] == "running"
    assert started["clock"] == "2026-08-01T00:00:00Z"
    assert local_json("status") == started
    assert f"runs at {started['endpoint']} (process {started['pid']})" in local("status")

    cloud = server.running()
    assert cloud is not None
    autoscaling = cloud.client("autoscaling", "eu-north-1")
    autoscaling.create_launch_configuration(
        LaunchConfigurationName="web", ImageId="ami-12345678", InstanceType="m7g.large"
    )
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="demo-web",
        LaunchConfigurationName="web",
        AvailabilityZones=["eu-north-1a"],
        MinSize=1,
        MaxSize=9,
    )
    autoscaling.put_scheduled_update_group_action(
        AutoScalingGroupName="demo-web",
        ScheduledActionName="morning",
        Recurrence="0 6 * * *",
        MinSize=7,
    )
    advanced = local_json("advance", "--by", "1d30m")
    assert advanced["from"] == "2026-08-01T00:00:00Z"
    assert advanced["now"] == "2026-08-02T00:30:00Z"
    assert advanced["actions_fired"] == 1
    assert advanced["targets"] == [
        {
            "target": "demo-web",
            "changed_at": "2026-08-01T06:00:00Z",
            "cause": "morning",
            "minimum": 7,
            "maximum": 9,
            "size": 7,
        }
    ]
    assert "1 scheduled actions fired" in local("advance", "--to", "2026-08-02T08:00Z")
    assert local_json("status")["clock"] == "2026-08-02T08:00:00Z"

    assert local_json("stop") == {
        "kind": "local-stop",
        "version": 1,
        "stopped": True,
        "stranded_stacks": [],
    }
    assert local_json("stop")["stopped"] is False
    assert local_json("status")["clock"] == "2026-08-02T08:00:00Z"
    assert local_json("reset")["reset"] is True
    assert local_json("status")["clock"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["start", "--at", "yesterday"], "'yesterday' is not a time"),
        (["start", "--at", "2026-08-01T00:00"], "has no time zone"),
        (["advance"], "name the time to move to"),
        (["advance", "--by", "1h", "--to", "2026-08-01T00:00Z"], "name the time to move to"),
        (["advance", "--by", "soon"], "'soon' is not a length of time"),
        (["advance", "--by", "-1h"], "'-1h' is not a length of time"),
        (["advance", "--by", "1h"], "the local cloud does not run"),
        (["env", "-s", "nowhere"], "there is no stack 'nowhere'"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(
    local_home: Path, stacks: Path, arguments: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        local(*arguments)
    assert not local_home.exists()


def test_the_clock_stops_before_the_end_of_time(local_home: Path) -> None:
    local("start", "--at", "2026-08-01T00:00Z")
    with pytest.raises(InputError, match="too far"):
        local("advance", "--by", "999999d999999d999999d999999d")
    assert local_json("status")["clock"] == "2026-08-01T00:00:00Z"


def test_env_starts_the_cloud_and_prints_nothing_but_exports(
    local_home: Path, write_stack: WriteStack
) -> None:
    write_stack("tiny")
    lines = local("env", "-s", "tiny").splitlines()
    cloud = server.running()
    assert cloud is not None
    assert f"export AWS_ENDPOINT_URL={cloud.endpoint}" in lines
    assert "export AWS_REGION=eu-north-1" in lines
    assert all(line.startswith(("export ", "unset ")) for line in lines)
    described = local_json("env", "-s", "tiny")
    assert described["set"]["AWS_ENDPOINT_URL"] == cloud.endpoint
    assert "AWS_SESSION_TOKEN" in described["unset"]
    assert (local_home / "local/state/.pulumi/stacks/firstbell/tiny.json").exists()
