"""Closing a connection whose client still sends, so that the answer reaches it all the same.

A socket that is closed with unread bytes is reset, and a reset may destroy an answer that the client has not read yet
(RFC 9112, section 9.6). So our half is closed first, what still comes is dropped, and then the connection is closed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# How long a client may still send, and how many bytes, when its answer is complete and its request is not.
SECONDS = 5.0
BYTES = 16 * 1024 * 1024
# How long a client may take to read what was written before its connection was closed.
READING = 30.0


def _never() -> bool:
    return False


def _nothing() -> None:
    pass


class LingeringTransport:
    """An asyncio transport that, when closed, waits some time for a client that still sends.

    Args:
        inner: The transport that does the work.
        loop: Its event loop.
        may_still_send: Whether the client may still be sending.
    """

    def __init__(
        self, inner: asyncio.Transport, loop: asyncio.AbstractEventLoop, may_still_send: Callable[[], bool]
    ) -> None:
        self.lingering = False
        self._lost = False
        self._head = b""
        self._inner = inner
        self._loop = loop
        self._may_still_send = may_still_send
        self._dropped = 0
        self._timer: asyncio.TimerHandle | None = None
        self.get_extra_info = inner.get_extra_info
        self.pause_reading = inner.pause_reading
        self.resume_reading = inner.resume_reading
        self.set_protocol = inner.set_protocol
        self.get_write_buffer_size = inner.get_write_buffer_size
        self.abort = inner.abort

    def write(self, data: bytes) -> None:
        """Send, unless the transport lingers or is closed.

        The head of an answer waits for its body until the next turn of the event loop: they leave together, with one
        call of the system instead of two.
        """
        if self.is_closing():
            return
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and data.endswith(b"\r\n\r\n"):
            self._head = data
            self._loop.call_soon(self._flush)
            return
        self._inner.write(data)

    def _flush(self) -> None:
        head, self._head = self._head, b""
        if head and not self.is_closing():
            self._inner.write(head)

    def is_closing(self) -> bool:
        """Whether it is closed, or lingers."""
        return self.lingering or self._lost or self._inner.is_closing()

    def close(self) -> None:
        """Write what is buffered, and close; a second call closes at once."""
        if self._lost:
            return
        self._flush()
        if self.lingering or self._inner.is_closing() or not self._may_still_send():
            self._inner.close()
            if self._inner.get_write_buffer_size():
                self._end_in(READING)
            return
        self.lingering = True
        self._inner.resume_reading()
        try:
            if self._inner.can_write_eof():
                self._inner.write_eof()
        except OSError:  # the client is gone already
            self._inner.abort()
            return
        self._end_in(SECONDS)

    def release(self) -> None:
        """Take the circles apart, when the connection is lost: they would wait for the garbage collector.

        One is asyncio's: a transport of its selectors holds methods of itself. It is done with when this has returned
        to it, and is emptied then.
        """
        self._may_still_send = _never
        if self._timer is not None:
            self._timer.cancel()
        if isinstance(self._loop, asyncio.SelectorEventLoop):
            self._loop.call_soon(vars(self._inner).clear)
        self._lost = True
        self.pause_reading = self.resume_reading = self.abort = _nothing

    def _end_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._inner.abort)

    def drop(self, count: int) -> None:
        """Count bytes that came and are ignored."""
        self._dropped += count
        if self._dropped > BYTES:
            self._inner.abort()
