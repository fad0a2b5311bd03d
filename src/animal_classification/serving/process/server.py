"""Runs one server process: it listens, loads the models meanwhile, and starts Gradio last."""

from __future__ import annotations

import asyncio
import gc
import signal
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import uvicorn

from animal_classification.serving.app import create_app
from animal_classification.serving.middleware.request_log import RefusalLog
from animal_classification.serving.models.bootstrap import install_models
from animal_classification.serving.observability import json_logs
from animal_classification.serving.process.connection_protocol import ConnectionBounds, protocol_with
from animal_classification.serving.process.graceful_shutdown import ACCEPTED_AT_ONCE, GracefulServer
from animal_classification.serving.process.ports import address_of, listen, raise_file_limit
from animal_classification.serving.service import ModelService

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI

    from animal_classification.serving.middleware.request_bounds import BodyMemory
    from animal_classification.settings import Settings

# Seconds that uvicorn waits for requests that outlast the server's own grace.
UVICORN_GRACE = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerStarted:
    """Reported when a server is ready: where it answers, and with what."""

    address: str
    model: str
    version: str
    engine: str
    threads: int
    workers: int = 1
    others: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerControls:
    """How a supervisor controls a worker; from any thread.

    Attributes:
        stop: Stops it.
        reload: Has it check a model for newer versions.
        on_reload: Takes the function that has the other workers do the same.
    """

    stop: Callable[[], None]
    reload: Callable[[str], None]
    on_reload: Callable[[Callable[[str], None]], None]


def run_server(
    settings: Settings, *, on_ready: Callable[[ServerStarted], None], on_warning: Callable[[str], None]
) -> None:
    """Serve until the process is told to stop by Ctrl-C or SIGTERM.

    Args:
        settings: Where and what.
        on_ready: Called once when the API answers.
        on_warning: Called with a line when something could not be done and the server goes on, such as Gradio.

    Raises:
        AnimalsError: The port is taken, or the model cannot be loaded.
    """
    listener = listen(settings.host, settings.port)
    settings = replace(settings, port=listener.getsockname()[1])
    with listener, ignored_signals():
        serve_on(listener, settings, on_ready=on_ready, on_warning=on_warning)


def serve_on(
    listener: socket.socket,
    settings: Settings,
    *,
    on_ready: Callable[[ServerStarted], None],
    on_warning: Callable[[str], None],
    on_running: Callable[[WorkerControls], None] | None = None,
    memory: BodyMemory | None = None,
) -> None:
    """Serve on a socket until this process is told to stop; as :func:`run_server` otherwise.

    Args:
        listener: Bound, and listening.
        settings: What to serve.
        on_ready: As above.
        on_warning: As above.
        on_running: For a worker among several, which listens only when its model is loaded: called at the beginning
            with its controls.
        memory: For the bodies of requests, where several processes share it.
    """
    with json_logs.logging_configured(as_json=settings.access_log) as access_log:
        asyncio.run(_serve(_Run(settings, listener, on_ready, on_warning, on_running, access_log, memory)))


@dataclass(frozen=True, slots=True)
class _Run:
    settings: Settings
    listener: socket.socket
    on_ready: Callable[[ServerStarted], None]
    on_warning: Callable[[str], None]
    on_running: Callable[[WorkerControls], None] | None
    access_log: Callable[[dict[str, Any]], None] | None
    memory: BodyMemory | None


@contextmanager
def ignored_signals() -> Iterator[None]:
    """Within the context, Ctrl-C and SIGTERM only do what a server installs for them.

    Before and after that they do nothing, so that the command ends with 0 and without a traceback.
    """
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _serve(run: _Run) -> None:
    settings = run.settings
    if (warning := raise_file_limit(settings.max_connections)) is not None:
        run.on_warning(warning)
    app = create_app(None, settings, access_log=run.access_log, memory=run.memory)

    def on_stop() -> None:
        app.state.service.drain()
        if app.state.gradio is not None:
            app.state.gradio.close()

    config = uvicorn.Config(
        app,
        http=protocol_with(_bounds(settings), RefusalLog(app.state.service.metrics, run.access_log)),
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",  # below that it reports clients that do not speak HTTP
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the application reads them: uvicorn would trust an entry that the client wrote
        timeout_graceful_shutdown=UVICORN_GRACE,
        backlog=ACCEPTED_AT_ONCE,
    )
    server = GracefulServer(config, run.listener, on_stop=on_stop, drain=settings.drain, grace=settings.grace)
    if run.on_running is not None:
        run.on_running(_controls(server, app.state.service))
        await install_models(app.state.service, settings)
    serving = asyncio.create_task(server.serve(sockets=[run.listener]))
    starting = asyncio.create_task(_start(app, run))
    await asyncio.wait({serving, starting}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done() and starting.exception() is not None:
        server.should_exit = True
    await serving
    starting.cancel()
    with suppress(asyncio.CancelledError):
        await starting


def _bounds(settings: Settings) -> ConnectionBounds:
    return ConnectionBounds(
        head_timeout=settings.head_timeout,
        body_timeout=settings.body_timeout,
        keep_alive=settings.keep_alive,
        max_connections=settings.max_connections,
    )


def _controls(server: GracefulServer, service: ModelService) -> WorkerControls:
    loop = asyncio.get_running_loop()
    reloading: set[asyncio.Task[Any]] = set()

    def begin_reload(name: str) -> None:
        task = loop.create_task(service.reload(name))
        reloading.add(task)
        task.add_done_callback(reloading.discard)

    def call(work: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(work, *arguments)

    def on_reload(reload_others: Callable[[str], None]) -> None:
        service.reload_other_workers = reload_others

    return WorkerControls(
        stop=lambda: call(server.begin_shutdown),
        reload=lambda name: call(begin_reload, name),
        on_reload=on_reload,
    )


async def _start(app: FastAPI, run: _Run) -> None:
    settings = run.settings
    service: ModelService = app.state.service
    if run.on_running is None:
        await install_models(service, settings)
    if service.draining:
        return
    # What is there now stays. Looked through for garbage again and again, while clients come and go, it holds up
    # everybody for a tenth of a second each time. And thousands of clients a second are no reason to look that often.
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)
    classifier = service.predictor
    run.on_ready(
        ServerStarted(
            address=address_of(settings.host, settings.port) + settings.root_path,
            model=classifier.info.name,
            version=classifier.info.version,
            engine=classifier.engine,
            threads=classifier.threads,
            others=tuple(slot.current.loaded.title for _, slot in list(service.models)[1:]),
        )
    )
    async with AsyncExitStack() as stack:
        if settings.follow:
            for watcher in service.watchers:
                watching = asyncio.create_task(watcher.run())
                stack.callback(watching.cancel)
        if settings.gradio:
            await _run_gradio(app, settings, stack, run.on_warning)
        await asyncio.Event().wait()


async def _run_gradio(
    app: FastAPI, settings: Settings, stack: AsyncExitStack, on_warning: Callable[[str], None]
) -> None:
    try:
        await stack.enter_async_context(app.state.gradio.running(app, settings))
    except Exception as error:  # the API and the pages go on whatever Gradio does
        app.state.gradio.show_reason("It could not be started; the server's log says why.")
        on_warning(f"no Gradio: it could not be started: {error!r}")
