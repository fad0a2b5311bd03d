"""A server to measure: one of our own in a process of its own, or one that runs already."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from animal_classification.errors import AnimalsError

READY = re.compile(r"^animals: ready at (\S+) ")
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True)
class Target:
    """What is asked.

    Attributes:
        address: Where it answers.
        pid: Of our own server's first process.
    """

    address: str
    pid: int | None = None

    def cpu_seconds(self) -> float | None:
        """Processor time of the server so far, its workers' included; where /proc tells it."""
        parts = [_stat(pid) for pid in self.processes()]
        return sum(parts) if parts else None

    def memory_mb(self) -> float | None:
        """Resident memory, its workers' included; where /proc tells it."""
        sizes = [_resident(pid) for pid in self.processes()]
        return sum(sizes) / 1e6 if sizes else None

    def processes(self) -> Sequence[int]:
        """The server's first process, its children and theirs; where /proc tells it."""
        if self.pid is None or not Path("/proc/self/stat").exists():
            return []
        found = [self.pid]
        for pid in found:  # which grows meanwhile: children's children are there too
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                with suppress(OSError):
                    found += [int(child) for child in children.read_text().split()]
        return found


@contextmanager
def running(options: Sequence[str]) -> Iterator[Target]:
    """Start ``animals serve`` on a free port, and stop it in the end.

    Raises:
        AnimalsError: It does not start.
    """
    words = [sys.executable, "-m", "animal_classification.cli", "serve", "--port", "0", "--no-page", *options]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            found = READY.match(process.stdout.readline())
            if found is None:
                raise AnimalsError("the server to measure does not start; its own words are above")
            yield Target(found[1], process.pid)
        finally:
            process.terminate()


def _stat(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
