"""`stack: NAME`: a real engine's outputs, the local cloud's secret, a real PostgreSQL server."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import automation

from cli.localcloud import server
from cli.migration import references, spec, stack_target
from cli.migration.init import Answers, write
from cli.migration.postgres import Server
from cli.migration.proof.servers import PostgresServer
from cli.stack import PROJECT, open_stack
from infra import paths
from infra.errors import InputError
from tests.cli.migration.conftest import Outcome

WHERE = "school.yaml: target.dsn"
# In no URL as it stands: a password there would be taken for a real one.
HIDDEN = "hunter2"
SECRET = '{"username": "lms_admin", "password": "%s"}'
OUTPUTS: dict[str, object] = {
    "engine": "aurora-postgresql",
    "writer_endpoint": "tiny.cluster-1.eu-north-1.rds.amazonaws.com",
    "port": 5432,
    "name": "lms",
}


@pytest.fixture
def cloudless(home: Path) -> Path:
    """A stack `tiny`, and no local cloud yet."""
    path = paths.stacks() / "Pulumi.tiny.yaml"
    path.parent.mkdir()
    path.write_text(
        "config: {aws:region: eu-north-1, firstbell:platform: {domain: lms.example.org}}\n"
    )
    return home


@pytest.fixture
def cloud(cloudless: Path) -> Iterator[server.LocalCloud]:
    yield server.ensure_started()
    server.stop()
    stack_target.read.cache_clear()


@pytest.fixture
def apply(cloud: server.LocalCloud) -> Callable[[Mapping[str, object]], None]:
    """Has the engine keep these outputs of stack `tiny`."""

    def export(outputs: Mapping[str, object]) -> None:
        def program() -> None:
            for name, value in outputs.items():
                pulumi.export(name, value)

        options = open_stack("tiny", lambda _text: None)._options()  # pyright: ignore[reportPrivateUsage] (the same state, another program)
        automation.create_or_select_stack(
            stack_name="tiny", project_name=PROJECT, program=program, opts=options
        ).up()
        stack_target.read.cache_clear()

    return export


def refused(operation: Callable[[], object], *texts: str) -> None:
    with pytest.raises(InputError) as caught:
        operation()
    said = str(caught.value)
    assert said.startswith(WHERE)
    for text in texts:
        assert text in said


def asked(reference: str = "tiny") -> str:
    return stack_target.connection_string(reference, WHERE)


def test_a_stack_that_cannot_be_the_target_is_explained_and_nothing_is_created(
    cloudless: Path, monkeypatch: pytest.MonkeyPatch, firstbell: Callable[..., Outcome]
) -> None:
    refused(lambda: asked("tinny"), "there is no stack 'tinny'", "did you mean -s tiny?")
    refused(asked, "the local cloud, which does not run", "firstbell up -s tiny")
    # From the command line, by a migration's file.
    for variable in ("SOURCE_DSN", "SOURCE_PEER_DSN"):
        monkeypatch.setenv(variable, f"postgresql://a:{HIDDEN}@127.0.0.1:1/lms")
    write("school", Answers(target_stack="tiny"))
    for command in ("preflight", "start"):
        outcome = firstbell(command)
        assert (outcome.code, "Traceback" in outcome.err) == (2, False)
        assert "target.dsn: stack tiny is on the local cloud, which does not run" in outcome.err
        assert HIDDEN not in outcome.err
    assert not (paths.home() / "migrations" / "school").exists()
    assert server.running() is None
    cloud = server.ensure_started()
    try:
        refused(asked, "tiny was not applied yet", "firstbell up -s tiny")
        assert not list(cloudless.rglob("tiny.json"))
        assert cloud.client("secretsmanager", "eu-north-1").list_secrets()["SecretList"] == []
    finally:
        server.stop()


def test_the_address_comes_from_outputs_and_the_password_from_the_secret_as_it_is_now(
    cloud: server.LocalCloud,
    apply: Callable[[Mapping[str, object]], None],
    templates: Callable[[int], PostgresServer],
    home: Path,
) -> None:
    secrets = cloud.client("secretsmanager", "eu-north-1")
    arn = secrets.create_secret(Name="rds!tiny", SecretString=SECRET % "p@ss/1")["ARN"]

    apply({"balancer": {}})
    refused(asked, "tiny has no output `database` with engine, writer_endpoint")
    apply({"database": {**OUTPUTS, "engine": "aurora-mysql", "secret_arn": arn}})
    refused(asked, "stack tiny has aurora-mysql", "RDS for MariaDB instance")
    apply({"database": {**OUTPUTS, "secret_arn": arn + "-gone"}})
    refused(lambda: asked("tiny@h:1"), "cannot read the secret of stack tiny's database", arn)
    apply({"database": {**OUTPUTS, "secret_arn": arn}})
    refused(
        asked, "only records its database", str(OUTPUTS["writer_endpoint"]), "endpoint: HOST:PORT"
    )
    encoded = "p%40ss%2F1"
    assert asked("tiny@10.0.0.9:6432") == f"postgresql://lms_admin:{encoded}@10.0.0.9:6432/lms"

    # A real server plays the stack's database; AWS rotates its password while we are at work.
    database = templates(16).copy()
    try:
        with database.connect("postgres") as conn:
            conn.execute("CREATE ROLE lms_admin SUPERUSER LOGIN PASSWORD 'p@ss/1'")
            conn.execute("CREATE DATABASE lms")
        reference = f"stack:tiny@127.0.0.1:{database.port}"
        ours = Server(
            "target",
            references.connection(reference, WHERE),
            references.connection(reference, WHERE),
            "school",
            renew=lambda: references.connection(reference, WHERE),
        )
        twin = Server("target", references.connection(reference, WHERE), {}, "school")
        ours.ping()
        ours.close()
        with database.connect("postgres") as conn:
            conn.execute("ALTER ROLE lms_admin PASSWORD 'p@ss/2'")
        secrets.put_secret_value(SecretId=arn, SecretString=SECRET % "p@ss/2")
        ours.ping()
        ours.close()
        with pytest.raises(Exception, match="authentication failed"):
            twin.ping()
    finally:
        database.remove()

    # The state is out of reach: the last address serves, and it holds no secret.
    for state in home.rglob("tiny.json"):
        state.write_text("{")
    stack_target.read.cache_clear()
    assert asked("tiny@10.0.0.9:6432").endswith("@10.0.0.9:6432/lms")
    kept = paths.home() / "migrations" / "stack-tiny.json"
    assert "p@ss" not in kept.read_text()
    kept.unlink()
    with pytest.raises(Exception, match="engine failed"):
        asked()


def test_a_stacks_files_must_be_what_is_mounted(
    cloud: server.LocalCloud,
    apply: Callable[[Mapping[str, object]], None],
    tmp_path: Path,
) -> None:
    database = {**OUTPUTS, "secret_arn": "arn:x"}

    def mount_point(wanted: Path | None = None) -> Path:
        return stack_target.mount_point("tiny", wanted, WHERE)

    apply({"database": database})
    refused(mount_point, "tiny has no output `files`", "add files to stacks/Pulumi.tiny.yaml")
    files = {"efs_id": "fs-0abc", "access_points": {"web": "fsap-1"}}
    apply({"database": database, "files": files})
    refused(mount_point, "fs-0abc, the file system of stack tiny, is not mounted on this runner",
            "mount -t efs -o tls,accesspoint=fsap-1 fs-0abc:/ /mnt/efs")  # fmt: skip
    refused(lambda: mount_point(Path("/proc")), "is not mounted on /proc", "/proc is proc")

    place = tmp_path / "efs"
    place.mkdir()
    device = "fs-0abc.efs.eu-north-1.amazonaws.com:/"
    if (
        os.geteuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", device, str(place)], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("nothing can be mounted here")
    try:
        assert mount_point() == place
        assert mount_point(place) == place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_file_names_a_stack_in_the_place_of_both_references() -> None:
    def database(**keys: Any) -> spec.Database:
        return spec.Database.model_validate(keys)

    plain = database(stack="school", free_space="1TB")
    assert (plain.dsn, plain.peer_dsn) == ("stack:school", "stack:school")
    mapped = database(stack="school", endpoint="127.0.0.1:6432")
    assert (mapped.dsn, mapped.peer_dsn) == ("stack:school@127.0.0.1:6432",) * 2
    assert database(stack="school", endpoint="a:1", peer_endpoint="b:2").peer_dsn.endswith("b:2")
    for keys, text in (
        ({"stack": "school", "dsn": "env:A"}, "not both"),
        ({"endpoint": "a:1", "dsn": "env:A", "peer_dsn": "env:B"}, "belong to stack: NAME"),
        ({"stack": "school", "endpoint": "nowhere"}, "stack:NAME@HOST:PORT"),
        ({"stack": "sch ool"}, "stack:NAME"),
    ):
        with pytest.raises(ValueError, match=text):
            database(**keys)
    with pytest.raises(ValueError, match="exactly one"):
        spec.Target.model_validate({"bucket": "b", "stack": "school"})
