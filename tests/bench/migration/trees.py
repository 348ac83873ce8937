"""File passes beside rclone alone: to a mounted folder, and to S3 on loopback."""

from __future__ import annotations

import logging
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

from cli.migration.files import Tree
from cli.migration.spec import Files
from tests.bench.migration.figures import ROUNDS, ratio, seconds
from tests.matrix.parts import folders

RCLONE = str(Path(sys.executable).parent / "rclone")
BYTES = 35_000


def to_folder(*, quick: bool) -> None:
    """20,000 files, 700 MB; rclone keeps what we keep."""
    with folders() as folder:
        _passes(
            "",
            folder,
            2_000 if quick else 20_000,
            lambda number: str(folder / f"ours{number}"),
            lambda number: [str(folder / f"peer{number}"), "--metadata", "--links"],
        )


def to_s3(*, quick: bool) -> None:
    """To moto's server, which takes most of the time of both."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto.start()
    _, port = moto.get_host_and_port()
    endpoint = f"http://127.0.0.1:{port}"
    with folders() as folder:
        os.environ |= {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="bench")
        remote = f":s3,provider=Other,env_auth,no_check_bucket,endpoint='{endpoint}':bench"
        try:
            _passes(
                " to S3",
                folder,
                200 if quick else 2_000,
                lambda number: {"bucket": "bench", "prefix": f"o{number}/", "endpoint": endpoint},
                lambda number: [f"{remote}/p{number}"],
            )
        finally:
            moto.stop()


def _passes(
    where: str,
    folder: Path,
    count: int,
    ours: Callable[[int], Any],
    peer: Callable[[int], list[str]],
) -> None:
    a = folder / "a"
    chunk = os.urandom(BYTES)
    for number in range(count):
        place = a / f"{number % 256:02x}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"f{number}").write_bytes(number.to_bytes(4, "big") + chunk)
    taken: dict[str, tuple[list[float], list[float]]] = {
        name: ([], []) for name in ("first file pass", "file pass without change")
    }
    for round_ in range(ROUNDS):
        spec = Files.model_validate({"name": "t", "source": a, "target": ours(round_)})
        tree = Tree(spec, folder / f"m{round_}.db")
        command = [RCLONE, "sync", str(a), *peer(round_), "--create-empty-src-dirs"]
        command += ["--transfers", "8", "--checkers", "8", "--config", "/dev/null", "-q"]
        for mine, theirs in taken.values():
            mine.append(seconds(lambda t=tree: t.carry(to="target", stop=lambda: None)))
            theirs.append(seconds(lambda c=command: subprocess.run(c, check=True)))
        tree.close()
        for name in (f"ours{round_}", f"peer{round_}"):
            shutil.rmtree(folder / name, ignore_errors=True)
    size = count * (BYTES + 4) / 1e6
    for name, (mine, theirs) in taken.items():
        middle = statistics.median
        title = f"{name}{where}, {count:,} files, {size:.0f} MB"
        ratio(title, middle(mine), middle(theirs), "rclone", 1.1)
