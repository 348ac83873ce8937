"""`python -m tests.matrix [postgres] [mariadb] [files] [s3] [--sample]`: play it, print the table.

Two parts are played at a time, each in a process of its own. `--sample` takes one point a state.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.matrix.parts import PARTS
from tests.matrix.table import Table

_AT_A_TIME: Final = 2


def main(arguments: list[str]) -> int:
    """0 when every cell was clean, 1 when one was not, 2 for an unknown part."""
    sample = "--sample" in arguments
    names = [each for each in arguments if each != "--sample"] or list(PARTS)
    if unknown := sorted(set(names) - PARTS.keys()):
        sys.stderr.write(f"no part {', '.join(unknown)}; there are: {', '.join(PARTS)}\n")
        return 2
    table, began = Table(), time.monotonic()
    with tempfile.TemporaryDirectory() as text, ThreadPoolExecutor(_AT_A_TIME) as pool:
        paths = {name: Path(text) / name for name in names}
        codes = list(pool.map(lambda name: _part(name, paths[name], sample=sample), names))
        for path in paths.values():
            if path.exists():
                table.load(path)
    table.show()
    sys.stdout.write(f"{time.monotonic() - began:.0f} s\n")
    return 0 if table.clean and not any(codes) else 1


def _part(name: str, path: Path, *, sample: bool) -> int:
    command = [sys.executable, "-m", "tests.matrix", "--part", name, str(path)]
    return subprocess.run(command + ["--sample"] * sample, check=False).returncode


def play(name: str, path: Path, *, sample: bool) -> int:
    """Play one part in this process and keep its rows."""
    table, lock = Table(), threading.Lock()

    def say(text: str) -> None:
        with lock:
            sys.stderr.write(f"{text}\n")

    try:
        PARTS[name](table, say, sample=sample)
    finally:
        table.save(path)
    return 0 if table.clean else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--part"]:
        sys.exit(play(sys.argv[2], Path(sys.argv[3]), sample="--sample" in sys.argv))
    sys.exit(main(sys.argv[1:]))
