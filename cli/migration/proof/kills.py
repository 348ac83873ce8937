"""Runs a migration's runner as a process that dies with SIGKILL at journal writes, again and again.

Every life is a process of its own, forked from one that has the modules loaded, because starting
Python hundreds of times would take longer than the migration.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from cli.migration import locks, runner
from cli.migration.journal import Journal, root
from infra import paths
from infra.errors import FirstbellError


@dataclass
class Nursery:
    """The process that forks runners; `FIRSTBELL_KILL_AT` of its environment holds for each that
    is not told otherwise.
    """

    process: subprocess.Popen[str]

    @classmethod
    def open(cls, migration: str, kill_at: str | None) -> Nursery:
        return cls(
            subprocess.Popen(
                [sys.executable, "-m", "cli.migration.proof.kills", migration],
                env={**os.environ, "FIRSTBELL_KILL_AT": kill_at} if kill_at else dict(os.environ),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=paths.PROJECT_ROOT,
            )
        )

    def live(self, seconds: float | None = None, *, kill_at: str | None = None) -> int:
        """Let one runner live until it rests or dies: its exit code, or minus the signal.

        With `seconds` it is killed after that time, whatever it is doing; `kill_at` is this life's
        `FIRSTBELL_KILL_AT`.
        """
        if self.process.stdin is None or self.process.stdout is None:
            raise FirstbellError("the nursery has no pipes")
        told = {"seconds": seconds, "kill_at": kill_at}
        self.process.stdin.write(f"{json.dumps(told)}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise FirstbellError("the nursery is gone")
        return int(answer)

    def close(self) -> None:
        """End it."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait(timeout=60)
        if self.process.stdout is not None:
            self.process.stdout.close()


def killed(code: int) -> bool:
    """Whether a life ended by our SIGKILL."""
    return code == -signal.SIGKILL


def _child(migration: str) -> int:
    try:
        journal = Journal.open(root(migration) / "journal.db", migration)
        with locks.file_lock(migration).acquire(timeout=20):
            return runner.carry(runner.build(migration, journal), watch=False)
    except FirstbellError as failure:
        sys.stderr.write(f"{failure}\n")
        return failure.exit_code
    except BaseException:
        traceback.print_exc()
        return 1


def main(migration: str) -> None:
    """Fork a runner for each line read, and print how it ended."""
    for line in sys.stdin:
        told = json.loads(line)
        child = os.fork()
        if child == 0:
            if told["kill_at"] is not None:
                os.environ["FIRSTBELL_KILL_AT"] = told["kill_at"]
            os._exit(_child(migration))
        if (seconds := told["seconds"]) is not None:
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def kill_log(folder: Path) -> list[str]:
    """The points at which a runner died, in order."""
    path = folder / "kills.txt"
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":
    main(sys.argv[1])
