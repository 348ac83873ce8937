"""A local stack never talks to anything but this machine."""

from __future__ import annotations

import pytest

from cli.localcloud.endpoint import check_config, check_environment, is_loopback, require_loopback
from infra.errors import InputError


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:5000",
        "http://127.1.2.3",
        "http://localhost:4566/",
        "https://[::1]:5000",
        "http://LOCALHOST:1",
    ],
)
def test_a_loopback_address_is_accepted(endpoint: str) -> None:
    assert is_loopback(endpoint)
    assert require_loopback(endpoint, "AWS_ENDPOINT_URL") == endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "127.0.0.1:5000",
        "https://ec2.eu-north-1.amazonaws.com",
        "http://0.0.0.0:5000",
        "http://10.0.0.1:5000",
        "http://127.0.0.1@ec2.amazonaws.com",
        "http://127.0.0.1.example.com",
        "http://localhost.localstack.cloud:4566",
        "http://[::2]:5000",
        "http://[127.0.0.1:5000",
        "http://127.0.0.1:port",
        "ftp://127.0.0.1",
        "http://169.254.169.254",
    ],
)
def test_anything_else_is_refused_and_named(endpoint: str) -> None:
    with pytest.raises(InputError, match="not a loopback address") as caught:
        require_loopback(endpoint, "AWS_ENDPOINT_URL")
    assert caught.value.exit_code == 2
    assert caught.value.where == "AWS_ENDPOINT_URL"


def test_the_environment_may_name_loopback_endpoints_only() -> None:
    check_environment({"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_S3": ""})
    with pytest.raises(InputError) as caught:
        check_environment({"AWS_ENDPOINT_URL_RDS": "https://rds.eu-north-1.amazonaws.com"})
    assert caught.value.where == "AWS_ENDPOINT_URL_RDS"


def test_a_stack_file_may_name_loopback_endpoints_only() -> None:
    where = "stacks/Pulumi.demo.yaml: aws:endpoints"
    check_config([{"s3": "http://127.0.0.1:1"}, {"ec2": "http://localhost:1"}], where)
    check_config('[{"s3": "http://127.0.0.1:1"}]', where)
    with pytest.raises(InputError, match="s3-accelerate") as caught:
        check_config([{"ec2": "http://127.0.0.1:1"}, {"s3": "https://s3-accelerate.aws"}], where)
    assert caught.value.where == f"{where} (s3)"
    with pytest.raises(InputError, match="list of"):
        check_config(["https://s3.aws"], where)
    with pytest.raises(InputError, match="JSON"):
        check_config("https://s3.aws", where)
