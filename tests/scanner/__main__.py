"""`python -m tests.scanner`: apply the demo with every part to its own local cloud, and scan it."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path


def main() -> int:
    """Print what is wrong; 1 when something is."""
    with tempfile.TemporaryDirectory(prefix="firstbell-scan-") as folder:
        os.environ["FIRSTBELL_HOME"] = str(Path(folder) / "home")
        os.environ["FIRSTBELL_STACKS"] = str(Path(folder) / "stacks")
        from cli.localcloud import server
        from tests.scanner import applied, known, prowler

        applied.write_stacks(Path(folder) / "stacks")
        try:
            cloud, requests = applied.demo(Path(folder))
            failed, looked_at = prowler.scan(cloud, Path(folder))
        finally:
            server.stop()
        entries = known.read()
        wrong = known.judge(failed, entries, requests)
    sys.stdout.write(f"{len(looked_at)} controls of the list were looked at\n")
    sys.stdout.writelines(f"known: {entry}: {entry.reason}\n" for entry in entries)
    sys.stdout.writelines(f"{line}\n" for line in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
