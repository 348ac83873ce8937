"""File trees whose pass is killed at every change of the disk or request to S3, or is cut off.

A pass is a process of its own; an audit hook counts what it does to the file system and what it
sends, and kills it at one of these. The next pass must leave both sides equal: nothing lost, and
nothing of ours left beside it.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import boto3
from moto.server import ThreadedMotoServer

from cli.migration.files import Tree
from cli.migration.folder import PART
from cli.migration.proof.scene import make_dataroot
from cli.migration.spec import Files
from infra import paths
from infra.errors import FirstbellError
from tests.matrix.proxy import Proxy

BUCKET: Final = "matrix"
FILES: Final = 6
# What changes a disk or leaves the process; `open` only when it is for writing.
_CHANGES: Final = frozenset(
    {
        "os.chmod",
        "os.chown",
        "os.mkdir",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.symlink",
        "os.utime",
        "http.client.send",
    }
)
_DELETED: Final = ("gone", "lang/sv/new.php", "kind/inside")
_PASSES: Final = 4
_AWAY_SECONDS: Final = 0.7
_AWAY: Final = 9
_CHILD_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Step:
    """One pass: what was changed before it, and where it goes."""

    name: str
    to: str
    change: Callable[[Path, Path | None], None]


def _nothing(_source: Path, _target: Path | None) -> None:
    """The tree as it was made."""


def _users_work(source: Path, _target: Path | None) -> None:
    """A new file, a changed one of equal size, a mode, a link, a file that became a folder."""
    (source / "lang" / "sv" / "new.php").write_text("<?php // new")
    (source / "muc" / "config.php").write_text("<?php // CACHE stores")
    (source / "secret" / "key").chmod(0o640)
    (source / "lang" / "current").unlink()
    (source / "lang" / "current").symlink_to("nowhere")
    (source / "kind").unlink()
    (source / "kind").mkdir()
    (source / "kind" / "inside").write_text("x")
    (source / "gone").unlink()


def _users_work_there(_source: Path, target: Path | None) -> None:
    """On the target, while the migration holds; a bucket is written by the caller."""
    if target is not None:
        (target / "lang" / "sv" / "there.php").write_text("<?php // there")
        (target / "muc" / "config.php").write_text("<?php // cache STORES")


STEPS: Final = (
    Step("first pass", "target", _nothing),
    Step("pass over changes", "target", _users_work),
    Step("pass back", "source", _users_work_there),
)


@dataclass
class Result:
    """How a cell ended."""

    kills: int = 0
    lost: list[str] = field(default_factory=list[str])
    left: list[str] = field(default_factory=list[str])
    problems: list[str] = field(default_factory=list[str])
    # Whether the pass was over before the point was reached.
    over: bool = False

    @property
    def clean(self) -> bool:
        return not (self.lost or self.left or self.problems)


class Ground:
    """Where trees are made: a folder, and for S3 a moto server behind a proxy."""

    def __init__(self, folder: Path, *, s3: bool) -> None:
        self._folder = folder
        self._number = 0
        self._s3 = s3
        self.proxy: Proxy | None = None
        self._client: Any = None
        if s3:
            os.environ |= {
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
            logging.getLogger("werkzeug").setLevel(logging.ERROR)
            self._moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
            self._moto.start()
            _, port = self._moto.get_host_and_port()
            self.proxy = Proxy(port)
            self.proxy.start()
            self._client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}")
            self._client.create_bucket(Bucket=BUCKET)
        self._nursery = subprocess.Popen(
            [sys.executable, "-m", "tests.matrix.trees"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=paths.PROJECT_ROOT,
        )

    def close(self) -> None:
        """End the processes."""
        if self._nursery.stdin is not None and self._nursery.stdout is not None:
            self._nursery.stdin.close()
            self._nursery.wait(timeout=_CHILD_SECONDS)
            self._nursery.stdout.close()
        if self.proxy is not None:
            self.proxy.end()
            self._moto.stop()

    def tree(self) -> dict[str, Any]:
        """A new tree with nothing on its target: what the process of a pass is told."""
        self._number += 1
        place = self._folder / str(self._number)
        source = place / "a"
        make_dataroot(source, FILES)
        (source / "kind").write_text("a file")
        (source / "gone").write_text("soon")
        target: object = str(place / "b")
        if self.proxy is not None:
            target = {
                "bucket": BUCKET,
                "prefix": f"{self._number}/",
                "endpoint": f"http://127.0.0.1:{self.proxy.port}",
            }
        spec = {"name": "data", "source": str(source), "target": target, "layout": "moodle"}
        return {"spec": spec, "manifest": str(place / "m.db")}

    def change(self, told: dict[str, Any], step: Step) -> None:
        """What users do before a step."""
        target = told["spec"]["target"]
        step.change(Path(told["spec"]["source"]), None if self._s3 else Path(target))
        if self._s3 and step.to == "source":
            for key, body in (("lang/sv/there.php", b"<?php // there"), ("muc/config.php", b"?")):
                self._client.put_object(Bucket=BUCKET, Key=target["prefix"] + key, Body=body)

    def carry(self, told: dict[str, Any], to: str, kill_at: int = 0) -> int:
        """One pass in a process that dies at its change number `kill_at`; its exit code."""
        if self._nursery.stdin is None or self._nursery.stdout is None:
            raise FirstbellError("the nursery has no pipes")
        self._nursery.stdin.write(json.dumps({**told, "to": to, "kill_at": kill_at}) + "\n")
        self._nursery.stdin.flush()
        answer = self._nursery.stdout.readline()
        if not answer:
            raise FirstbellError("the nursery is gone")
        return int(answer)

    def up_to(self, number: int) -> dict[str, Any]:
        """A tree whose earlier steps were carried, with a step's changes made."""
        told = self.tree()
        for step in STEPS[:number]:
            self.change(told, step)
            if code := self.carry(told, step.to):
                raise FirstbellError(f"{step.name} ended with {code}")
        self.change(told, STEPS[number])
        return told

    # Cells

    def kill(self, number: int, kill_at: int, *, resumed: bool = True) -> Result:
        """Step `number`, killed at one change, and the pass after it, unless nobody resumes."""
        told, result = self.up_to(number), Result()
        code = self.carry(told, STEPS[number].to, kill_at)
        if code == -signal.SIGKILL:
            result.kills += 1
            # Users do not wait for the next pass: what was just being copied is deleted.
            for name in _DELETED:
                with suppress(NotADirectoryError):
                    (Path(told["spec"]["source"]) / name).unlink(missing_ok=True)
        elif code == 0:
            result.over = True
        else:
            result.problems.append(f"the pass ended with {code}")
        self._complete(told, number, result, passes=_PASSES if resumed else 0)
        return result

    def kills(self, number: int, *, every: int = 1) -> Iterator[tuple[int, Result]]:
        """Step `number`, killed at each change (or every so many), until there is none left."""
        kill_at = 1
        while True:
            result = self.kill(number, kill_at)
            if result.over:
                return
            yield kill_at, result
            kill_at += every

    def cut(self, number: int, after_seconds: float) -> Result:
        """Step `number`, with the network to S3 cut while it runs."""
        proxy = self.proxy
        if proxy is None:
            raise FirstbellError("a folder has no network to cut")
        told, result = self.up_to(number), Result()

        def cut() -> None:
            time.sleep(after_seconds)
            proxy.cut()
            time.sleep(_AWAY_SECONDS)
            proxy.mend()

        cutting = threading.Thread(target=cut)
        cutting.start()
        code = self.carry(told, STEPS[number].to)
        cutting.join()
        result.kills += 1
        if code not in (0, _AWAY):
            result.problems.append(f"the pass ended with {code}")
        self._complete(told, number, result)
        return result

    def _complete(
        self, told: dict[str, Any], number: int, result: Result, *, passes: int = _PASSES
    ) -> None:
        """Go on until a pass ends, and compare."""
        for _ in range(passes):
            if self.carry(told, STEPS[number].to) == 0:
                break
        else:
            result.problems.append(f"it is not complete after {passes} passes")
        tree = _tree(told)
        try:
            _, differences = tree.compare(stop=lambda: None)
        finally:
            tree.close()
        result.lost += differences
        for side in ("source", "target"):
            folder = told["spec"][side]
            if isinstance(folder, str):
                result.left += [str(path) for path in Path(folder).rglob(f"{PART}*")]
        shutil.rmtree(Path(told["manifest"]).parent)


def _tree(told: dict[str, Any]) -> Tree:
    spec = Files.model_validate(told["spec"])
    # Time stands ahead, so that the stamps of files that were just made are trusted.
    return Tree(spec, Path(told["manifest"]), now=lambda: time.time() + 120)


def _child(told: dict[str, Any]) -> int:
    left = int(told["kill_at"])

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
        if writes or event in _CHANGES:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    tree = _tree(told)
    sys.addaudithook(hook)
    try:
        tree.carry(to=told["to"], stop=lambda: None)
    except ConnectionError:
        return _AWAY
    except FirstbellError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    tree.close()
    return 0


def main() -> None:
    """Fork a pass for each line read, and print how it ended."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = _child(json.loads(line))
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
