"""A synthetic application for rehearsals: writes at a rate to whichever scratch side takes it."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Final, Generic, Protocol, TypeVar

from cli.migration.side import BaseServer

_PAUSE_SECONDS: Final = 0.02
_END_SECONDS: Final = 10.0
# Rows that are written again and again.
_ROWS: Final = 5000


class Connection(Protocol):
    """A driver's connection, as far as it is closed here."""

    def close(self) -> None: ...


S = TypeVar("S", bound=BaseServer)
C = TypeVar("C", bound=Connection)


class BaseLoad(threading.Thread, ABC, Generic[S, C]):
    """Signs in on one side as the application would, and on the other when that is refused."""

    def __init__(self, source: S, target: S, rate: float, refused: type[Exception]) -> None:
        """`refused` is what the driver raises; `rate` are writes a second."""
        super().__init__(daemon=True)
        self._sides = (source, target)
        self._pause = 1 / rate
        self._refused = refused
        self._ended = threading.Event()
        self.written = 0

    @abstractmethod
    def _sign_in(self, server: S) -> C: ...

    @abstractmethod
    def _write(self, conn: C, row: int) -> None: ...

    def end(self) -> None:
        self._ended.set()
        self.join(timeout=_END_SECONDS)
        for server in self._sides:
            server.close()

    def run(self) -> None:
        side, conn = 0, None
        while not self._ended.wait(self._pause):
            try:
                if conn is None:
                    conn = self._sign_in(self._sides[side])
                self._write(conn, self.written % _ROWS)
                self.written += 1
            except self._refused:
                side = 1 - side
                self._leave(conn)
                conn = None
                time.sleep(_PAUSE_SECONDS)
        self._leave(conn)

    def _leave(self, conn: C | None) -> None:
        if conn is not None:
            with suppress(self._refused):
                conn.close()
