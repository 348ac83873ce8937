"""Trees of files: passes both ways, what is kept, what is found."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.migration.entries import Entry
from cli.migration.files import Tree
from cli.migration.folder import Folder
from cli.migration.proof.scene import make_dataroot
from cli.migration.spec import Files
from infra.errors import FirstbellError, MismatchError


def go_on() -> None:
    pass


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Tree]:
    """A tree between two folders; time stands two minutes ahead so that stamps are trusted."""

    def build(layout: str = "plain") -> Tree:
        (tmp_path / "a").mkdir(exist_ok=True)
        spec = Files(
            name="data",
            source=tmp_path / "a",
            target=tmp_path / "b",
            layout=layout,  # pyright: ignore[reportArgumentType] (pydantic checks it)
        )
        return Tree(spec, tmp_path / "manifest.db", now=lambda: time.time() + 120)

    return build


def there(tree: Tree) -> Path:
    """The target's folder."""
    assert isinstance(tree.spec.target, Path)
    return tree.spec.target


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_modes_owners_times_links_and_empty_folders_are_kept(make: Callable[..., Tree]) -> None:
    tree = make()
    a, b = tree.spec.source, there(tree)
    secret = write(a / "x" / "secret", "s")
    secret.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(secret, 1234, 1235)
    os.utime(secret, ns=(1, 1_600_000_000_123_456_789))
    (a / "empty").mkdir(mode=0o750)
    (a / "link").symlink_to("x/secret")
    (a / "dangling").symlink_to("nowhere")
    tree.carry(to="target", stop=go_on)
    copied = (b / "x" / "secret").stat()
    assert copied.st_mode & 0o777 == 0o600
    assert copied.st_mtime_ns == 1_600_000_000_123_456_789
    if os.geteuid() == 0:
        assert (copied.st_uid, copied.st_gid) == (1234, 1235)
    assert (b / "empty").is_dir()
    assert (b / "link").readlink() == Path("x/secret")
    assert (b / "dangling").is_symlink()
    assert tree.compare(stop=go_on) == (5, [])


def test_a_second_pass_over_an_unchanged_tree_copies_nothing(make: Callable[..., Tree]) -> None:
    tree = make()
    for number in range(20):
        write(tree.spec.source / f"d{number % 3}" / f"f{number}", "x" * number)
    assert tree.carry(to="target", stop=go_on)["copied"] == 20
    assert tree.carry(to="target", stop=go_on)["copied"] == 0


def test_a_pass_that_was_stopped_in_the_middle_goes_on_where_it_was(
    make: Callable[..., Tree],
) -> None:
    tree = make()
    for number in range(1200):
        write(tree.spec.source / f"f{number}", str(number))

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tree.carry(to="target", stop=stop)
    left = tree.carry(to="target", stop=go_on)["copied"]
    assert isinstance(left, int)
    assert 0 < left < 1200
    assert tree.compare(stop=go_on) == (1200, [])


def test_a_change_of_equal_size_and_time_on_the_source_is_carried(
    make: Callable[..., Tree],
) -> None:
    tree = make()
    file = write(tree.spec.source / "f", "before")
    tree.carry(to="target", stop=go_on)
    times = file.stat()
    file.write_text("behind")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    tree.carry(to="target", stop=go_on)
    assert (there(tree) / "f").read_text() == "behind"


