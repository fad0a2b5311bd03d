"""Runs several workers on one port: starts them, replaces those that die, and stops them together.

docs/decisions.md says why this is not uvicorn's own process manager.
"""

# Imported where it is used: prometheus_client decides at its import whether processes share their metrics.

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from animal_classification.common.limits import available_cpus
from animal_classification.errors import AnimalsError
from animal_classification.serving.batching.slow_work import PATIENCE
from animal_classification.serving.middleware.request_bounds import BodyMemory
from animal_classification.serving.observability.metrics import SHARED_FOLDER
from animal_classification.serving.process.memory_plan import with_memory_bounds
from animal_classification.serving.process.ports import listen
from animal_classification.serving.process.server import ServerStarted, WorkerControls, ignored_signals, serve_on

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from multiprocessing.context import SpawnProcess

    from animal_classification.settings import Settings

# A worker that dies is replaced after one second, then two, four … up to this many.
LONGEST_PAUSE = 30.0
STABLE = 60.0  # seconds after which a worker's earlier deaths are forgotten


@dataclass(slots=True)
class _Worker:
    """One of the workers: its process, or when that is to be started again."""

    number: int
    threads: int
    process: SpawnProcess | None = None
    link: Connection | None = None
    started: float = 0.0
    due: float = 0.0
    deaths: int = 0
    ready: bool = False


@dataclass(frozen=True, slots=True)
class _Shared:
    """The memory for bodies that each worker holds, in shared memory, and the number of this worker."""

    held: Any
    number: int


@dataclass(frozen=True, slots=True)
class _Failure:
    text: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class _Reload:
    """All workers are to check a model for newer versions."""

    name: str


