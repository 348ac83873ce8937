"""User data: what cloud-init makes of it, and that it fits."""

from __future__ import annotations

import base64
import email
import gzip
import hashlib
import shutil
import subprocess
from collections.abc import Mapping
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from infra.applications import NodeArgs, parts
from infra.applications.user_data import Part, encoded
from infra.errors import InputError
from infra.settings.applications import Application, GenericApplication

ENVIRONMENT: Mapping[str, str] = {
    "AWS_DEFAULT_REGION": "eu-north-1",
    "DATABASE_NAME": "lms; touch /tmp/evil",
}


def node(application: Application | None = None, **changes: Any) -> NodeArgs:
    given: dict[str, Any] = {
        "role": "web",
        "name": "tiny-web",
        "application": application or GenericApplication(cloud_init=None),
        "instance_types": ("m7i.large",),
        "port": 8080,
        "protocol": "HTTPS",
        "health": "/up",
        "host": "lms.example.org",
        "concurrency": 12,
    }
    return NodeArgs(**given | changes)


def decoded(text: str) -> list[Message]:
    message = email.message_from_bytes(gzip.decompress(base64.b64decode(text)))
    pieces = message.get_payload()
    assert isinstance(pieces, list)
    return [piece for piece in pieces if isinstance(piece, Message)]


def test_a_users_own_file_comes_first_and_as_it_is(stacks: Path) -> None:
    text = "#cloud-config\nruncmd: [[touch, /srv/köln]]\n"
    (stacks / "api.yaml").write_text(text)
    own, ours = decoded(
        encoded(parts(node(GenericApplication(cloud_init="api.yaml")), ENVIRONMENT), where="x")
    )
    assert own.get_content_type() == "text/cloud-config"
    payload = own.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload.decode() == text
    # At each boot: an instance that leaves the warm pool has to say that it is ready, too.
    assert ours.get_content_type() == "text/x-shellscript-per-boot"


def test_the_same_settings_give_the_same_bytes() -> None:
    first, second = (encoded(parts(node(), ENVIRONMENT), where="x") for _ in range(2))
    assert first == second


def test_what_is_larger_than_aws_takes_is_refused() -> None:
    noise = "".join(hashlib.sha256(bytes([n % 256, n // 256])).hexdigest() for n in range(600))
    with pytest.raises(InputError, match=r"user data has \d+ bytes when compressed") as refused:
        encoded([Part("big", "x-shellscript", noise)], where="tiers/web")
    assert refused.value.exit_code == 2
    fits = "#!/bin/sh\n" + "echo hello\n" * 20_000
    assert encoded([Part("long", "x-shellscript", fits)], where="tiers/web")


def test_the_script_is_one_that_bash_understands_and_quotes_its_values(tmp_path: Path) -> None:
    (ours,) = parts(node(), ENVIRONMENT)
    script = tmp_path / "node.sh"
    script.write_text(ours.text)
    bash = shutil.which("bash")
    assert bash
    assert subprocess.run([bash, "-n", script], check=False).returncode == 0
    lines = ours.text.split("<<'VARIABLES'\n")[1].split("VARIABLES\n")[0]
    shown = subprocess.run(
        [bash, "-c", f'{lines}\nprintf %s "$DATABASE_NAME"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == ENVIRONMENT["DATABASE_NAME"]
    script.write_text(ours.text.replace("\n# What the", "\nif then\n# What the", 1))
    assert subprocess.run([bash, "-n", script], capture_output=True, check=False).returncode != 0


def test_a_web_node_is_ready_when_its_health_path_answers() -> None:
    (web,), (worker,) = (parts(node(role=role), ENVIRONMENT) for role in ("web", "worker"))
    assert "https://127.0.0.1:8080/up" in web.text
    assert "https://127.0.0.1" not in worker.text
    assert "openssl" in web.text
    assert "openssl" not in worker.text


def ready(tmp_path: Path, *, healthy: bool, answers: Mapping[str, str], aws: str) -> list[str]:
    """Run the node's own `firstbell-ready` with stand-ins for AWS; what it asked of AWS."""
    (ours,) = parts(node(), ENVIRONMENT)
    body = ours.text.split("/usr/local/bin/firstbell-ready <<'SCRIPT'\n")[1].split("\nSCRIPT\n")[0]
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    log = tmp_path / "log"
    log.touch()
    stand_ins = {
        "firstbell-healthy": f"exit {0 if healthy else 1}",
        "firstbell-metadata": "\n".join(
            f'[ "$1" = "{key}" ] && {{ {value}; exit 0; }}' for key, value in answers.items()
        ),
        "aws": f'echo "$*" >> {log}\n{aws}',
        "sleep": "exec /bin/sleep 0.05",
    }
    for name, text in stand_ins.items():
        (bin_ / name).write_text(f"#!/bin/bash\n{text}\n")
        (bin_ / name).chmod(0o755)
    environment = tmp_path / "environment"
    environment.write_text("AWS_DEFAULT_REGION=eu-north-1\n")
    script = bin_ / "ready"
    script.write_text(body.replace("/etc/firstbell/environment", str(environment)))
    script.chmod(0o755)
    try:
        subprocess.run(
            [script],
            env={"PATH": f"{bin_}:/usr/bin:/bin"},
            capture_output=True,
            timeout=10 if healthy else 1,
            check=True,
        )
    except subprocess.TimeoutExpired:
        assert not healthy
    return log.read_text().splitlines()


KNOWN = {
    "instance-id": "echo i-1",
    "tags/instance/aws:autoscaling:groupName": "echo tiny-web-1",
}


def test_a_healthy_node_lets_its_group_use_it(tmp_path: Path) -> None:
    target = {"autoscaling/target-lifecycle-state": "echo InService"}
    assert ready(tmp_path, healthy=True, answers=KNOWN | target, aws="exit 0") == [
        "autoscaling complete-lifecycle-action --lifecycle-hook-name firstbell-ready "
        "--lifecycle-action-result CONTINUE --instance-id i-1 "
        "--auto-scaling-group-name tiny-web-1"
    ]


def test_a_node_that_does_not_answer_never_says_so(tmp_path: Path) -> None:
    target = {"autoscaling/target-lifecycle-state": "echo InService"}
    assert ready(tmp_path, healthy=False, answers=KNOWN | target, aws="exit 0") == []


def test_a_node_says_it_on_entering_the_warm_pool_and_again_on_leaving_it(tmp_path: Path) -> None:
    count = tmp_path / "count"
    state = (
        f"echo x >> {count}; "
        f'[ "$(wc -l < {count})" -lt 4 ] && echo Warmed:Running || echo InService'
    )
    target = {"autoscaling/target-lifecycle-state": state}
    assert len(ready(tmp_path, healthy=True, answers=KNOWN | target, aws="exit 0")) == 2


def test_after_a_mere_reboot_nobody_waits_for_the_node(tmp_path: Path) -> None:
    target = {"autoscaling/target-lifecycle-state": "echo InService"}
    refusal = "echo 'ValidationError: No active Lifecycle Action found' >&2; exit 254"
    assert len(ready(tmp_path, healthy=True, answers=KNOWN | target, aws=refusal)) == 1
