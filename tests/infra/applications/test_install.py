"""A Moodle node's own installation, run in a folder, with stand-ins for what is not there: systemd,
the network, mounts.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import re
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.applications.moodle import Folders, Node, files
from tests.infra.applications.test_moodle import MOODLE, WEB, WORKER, text_of

# They note what is asked of them.
STAND_INS = {
    "systemctl": "",
    "mount": "",
    "phpenmod": "",
    "dpkg": "echo amd64",
    # Files are written to where `-o` says, scripts to standard output.
    "curl": 'while [ $# -gt 1 ]; do [ "$1" = -o ] && cp "$ROOT/moodle.tgz" "$2"; shift; done',
    # As who runs the test: nobody else is there to own them.
    "install": """arguments=()
while [ $# -gt 0 ]; do
  case "$1" in -o | -g) shift ;; *) arguments+=("$1") ;; esac
  shift
done
exec /usr/bin/install "${arguments[@]}\"""",
}


@dataclass(frozen=True)
class Installed:
    """A node's root folder after its installation, and what was asked meanwhile."""

    root: Path
    status: int
    asked: list[str]

    def text(self, path: str) -> str:
        return (self.root / path).read_text()

    @property
    def is_ready(self) -> bool:
        return (self.root / "local" / "installed").exists()


def release() -> bytes:
    """A release of Moodle, as moodle.org packs it: everything below one folder."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in ("moodle/version.php", "moodle/lib/setup.php"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    return packed.getvalue()


def install(root: Path, node: Node, *, fails: str = "", tampered: bool = False) -> Installed:
    """Run the installation below `root`; of the commands, those that `fails` names do."""
    folders = Folders(code=str(root / "code"), data=str(root / "data"), local=str(root / "local"))
    packed = release()
    sha256 = hashlib.sha256(packed).hexdigest()
    node = dataclasses.replace(
        node, folders=folders, application=MOODLE.model_copy(update={"sha256": sha256})
    )
    (root / "bin").mkdir(parents=True)
    (root / "moodle.tgz").write_bytes(packed + b"!" * tampered)
    for name, body in STAND_INS.items():
        failing = f'[[ "{name} $*" != *"{fails}"* ]] || exit 1' if fails else ""
        path = root / "bin" / name
        path.write_text(f'#!/bin/bash\necho "{name} $*" >> "$ROOT/asked"\n{failing}\n{body}\n')
        path.chmod(0o755)
    for path, (_, text) in files(node).items():
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    # What Debian's packages and the node's first script have left there.
    for place in ("etc/nginx", "etc/php/8.2/fpm/pool.d", "run"):
        (root / place).mkdir(parents=True, exist_ok=True)
    (root / "etc/php/8.2/fpm/pool.d/www.conf").touch()
    (root / "etc/firstbell/environment").write_text("AWS_REGION=eu-north-1\n")
    script = re.sub(r"(?<![\w.}/])/(etc|run)/", rf"{root}/\1/", text_of(node, "moodle-install"))
    ran = subprocess.run(
        ["bash", "-c", script],
        env={"PATH": f"{root}/bin:/usr/bin:/bin", "ROOT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    return Installed(root, ran.returncode, (root / "asked").read_text().splitlines())


def test_a_web_node_has_code_pool_and_server_and_then_says_so(tmp_path: Path) -> None:
    done = install(tmp_path, WEB)
    assert done.status == 0
    assert done.is_ready
    assert (tmp_path / "code" / "version.php").exists()
    assert "writer.example" in done.text("code/config.php")
    assert "[moodle]" in done.text("etc/php/8.2/fpm/pool.d/moodle.conf")
    assert not (tmp_path / "etc/php/8.2/fpm/pool.d/www.conf").exists()
    assert "location = /health" in done.text("etc/nginx/nginx.conf")
    assert "tls,iam,accesspoint=fsap-0123456789abcdef0 0 0\n" in done.text("etc/fstab")
    order = [
        "mount ",
        "systemctl enable --now moodle-secrets.service",
        "systemctl restart php8.2-fpm.service",
        "systemctl restart nginx.service",
    ]
    found = [next(at for at, line in enumerate(done.asked) if want in line) for want in order]
    assert found == sorted(found), "files and secrets come before what needs them"


def test_a_worker_has_cron_and_no_server(tmp_path: Path) -> None:
    done = install(tmp_path, WORKER)
    assert done.status == 0
    assert done.is_ready
    assert done.asked[-1] == "systemctl enable --now moodle-cron.timer"
    assert not [line for line in done.asked if "nginx" in line or "fpm" in line]


def test_a_node_without_session_manager_serves_all_the_same(tmp_path: Path) -> None:
    done = install(tmp_path, WEB, fails="amazon-ssm-agent.deb")
    assert (done.status, done.is_ready) == (0, True)


@pytest.mark.parametrize(
    "fails",
    ["curl -fsS https://amazon-efs-utils", "mount ", "curl -fsSL", "moodle-secrets.service"],
)
def test_a_node_that_lacks_what_it_needs_never_says_that_it_is_ready(
    tmp_path: Path, fails: str
) -> None:
    """Its group then replaces it, instead of sending it requests."""
    done = install(tmp_path, WEB, fails=fails)
    assert (done.status == 0, done.is_ready) == (False, False)


def test_a_release_that_is_not_the_pinned_one_is_not_unpacked(tmp_path: Path) -> None:
    done = install(tmp_path, WEB, tampered=True)
    assert (done.status == 0, done.is_ready) == (False, False)
    assert not (tmp_path / "code" / "version.php").exists()
