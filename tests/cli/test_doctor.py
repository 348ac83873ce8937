"""Each check of the doctor, with what it must find wrong; and the command's codes and output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import NoCredentialsError

from cli import doctor, engine
from infra import paths
from infra.settings.stack import StackSettings, from_config


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("firstbell"), *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=paths.PROJECT_ROOT,
        env=os.environ | environment,
    )


@pytest.fixture
def a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FIRSTBELL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def for_aws(*accounts: str) -> StackSettings:
    config = {
        "aws:region": "eu-north-1",
        "aws:allowedAccountIds": list(accounts),
        "firstbell:cloud": "aws",
        "firstbell:platform": {
            "domain": "lms.example.org",
            "certificate_arn": "arn:aws:acm:eu-north-1:111122223333:certificate/ID",
            "tiers": {"web": {"image": "ami-0123456789abcdef0"}},
        },
    }
    return from_config("school", config, source="Pulumi.school.yaml")


def test_python_3_11_will_do_and_3_10_will_not() -> None:
    assert doctor.python((3, 11, 0)) == doctor.Check("Python", "ok", "3.11.0")
    refused = doctor.python((3, 10, 14))
    assert refused.status == "failed"
    assert refused.fix == "install Python 3.11 or newer, then run make setup"


def test_the_virtual_environment_must_have_this_tree_installed_editable(tmp_path: Path) -> None:
    root = paths.PROJECT_ROOT
    assert doctor.virtual_environment(root / ".venv", root).status == "ok"
    assert doctor.virtual_environment(root / ".venv", tmp_path).status == "failed"
    assert doctor.virtual_environment(root / ".venv", None).status == "failed"
    elsewhere = doctor.virtual_environment(tmp_path, root)
    assert (elsewhere.status, elsewhere.detail) == ("note", f"this is {tmp_path}")


def test_the_tests_run_from_an_editable_installation() -> None:
    assert doctor.editable_from() == paths.PROJECT_ROOT


def test_a_package_that_differs_from_the_lock_or_is_missing_is_named() -> None:
    lock = {"pulumi": "3.272.0", "pulumi-aws": "7.51.1", "rich": "15.0.0"}
    assert doctor.packages(lock, lock.get) == doctor.Check(
        "packages", "ok", "3 as pinned; pulumi 3.272.0, pulumi-aws 7.51.1"
    )
    there = {"pulumi": "3.271.0", "pulumi-aws": "7.51.1"}
    assert doctor.packages(lock, there.get) == doctor.Check(
        "packages",
        "failed",
        "2 differ: pulumi 3.271.0 (pinned: 3.272.0), rich missing (pinned: 15.0.0)",
        "run make setup",
    )


def test_the_lock_is_read_with_and_without_extras(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "moto[server]==5.2.5 \\\n    --hash=sha256:ab\nrich==15.0.0 \\\n    # via x==1\n"
    )
    assert doctor.pinned(lock) == {"moto": "5.2.5", "rich": "15.0.0"}


def test_an_engine_that_is_named_wrongly_fails_with_its_fix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FIRSTBELL_PULUMI", "/nowhere/pulumi")
    (check,) = doctor.engines()
    assert check.status == "failed"
    assert check.detail == "/nowhere/pulumi is not an executable Pulumi CLI"
    assert check.fix is not None


def test_go_is_asked_for_only_when_the_engine_has_to_be_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Go" not in {check.name for check in doctor.engines()}
    monkeypatch.delenv("FIRSTBELL_PULUMI", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    missing, go = doctor.engines()
    assert (missing.name, missing.status) == ("Pulumi engine", "failed")
    assert missing.fix == f"run make setup: it builds {engine.VERSION}"
    assert (go.name, go.status) == ("Go", "failed")
    assert go.fix is not None
    assert "install Go 1.25 or newer" in go.fix


def test_a_plugin_that_cannot_be_executed_fails_and_one_not_yet_placed_does_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "pulumi-resource-aws"
    assert doctor.plugin(path).status == "note"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    assert doctor.plugin(path) == doctor.Check("embedded provider", "ok", str(path))
    path.chmod(0o644)
    assert doctor.plugin(path).status == "failed"


def test_a_local_cloud_whose_server_was_lost_is_reported(a_home: Path) -> None:
    assert doctor.local_cloud().status == "note"
    record = a_home / "local" / "cloud.json"
    record.parent.mkdir(parents=True)
    record.write_text('{"endpoint": "http://127.0.0.1:9", "generation": "gone", "pid": 1}')
    lost = doctor.local_cloud()
    assert (lost.status, lost.fix) == ("failed", "firstbell local reset, then firstbell up")


def test_an_endpoint_outside_this_machine_is_reported(
    a_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://ec2.eu-north-1.amazonaws.com")
    check = doctor.local_cloud()
    assert check.status == "failed"
    assert "is not a loopback address" in check.detail
    assert not a_home.exists()


def test_a_disk_with_exactly_the_room_needed_will_do(tmp_path: Path) -> None:
    at = tmp_path / "not" / "yet"
    assert doctor.room(at, free=lambda _: doctor.ROOM_BYTES).status == "ok"
    full = doctor.room(at, free=lambda _: doctor.ROOM_BYTES - 1)
    assert (full.status, full.fix) == ("failed", "make room for 0.5 GB there")


def test_credentials_of_an_allowed_account_will_do() -> None:
    checks = list(doctor.aws(for_aws("111122223333"), lambda _: "111122223333"))
    detail = "account 111122223333, accepted in eu-north-1"
    assert checks == [doctor.Check("AWS credentials", "ok", detail)]


def test_credentials_of_another_account_fail_and_both_accounts_are_named() -> None:
    (check,) = doctor.aws(for_aws("111122223333"), lambda _: "999999999999")
    assert check.status == "failed"
    assert check.detail == "account 999999999999 is not one of the stack's"
    assert check.fix is not None
    assert "111122223333" in check.fix


def test_missing_credentials_fail_with_the_way_to_sign_in() -> None:
    def nobody(region: str) -> str:
        raise NoCredentialsError

    (check,) = doctor.aws(for_aws("111122223333"), nobody)
    assert check.status == "failed"
    assert check.fix is not None
    assert check.fix.startswith("sign in")
    assert "eu-north-1" in check.fix


def test_the_state_of_an_aws_stack_needs_a_place() -> None:
    assert doctor.state_back_end({"PULUMI_BACKEND_URL": "s3://b"}).status == "ok"
    assert doctor.state_back_end({}).status == "failed"


def test_the_command_reports_as_json_and_exits_0_when_nothing_is_missing(a_home: Path) -> None:
    done = run("doctor", "--json", PATH="/nowhere")
    report = json.loads(done.stdout)
    assert (done.returncode, report["kind"], report["version"]) == (0, "doctor", 1)
    assert report["ok"] is True
    assert [check["name"] for check in report["checks"]] == [
        "Python",
        "virtual environment",
        "packages",
        "Pulumi engine",
        "embedded provider",
        "local cloud",
        "disk",
    ]
    assert not a_home.exists()


def test_the_command_exits_1_and_shows_the_fix_of_what_is_missing(a_home: Path) -> None:
    done = run("doctor", "-s", "nonesuch", FIRSTBELL_PULUMI="/nowhere/pulumi")
    assert done.returncode == 1
    said = " ".join(done.stdout.split())
    assert "MISSING Pulumi engine /nowhere/pulumi is not an executable Pulumi CLI" in said
    assert "MISSING stack " in said
    assert "Pulumi engine: let it name a `pulumi` executable" in said
    assert "2 of 8 need mending" in said
    assert "Traceback" not in done.stderr


def test_an_aws_stack_without_credentials_is_reported_within_seconds(
    a_home: Path, tmp_path: Path
) -> None:
    (tmp_path / "Pulumi.school.yaml").write_text(
        "config:\n"
        "  aws:region: eu-north-1\n"
        "  aws:allowedAccountIds: ['111122223333']\n"
        "  firstbell:cloud: aws\n"
        "  firstbell:platform:\n"
        "    domain: lms.example.org\n"
        "    certificate_arn: arn:aws:acm:eu-north-1:111122223333:certificate/ID\n"
        "    tiers: {web: {image: ami-0123456789abcdef0}}\n"
    )
    nobody = {
        "FIRSTBELL_STACKS": str(tmp_path),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_ACCESS_KEY_ID": "",
        "PULUMI_BACKEND_URL": "",
    }
    done = run("doctor", "-s", "school", "--json", **nobody)
    found = {check["name"]: check["status"] for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 1
    assert [found[name] for name in ("stack", "state", "AWS credentials")] == [
        "ok",
        "failed",
        "failed",
    ]
