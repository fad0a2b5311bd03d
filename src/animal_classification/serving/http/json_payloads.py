"""JSON with large strings in it, read so that the interpreter is never held up.

A JSON parser holds the interpreter's lock until it is done, and a megabyte of ``[],[],[]`` takes it far longer than a
megabyte of text. So long strings are cut out before anything is parsed: what is left, the frame, is small however the
sender has nested it, and each string is decoded piece by piece.
"""

from __future__ import annotations

import binascii
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FRAME = 16 * 1024  # and room for as many strings as may be long, where they are not
LONG = 256  # bytes of a string beyond which it is cut out
MAX_ESCAPES = 1024  # in a row, and quotes among them, within one string
# Longer than any other text in a request may be, so that a mark is refused where no long string belongs.
_MARK_LENGTH = 300
# Characters of base64 that are decoded at once; then everybody else has a turn. Without that pause, the event loop
# would wait for five milliseconds (Python's switch interval) after each system call, as long as it takes to decode all.
_PIECE, _PAUSE = 1 << 16, 20e-6


class PayloadError(Exception):
    """The text is not JSON, or not of a form that is accepted here."""


class FrameTooLargeError(Exception):
    """Without its long strings the text is still larger than ``MAX_FRAME``, or there are too many of them."""


@dataclass(slots=True)
class JsonPayloads:
    """A JSON text without its long strings.

    Attributes:
        text: The whole, as bytes.
        frame: The text with a mark in the place of each string that was cut out.
    """

    text: bytes | bytearray
    frame: bytes = b""
    _places: list[tuple[int, int]] = field(default_factory=list)
    _secret: str = field(default_factory=lambda: secrets.token_hex(16))  # or a sender could write marks himself

    def size(self, string: str) -> int:
        """Characters of a string of the frame, or of the one that it is the mark of."""
        start, end = self._place(string) or (0, len(string))
        return end - start

    def base64(self, string: str) -> bytes:
        """Decode a string of the frame, or the one that it is the mark of.

        Raises:
            PayloadError: It is not base64.
        """
        place = self._place(string)
        try:
            text = string.encode("ascii") if place is None else memoryview(self.text)[slice(*place)]
            return b"".join(_decoded(memoryview(text)))
        except (ValueError, binascii.Error):
            raise PayloadError("is not base64") from None

    def _place(self, string: str) -> tuple[int, int] | None:
        return self._places[int(string[len(self._secret) :])] if string.startswith(self._secret) else None

    def set_aside(self, start: int, end: int) -> str:
        """Remember a long string; its mark."""
        self._places.append((start, end))
        return self._secret + str(len(self._places) - 1).zfill(_MARK_LENGTH - len(self._secret))


def split(text: bytes | bytearray, end: int, most: int) -> JsonPayloads:
    """Cut the long strings out of the JSON in ``text[:end]``, of which there may be ``most``.

    Raises:
        PayloadError: A string does not end.
        FrameTooLargeError: Too much is left.
    """
    payloads = JsonPayloads(text)
    frame = bytearray()
    room, at = MAX_FRAME + most * LONG, 0
    while (quote := text.find(b'"', at, end)) >= 0:
        close = _end_of_string(text, quote + 1, end)
        is_long = close - quote - 1 > LONG
        kept = quote + 1 if is_long else close + 1
        room -= kept - at
        most -= is_long
        if room < 0 or most < 0:
            raise FrameTooLargeError
        frame += text[at:kept]
        if is_long:
            frame += payloads.set_aside(quote + 1, close).encode("ascii") + b'"'
        at = close + 1
    if end - at > room:
        raise FrameTooLargeError
    payloads.frame = bytes(frame + text[at:end])
    return payloads


def _end_of_string(text: bytes | bytearray, start: int, end: int) -> int:
    """Where the quote is that ends the string which begins at ``start``."""
    at = text.find(b'"', start, end)
    for _ in range(MAX_ESCAPES):
        if at < 0:
            break
        before = text[max(start, at - MAX_ESCAPES) : at]
        escapes = len(before) - len(before.rstrip(b"\\"))
        if escapes == MAX_ESCAPES:
            break
        if escapes % 2 == 0:
            return at
        at = text.find(b'"', at + 1, end)
    raise PayloadError("a string does not end, or is full of escapes")


def _decoded(text: memoryview) -> Iterator[bytes]:
    rest = b""
    for start in range(0, len(text), _PIECE):
        piece = rest + bytes(text[start : start + _PIECE])
        whole = len(piece) - piece.endswith(b"\\")
        piece, rest = piece[:whole].replace(b"\\/", b"/"), piece[whole:]  # as some writers of JSON have it
        is_last = start + _PIECE >= len(text)
        fours = len(piece) if is_last else len(piece) // 4 * 4
        data = binascii.a2b_base64(piece[:fours], strict_mode=True)
        rest = piece[fours:] + rest
        if not is_last and len(data) != fours // 4 * 3:
            raise ValueError("padding in the middle")
        yield data
        time.sleep(_PAUSE)
    if rest:
        raise ValueError("a backslash at the end")
