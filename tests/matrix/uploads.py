"""Users who upload and edit files all along, on the side where the application runs.

Files have no fence but the application's stop commands. Here those take the side's mark away, under
a lock that every upload holds: once stop has returned, nobody writes.
"""

from __future__ import annotations

import fcntl
import hashlib
import threading
from pathlib import Path
from typing import Final

_PAUSE_SECONDS: Final = 0.05
# One file is written again and again, at equal size.
EDITED: Final = Path("lang", "sv", "edited.php")


class Uploads:
    """The users, and what they were told is kept; `folder` is part of a saved moment."""

    def __init__(self, folder: Path, lock: Path, source: Path, target: Path) -> None:
        self._folder = folder
        self._lock = lock
        self._trees = {"source": source, "target": target}
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def _mark(self, side: str) -> Path:
        return self._folder / f"{side}.open"

    @property
    def log(self) -> Path:
        """What was acknowledged, one content's name a line."""
        return self._folder / "uploads.txt"

    def begin(self) -> None:
        """The application runs on the source."""
        self._folder.mkdir(exist_ok=True)
        self._mark("source").touch()

    def commands(self) -> dict[str, object]:
        """How the application is stopped and started on each side, for a migration's file."""
        under_lock = ["flock", str(self._lock)]
        return {
            side: {
                "stop": [[*under_lock, "rm", "-f", str(self._mark(side))]],
                "start": [[*under_lock, "touch", str(self._mark(side))]],
            }
            for side in self._trees
        }

    def start(self) -> None:
        """Go on from where they stopped."""
        self._ended.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the upload that is under way end."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def acknowledged(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []

    def _run(self) -> None:
        number = len(self.acknowledged())
        with self._lock.open("w") as lock:
            while not self._ended.wait(_PAUSE_SECONDS):
                fcntl.flock(lock, fcntl.LOCK_EX)
                try:
                    for side, tree in self._trees.items():
                        if self._mark(side).exists():
                            self.upload(tree, number)
                            number += 1
                            break
                finally:
                    fcntl.flock(lock, fcntl.LOCK_UN)

    def upload(self, tree: Path, number: int) -> None:
        """One content more, and the edited file anew."""
        content = f"upload {number:08}".encode()
        name = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        place = tree / "filedir" / name[:2] / name[2:4]
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
        (tree / EDITED).write_text(name)
        with self.log.open("a") as log:
            log.write(f"{name}\n")

    def problems(self, tree: Path) -> list[str]:
        """What was acknowledged and is not in the tree that users have now."""
        names = self.acknowledged()
        found = [
            f"upload {name} is lost"
            for name in names
            if not (tree / "filedir" / name[:2] / name[2:4] / name).is_file()
        ]
        if names and (tree / EDITED).read_text() != names[-1]:
            found.append(f"{EDITED} is not as it was edited last")
        return found
