"""A connection that ends while its client still sends: the answer must reach it all the same.

A socket that is closed with bytes unread is reset, and a reset may take away an answer that the client has not read
yet (RFC 9112, section 9.6). So our half is closed, what comes is dropped, and the rest follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

# How much longer a client may send, and how many bytes, when its answer is complete and its request is not.
SECONDS = 5.0
# How long a client may take to read what was written before its connection was closed.
READING = 30.0
BYTES = 16 * 1024 * 1024


class LingeringTransport:
    """An asyncio transport which, closed, waits for the client where that may still send, though not for ever.

    Args:
        inner: What does the work.
        loop: Where the time is measured.
        may_still_send: Whether the client may.
    """

    def __init__(
        self, inner: asyncio.Transport, loop: asyncio.AbstractEventLoop, may_still_send: Callable[[], bool]
    ) -> None:
        self.lingering = False
        self._inner = inner
        self._loop = loop
        self._may_still_send = may_still_send
        self._dropped = 0
        self.get_extra_info = inner.get_extra_info
        self.pause_reading = inner.pause_reading
        self.resume_reading = inner.resume_reading
        self.set_protocol = inner.set_protocol
        self.get_write_buffer_size = inner.get_write_buffer_size
        self.abort = inner.abort

    def write(self, data: bytes) -> None:
        """Send; nothing any more when it lingers."""
        if not self.lingering:
            self._inner.write(data)

    def is_closing(self) -> bool:
        """It is closed, or lingers."""
        return self.lingering or self._inner.is_closing()

    def close(self) -> None:
        """Write what is to be written, and close; the second time at once."""
        if self.lingering or self._inner.is_closing() or not self._may_still_send():
            self._inner.close()
            if self._inner.get_write_buffer_size():
                self._loop.call_later(READING, self._inner.abort)
            return
        self.lingering = True
        self._inner.resume_reading()
        try:
            if self._inner.can_write_eof():
                self._inner.write_eof()
        except OSError:  # the client is gone already
            self._inner.abort()
            return
        self._loop.call_later(SECONDS, self._inner.abort)

    def drop(self, count: int) -> None:
        """So many bytes came and are of no use."""
        self._dropped += count
        if self._dropped > BYTES:
            self._inner.abort()
