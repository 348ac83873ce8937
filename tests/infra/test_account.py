"""The account's switches: on by default, left on when a stack goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import WriteStack
from tests.e2e.recording_monitor import run_program

ENCRYPTION = "aws:ebs/encryptionByDefault:EncryptionByDefault"
BLOCK = "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock"


@pytest.mark.parametrize(
    ("account", "made"),
    [
        ({}, {ENCRYPTION, BLOCK}),
        ({"encrypt_volumes": False}, {BLOCK}),
        ({"block_public_buckets": False}, {ENCRYPTION}),
    ],
)
def test_each_switch_is_on_unless_the_settings_leave_it_alone(
    account: dict[str, Any], made: set[str], write_stack: WriteStack, stacks: Path, home: Path
) -> None:
    write_stack("tiny")
    recorded, finished = run_program(
        "tiny",
        {
            "aws:region": "eu-north-1",
            "firstbell:platform": {"domain": "lms.example.org", "account": account},
        },
        {"FIRSTBELL_HOME": str(home), "FIRSTBELL_STACKS": str(stacks)},
    )
    assert finished.returncode == 0, finished.stderr
    found = {
        resource.type: resource
        for resource in recorded.resources.values()
        if resource.type in (ENCRYPTION, BLOCK)
    }
    assert set(found) == made
    for resource in found.values():
        switches = {v for v in resource.inputs.values() if isinstance(v, bool)}
        assert switches == {True}
        assert resource.retained
