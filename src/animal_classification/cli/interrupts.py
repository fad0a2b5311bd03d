"""Ctrl-C as a question that the run answers when it suits, so that no row is cut in half."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]


@contextmanager
def sigterm_like_ctrl_c() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt, so that whatever is open is closed."""
    with _handled({signal.SIGTERM: signal.default_int_handler}):
        yield


@contextmanager
def stop_asked() -> Iterator[Callable[[], bool]]:
    """Catch SIGINT and SIGTERM; what is yielded says whether one came. A second one ends the program at once."""
    asked = threading.Event()

    def note(_number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    with _handled(dict.fromkeys((signal.SIGINT, signal.SIGTERM), note)):
        yield asked.is_set


@contextmanager
def _handled(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # where Python allows no handlers
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
