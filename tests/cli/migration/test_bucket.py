"""Trees whose target is S3: what is carried, what is recorded, what comes back, what is found."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from cli.migration.files import Tree
from cli.migration.phases import MISMATCH
from cli.migration.proof.scene import DATABASE, Scene, make_dataroot
from cli.migration.spec import Files, Target
from infra.errors import FirstbellError, MismatchError
from tests.cli.migration.conftest import begin, order, rehearsed
from tests.cli.migration.test_files import go_on, write

BUCKET = "files"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A moto server's address."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client, and a bucket of its own for the test."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("s3", endpoint_url=server)
    client.create_bucket(Bucket=BUCKET)
    yield client
    if found := keys(client):
        client.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in found]})
    client.delete_bucket(Bucket=BUCKET)


def keys(s3: Any) -> list[str]:
    found = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return [item["Key"] for item in found]


@pytest.fixture
def make(tmp_path: Path, s3: Any, server: str) -> Iterator[Callable[..., Tree]]:
    """A tree between a folder and a prefix; time stands ahead so that stamps are trusted."""
    made: list[Tree] = []

    def build(layout: str = "plain", manifest: str = "m.db", **target: str) -> Tree:
        (tmp_path / "a").mkdir(exist_ok=True)
        spec = Files.model_validate(
            {
                "name": "data",
                "source": tmp_path / "a",
                "target": {"bucket": BUCKET, "prefix": "lms/", "endpoint": server} | target,
                "layout": layout,
            }
        )
        made.append(Tree(spec, tmp_path / manifest, now=lambda: time.time() + 120))
        return made[-1]

    yield build
    for tree in made:
        tree.close()


def test_what_s3_cannot_keep_is_recorded_compared_and_put_back(
    make: Callable[..., Tree], s3: Any
) -> None:
    tree = make()
    a = tree.spec.source
    secret = write(a / "x" / "secret", "s")
    secret.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(secret, 1234, 1235)
    os.utime(secret, ns=(1, 1_600_000_000_123_456_789))
    (a / "empty").mkdir(mode=0o750)
    (a / "link").symlink_to("x/secret")
    tree.carry(to="target", fenced=True, stop=go_on)
    assert keys(s3) == ["lms/x/secret"]
    assert tree.compare(stop=go_on) == (4, [])
    told = next(finding for finding in tree.preflight() if finding.name == "files-data-s3")
    assert "1 symbolic links and 1 empty folders of data" in told.detail

    (a / "link").unlink()
    (a / "empty").rmdir()
    secret.chmod(0o644)
    assert set(tree.compare(stop=go_on)[1]) == {
        "file data/empty is missing on the source",
        "file data/link is missing on the source",
        "file data/x/secret: modes 644 and 600",
    }
    tree.carry(to="source", stop=go_on)
    assert (a / "link").readlink() == Path("x/secret")
    assert (a / "empty").stat().st_mode & 0o777 == 0o750
    assert secret.stat().st_mode & 0o777 == 0o600
    assert secret.stat().st_mtime_ns == 1_600_000_000_123_456_789
    assert tree.compare(stop=go_on) == (4, [])


def test_what_the_application_wrote_to_s3_comes_back_with_fitting_modes_and_owners(
    make: Callable[..., Tree], s3: Any
) -> None:
    tree = make()
    a = tree.spec.source
    old = write(a / "x" / "old", "before")
    old.chmod(0o640)
    (a / "x").chmod(0o2770)
    if os.geteuid() == 0:
        os.chown(old, 1234, 1235)
        os.chown(a / "x", 1236, 1237)
    tree.carry(to="target", stop=go_on)
    s3.put_object(Bucket=BUCKET, Key="lms/x/old", Body=b"behind")
    s3.put_object(Bucket=BUCKET, Key="lms/x/deep/new", Body=b"new")
    assert tree.carry(to="source", fenced=True, stop=go_on)["copied"] == 2
    new = a / "x" / "deep" / "new"
    assert (old.read_text(), new.read_text()) == ("behind", "new")
    assert old.stat().st_mode & 0o777 == 0o640
    assert new.stat().st_mode & 0o777 == 0o660
    assert new.parent.stat().st_mode & 0o777 == 0o770
    if os.geteuid() == 0:
        assert (old.stat().st_uid, new.stat().st_uid, new.parent.stat().st_gid) == (
            1234,
            1236,
            1237,
        )
    assert tree.compare(stop=go_on) == (4, [])
    assert tree.carry(to="source", stop=go_on)["copied"] == 0
    assert tree.carry(to="target", stop=go_on)["copied"] == 0


def test_a_changed_object_of_equal_size_is_named_and_not_overwritten(
    make: Callable[..., Tree], s3: Any
) -> None:
    tree = make()
    write(tree.spec.source / "f", "before")
    tree.carry(to="target", stop=go_on)
    s3.put_object(Bucket=BUCKET, Key="lms/f", Body=b"bEfore")
    assert tree.carry(to="target", stop=go_on)["touched"] == ["data/f"]
    with pytest.raises(MismatchError, match="data/f"):
        tree.carry(to="target", fenced=True, stop=go_on)
    assert tree.compare(stop=go_on)[1] == [
        "file data/f: the contents differ",
        "file data/f: modification times differ",
    ]
    s3.delete_object(Bucket=BUCKET, Key="lms/f")
    assert tree.compare(stop=go_on)[1] == ["file data/f is missing on the target"]
    assert tree.carry(to="target", stop=go_on)["copied"] == 1
    assert tree.compare(stop=go_on) == (1, [])


def test_a_pass_to_s3_goes_on_where_it_was_stopped_and_without_its_manifest_reads_instead(
    make: Callable[..., Tree],
) -> None:
    tree = make()
    for number in range(280):
        write(tree.spec.source / f"f{number}", str(number))

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tree.carry(to="target", stop=stop)
    left = tree.carry(to="target", stop=go_on)["copied"]
    assert isinstance(left, int)
    assert 0 < left < 280
    assert tree.compare(stop=go_on) == (280, [])
    # A runner that lost its manifest reads both sides and finds them equal.
    assert make(manifest="new.db").compare(stop=go_on)[0] == 280


def test_deletions_wait_for_commit_and_filedir_is_only_united(
    make: Callable[..., Tree], s3: Any
) -> None:
    tree = make("moodle")
    hashes = make_dataroot(tree.spec.source, 3)
    gone = write(tree.spec.source / "lang" / "gone", "x")
    tree.carry(to="target", stop=go_on)
    assert tree.content_hashes("target") == set(hashes)
    gone.unlink()
    first = hashes[0]
    (tree.spec.source / "filedir" / first[:2] / first[2:4] / first).unlink()
    assert tree.carry(to="target", stop=go_on)["deferred"] == 1
    assert "lms/lang/gone" in keys(s3)
    assert tree.compare(stop=go_on)[1] == []
    assert tree.delete_deferred() == 1
    assert "lms/lang/gone" not in keys(s3)
    assert tree.content_hashes("target") == set(hashes)


def test_a_large_file_goes_in_parts_and_is_proven_by_its_sha256(
    make: Callable[..., Tree], s3: Any
) -> None:
    tree = make()
    (tree.spec.source / "video").write_bytes(os.urandom(17 * 1024 * 1024 + 11))
    tree.carry(to="target", stop=go_on)
    assert s3.head_object(Bucket=BUCKET, Key="lms/video")["ETag"].strip('"').endswith("-2")
    again = make(manifest="new.db")
    assert again.compare(stop=go_on) == (1, [])
    s3.put_object(Bucket=BUCKET, Key="lms/video", Body=bytes(17 * 1024 * 1024 + 11))
    assert again.compare(stop=go_on)[1][0] == "file data/video: the contents differ"


def test_keys_that_would_leave_the_tree_are_refused(
    make: Callable[..., Tree], s3: Any, tmp_path: Path
) -> None:
    tree = make()
    s3.put_object(Bucket=BUCKET, Key="lms/../outside", Body=b"x")
    with pytest.raises(FirstbellError, match=r"'\.\./outside'"):
        tree.carry(to="source", stop=go_on)
    assert not (tmp_path / "outside").exists()
    s3.delete_object(Bucket=BUCKET, Key="lms/../outside")
    for key in ("lms/both", "lms/both/x"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    with pytest.raises(FirstbellError, match="'both'"):
        tree.carry(to="source", stop=go_on)
    (found,) = tree.preflight()
    assert found.detail.startswith("on the target: 1 keys are no files below a folder: 'both'")
    assert found.fix == "rename or delete them, or use another prefix"


def test_preflight_names_a_missing_bucket_a_dead_endpoint_and_names_that_s3_cannot_carry(
    make: Callable[..., Tree], s3: Any
) -> None:
    assert [f.severity for f in make().preflight() if f.severity == "blocker"] == []
    assert keys(s3) == []
    missing = make(bucket="nowhere").preflight()[0]
    assert (missing.severity, missing.name) == ("blocker", "files-data")
    assert "s3://nowhere/lms/ cannot be used" in missing.detail
    dead = make(endpoint="http://127.0.0.1:1").preflight()[0]
    assert "does not answer" in dead.detail
    unnamed = make(bucket="Not_A Bucket!").preflight()[0]
    assert (unnamed.severity, unnamed.name) == ("blocker", "files-data")
    assert "Invalid bucket name" in unnamed.detail
    s3.put_object(Bucket=BUCKET, Key="lms/theirs", Body=b"x")
    (others,) = [f for f in make().preflight() if f.severity == "blocker"]
    assert others.name == "files-data-not-empty"
    assert "1 entries are on the target alone" in others.detail
    assert others.detail.endswith(": theirs")
    s3.delete_object(Bucket=BUCKET, Key="lms/theirs")
    (Path(os.fsdecode(os.fsencode(make().spec.source) + b"/caf\xe9"))).write_text("x")
    names = [f for f in make().preflight() if f.name == "files-data-names"]
    assert names[0].severity == "blocker"
    assert "caf\\udce9" in names[0].detail


def test_an_emptied_bucket_is_not_taken_for_deletions(make: Callable[..., Tree], s3: Any) -> None:
    tree = make()
    write(tree.spec.source / "f", "x")
    tree.carry(to="target", stop=go_on)
    s3.delete_object(Bucket=BUCKET, Key="lms/f")
    with pytest.raises(FirstbellError, match="is empty, and was not before"):
        tree.carry(to="source", stop=go_on)


def test_a_write_to_s3_inside_the_fence_is_found(make: Callable[..., Tree], s3: Any) -> None:
    tree = make()
    for number in range(252):
        s3.put_object(Bucket=BUCKET, Key=f"lms/f{number}", Body=b"x")

    def late() -> None:
        s3.put_object(Bucket=BUCKET, Key="lms/late", Body=b"x")

    with pytest.raises(FirstbellError, match=r"1 entries of data changed inside the fence.*late"):
        tree.carry(to="source", fenced=True, stop=late)


def test_a_migration_to_s3_cuts_over_and_brings_uploads_back(
    stage: Callable[..., Scene], s3: Any, server: str
) -> None:
    scene = stage(16, 18, files=20)
    tree = {"name": "moodledata", "source": str(scene.dataroot), "layout": "moodle"}
    scene.write_spec(files=[tree | {"target": {"bucket": BUCKET, "endpoint": server}}])
    run = begin(scene)
    rehearsed(run)
    assert order(run, "cutover") == 0
    assert run.journal.current.state == "hold"
    content = b"uploaded on the target"
    name = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    with scene.target.connect(DATABASE) as conn:
        conn.execute(
            "INSERT INTO moodle.mdl_files (contenthash, filename) VALUES (%s, 'new')", (name,)
        )
    key = f"filedir/{name[:2]}/{name[2:4]}/{name}"
    s3.put_object(Bucket=BUCKET, Key=key, Body=content)
    assert order(run, "back") == 0
    assert (scene.dataroot / key).read_bytes() == content
    # Known-bad twin: an object that differs from its file by one byte stops the next cutover.
    victim = next(each for each in keys(s3) if each != key and each.startswith("filedir/"))
    changed = bytearray(s3.get_object(Bucket=BUCKET, Key=victim)["Body"].read())
    changed[0] ^= 1
    s3.put_object(Bucket=BUCKET, Key=victim, Body=bytes(changed))
    assert order(run, "cutover") == MISMATCH
    last = run.journal.last("outcome")
    assert last is not None
    assert victim in str(last.data["text"])
    assert run.source.open_to_applications()


def test_a_mount_must_be_mounted_when_it_is_looked_at_and_in_every_pass(tmp_path: Path) -> None:
    source = tmp_path / "a"
    write(source / "f", "x")
    mounted = Path("/dev/shm") if Path("/dev/shm").is_mount() else Path("/proc")  # noqa: S108
    for mount, blockers in ((mounted, 0), (tmp_path, 1)):
        target = {"mount": mount, "path": f"firstbell-test-{os.getpid()}"}
        spec = Files.model_validate({"name": "data", "source": source, "target": target})
        tree = Tree(spec, tmp_path / "m.db")
        found = [f for f in tree.preflight() if f.name == "files-data-mount"]
        assert len(found) == blockers
        if blockers:
            assert f"nothing is mounted on {tmp_path}" in found[0].detail
            with pytest.raises(FirstbellError, match="nothing is mounted"):
                tree.carry(to="target", stop=go_on)
            assert not (tmp_path / target["path"]).exists()
        elif mounted == Path("/dev/shm"):  # noqa: S108
            try:
                assert tree.carry(to="target", stop=go_on)["copied"] == 1
            finally:
                shutil.rmtree(mounted / str(target["path"]), ignore_errors=True)
        tree.close()


def test_a_target_is_one_of_path_bucket_and_mount() -> None:
    for wrong, text in (
        ({}, "exactly one"),
        ({"bucket": "b", "mount": "/m"}, "exactly one"),
        ({"mount": "/m", "endpoint": "http://x"}, "belong to a bucket"),
        ({"mount": "/m", "path": "../x"}, "relative to the mount point"),
        ({"bucket": "b", "path": "x"}, "a bucket has a prefix"),
        ({"bucket": "b", "endpoint": "nonsense"}, "endpoint is written http://HOST:PORT"),
    ):
        with pytest.raises(ValueError, match=text):
            Target.model_validate(wrong)