def test_a_byte_changed_under_equal_size_and_time_on_the_target_is_named_and_not_overwritten(
    make: Callable[..., Tree],
) -> None:
    tree = make()
    write(tree.spec.source / "f", "before")
    tree.carry(to="target", stop=go_on)
    copy = there(tree) / "f"
    times = copy.stat()
    copy.write_text("bEfore")
    os.utime(copy, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert tree.carry(to="target", stop=go_on)["touched"] == ["data/f"]
    with pytest.raises(MismatchError, match="data/f"):
        tree.carry(to="target", fenced=True, stop=go_on)
    assert tree.compare(stop=go_on)[1] == ["file data/f: the contents differ"]
    copy.unlink()
    assert tree.carry(to="target", stop=go_on)["copied"] == 1
    assert tree.compare(stop=go_on) == (1, [])


def test_what_was_deleted_waits_for_commit_and_is_not_brought_back_meanwhile(
    make: Callable[..., Tree],
) -> None:
    tree = make()
    write(tree.spec.source / "d" / "gone", "x")
    write(tree.spec.source / "stays", "x")
    tree.carry(to="target", stop=go_on)
    (tree.spec.source / "d" / "gone").unlink()
    (tree.spec.source / "d").rmdir()
    assert tree.carry(to="target", stop=go_on)["deferred"] == 1
    assert (there(tree) / "d" / "gone").exists()
    assert tree.compare(stop=go_on)[1] == []
    tree.carry(to="source", stop=go_on)
    assert not (tree.spec.source / "d" / "gone").exists()
    assert tree.delete_deferred() == 1
    assert not (there(tree) / "d" / "gone").exists()


def blockers(tree: Tree) -> dict[str, str]:
    return {f.name: f.detail for f in tree.preflight() if f.severity == "blocker"}


def between(tree: Tree, source: Path, target: Path) -> Tree:
    spec = tree.spec.model_copy(update={"source": source, "target": target})
    return Tree(spec, source.parent / f"{time.time_ns()}.db")


def test_preflight_names_each_way_in_which_two_folders_are_one(make: Callable[..., Tree]) -> None:
    tree = make()
    source = tree.spec.source
    write(source / "deep" / "f", "x")
    (source.parent / "link").symlink_to(source)
    assert blockers(tree) == {}
    for target in (source, source / "deep" / "new", source.parent / "link", source.parent):
        assert "own tree" in blockers(between(tree, source, target))["files-data"]
    for place, text in (
        ((source / "gone", there(tree)), "missing or not readable"),
        ((source / "deep" / "f", there(tree)), "missing or not readable"),
        ((source, source.parent / "no" / "such" / "place"), "cannot be written"),
    ):
        assert text in blockers(between(tree, *place))["files-data"]
    with write(source / "huge", "x").open("r+b") as huge:
        huge.truncate(8 * 10**12)  # a hole, larger than any disk of a test machine
    assert blockers(tree).keys() == {"files-data-disk"}
    assert "8000.00 GB are to be copied" in blockers(tree)["files-data-disk"]
    (source / "huge").unlink()
    write(there(tree) / "theirs", "x")
    assert blockers(tree)["files-data-not-empty"].endswith("in verify: theirs")
    assert not (there(tree) / "deep").exists()


class Away(Folder):
    """A place that went away after its first look."""

    def scan(self, left_out: Callable[[str, str], bool]) -> dict[str, Entry]:
        raise ConnectionError(f"{self} does not answer")


def test_preflight_says_which_side_cannot_be_scanned_and_goes_on_when_it_is_away(
    make: Callable[..., Tree],
) -> None:
    tree = make()
    there(tree).mkdir()
    tree.places["target"] = Away(there(tree))
    (found,) = tree.preflight()
    assert (found.name, found.severity) == ("files-data", "blocker")
    assert found.detail == f"on the target: {there(tree)} does not answer"
    assert found.fix == f"wait until {there(tree)} answers, then look again"
    tree.places["source"] = Away(tree.spec.source)
    assert [each.detail[:13] for each in tree.preflight()] == ["on the source", "on the target"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_what_the_runner_may_not_read_or_write_is_named_before_and_during_a_pass(
    make: Callable[..., Tree], tmp_path: Path
) -> None:
    for parent in (tmp_path, *tmp_path.parents):
        if not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    tree = make()
    source, target = tree.spec.source, there(tree)
    closed = write(source / "closed", "x")
    write(source / "sub" / "f", "x")
    target.mkdir()

    def as_nobody(wanted: Path, mode: int) -> tuple[dict[str, str], str]:
        """Preflight's blockers and a pass's error."""
        before = wanted.stat().st_mode
        wanted.chmod(mode)
        tmp_path.chmod(0o777)
        os.seteuid(65534)
        found, said = between(tree, source, target), ""
        try:
            seen = blockers(found)
            try:
                found.carry(to="target", stop=go_on)
            except FirstbellError as error:
                said = str(error)
        finally:
            os.seteuid(0)
            wanted.chmod(before)
        return seen, said

    target.chmod(0o777)
    seen, said = as_nobody(closed, 0o600)
    assert seen["files-data-unreadable"] == "1 files cannot be read by the runner: closed"
    assert f"{closed}: a pass over data ended: Permission denied" in said
    seen, said = as_nobody(source / "sub", 0o700)
    assert "on the source: cannot read sub" in seen["files-data"]
    assert "cannot read sub" in said
    seen, said = as_nobody(source, 0o700)
    assert "missing or not readable" in seen["files-data"]
    seen, said = as_nobody(target, 0o755)
    assert "cannot be written by the runner" in seen["files-data"]
    assert "Permission denied" in said


def test_an_unmounted_source_is_not_taken_for_an_empty_one(make: Callable[..., Tree]) -> None:
    tree = make()
    file = write(tree.spec.source / "f", "x")
    tree.carry(to="target", stop=go_on)
    file.unlink()
    with pytest.raises(FirstbellError, match="mount it"):
        tree.carry(to="target", stop=go_on)


def test_a_write_inside_the_fence_is_found(make: Callable[..., Tree]) -> None:
    tree = make()
    tree = Tree(tree.spec, tree.spec.source.parent / "m.db", now=lambda: time.time() - 5)
    write(tree.spec.source / "late", "x")
    with pytest.raises(FirstbellError, match="changed inside the fence"):
        tree.carry(to="target", fenced=True, stop=go_on)


def test_moodles_caches_stay_and_its_filedir_proves_itself(make: Callable[..., Tree]) -> None:
    tree = make("moodle")
    hashes = make_dataroot(tree.spec.source, 5)
    write(tree.spec.source / "climaintenance.html", "down")
    tree.carry(to="target", stop=go_on)
    names = {path.name for path in there(tree).iterdir()}
    assert names == {"filedir", "muc", "secret", "lang", "empty"}
    assert tree.content_hashes("target") == set(hashes)
    assert tree.clear_maintenance() == [str(tree.spec.source / "climaintenance.html")]
    # Known-bad twin: a file whose content is not what its name says, on both sides alike.
    name = hashes[0]
    for root in (tree.spec.source, there(tree)):
        place = root / "filedir" / name[:2] / name[2:4] / name
        place.write_bytes(b"other")
        os.utime(place, ns=(1, 1))
    problems = tree.compare(stop=go_on)[1]
    assert len(problems) == 2
    assert all("its content is not what its name says" in problem for problem in problems)


def test_filedir_is_only_ever_united(make: Callable[..., Tree]) -> None:
    tree = make("moodle")
    make_dataroot(tree.spec.source, 3)
    tree.carry(to="target", stop=go_on)
    extra = "0" * 40
    write(there(tree) / "filedir" / "00" / "00" / extra, "only there")
    assert tree.carry(to="target", stop=go_on)["deferred"] == 0
    tree.delete_deferred()
    assert (there(tree) / "filedir" / "00" / "00" / extra).exists()