def threads_per_worker(cpus: int, workers: int) -> list[int]:
    """How many cores each worker gets: as equal as possible, and at least one.

    >>> threads_per_worker(8, 3)
    [3, 3, 2]
    """
    return [max(1, cpus // workers + (number < cpus % workers)) for number in range(workers)]


def run_workers(
    settings: Settings, *, on_ready: Callable[[ServerStarted], None], on_warning: Callable[[str], None]
) -> None:
    """Serve with ``settings.workers`` processes until Ctrl-C or SIGTERM.

    Args:
        settings: Where and what.
        on_ready: Called once, when all of them answer.
        on_warning: Called with a line when one dies and is replaced.

    Raises:
        AnimalsError: The port is taken, or a worker cannot start.
    """
    listener = listen(settings.host, settings.port)
    settings = replace(settings, port=listener.getsockname()[1])
    with _shared_metrics(), listener, ignored_signals():
        _Supervisor(settings, listener, on_ready, on_warning).run()


class _Supervisor:
    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        on_ready: Callable[[ServerStarted], None],
        on_warning: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._on_ready = on_ready
        self._on_trouble = on_warning
        self._context = multiprocessing.get_context("spawn")
        self._threads = threads_per_worker(settings.threads or available_cpus(), settings.workers)
        self._held = self._context.RawArray("q", settings.workers)
        self._workers = [_Worker(number, threads) for number, threads in enumerate(self._threads)]
        self._all_started = False
        self._stop_read, self._stop_write = self._context.Pipe(duplex=False)

    def run(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: self._stop_write.send(number))
        try:
            for worker in self._workers:
                self._start(worker)
            while not self._stop_read.poll():
                self._watch()
        finally:
            self._stop()

    def _start(self, worker: _Worker) -> None:
        ours, theirs = self._context.Pipe()
        settings = with_memory_bounds(self._settings, workers=len(self._threads))
        settings = replace(settings, threads=worker.threads)
        shared = _Shared(self._held, worker.number)
        arguments = (self._listener, settings, theirs, shared)
        worker.process = self._context.Process(target=_run_worker, args=arguments, name="animals-worker")
        worker.process.start()
        theirs.close()
        worker.link, worker.started, worker.ready = ours, time.monotonic(), False

    def _watch(self) -> None:
        """Wait until a worker sends a message, dies, or is to be started again; deal with it."""
        links: dict[Any, _Worker] = {worker.link: worker for worker in self._workers if worker.link is not None}
        due = [worker.due for worker in self._workers if worker.link is None]
        timeout = max(0.0, min(due) - time.monotonic()) if due else None
        readable = wait([*links, self._stop_read], timeout)
        if self._stop_read in readable:
            return
        for link, worker in links.items():
            if link in readable:
                try:
                    self._on_message(worker, link.recv())
                except (EOFError, OSError):
                    self._on_death(worker)
        for worker in self._workers:
            if worker.link is None and time.monotonic() >= worker.due:
                self._start(worker)

    def _on_message(self, worker: _Worker, message: ServerStarted | _Failure | _Reload) -> None:
        if isinstance(message, _Reload):
            for other in self._workers:
                if other is not worker and other.link is not None:
                    with suppress(OSError):  # it has just died
                        other.link.send(message)
            return
        if isinstance(message, _Failure):
            if not self._all_started:
                error = AnimalsError(message.text)
                error.exit_code = message.exit_code
                raise error
            self._on_trouble(f"a worker cannot start: {message.text}")
            return
        worker.ready = True
        if not self._all_started and all(worker.ready for worker in self._workers):
            self._all_started = True
            self._on_ready(replace(message, threads=sum(self._threads), workers=len(self._workers)))

    def _on_death(self, worker: _Worker) -> None:
        """Free what a dead worker held, and plan its replacement."""
        from prometheus_client import multiprocess

        assert worker.link is not None
        assert worker.process is not None
        worker.link.close()
        worker.link = None
        worker.process.join()
        self._held[worker.number] = 0
        multiprocess.mark_process_dead(worker.number)  # type: ignore[no-untyped-call]
        code = worker.process.exitcode
        if not self._all_started:
            raise AnimalsError(f"a worker died while it started (exit code {code})")
        now = time.monotonic()
        worker.deaths = 1 if now - worker.started > STABLE else worker.deaths + 1
        pause = min(LONGEST_PAUSE, 2.0 ** (worker.deaths - 1))
        worker.due = now + pause
        self._on_trouble(f"a worker died (exit code {code}); another one starts in {pause:g} s")

    def _stop(self) -> None:
        # While a copy of the socket is open here, connections would wait that nobody will accept.
        self._listener.close()
        alive = [worker.process for worker in self._workers if worker.process is not None]
        for worker in self._workers:
            if worker.link is not None:
                worker.link.close()  # which tells them to stop
        until = time.monotonic() + self._settings.drain + self._settings.grace + PATIENCE + 5
        first = True
        while alive and time.monotonic() < until:
            wait([*(process.sentinel for process in alive), self._stop_read], until - time.monotonic())
            alive = [process for process in alive if process.is_alive()]
            while self._stop_read.poll():
                if self._stop_read.recv() == signal.SIGINT and not first:
                    until = 0.0
                first = False
        for process in alive:
            process.kill()
            process.join()


def _run_worker(listener: socket.socket, settings: Settings, link: Connection, shared: _Shared) -> None:
    """Run a worker; it ends when the supervisor closes the link, or dies."""
    from prometheus_client import values

    # The replacement of a dead worker goes on with its counters, so that dead ones leave no files.
    values.ValueClass = values.MultiProcessValue(lambda: shared.number)  # type: ignore[no-untyped-call]
    # Ctrl-C goes to every process of a terminal; the supervisor alone decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        serve_on(
            listener,
            settings,
            on_ready=lambda started: _send(link, started),
            on_warning=lambda _: None,
            on_running=lambda controls: _follow_supervisor(link, controls),
            memory=BodyMemory(settings.max_memory_bytes, shared.held, shared.number),
        )
    except AnimalsError as error:
        _send(link, _Failure(str(error), error.exit_code))


def _send(link: Connection, message: ServerStarted | _Failure | _Reload) -> None:
    with suppress(OSError):  # the supervisor is stopping, or gone, and so is this worker, soon
        link.send(message)


def _follow_supervisor(link: Connection, controls: WorkerControls) -> None:
    """Do what the supervisor says, and stop when it is gone; pass reloads on to it."""

    def listen() -> None:
        try:
            while True:
                controls.reload(link.recv().name)
        except (EOFError, OSError):
            controls.stop()

    controls.on_reload(lambda name: _send(link, _Reload(name)))
    threading.Thread(target=listen, name="animals-supervised", daemon=True).start()


@contextmanager
def _shared_metrics() -> Iterator[None]:
    """A folder in which the workers keep their metrics, so that each can report those of all."""
    with tempfile.TemporaryDirectory(prefix="animals-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[SHARED_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[SHARED_FOLDER]
