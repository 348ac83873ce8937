"""What the databases of both kinds have in common: their names, our rows in them, a session's lock.

The SQL here is what PostgreSQL and MariaDB both speak.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final, Generic, TypeVar

from infra.errors import InputError

_TRY_AGAIN_SECONDS: Final = 0.1

Row = tuple[Any, ...]


class BaseServer(ABC):
    """A side's database; `roles` limits its fence to the named roles, for rehearsals."""

    # How long a server may take to let us in.
    connect_seconds = 5

    def __init__(self, side: str, migration: str, roles: Sequence[str] | None) -> None:
        self.side = side
        self.migration = migration
        # What the names of all our objects begin with.
        self.base = "firstbell_" + migration.replace("-", "_")
        self.roles = roles

    @abstractmethod
    def rows(self, query: str, *values: object) -> list[Row]:
        """What a statement answers; names in the text are quoted by the caller."""

    @property
    @abstractmethod
    def address(self) -> str:
        """Host, port and database, for people; no secret."""

    @abstractmethod
    def installed(self) -> bool:
        """Whether our schema is in it."""

    @abstractmethod
    def login_roles(self) -> list[str]:
        """Roles (accounts) that may sign in, our own and the service's apart."""

    @abstractmethod
    def close(self) -> None: ...

    def one(self, query: str, *values: object) -> Any:
        """The first column of the first row, or None."""
        found = self.rows(query, *values)
        return found[0][0] if found else None

    def ping(self) -> None:
        self.one("SELECT 1")

    def refuse_other_owner(self, journal: str) -> None:
        """Raises InputError when another migration, or another runner's journal, is at work."""
        if not self.installed():
            return
        for migration, other, runner in self.rows(
            "SELECT migration, journal, runner FROM firstbell.owner"
        ):
            if (migration, str(other)) != (self.migration, journal):
                raise InputError(
                    f"the {self.side} {self.address} belongs to migration {migration!r}",
                    why=f"started by {runner}, with a journal that is not this runner's",
                    fix="go on there, or `firstbell migrate adopt` when that journal is lost",
                )

    def owner(self) -> tuple[str, str] | None:
        """Migration and journal that signed it."""
        found = self.rows("SELECT migration, journal FROM firstbell.owner")
        return (str(found[0][0]), str(found[0][1])) if found else None

    def has_token(self, token: str) -> bool:
        return bool(self.one("SELECT 1 FROM firstbell.token WHERE id = %s", token))

    def fenced_roles(self) -> list[str]:
        """Those whose login was taken away."""
        return [str(name) for (name,) in self.rows("SELECT name FROM firstbell.role ORDER BY 1")]

    def open_to_applications(self) -> bool:
        """Whether a role that the fence would lock may sign in now."""
        return bool(self.login_roles())


S = TypeVar("S", bound=BaseServer)


class BaseLock(ABC, Generic[S]):
    """A lock on the source, held by a session of its own, so that a second runner waits.

    The local file lock keeps two runners of one journal apart; this one keeps apart two machines.
    """

    def __init__(self, server: S) -> None:
        """`server` is this lock's own, and closed with it."""
        self._server = server
        self._guard = threading.Lock()

    @abstractmethod
    def _try(self) -> bool:
        """Take it if nobody has it."""

    @abstractmethod
    def _has(self) -> bool:
        """Whether this session has it."""

    def take(self, seconds: float = 20.0) -> None:
        """Raises InputError when another runner holds it for longer than a dead one could."""
        deadline = time.monotonic() + seconds
        with self._guard:
            while not self._try():
                if time.monotonic() > deadline:
                    raise InputError(
                        f"another runner works on migration {self._server.migration}",
                        where=self._server.address,
                        fix="look there: firstbell migrate status",
                    )
                time.sleep(_TRY_AGAIN_SECONDS)

    def hold(self) -> None:
        """Take it again when its session broke."""
        if not self._has():
            self.take()

    def close(self) -> None:
        self._server.close()
