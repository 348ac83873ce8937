"""The source of a DMS migration: an Oracle or SQL Server database, reached by commands alone.

No driver of ours speaks to it. What the state machine asks of a side is answered by the commands in
the migration's file; whether it is locked is remembered on the target, which outlives a runner.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from cli.migration import postgres
from cli.migration.machine import Run
from cli.migration.spec import DmsSource
from infra.errors import FirstbellError

_LOCKED: Final = "source locked"
# What stands for the logins, which only the lock command knows.
APPLICATION: Final = "the application (lock commands)"
# The status looks every second; a real write every second would be a load of its own.
PROBE_SECONDS: Final = 10.0


class CommandSource:
    """One side of a migration, in the words of `engine.Server`."""

    side = "source"

    def __init__(self, spec: DmsSource, target: postgres.Server) -> None:
        self._spec = spec
        self._target = target
        self.base = target.base
        self._probed: tuple[float, bool] | None = None

    def clone(self, target: postgres.Server) -> CommandSource:
        """The same source beside another connection to the target."""
        return CommandSource(self._spec, target)

    @property
    def address(self) -> str:
        return f"{self._spec.engine} {self._spec.database} (by commands)"

    def ping(self) -> None:
        """Nothing to reach: DMS tests its own connection, preflight runs the probe."""

    def close(self) -> None: ...

    def cancel(self) -> None: ...

    # Our schema stands on the target alone; nothing of ours is in the source but the token's row.

    def installed(self) -> bool:
        return self._target.installed()

    def install(self, journal: str, runner: str) -> None:
        """Nothing: the target carries the owner's row for both."""

    def refuse_other_owner(self, journal: str) -> None:
        """Nothing: the target answers for both."""

    def owner(self) -> tuple[str, str] | None:
        return self._target.owner()

    def copied(self) -> bool:
        return self._target.copied()

    # The fence

    def _locked(self) -> bool:
        return self._target.installed() and bool(
            self._target.one("SELECT 1 FROM firstbell.made WHERE what = %s", _LOCKED)
        )

    def login_roles(self) -> list[str]:
        return [APPLICATION] if not self._locked() or self.probe_write() else []

    def fence(self) -> list[str]:
        if self._locked() and not self.probe_write():
            return []
        for command in self._spec.lock:
            Run.command("lock the source", command)
        self._target.run("INSERT INTO firstbell.made VALUES (%s) ON CONFLICT DO NOTHING", _LOCKED)
        return [APPLICATION]

    def fenced_roles(self) -> list[str]:
        return [APPLICATION] if self._locked() else []

    def lift(self) -> list[str]:
        for command in self._spec.unlock:
            Run.command("unlock the source", command)
        self._probed = None
        if self._target.installed():
            self._target.run("DELETE FROM firstbell.made WHERE what = %s", _LOCKED)
        return [APPLICATION]

    def strangers(self) -> Sequence[tuple[int, str]]:
        """Sessions are the lock command's to end; the probe tells whether one could write."""
        return []

    def expel(self) -> int:
        return 0

    def prepared_transactions(self) -> int:
        """Unknown to us: a transaction in doubt shows as a difference in validation."""
        return 0

    def open_to_applications(self) -> bool:
        now = time.monotonic()
        if self._probed is None or now - self._probed[0] > PROBE_SECONDS:
            self._probed = (now, self.probe_write())
        return self._probed[1]

    def probe_write(self) -> bool:
        try:
            Run.command("probe the source", self._spec.probe)
        except FirstbellError:
            return False
        return True

    def put_token(self, token: str) -> None:
        """Commit a token; raises FirstbellError when the command fails."""
        Run.command("token of the source", [*self._spec.token, token])

    def sequences(self) -> dict[str, int]:
        """The last values that the command prints, by the target's names; empty without one.

        Raises:
            FirstbellError: a line is not `name value`.
        """
        if self._spec.sequences is None:
            return {}
        printed = Run.output("sequences of the source", self._spec.sequences)
        found: dict[str, int] = {}
        for line in filter(None, map(str.strip, printed.splitlines())):
            name, _, value = line.rpartition(" ")
            if not name or not value.lstrip("-").isdigit():
                raise FirstbellError(
                    f"the sequences command printed {line!r}",
                    where="dms.source.sequences",
                    fix="print one `schema.sequence value` a line",
                )
            found[name.strip()] = int(value)
        return found
