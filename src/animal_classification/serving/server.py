"""The process of ``animals up``: the API answers first, then the page is fetched from Gradio in the background."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

import uvicorn

from animal_classification.inference.classifier import Classifier
from animal_classification.serving.app import create_app
from animal_classification.serving.ports import address_of, listen
from animal_classification.serving.service import warm_up

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from types import FrameType

    from fastapi import FastAPI

    from animal_classification.settings import Settings

Result = TypeVar("Result")

# Within this many seconds answers on their way are finished; then the server stops all the same.
GRACE = 1
PAGE_MISSING = (
    "The page needs an extra that is not installed: <code>pip install 'animal-classification[app]'</code>. "
    "The API works without: see <a href='docs'>/docs</a>."
)
PAGE_BROKEN = "The page could not be started; the server's log says why. The API works: see <a href='docs'>/docs</a>."


def run_server(
    settings: Settings, *, on_ready: Callable[[str, Classifier], None], on_trouble: Callable[[str], None]
) -> None:
    """Serve until the process is told to stop by Ctrl-C or SIGTERM.

    Args:
        settings: Where and what.
        on_ready: Called once with the address and the classifier, when the API answers.
        on_trouble: Called with a line when the page cannot be started; the API goes on.

    Raises:
        AnimalsError: The port is taken, or the model cannot be loaded.
    """
    listener = listen(settings.host, settings.port)
    settings = replace(settings, port=listener.getsockname()[1])
    with _signals_left_to_uvicorn():
        asyncio.run(_serve(settings, listener, on_ready, on_trouble))


class _Server(uvicorn.Server):
    """Ends the streams that browsers hold open as soon as it is told to stop."""

    def __init__(self, config: uvicorn.Config, before_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._before_stop = before_stop
        self._loop = asyncio.get_running_loop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._loop.call_soon_threadsafe(self._before_stop)


@contextmanager
def _signals_left_to_uvicorn() -> Iterator[None]:
    # uvicorn stops gracefully, then raises the signal once more for whoever handled it before: nobody, so that the
    # command ends with 0 and without a traceback.
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _serve(
    settings: Settings,
    listener: socket.socket,
    on_ready: Callable[[str, Classifier], None],
    on_trouble: Callable[[str], None],
) -> None:
    app = create_app(None, settings)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE, server_header=False, ws="none"
    )
    server = _Server(config, app.state.page.close)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    starting = asyncio.create_task(_start(app, settings, on_ready, on_trouble))
    await asyncio.wait({serving, starting}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done() and starting.exception() is not None:
        server.should_exit = True
    await serving
    starting.cancel()
    with suppress(asyncio.CancelledError):
        await starting


async def _start(
    app: FastAPI, settings: Settings, on_ready: Callable[[str, Classifier], None], on_trouble: Callable[[str], None]
) -> None:
    classifier = await _in_thread(lambda: _load(settings))
    app.state.service.install(classifier)
    on_ready(address_of(settings.host, settings.port), classifier)
    async with AsyncExitStack() as stack:
        if settings.page:
            await _show_page(app, settings, stack, on_trouble)
        await asyncio.Event().wait()


async def _show_page(
    app: FastAPI, settings: Settings, stack: AsyncExitStack, on_trouble: Callable[[str], None]
) -> None:
    if find_spec("gradio") is None:
        app.state.page.explain(PAGE_MISSING)
        on_trouble("no page: it needs an extra: pip install 'animal-classification[app]'")
        return
    try:
        from animal_classification.serving.page.hosting import hosted_page

        await stack.enter_async_context(hosted_page(app, settings, _in_thread))
    except Exception as error:  # the API must go on whatever Gradio does
        app.state.page.explain(PAGE_BROKEN)
        on_trouble(f"no page: it could not be started: {error!r}")


def _load(settings: Settings) -> Classifier:
    from animal_classification.imaging import Limits
    from animal_classification.registry import resolve_model

    limits = Limits(max_bytes=settings.max_file_bytes)
    threads = settings.threads or None
    model = resolve_model(settings.model, uri=settings.tracking_uri)
    classifier = Classifier.load(model, engine=settings.engine, threads=threads, limits=limits)
    warm_up(classifier)
    return classifier


async def _in_thread(work: Callable[[], Result]) -> Result:
    """Run slow work beside the event loop, on a thread that does not keep the process from stopping."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def settle(result: Result | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def target() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as caught:  # handed to whoever waits
            error = caught
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=target, name="animals-start", daemon=True).start()
    return await done
