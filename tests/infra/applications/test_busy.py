"""`firstbell-busy`, run: while a job runs, scale-in leaves its instance alone."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.applications import NodeArgs, parts
from infra.settings.applications import GenericApplication


@dataclass(frozen=True)
class Node:
    """A worker's own script, with stand-ins for the instance's metadata and for AWS."""

    folder: Path

    def start(self, job: str) -> subprocess.Popen[bytes]:
        """A job under way."""
        with (self.folder / "errors").open("a") as errors:
            return subprocess.Popen(
                [self.folder / "firstbell-busy", "bash", "-c", job],
                env={"PATH": f"{self.folder}:/usr/bin:/bin"},
                stderr=errors,
            )

    @property
    def asked(self) -> list[str]:
        """What was asked of AWS: `protected` or `free`, in this order."""
        log = self.folder / "asked"
        return log.read_text().split() if log.exists() else []

    def wait_until(self, asked: int) -> None:
        """Until AWS was asked so often."""
        deadline = time.monotonic() + 10
        while len(self.asked) < asked and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(self.asked) == asked


@pytest.fixture
def node(tmp_path: Path) -> Node:
    application = GenericApplication(cloud_init=None)
    args = NodeArgs("worker", "tiny-imports", application, ("m7i.large",), 443, "HTTPS", "/", "", 1)
    *_, ours = parts(args, {"AWS_DEFAULT_REGION": "eu-north-1"})
    script = ours.text.split("/usr/local/bin/firstbell-busy <<'SCRIPT'\n")[1].split("\nSCRIPT\n")[0]
    (tmp_path / "environment").write_text("AWS_DEFAULT_REGION=eu-north-1\n")
    for name, text in {
        "firstbell-busy": script.replace("/etc/firstbell/", f"{tmp_path}/").replace(
            "/run/", f"{tmp_path}/"
        ),
        "firstbell-metadata": """#!/bin/bash
case "$1" in
  instance-id) echo i-1 ;;
  tags/instance/aws:autoscaling:groupName) echo group ;;
esac""",
        "aws": f"""#!/bin/bash
on="--instance-ids i-1 --auto-scaling-group-name group"
case "$*" in
  "autoscaling set-instance-protection --protected-from-scale-in $on") echo protected ;;
  "autoscaling set-instance-protection --no-protected-from-scale-in $on") echo free ;;
  *) echo "$*" ;;
esac >> {tmp_path}/asked
[ ! -e {tmp_path}/down ]""",
    }.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return Node(tmp_path)


def test_a_job_is_protected_before_it_begins_and_free_when_it_ends(node: Node) -> None:
    job = node.start(f"cat {node.folder}/asked > {node.folder}/seen; exit 3")
    assert job.wait(10) == 3, "how the job ended is how the command ends"
    assert (node.folder / "seen").read_text().split() == ["protected"]
    assert node.asked == ["protected", "free"]


def test_of_jobs_side_by_side_the_last_one_ends_the_protection(node: Node) -> None:
    """Or scale-in takes the instance away from under the longer one."""
    until = "while [ ! -e {0} ]; do sleep 0.02; done"
    short, long = (node.start(until.format(node.folder / name)) for name in ("short", "long"))
    node.wait_until(asked=2)
    (node.folder / "short").touch()
    assert short.wait(10) == 0
    assert node.asked == ["protected", "protected"]
    (node.folder / "long").touch()
    assert long.wait(10) == 0
    assert node.asked == ["protected", "protected", "free"]


def test_a_job_runs_although_aws_does_not_answer(node: Node) -> None:
    (node.folder / "down").touch()
    job = node.start(f"touch {node.folder}/done")
    assert job.wait(10) == 0
    assert (node.folder / "done").exists()
    assert "not protected from scale-in" in (node.folder / "errors").read_text()
