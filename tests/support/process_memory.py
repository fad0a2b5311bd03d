"""How much memory a server's processes hold together."""

from __future__ import annotations

import threading
from contextlib import suppress

import psutil


def family(server: psutil.Process) -> list[psutil.Process]:
    """A server, its workers, and what decodes for them."""
    return [server, *server.children(recursive=True)]


class Peak:
    """The most bytes that a server's processes have held together, looked at every tenth of a second.

    Pages that they share count for each of them.
    """

    def __init__(self, server: psutil.Process) -> None:
        self.bytes = 0
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.1):
            held = 0
            for process in family(self._server):
                with suppress(psutil.NoSuchProcess):
                    held += process.memory_info().rss
            self.bytes = max(self.bytes, held)
