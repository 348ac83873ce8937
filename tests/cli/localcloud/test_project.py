"""The generated project, on the real engine: complete for plain pulumi, and nothing of it leaks."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from cli.engine import find_or_build
from cli.localcloud import project, server
from infra.errors import InputError
from infra.paths import PROJECT_ROOT
from tests.conftest import WriteStack

PRODUCTION = """\
# Which account this is, is written down here.
secretsprovider: awskms://alias/firstbell?region=eu-north-1
encryptedkey: AQICAHh
config:
  aws:region: eu-north-1
  aws:allowedAccountIds: ["111122223333"]
  aws:profile: production
  aws:defaultTags: {tags: {owner: schools}}
  firstbell:cloud: aws
  firstbell:season: seasons/demo.yaml
  firstbell:licence: {secure: v1:abc:def}
  firstbell:platform:
    domain: lms.example.org
    mail: {user: lms, password: {secure: v1:ghi:jkl}}
    keys: [{secure: v1:mno:pqr}, plain]
"""


@pytest.fixture
def production(stacks: Path) -> Path:
    path = stacks / "Pulumi.school.yaml"
    path.write_text(PRODUCTION)
    return path


def copy_of(stack: str) -> dict[str, object]:
    return yaml.safe_load((project.folder() / "stacks" / f"Pulumi.{stack}.yaml").read_text())


def test_the_copy_is_local_and_keeps_no_way_to_the_account(home: Path, production: Path) -> None:
    assert project.prepare("school") == home / "local" / "project"
    assert copy_of("school") == {
        "config": {
            "aws:region": "eu-north-1",
            "aws:defaultTags": {"tags": {"owner": "schools"}},
            "firstbell:cloud": "local",
            "firstbell:season": "seasons/demo.yaml",
            "firstbell:licence": "local-dummy-secret",
            "firstbell:platform": {
                "domain": "lms.example.org",
                "mail": {"user": "lms", "password": "local-dummy-secret"},
                "keys": ["local-dummy-secret", "plain"],
            },
        }
    }
    assert production.read_text() == PRODUCTION


def test_the_generated_project_runs_the_committed_program(home: Path, production: Path) -> None:
    project.prepare("school")
    generated = yaml.safe_load((home / "local" / "project" / "Pulumi.yaml").read_text())
    committed = yaml.safe_load((PROJECT_ROOT / "Pulumi.yaml").read_text())
    assert Path(generated.pop("main")) == PROJECT_ROOT / committed.pop("main")
    options = generated["runtime"]["options"]
    assert Path(options.pop("virtualenv")) == PROJECT_ROOT / (
        committed["runtime"]["options"].pop("virtualenv")
    )
    del generated["description"], committed["description"]
    assert generated == committed


def test_plain_pulumi_finds_project_stack_and_configuration(
    local_home: Path, production: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "somebody's own")
    monkeypatch.setenv("AWS_PROFILE", "production")
    cloud = server.ensure_started()
    project.initialise("school", cloud, lambda _: None)
    pulumi = find_or_build(lambda _: None).root / "bin" / "pulumi"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        exports = "\n".join(project.exports(cloud, "school"))
        script = f'{exports}\nexec "{pulumi}" -C "{project.folder()}" --non-interactive "$@"'
        return subprocess.run(
            ["sh", "-c", script, "sh", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    shown = run("config", "get", "firstbell:season", "-s", "school")
    assert shown.stdout.strip() == "seasons/demo.yaml"
    preview = run("preview", "-s", "school")
    # All that is missing here is what a full installation brings along.
    wanted = "no language plugin 'pulumi-language-python' found"
    assert "Previewing update (school)" in preview.stdout + preview.stderr
    assert wanted in preview.stdout + preview.stderr or preview.returncode == 0

    key = copy_of("school")["encryptionsalt"]
    project.initialise("school", cloud, lambda _: None)
    assert copy_of("school")["encryptionsalt"] == key
    assert production.read_text() == PRODUCTION
    assert [path.name for path in production.parent.iterdir()] == ["Pulumi.school.yaml"]


def test_nothing_of_a_shell_wins_over_the_exports(
    local_home: Path, production: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_PROFILE": "production",
        "AWS_SESSION_TOKEN": "a-real-token",
        "AWS_ACCESS_KEY_ID": "a-real-key",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    cloud = server.ensure_started()
    code = (
        "import boto3; s = boto3.client('sts'); print(s.meta.endpoint_url, s.meta.region_name,"
        " s.get_caller_identity()['Account'])"
    )
    seen: list[str] = []
    script = "\n".join([*project.exports(cloud, "school"), f'exec .venv/bin/python -c "{code}"'])
    for command, variables in (
        (["sh", "-c", script], {}),
        ([".venv/bin/python", "-c", code], project.environment(cloud, "school")),
    ):
        run = subprocess.run(
            command,
            cwd=PROJECT_ROOT,
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=True,
        )
        seen.append(run.stdout.strip())
    assert seen == [f"{cloud.endpoint} eu-north-1 123456789012"] * 2


def test_the_passphrase_is_its_owners_alone_and_stays(local_home: Path) -> None:
    cloud = server.ensure_started()
    path = Path(project.environment(cloud)["PULUMI_CONFIG_PASSPHRASE_FILE"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = path.read_text()
    assert len(first.strip()) == 32
    assert Path(project.environment(cloud)["PULUMI_CONFIG_PASSPHRASE_FILE"]).read_text() == first


def test_the_embedded_provider_stands_where_the_engine_looks_and_serves(local_home: Path) -> None:
    cloud = server.ensure_started()
    environment = os.environ | project.environment(cloud)
    (plugin,) = (Path(environment["PULUMI_HOME"]) / "plugins").iterdir()
    assert plugin.name == "resource-aws-v7.51.1"
    provider = subprocess.Popen(
        [plugin / "pulumi-resource-aws", "127.0.0.1:9"],
        cwd="/",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert provider.stdout is not None
        assert 1024 < int(provider.stdout.readline()) < 65536
    finally:
        provider.kill()
        provider.communicate()


@pytest.mark.parametrize(
    ("name", "fix"), [("shcool", "did you mean 'school'?"), ("x", "one of: school")]
)
def test_an_unknown_stack_is_refused_with_the_nearest(
    home: Path, production: Path, name: str, fix: str
) -> None:
    with pytest.raises(InputError, match=f"there is no stack '{name}'") as caught:
        project.prepare(name)
    assert caught.value.fix == fix
    assert not home.exists()


@pytest.mark.parametrize("content", ["config: [", "- a\n- b\n", "just text"])
def test_a_stack_file_that_cannot_be_read_is_refused(
    home: Path, production: Path, content: str
) -> None:
    production.write_text(content)
    with pytest.raises(InputError) as caught:
        project.prepare("school")
    assert caught.value.where == str(production)
    assert not home.exists()


def test_an_endpoint_that_is_not_loopback_is_refused_in_file_and_environment(
    home: Path, write_stack: WriteStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_stack("tiny", **{"aws:endpoints": [{"s3": "https://s3.amazonaws.com"}]})
    with pytest.raises(InputError, match="not a loopback address") as caught:
        project.prepare("tiny")
    assert caught.value.where == f"{path}: aws:endpoints (s3)"
    write_stack("tiny", **{"aws:endpoints": [{"s3": "http://127.0.0.1:4566"}]})
    project.prepare("tiny")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://ec2.amazonaws.com")
    with pytest.raises(InputError, match="not a loopback address") as caught:
        project.prepare("tiny")
    assert caught.value.where == "AWS_ENDPOINT_URL"


def test_an_unchanged_project_is_not_written_again(home: Path, production: Path) -> None:
    def written() -> dict[Path, int]:
        return {path: path.stat().st_ino for path in project.folder().rglob("*.yaml")}

    project.prepare("school")
    before = written()
    project.prepare("school")
    assert written() == before
    production.write_text(PRODUCTION.replace("schools", "others"))
    project.prepare("school")
    changed = [path.name for path, inode in written().items() if before[path] != inode]
    assert changed == ["Pulumi.school.yaml"]
