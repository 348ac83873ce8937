"""YAML files as people write them: one way to read them, and to say what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from infra.errors import InputError, Problem, Problems


def read(path: Path, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> object:
    """The file's content; None where it is empty. `loader` says what a plain word means.

    Raises:
        InputError: the file is missing, unreadable or no YAML.
        Problems: keys stand twice in one mapping, of which YAML would take the last.
    """
    where = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError("there is no such file", where=where, fix="check the name") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(
            f"has a character in line {line} that is not in UTF-8",
            where=where,
            fix="save the file in the encoding UTF-8",
        ) from error
    except OSError as error:
        raise InputError(f"cannot be read: {error}", where=where) from error
    reader = None
    try:
        reader = loader(text)
        node = reader.get_single_node()
        if twice := list(_twice(node)):
            raise Problems(where, twice)
        return None if node is None else reader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(
            f"is not valid YAML{place}: {error.problem or error.context}",
            where=where,
            fix="look at the indentation, the quotes and the brackets there and in the line before",
        ) from error
    except yaml.YAMLError as error:
        raise InputError(f"is not valid YAML: {error}", where=where) from error
    finally:
        if reader is not None:
            reader.dispose()


def _twice(node: yaml.Node | None) -> Iterator[Problem]:
    """Keys that a mapping has twice, with their lines."""
    # What has an alias stands in several places, in itself too; it is looked at once.
    seen: set[int] = set()
    found = [("", node)]
    for path, each in found:
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, yaml.SequenceNode):
            entries: list[yaml.Node] = each.value
            found += [(f"{path}{number}/", entry) for number, entry in enumerate(entries, start=1)]
        if isinstance(each, yaml.MappingNode):
            pairs: list[tuple[yaml.Node, yaml.Node]] = each.value
            yield from _twice_in(pairs, path)
            found += [(f"{path}{key.value}/", value) for key, value in pairs]


def _twice_in(pairs: Sequence[tuple[yaml.Node, yaml.Node]], path: str) -> Iterator[Problem]:
    lines: dict[str, int] = {}
    for key, _ in pairs:
        name, line = str(key.value), key.start_mark.line + 1
        if name in lines and name != "<<":
            yield Problem(
                f"{path}{name}",
                f"key {name!r} stands twice, in line {lines[name]} and in line {line}; only the "
                "last would count",
                "put them together under one",
            )
        lines.setdefault(name, line)
