"""Workers as processes of this machine, of one thread each; one that dies is followed by another."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from animal_classification.errors import AnimalsError
from animal_classification.scale.lease import HEARTBEAT_SECONDS, Leases, new_worker
from animal_classification.scale.storage import open_folder
from animal_classification.scale.worker_process import ENDED, WorkerTask

MODULE = WorkerTask.__module__  # what `python -m` runs
DEATHS = 20
"""Workers that may die one after the other without a shard being done in between."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a batch is worked on.

    Attributes:
        workers: Processes.
        threads: Of each.
        engine: What runs the model.
        start: The share of the shards after which the first worker begins, from 0 to 1.
        share: The share that is meant for this machine, from 0 to 1; its workers begin spread over it.
        heartbeat: Seconds between two signs of life.
    """

    workers: int = 1
    threads: int = 1
    engine: str = "auto"
    start: float = 0.0
    share: float = 1.0
    heartbeat: float = HEARTBEAT_SECONDS


@dataclass
class RunReport:
    """How it went.

    Attributes:
        shards: Done by this run.
        rows: In these.
        start_cpu: Processor time of all workers until their model was loaded, in seconds.
        deaths: Processes that died and were followed by others.
        errors: Why shards or workers failed, each reason once.
        stopped: It was told to end.
    """

    shards: int = 0
    rows: int = 0
    start_cpu: float = 0.0
    deaths: int = 0
    errors: list[str] = field(default_factory=list)
    stopped: bool = False


class LocalRunner:
    """Starts workers, follows each, and buries the dead.

    Args:
        url: The batch.
        options: How.
        told: Told of the number of rows that were written, as they are.
    """

    def __init__(self, url: str, options: RunOptions, told: Callable[[int], None] = lambda rows: None) -> None:
        self._url = url
        self._options = options
        self._told = told
        self._report = RunReport()
        self._lock = threading.Lock()
        self._living: dict[int, subprocess.Popen[str]] = {}
        self._in_vain = 0

    def run(self) -> RunReport:
        """Work until all shards have their rows, or nobody can go on."""
        # Waited for by events: a Thread.join that Ctrl-C breaks off takes its thread for ended (Python 3.11).
        ended = [threading.Event() for _ in range(self._options.workers)]
        for slot, event in enumerate(ended):
            threading.Thread(target=self._follow, args=(slot, event), daemon=True).start()
        try:
            for event in ended:
                while not event.wait(0.5):
                    pass
        except BaseException:
            self.stop()
            for event in ended:
                event.wait()
            raise
        return self._report

    def stop(self) -> None:
        """Tell the workers to end; what they have begun is left to others."""
        with self._lock:
            self._report.stopped = True
            for process in self._living.values():
                process.send_signal(signal.SIGTERM)

    def _follow(self, slot: int, ended: threading.Event) -> None:
        try:
            while self._again(slot):
                pass
        except AnimalsError as error:
            self._note(str(error))
        finally:
            ended.set()

    def _again(self, slot: int) -> bool:
        """One life of a worker; whether another is to follow."""
        name = new_worker()
        process = self._start(slot, name)
        if process is None:
            return False
        assert process.stdout is not None
        for line in process.stdout:
            self._hear(line)
        code = process.wait()
        with self._lock:
            self._living.pop(slot, None)
        if code in (0, 1, ENDED) or self._report.stopped:
            return False
        Leases(open_folder(self._url), name).bury(name)
        return self._may_follow(code)

    def _start(self, slot: int, name: str) -> subprocess.Popen[str] | None:
        options = self._options
        start = (options.start + options.share * slot / options.workers) % 1.0
        task = WorkerTask(
            url=self._url,
            name=name,
            start=start,
            threads=options.threads,
            engine=options.engine,
            heartbeat=options.heartbeat,
        )
        with self._lock:
            if self._report.stopped:
                return None
            # In a group of its own: Ctrl-C reaches the parent alone, who tells the workers.
            process = subprocess.Popen(  # noqa: S603 - this Python
                [sys.executable, "-m", MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                process_group=0 if sys.platform != "win32" else None,
            )
            self._living[slot] = process
        assert process.stdin is not None
        try:
            process.stdin.write(task.encode() + "\n")
            process.stdin.close()
        except OSError:
            pass  # it died at once: its exit code says so
        return process

    def _hear(self, line: str) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            return  # torn by a kill
        if "rows" in said:
            with self._lock:
                self._report.shards += 1
                self._report.rows += said["rows"]
                self._in_vain = 0
            self._told(said["rows"])
        if "ready" in said:
            with self._lock:
                self._report.start_cpu += said["ready"]
        if "error" in said:
            self._note(said["error"])

    def _may_follow(self, code: int) -> bool:
        with self._lock:
            self._report.deaths += 1
            self._in_vain += 1
            if self._in_vain < DEATHS:
                return True
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        self._note(f"workers die again and again ({how}): too little memory? try fewer --workers")
        return False

    def _note(self, error: str) -> None:
        with self._lock:
            if error not in self._report.errors:
                self._report.errors.append(error)
