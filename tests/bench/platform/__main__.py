"""Runs the platform's benchmark and prints its tables.

    python -m tests.bench.platform [NAME ...]

Names: the committed stacks, `full` (the demo with every part), `tiers` (1, 5 and 20 of them) and
`lines` (of provider a type); all without a name. Every command is a process of its own, run once in
a stack's life, on a local cloud of its own; behind each figure stands the processor time of the
command, what is left of it on a machine with nothing else to do (the engine's and the provider's
included, the server's not).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from cli import localcloud
from cli.localcloud.provider import rows
from infra.paths import PROJECT_ROOT
from tests.scanner.applied import write_stacks

# Before every season of a committed stack.
START: Final = "2026-08-01T00:00Z"
TIERS: Final = (1, 5, 20)
# In the order of a stack's life: heading and arguments.
LIFE: Final = (
    ("preview", ("preview",)),
    ("first up", ("up",)),
    ("unchanged up", ("up",)),
    ("drift", ("drift",)),
    ("destroy", ("destroy", "--yes")),
)


def write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@dataclass(frozen=True)
class Run:
    """A command as its user waits for it."""

    seconds: float
    processor: float
    printed: str

    def __str__(self) -> str:
        return f"{self.seconds:.1f} ({self.processor:.1f})"


class Commands:
    """Runs firstbell with a folder of its own for state, stacks and local cloud."""

    def __init__(self, folder: Path) -> None:
        self.stacks = folder / "stacks"
        self._environment = os.environ | {
            "FIRSTBELL_HOME": str(folder / "home"),
            "FIRSTBELL_STACKS": str(self.stacks),
        }

    def __call__(self, *arguments: str) -> Run:
        """Run a command.

        Raises:
            RuntimeError: it failed; with what it said.
        """
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        finished = subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if finished.returncode:
            raise RuntimeError(f"firstbell {' '.join(arguments)}: {finished.stderr}")
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Run(seconds, processor, finished.stdout)


@contextmanager
def local_cloud() -> Generator[Commands]:
    """A fresh local cloud and a copy of the committed stacks; nothing is left afterwards."""
    with tempfile.TemporaryDirectory(prefix="firstbell-bench-") as name:
        run = Commands(Path(name))
        shutil.copytree(PROJECT_ROOT / "stacks", run.stacks)
        run("local", "start", "--at", START)
        try:
            yield run
        finally:
            run("local", "stop")


def head(first: str) -> None:
    names = [heading for heading, _ in LIFE]
    write(f"{first:14} {'resources':>9} " + " ".join(f"{name:>15}" for name in names))


def life(run: Commands, stack: str, shown: str) -> None:
    """A row: a stack's resources and what each step of its life takes, in seconds."""
    taken: list[Run] = []
    resources = 0
    for heading, arguments in LIFE:
        verb, *options = arguments
        taken.append(run(verb, "-s", stack, *options, "--json"))
        if heading == "first up":
            resources = json.loads(taken[-1].printed)["counts"]["create"]
    write(f"{shown:14} {resources:9} " + " ".join(f"{each!s:>15}" for each in taken))


def of_stacks(names: Sequence[str]) -> None:
    head("stack")
    for name in names:
        with local_cloud() as run:
            life(run, name, name)


def of_full() -> None:
    """The demo with the parts that it leaves out to stay quick."""
    head("stack")
    with local_cloud() as run:
        shutil.rmtree(run.stacks)
        write_stacks(run.stacks)
        life(run, "demo", "demo, full")


def of_tiers() -> None:
    """The smallest stack, with more and more tiers."""
    head("tiers")
    for count in TIERS:
        with local_cloud() as run:
            tiers = {"web": {}} | {
                f"t{number}": {"paths": [f"/{number}/*"], "max": 4} for number in range(1, count)
            }
            (run.stacks / "Pulumi.grown.yaml").write_text(
                yaml.safe_dump(
                    {
                        "config": {
                            "aws:region": "eu-north-1",
                            "firstbell:platform": {"domain": "lms.example.org", "tiers": tiers},
                        }
                    }
                )
            )
            life(run, "grown", str(count))


def of_lines() -> None:
    """How much of the provider is a table and how much is the machine that runs it."""
    folder = Path(localcloud.__file__).parent / "provider"
    table = lines([*(folder / "rows").glob("*.py")])
    machine = lines([*folder.glob("*.py")])
    rules = lines([*(folder / "rules").glob("*.py")])
    types = len(rows.ROWS)
    write(f"{'lines of provider':20} {'lines':>6} {'a type':>7}   ({types} types)")
    for what, count in (("table", table), ("machine", machine), ("rules of AWS", rules)):
        write(f"{what:20} {count:6} {count / types:7.1f}")


def lines(files: Sequence[Path]) -> int:
    return sum(len(file.read_text().splitlines()) for file in files)


def main() -> int:
    committed = sorted(
        path.name.removeprefix("Pulumi.").removesuffix(".yaml")
        for path in (PROJECT_ROOT / "stacks").glob("Pulumi.*.yaml")
    )
    parser = argparse.ArgumentParser(prog="python -m tests.bench.platform")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(committed))
    names: list[str] = parser.parse_args().names
    if unknown := sorted(set(names) - {*committed, "full", "tiers", "lines"}):
        parser.error(f"no {', '.join(unknown)}")
    write("Seconds as waited for, and of processor time")
    stacks = [name for name in committed if name in names or not names]
    if stacks:
        of_stacks(stacks)
    if "full" in names or not names:
        of_full()
    if "tiers" in names or not names:
        of_tiers()
    if "lines" in names or not names:
        of_lines()
    return 0


if __name__ == "__main__":
    sys.exit(main())
