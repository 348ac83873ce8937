"""User data: several parts for cloud-init in one compressed MIME message."""

from __future__ import annotations

import base64
import gzip
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from infra.errors import InputError
from infra.settings.applications import MAX_USER_DATA_BYTES

# Any text that is the same at every run: a new one would change every launch template.
_BOUNDARY: Final = "firstbell-part-of-user-data"
_NODE_SCRIPT: Final = Path(__file__).with_name("node.sh")

TLS_FOLDER: Final = "/etc/firstbell"
# A certificate of the node's own, made on it: its key never travels. A load balancer does not check
# the certificates of its targets. ELB user guide, "Target groups for your Application Load
# Balancers", routing configuration.
SELF_SIGNED: Final = """\
if [ ! -s {folder}/tls.crt ]; then
  (umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
    -days 3650 -subj "/CN=firstbell node" \\
    -keyout {folder}/tls.key -out {folder}/tls.crt 2>/dev/null)
  chmod 0644 {folder}/tls.crt
fi
"""

# cloud-init documentation, "User-data formats".
PartKind = Literal["cloud-config", "x-shellscript", "x-shellscript-per-boot"]


@dataclass(frozen=True)
class Part:
    """One part, as cloud-init's MIME types have it (text/KIND)."""

    name: str
    kind: PartKind
    text: str

    @classmethod
    def of_file(cls, path: Path) -> Part:
        """A user's own file: a cloud-config or a script."""
        text = path.read_text()
        return cls(path.name, "x-shellscript" if text.startswith("#!") else "cloud-config", text)


def cloud_config(config: Mapping[str, Any]) -> str:
    """A cloud-config as YAML."""
    return "#cloud-config\n" + yaml.safe_dump(dict(config), sort_keys=False, width=1000)


def answers(protocol: str, port: int, path: str) -> str:
    """A command that succeeds when this node answers on a path."""
    insecure = "k" if protocol == "HTTPS" else ""
    return f"curl -fsS{insecure} -m 4 -o /dev/null {protocol.lower()}://127.0.0.1:{port}{path}"


def node_script(environment: Mapping[str, str], ready: Sequence[str], *, tls: bool = False) -> Part:
    """What every node does at each boot: say what surrounds it, and tell its group it is ready.

    Args:
        ready: shell commands that all succeed once the application answers.
        tls: whether it makes /etc/firstbell/tls.key and tls.crt.
    """
    variables = "".join(f"{key}={shlex.quote(value)}\n" for key, value in environment.items())
    text = _NODE_SCRIPT.read_text()
    text = (
        text.replace("# ENVIRONMENT\n", variables)
        .replace("# TLS\n", SELF_SIGNED.format(folder=TLS_FOLDER) if tls else "")
        .replace("# READY\n", " &&\n  ".join(ready) + "\n")
    )
    return Part("firstbell", "x-shellscript-per-boot", text)


def encoded(parts: Sequence[Part], *, where: str) -> str:
    """The base64 of the compressed message; the same parts give the same bytes.

    Raises:
        InputError: it is larger than AWS takes.
    """
    message = MIMEMultipart(boundary=_BOUNDARY)
    for part in parts:
        piece = MIMENonMultipart("text", part.kind, charset="utf-8")
        # As it is: the text in base64 would hardly compress. Bytes beyond ASCII go through as such.
        piece["Content-Transfer-Encoding"] = "8bit"
        piece.set_payload(part.text.encode().decode("ascii", "surrogateescape"))
        piece.add_header("Content-Disposition", "attachment", filename=part.name)
        message.attach(piece)
    raw = gzip.compress(message.as_bytes(), compresslevel=9, mtime=0)
    if len(raw) > MAX_USER_DATA_BYTES:
        raise InputError(
            f"the user data has {len(raw)} bytes when compressed",
            where=where,
            why=f"AWS takes {MAX_USER_DATA_BYTES}",
            fix="move what the cloud-init file writes into the image, or let it fetch it at boot",
        )
    return base64.b64encode(raw).decode()
