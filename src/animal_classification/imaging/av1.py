"""How large the pictures in an AVIF really are.

The size that the container declares need not be that of the AV1 streams in it: libavif decodes what a stream says and
shrinks that afterwards, so that a file of 64 x 64 pixels could take gigabytes. Here the size is read where the decoder
reads it: in the sequence headers of every picture (AV1 Bitstream & Decoding Process Specification, 5.3 and 5.5; where
pictures are: ISO/IEC 14496-12, `iloc`, `iinf`, `stbl`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from animal_classification.errors import CorruptImageError

_MOST_PARTS = 100_000
_SEQUENCE_HEADER = 1
_STREAM = "is damaged (where its pixels should be there are none)"


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    start: int
    end: int


def coded_pixels(data: bytes) -> int:
    """Pixels of all pictures in an AVIF together: parts of a grid, alpha and thumbnails among them.

    Raises:
        CorruptImageError: A picture is not where the file says, or does not begin as AV1 does.
    """
    try:
        streams = [*_items(data), *_samples(data)]
        return sum(_largest(stream) for stream in streams)
    except (struct.error, IndexError, OverflowError, ValueError) as error:
        raise CorruptImageError(_STREAM) from error


def _boxes(data: bytes, start: int, end: int) -> Iterator[_Box]:
    for _ in range(_MOST_PARTS):
        if start + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, start)
        body = start + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, body)
            body += 8
        stop = end if size == 0 else start + size
        if stop < body or stop > end:
            return
        yield _Box(kind, body, stop)
        start = stop


def _inner(data: bytes, start: int, end: int, *path: bytes) -> Iterator[_Box]:
    """The boxes at the end of a path of kinds."""
    kind, *deeper = path
    for box in _boxes(data, start, end):
        if box.kind != kind:
            continue
        if deeper:
            yield from _inner(data, box.start + (4 if kind == b"meta" else 0), box.end, *deeper)
        else:
            yield box


def _items(data: bytes) -> Iterator[bytes]:
    """The AV1 streams of still pictures."""
    pictures = {number for box in _inner(data, 0, len(data), b"meta", b"iinf") for number in _av1_items(data, box)}
    inside = next(_inner(data, 0, len(data), b"meta", b"idat"), None)
    for box in _inner(data, 0, len(data), b"meta", b"iloc"):
        for number, method, extents in _places(data, box):
            if number not in pictures:
                continue
            if method > 1 or (method == 1 and inside is None):
                raise CorruptImageError(_STREAM)
            first, end = (inside.start, inside.end) if method == 1 and inside is not None else (0, len(data))
            yield b"".join(data[first + at : first + at + length if length else end] for at, length in extents)


def _av1_items(data: bytes, box: _Box) -> Iterator[int]:
    version = data[box.start]
    for entry in _boxes(data, box.start + (6 if version == 0 else 8), box.end):
        if entry.kind != b"infe" or data[entry.start] < 2:
            continue
        form = ">HH4s" if data[entry.start] == 2 else ">IH4s"
        number, _, kind = struct.unpack_from(form, data, entry.start + 4)
        if kind == b"av01":
            yield number


def _places(data: bytes, box: _Box) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Number, construction method, and the extents (offset, length) of each item."""
    version, at = data[box.start], box.start + 4
    sizes = (data[at] >> 4, data[at] & 15, data[at + 1] >> 4, data[at + 1] & 15 if version else 0)
    wide, at = version == 2, at + 2

    def number(size: int) -> int:
        nonlocal at
        if at + size > box.end:
            raise IndexError
        at += size
        return int.from_bytes(data[at - size : at], "big")

    for _ in range(number(4 if wide else 2)):
        item = number(4 if wide else 2)
        method = number(2) & 15 if version else 0
        number(2)  # in which file
        base = number(sizes[2])
        extents = []
        for _ in range(number(2)):
            number(sizes[3])
            offset = number(sizes[0])
            extents.append((base + offset, number(sizes[1])))
        yield item, method, extents


def _samples(data: bytes) -> Iterator[bytes]:
    """The first picture of each track of an animation."""
    for table in _inner(data, 0, len(data), b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        found = {box.kind: box.start for box in _boxes(data, table.start, table.end)}
        if b"stsz" not in found or not {b"stco", b"co64"} & found.keys():
            continue
        same, count = struct.unpack_from(">II", data, found[b"stsz"] + 4)
        length = same or (struct.unpack_from(">I", data, found[b"stsz"] + 12)[0] if count else 0)
        form, kind = (">I", b"stco") if b"stco" in found else (">Q", b"co64")
        (at,) = struct.unpack_from(form, data, found[kind] + 8)
        yield data[at : at + length]


def _largest(stream: bytes) -> int:
    """Pixels of the largest picture that the headers of a stream allow."""
    found = [_declared(stream[start:end]) for kind, start, end in _units(stream) if kind == _SEQUENCE_HEADER]
    if not found:
        raise CorruptImageError(_STREAM)
    return max(found)


def _units(stream: bytes) -> Iterator[tuple[int, int, int]]:
    """Type, start and end of each open bitstream unit."""
    at = 0
    for _ in range(_MOST_PARTS):
        if at >= len(stream):
            return
        head = stream[at]
        at += 2 if head & 4 else 1
        size = len(stream) - at
        if head & 2:
            size = shift = 0
            while True:
                byte = stream[at]
                at += 1
                size |= (byte & 127) << shift
                shift += 7
                if not byte & 128 or shift > 56:
                    break
        yield head >> 3 & 15, at, min(len(stream), at + size)
        at += size


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._number, self._left = int.from_bytes(data[:256], "big"), 8 * len(data[:256])

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise IndexError
        return self._number >> self._left & (1 << count) - 1


def _declared(header: bytes) -> int:
    bits = _Bits(header)
    bits.take(4)  # profile, still picture
    reduced = bits.take(1)
    if reduced:
        bits.take(5)  # level
    else:
        _pass_timing(bits)
    sizes = bits.take(4) + 1, bits.take(4) + 1
    width, height = (bits.take(size) + 1 for size in sizes)
    # Frames of a stream with a full header may have any size that fits into so many bits.
    return width * height if reduced else (1 << sizes[0]) * (1 << sizes[1])


def _pass_timing(bits: _Bits) -> None:
    model, delay = 0, 0
    if bits.take(1):  # timing info
        bits.take(64)
        if bits.take(1):  # equal intervals, whose length is in Exp-Golomb code
            zeros = 0
            while zeros < 32 and not bits.take(1):
                zeros += 1
            bits.take(zeros if zeros < 32 else 0)
        model = bits.take(1)
        if model:
            delay = bits.take(5) + 1
            bits.take(42)
    display = bits.take(1)
    for _ in range(bits.take(5) + 1):  # operating points
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if model and bits.take(1):
            bits.take(2 * delay + 1)
        if display and bits.take(1):
            bits.take(4)
