"""Starts the real ``animals up`` or ``serve`` and waits for it, with deadlines and without sleeps that hope."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
READY = re.compile(
    r"^animals: ready at (http://\S+) \(models? (\S+) (\S+),(?: \S+ \S+,)* (\w+), (\d+) threads?(?: in \d+ workers)?\)$"
)

STOPS_WITHIN = 60.0  # seconds: a second or two, and room for a machine that has other things to do


class Server:
    """A running ``animals up``, or another command that serves."""

    def __init__(self, *options: str, folder: Path, name: str = "up", group: Path | None = None) -> None:
        """Start it; in a cgroup, where ``group`` is one."""
        self.folder = folder
        self._lines: list[str] = []
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ANIMALS_")}
        # Beside the folder, of which some tests want that nothing stays in it.
        self.log = folder.with_name(f"{folder.name}-log")
        environment["ANIMALS_LOG_FOLDER"] = str(self.log)
        # Longer than `stop` waits: a server that uses its grace up without need has not stopped.
        environment["ANIMALS_GRACE"] = str(2 * STOPS_WITHIN)
        self.process = subprocess.Popen(
            [*_joining(group), *command("--port", "0", *options, name=name)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**environment, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self._lines.extend(line.rstrip("\n") for line in self.process.stdout)

    def _read_line(self) -> str | None:
        return next((line for line in self._lines if READY.match(line)), None)

    @property
    def output(self) -> str:
        return "\n".join(self._lines)

    @property
    def lines(self) -> list[str]:
        return list(self._lines)

    @property
    def port(self) -> int:
        return int(self.address.rsplit(":", 1)[1])

    @property
    def address(self) -> str:
        line = wait_for(self._read_line, "the ready line", lambda: self.output)
        found = READY.match(line)
        assert found
        return found[1]

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.address + path, timeout=20) as response:
                return response.status, response.read().decode("utf-8")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode("utf-8")

    def wait_for_gradio(self) -> None:
        wait_for(lambda: "gradio_config" in self.get("/gradio/")[1] or None, "Gradio", lambda: self.output)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Ask it to end and wait for that, for less time than its grace is."""
        self.process.send_signal(number)
        self.process.wait(timeout=STOPS_WITHIN)
        self._reader.join(timeout=STOPS_WITHIN)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(timeout=5)
        assert self.process.stdout is not None
        self.process.stdout.close()


def _joining(group: Path | None) -> Sequence[str]:
    """What to put in front of a command that is to run in a cgroup."""
    return () if group is None else ("sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(group))


def command(*options: str, name: str = "up") -> Sequence[str]:
    return [sys.executable, "-m", "animal_classification.cli", name, *options]


def wait_for(check: Callable[[], T | None], what: str, context: Callable[[], str], seconds: float = 60) -> T:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = check()
        if value is not None:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come within {seconds} s; so far: {context()}")
