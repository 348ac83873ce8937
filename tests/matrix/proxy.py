"""A way between two ends that can be cut: connections die and new ones are refused."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress


class Proxy(threading.Thread):
    """Carries every connection on to a loopback port, until it is cut; `mend` opens it again."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = int(self._listener.getsockname()[1])
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._cut = False
        self._ended = False

    def run(self) -> None:
        self._listener.settimeout(0.1)
        while not self._ended:
            with suppress(TimeoutError, OSError):
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._to))
                except OSError:
                    near.close()
                    continue
                with self._lock:
                    if self._cut:
                        near.close()
                        far.close()
                        continue
                    self._pairs.append((near, far))
                threading.Thread(target=self._pump, args=(near, far), daemon=True).start()

    @staticmethod
    def _pump(near: socket.socket, far: socket.socket) -> None:
        with selectors.DefaultSelector() as waiting, near, far, suppress(OSError, ValueError):
            waiting.register(near, selectors.EVENT_READ, far)
            waiting.register(far, selectors.EVENT_READ, near)
            while True:
                for key, _ in waiting.select():
                    data = key.fileobj.recv(65536)  # pyright: ignore[reportAttributeAccessIssue] (always a socket here)
                    if not data:
                        return
                    key.data.sendall(data)

    def cut(self) -> None:
        """End every connection, and let none through."""
        with self._lock:
            self._cut = True
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Let connections through again."""
        self._cut = False

    def end(self) -> None:
        """Cut it for good."""
        self._ended = True
        self.cut()
        self.join(timeout=5)
        self._listener.close()
