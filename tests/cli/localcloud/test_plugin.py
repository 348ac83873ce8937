"""The provider that serves all that the engine does in one command."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import grpc
import psutil
import pytest
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from cli.localcloud.plugin import Plugin
from cli.localcloud.provider.values import decode, encode
from infra.errors import FirstbellError

NOWHERE = "http://127.0.0.1:9"


def test_two_connections_are_two_providers(tmp_path: Path) -> None:
    """A stack that moves to another Region has both at once."""
    plugin = Plugin({"AWS_ENDPOINT_URL": NOWHERE}, tmp_path / "log")
    regions = ("eu-north-1", "eu-west-1")
    channels = [
        grpc.insecure_channel(
            f"127.0.0.1:{plugin.port}", options=[("grpc.use_local_subchannel_pool", 1)]
        )
        for _ in regions
    ]
    providers = [provider_pb2_grpc.ResourceProviderStub(channel) for channel in channels]
    for provider, region in zip(providers, regions, strict=True):
        provider.Configure(provider_pb2.ConfigureRequest(args=encode({"region": region})))
    asked = provider_pb2.InvokeRequest(tok="aws:index/getRegion:getRegion")
    answers = [getattr(provider.Invoke(asked), "return") for provider in providers]
    assert [decode(answer)[0]["name"] for answer in answers] == list(regions)
    for channel in channels:
        channel.close()
    plugin.end()


def test_it_does_not_outlive_the_command(tmp_path: Path) -> None:
    started = subprocess.run(
        [
            *(sys.executable, "-c"),
            "import os, sys; from pathlib import Path; from cli.localcloud.plugin import Plugin\n"
            f"print(Plugin({{'AWS_ENDPOINT_URL': {NOWHERE!r}}}, Path(sys.argv[1])).port)\n"
            "print(*(p.pid for p in __import__('psutil').Process().children()), flush=True)\n"
            "os.kill(os.getpid(), 9)",  # nothing is tidied up
            str(tmp_path / "log"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    _, child = started.stdout.split()
    deadline = time.monotonic() + 30
    while psutil.pid_exists(int(child)):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_one_that_does_not_start_says_why(tmp_path: Path) -> None:
    plugin = Plugin({"AWS_ENDPOINT_URL": "https://ec2.eu-north-1.amazonaws.com"}, tmp_path / "log")
    with pytest.raises(FirstbellError, match="provider does not start") as refused:
        plugin.variables()
    assert refused.value.where == str(tmp_path / "log")
    assert refused.value.why
    plugin.end()
