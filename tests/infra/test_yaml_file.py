"""Reading YAML: what is wrong with a file is named with its line, and no key is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra import yaml_file
from infra.errors import InputError, Problems


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "stack.yaml"


def test_what_yaml_means_is_read(file: Path) -> None:
    file.write_text("a: &common {b: 1}\nc: {<<: *common, <<: {d: 2}}\ne: [*common, 5]\n")
    assert yaml_file.read(file) == {"a": {"b": 1}, "c": {"b": 1, "d": 2}, "e": [{"b": 1}, 5]}
    file.write_text("")
    assert yaml_file.read(file) is None


def test_keys_that_stand_twice_are_all_named_with_their_lines(file: Path) -> None:
    file.write_text("tiers:\n  web:\n    min: 1\n    min: 2\nlist: [{a: 1, a: 2}]\ntiers: {}\n")
    with pytest.raises(Problems) as caught:
        yaml_file.read(file)
    assert [str(problem) for problem in caught.value.problems] == [
        f"{where}: key {key!r} stands twice, in line {first} and in line {last}; only the last "
        "would count (put them together under one)"
        for where, key, first, last in (
            ("tiers", "tiers", 1, 6),
            ("tiers/web/min", "min", 3, 4),
            ("list/1/a", "a", 5, 5),
        )
    ]


def test_an_alias_of_itself_ends(file: Path) -> None:
    file.write_text("a: &a [*a]\n")
    found = yaml_file.read(file)
    assert isinstance(found, dict)
    assert list(found) == ["a"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"config:\n  a: b\n c: d\n", "not valid YAML in line 3, column 2: expected <block end>"),
        (b"config:\n\ta: b\n", "not valid YAML in line 2, column 1: found character"),
        (b"owner: x\nname: M\xfcller\n", "a character in line 2 that is not in UTF-8"),
        (b"a: \x00\n", "is not valid YAML"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_line(file: Path, content: bytes, said: str) -> None:
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        yaml_file.read(file)
    assert said in str(caught.value)
    assert caught.value.where == str(file)


def test_a_file_that_is_not_there_is_named(file: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        yaml_file.read(file)
