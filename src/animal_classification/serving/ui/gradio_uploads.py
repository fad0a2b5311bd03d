"""Where Gradio's uploads lie: a temporary folder that is bounded, swept, and removed with its process."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.common.file_lock import locked
from animal_classification.serving.http.problem_details import problem_response
from animal_classification.serving.http.uploads import readable_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

# Seconds between two sweeps, and the age at which an upload is deleted.
SWEEP_EVERY, KEEP = 60, 300
PREFIX = "animals-gradio-"
LOCK = "lock"


class UploadFolder:
    """Bounds what lies in ``folder``, and what is arriving, to ``max_bytes`` together."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self.max_bytes = max_bytes
        self._arriving = 0

    async def receive(self, page: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Let ``page`` receive an upload if there is room for it."""
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        if not length.isdigit():
            await problem_response(411, "an upload must say how long it is")(scope, receive, send)
            return
        size = int(length)
        self._arriving += size
        try:
            if await asyncio.to_thread(_bytes_in, self._folder) + self._arriving > self.max_bytes:
                detail = f"more than {readable_size(self.max_bytes)} of uploads are here already; try again in a minute"
                refusal = problem_response(503, detail, kind="busy", headers={"Retry-After": "60"})
                await refusal(scope, receive, send)
            else:
                await page(scope, receive, send)
        finally:
            self._arriving -= size


def sweep(folder: Path, age: float) -> None:
    """Remove what has not changed for ``age`` seconds: uploads that were broken off, and folders that are empty.

    Gradio deletes what it knows of; of an upload that never ended it knows nothing.
    """
    for path in sorted(folder.rglob("*"), reverse=True):
        with suppress(OSError):  # it is gone, or not empty
            if path != folder / LOCK and time.time() - path.stat().st_mtime > age:
                path.rmdir() if path.is_dir() else path.unlink()


def sweep_forever(folder: Path) -> None:
    """Sweep ``folder`` every minute, as long as it is there."""
    while folder.is_dir():
        sweep(folder, KEEP)
        time.sleep(SWEEP_EVERY)


def remove_orphans(parent: Path) -> None:
    """Remove the folders in ``parent`` whose process ended without doing so, however it ended."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            descriptor = locked(folder / LOCK)
            if descriptor is not None:
                os.close(descriptor)
                shutil.rmtree(folder)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A new folder, locked by this process; those of processes that have ended are removed first."""
    remove_orphans(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
        lock = locked(Path(name) / LOCK)
        try:
            yield Path(name)
        finally:
            if lock is not None:
                os.close(lock)


def _bytes_in(folder: Path) -> int:
    sizes = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            sizes += path.stat().st_size
    return sizes
