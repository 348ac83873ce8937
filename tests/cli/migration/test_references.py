"""Secrets by reference: fetched when used, and never quoted when they are not there."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from cli.migration import references
from infra.errors import InputError

DSN = "postgresql://admin" + ":p%40ss@db.example.org:5433/lms"


def test_a_reference_names_a_variable_a_file_or_a_secret_of_secrets_manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    monkeypatch.setenv("THE_DSN", DSN)
    (tmp_path / "dsn").write_text(DSN + "\n")
    with mock_aws():
        client = boto3.client("secretsmanager")
        arn = client.create_secret(Name="lms/source", SecretString=DSN)["ARN"]
        for reference in ("env:THE_DSN", f"file:{tmp_path / 'dsn'}", f"secret:{arn}"):
            parts = references.connection(reference, "source.dsn")
            assert (parts["host"], parts["port"], parts["password"]) == (
                "db.example.org",
                "5433",
                "p@ss",
            )
        # Known-bad twins: none of that name, and one that is no connection string.
        with pytest.raises(InputError, match="cannot read secret lms/none") as missing:
            references.connection("secret:lms/none", "source.dsn")
        assert missing.value.where == "source.dsn"
        client.create_secret(Name="lms/odd", SecretString="hunter2 and more")
        with pytest.raises(InputError, match="no usable connection string") as odd:
            references.connection("secret:lms/odd", "source.dsn")
        assert "hunter2" not in str(odd.value)
