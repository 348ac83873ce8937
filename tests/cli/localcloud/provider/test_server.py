"""What the plugin says and refuses, on the real engine and as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pulumi
import pulumi_aws as aws
import pytest
from google.rpc import status_pb2
from pulumi import automation
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from cli.localcloud.provider.values import encode
from tests.cli.localcloud.provider.conftest import PROJECT_ROOT, REGION, Bench, Moto

URN = "urn:pulumi:stack::project::{}::{}"


@pytest.fixture
def plugin(moto: Moto, tmp_path: Path) -> Iterator[provider_pb2_grpc.ResourceProviderStub]:
    """The plugin as the engine starts it, and a connection to it."""
    process = _started(moto, tmp_path)
    assert process.stdout is not None
    port = int(process.stdout.readline())
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)
    process.terminate()
    process.communicate(timeout=10)


def _started(moto: Moto, home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cli.localcloud.provider", "127.0.0.1:1"],
        cwd=PROJECT_ROOT,
        env=os.environ | {"AWS_ENDPOINT_URL": moto.endpoint, "FIRSTBELL_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _configured(
    plugin: provider_pb2_grpc.ResourceProviderStub, **config: str
) -> provider_pb2_grpc.ResourceProviderStub:
    plugin.Configure(provider_pb2.ConfigureRequest(args=encode({"region": REGION} | config)))
    return plugin


def _refusal(call: Callable[[], object]) -> str:
    with pytest.raises(grpc.RpcError) as error:
        call()
    return str(error.value)


@pytest.mark.parametrize(
    "endpoint", ["https://ec2.eu-north-1.amazonaws.com", "http://169.254.169.254", ""]
)
def test_the_plugin_does_not_start_without_a_loopback_endpoint(endpoint: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "cli.localcloud.provider", "127.0.0.1:1"],
        cwd=PROJECT_ROOT,
        env=os.environ | {"AWS_ENDPOINT_URL": endpoint},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 2
    assert run.stdout == ""
    assert "AWS_ENDPOINT_URL" in run.stderr
    assert "Traceback" not in run.stderr


def test_endpoints_in_the_stacks_configuration_are_refused(
    plugin: provider_pb2_grpc.ResourceProviderStub,
) -> None:
    elsewhere = '[{"ec2": "https://ec2.amazonaws.com"}]'
    text = _refusal(lambda: _configured(plugin, endpoints=elsewhere))
    assert "is not a loopback address" in text


def test_the_plugin_ends_in_silence_when_the_engine_asks_for_it(moto: Moto, tmp_path: Path) -> None:
    with _started(moto, tmp_path) as plugin:
        assert plugin.stdout is not None
        plugin.stdout.readline()
        plugin.send_signal(signal.SIGINT)
        _, said = plugin.communicate(timeout=60)
    assert (plugin.returncode, said) == (0, "")


def test_a_stack_without_a_region_is_refused(
    plugin: provider_pb2_grpc.ResourceProviderStub,
) -> None:
    text = _refusal(lambda: plugin.Configure(provider_pb2.ConfigureRequest(args=encode({}))))
    assert "no Region is set" in text


def test_a_type_without_a_row_is_named(plugin: provider_pb2_grpc.ResourceProviderStub) -> None:
    urn = URN.format("aws:lightsail/staticIp:StaticIp", "ip")
    request = provider_pb2.CheckRequest(urn=urn, news=encode({}))
    text = _refusal(lambda: _configured(plugin).Check(request))
    assert "aws:lightsail/staticIp:StaticIp is not in the local cloud's provider" in text


def test_an_error_of_aws_names_the_resource_and_the_code_and_hides_secrets(
    plugin: provider_pb2_grpc.ResourceProviderStub,
) -> None:
    urn = URN.format("aws:rds/cluster:Cluster", "db")
    given = {
        "engine": "aurora-postgresql",
        "clusterIdentifier": "db",
        "databaseName": "top-secret-name",
        "masterUsername": "lms",
        "masterPassword": "longenough",
    }
    request = provider_pb2.CreateRequest(urn=urn, properties=encode(given, {"databaseName"}))
    text = _refusal(lambda: _configured(plugin).Create(request))
    assert "db: create_db_cluster: InvalidParameterValue: DatabaseName must begin" in text
    assert "top-secret-name" not in text


def test_what_was_created_but_not_finished_is_remembered_by_the_engine(
    plugin: provider_pb2_grpc.ResourceProviderStub,
) -> None:
    """Else it would be left behind, unknown to the state, and in the way of the next run."""
    urn = URN.format("aws:iam/instanceProfile:InstanceProfile", "half")
    given = {"name": "half", "path": "/", "role": "no-such-role"}
    request = provider_pb2.CreateRequest(urn=urn, properties=encode(given))
    with pytest.raises(grpc.RpcError) as error:
        _configured(plugin).Create(request)
    failure: Any = error.value
    metadata = dict(failure.trailing_metadata())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    detail = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    assert detail.id == "half"
    assert "NoSuchEntity" in detail.reasons[0]
    remove = provider_pb2.DeleteRequest(urn=urn, id="half", properties=detail.properties)
    plugin.Delete(remove)
    plugin.Delete(remove)


def test_another_region_replaces_everything(
    plugin: provider_pb2_grpc.ResourceProviderStub,
) -> None:
    request = provider_pb2.DiffRequest(
        old_inputs=encode({"region": REGION}), news=encode({"region": "eu-west-1"})
    )
    assert list(plugin.DiffConfig(request).replaces) == ["region"]


def test_default_tags_reach_resources_and_are_no_drift(bench: Bench) -> None:
    bench.stack.set_config(
        "aws:defaultTags", automation.ConfigValue('{"tags": {"team": "platform"}}')
    )

    def program() -> None:
        aws.ec2.Vpc("v", cidr_block="10.7.0.0/16", tags={"a": "b"})

    bench.program = program
    bench.up()
    vpc = bench.resources()["v"]
    assert vpc["outputs"]["tagsAll"] == {"a": "b", "team": "platform"}
    assert vpc["inputs"]["tags"] == {"a": "b"}
    assert bench.refresh() == {"same": 2}
    assert bench.up() == {"same": 2}
    bench.destroy()


def test_an_import_brings_the_live_properties_as_inputs(bench: Bench, moto: Moto) -> None:
    ec2 = moto.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.6.0.0/16")["Vpc"]["VpcId"]

    def program() -> None:
        aws.ec2.Vpc("mine", cidr_block="10.6.0.0/16", opts=pulumi.ResourceOptions(import_=vpc))

    bench.program = program
    assert bench.up()["import"] == 1
    assert bench.resources()["mine"]["id"] == vpc
    assert bench.up() == {"same": 2}
    bench.destroy()
    assert vpc not in [v["VpcId"] for v in ec2.describe_vpcs()["Vpcs"]]


def test_what_is_gone_already_is_deleted_without_complaint(bench: Bench, moto: Moto) -> None:
    bench.program = lambda: pulumi.export("vpc", aws.ec2.Vpc("v", cidr_block="10.5.0.0/16").id)
    bench.up()
    moto.client("ec2").delete_vpc(VpcId=bench.resources()["v"]["id"])
    bench.destroy()
