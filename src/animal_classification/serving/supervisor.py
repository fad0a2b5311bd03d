"""Several processes that answer on one port: started, watched, started again when one dies, stopped together."""

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

from animal_classification.errors import AnimalsError
from animal_classification.inference.engine import available_cpus
from animal_classification.serving.metrics import SHARED_FOLDER
from animal_classification.serving.ports import listen
from animal_classification.serving.server import Controls, Started, ignored_signals, serve_on
from animal_classification.serving.threads import PATIENCE

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from multiprocessing.context import SpawnProcess

    from animal_classification.settings import Settings

# A worker that dies is started again after a second, then two, four … up to this many.
LONGEST_PAUSE = 30.0
CALM = 60.0  # seconds after which a worker's earlier deaths are forgotten


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    link: Connection
    started: float
    deaths: int = 0
    ready: bool = False


@dataclass(frozen=True, slots=True)
class _Failure:
    text: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class _Reload:
    """A worker was asked to look for newer versions of a model; so shall the others."""

    name: str


def shares(cpus: int, workers: int) -> list[int]:
    """How many cores each worker gets: as equal as may be, and at least one.

    >>> shares(8, 3)
    [3, 3, 2]
    """
    return [max(1, cpus // workers + (number < cpus % workers)) for number in range(workers)]


def run_workers(settings: Settings, *, on_ready: Callable[[Started], None], on_trouble: Callable[[str], None]) -> None:
    """Serve with ``settings.workers`` processes until this one is told to stop by Ctrl-C or SIGTERM.

    Args:
        settings: Where and what.
        on_ready: Called once when all of them answer.
        on_trouble: Called with a line when one dies and is started again.

    Raises:
        AnimalsError: The port is taken, or a worker cannot start.
    """
    listener = listen(settings.host, settings.port)
    settings = replace(settings, port=listener.getsockname()[1], page=False)
    with _shared_metrics(), listener, ignored_signals():
        _Supervisor(settings, listener, on_ready, on_trouble).run()


class _Supervisor:
    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        on_ready: Callable[[Started], None],
        on_trouble: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._on_ready = on_ready
        self._on_trouble = on_trouble
        self._context = multiprocessing.get_context("spawn")
        self._shares = shares(settings.threads or available_cpus(), settings.workers)
        self._workers: list[_Worker] = []
        self._told = False
        self._stop_read, self._stop_write = self._context.Pipe(duplex=False)

    def run(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._stop_write.send(None))
        try:
            self._workers = [self._start(share) for share in self._shares]
            while not self._stop_read.poll():
                self._watch()
        finally:
            self._stop()

    def _start(self, threads: int, deaths: int = 0) -> _Worker:
        ours, theirs = self._context.Pipe()
        # Each knows only what it answers itself, so each grants its share of the rate.
        rate = self._settings.rate_limit / len(self._shares)
        settings = replace(self._settings, threads=threads, workers=1, rate_limit=rate)
        process = self._context.Process(target=_work, args=(self._listener, settings, theirs), name="animals-worker")
        process.start()
        theirs.close()
        return _Worker(process, ours, time.monotonic(), deaths)

    def _watch(self) -> None:
        links: dict[Any, int] = {worker.link: number for number, worker in enumerate(self._workers)}
        for link in wait([*links, self._stop_read]):
            if link is self._stop_read:
                return
            number = links[link]
            try:
                self._hear(number, self._workers[number].link.recv())
            except (EOFError, OSError):
                self._revive(number)

    def _hear(self, number: int, message: Started | _Failure | _Reload) -> None:
        if isinstance(message, _Reload):
            for other in self._workers[:number] + self._workers[number + 1 :]:
                with suppress(OSError):  # it has just died
                    other.link.send(message)
            return
        if isinstance(message, _Failure):
            if not self._told:
                error = AnimalsError(message.text)
                error.exit_code = message.exit_code
                raise error
            self._on_trouble(f"a worker cannot start: {message.text}")
            return
        self._workers[number].ready = True
        if not self._told and all(worker.ready for worker in self._workers):
            self._told = True
            self._on_ready(replace(message, threads=sum(self._shares), workers=len(self._workers)))

    def _revive(self, number: int) -> None:
        from prometheus_client import multiprocess

        worker = self._workers[number]
        worker.link.close()
        worker.process.join()
        if worker.process.pid is not None:
            multiprocess.mark_process_dead(worker.process.pid)  # type: ignore[no-untyped-call]
        if not self._told:
            raise AnimalsError(f"a worker died while it started (exit code {worker.process.exitcode})")
        deaths = 1 if time.monotonic() - worker.started > CALM else worker.deaths + 1
        pause = min(LONGEST_PAUSE, 2.0 ** (deaths - 1))
        self._on_trouble(f"a worker died (exit code {worker.process.exitcode}); another one starts in {pause:g} s")
        if not self._stop_read.poll(pause):
            self._workers[number] = self._start(self._shares[number], deaths)

    def _stop(self) -> None:
        # While a copy of the socket is open here, connections would wait that nobody will accept.
        self._listener.close()
        for worker in self._workers:
            worker.link.close()  # which they take for a word
        until = time.monotonic() + self._settings.drain + self._settings.grace + PATIENCE + 5
        for worker in self._workers:
            worker.process.join(max(0.0, until - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


def _work(listener: socket.socket, settings: Settings, link: Connection) -> None:
    """A worker's life; it ends when the supervisor closes the link, or dies."""
    # Ctrl-C goes to every process of a terminal; the supervisor alone decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        serve_on(
            listener,
            settings,
            on_ready=lambda started: _tell(link, started),
            on_trouble=lambda _: None,
            on_running=lambda controls: _obey(link, controls),
        )
    except AnimalsError as error:
        _tell(link, _Failure(str(error), error.exit_code))


def _tell(link: Connection, message: Started | _Failure | _Reload) -> None:
    with suppress(OSError):  # the supervisor is stopping, or gone, and so is this worker, soon
        link.send(message)


def _obey(link: Connection, controls: Controls) -> None:
    """Do what the supervisor says, and stop when it is gone; tell it what the other workers should know."""

    def listen() -> None:
        try:
            while True:
                controls.reload(link.recv().name)
        except (EOFError, OSError):
            controls.stop()

    controls.on_reload(lambda name: _tell(link, _Reload(name)))
    threading.Thread(target=listen, name="animals-supervised", daemon=True).start()


@contextmanager
def _shared_metrics() -> Iterator[None]:
    """A folder in which the workers keep their metrics, so that each can tell those of all."""
    with tempfile.TemporaryDirectory(prefix="animals-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[SHARED_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[SHARED_FOLDER]
