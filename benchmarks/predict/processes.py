"""Runs one contestant in a fresh process and measures it from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from animal_classification.errors import AnimalsError

CHECKOUT = Path(__file__).resolve().parents[2]
_GRACE = 5.0  # seconds that a process gets between being asked to stop and being killed
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Measured:
    """What one process did.

    Attributes:
        wall: Seconds from starting it to its end, its start-up included.
        peak_mb: Largest resident memory of its main process, in MB.
        others: Share of all cores that other processes took meanwhile, in [0, 1]; None where the system does not say.
        report: What the process wrote about itself.
    """

    wall: float
    peak_mb: float
    others: float | None
    report: dict[str, Any]


def run_module(
    python: Path, module: str, options: Sequence[str], work: Path, env: Mapping[str, str] | None = None
) -> Measured:
    """Run a module of ``benchmarks.predict`` to its end.

    Args:
        python: The interpreter.
        module: Its name in this folder.
        options: What it is given beside ``--report``.
        work: A folder for its output.
        env: Variables beside those of this process.

    Raises:
        AnimalsError: It failed; the message ends with its last line.
    """
    report, errors = work / "report.json", work / "stderr.txt"
    report.unlink(missing_ok=True)
    busy, start = _busy_seconds(), time.perf_counter()
    with errors.open("wb") as stderr, _interruptions_held() as release:
        # A session of its own, so that the workers it starts can be ended with it.
        child = subprocess.Popen(
            [str(python), "-m", f"benchmarks.predict.{module}", *options, "--report", str(report)],
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env=_environment(env or {}),
            start_new_session=True,
        )
        usage = _wait(child, release)
    wall = time.perf_counter() - start
    if child.returncode != 0 or not report.is_file():
        last = (errors.read_text(errors="replace").strip().splitlines() or ["no word"])[-1]
        raise AnimalsError(f"{module} under {python} ended with {child.returncode}: {last}")
    others = None
    if busy is not None and (now := _busy_seconds()) is not None:
        mine = usage.ru_utime + usage.ru_stime
        others = max(0.0, now - busy - mine) / (wall * (os.cpu_count() or 1))
    return Measured(wall, usage.ru_maxrss * _RSS_UNIT / 1e6, others, json.loads(report.read_text()))


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    # Without byte code every start would compile a thousand modules, which is not what is measured.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, **extra}


@contextmanager
def _interruptions_held() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C and SIGTERM back until the function given is called: a process just started must not be forgotten."""
    received: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: received.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }

    def release() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)
        while received:
            signal.raise_signal(received.pop())

    try:
        yield release
    finally:
        release()


def _wait(child: subprocess.Popen[bytes], release: Callable[[], None]) -> Any:
    try:
        release()
        _, status, usage = os.wait4(child.pid, 0)
    except BaseException:
        _end(child)
        raise
    child.returncode = os.waitstatus_to_exitcode(status)
    return usage


def _end(child: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE)


def _busy_seconds() -> float | None:
    """Seconds that all cores together have worked since the machine started, work for its neighbours included."""
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    except OSError:
        return None
    user, nice, system, _, _, irq, softirq, steal = (int(field) for field in fields[:8])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


@contextmanager
def terminate_like_interrupt() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that processes are ended and temporary files removed."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
