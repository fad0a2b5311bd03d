"""Ways to damage a photo, each repeatable from a seed and a number."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Sequence

Mutation = Callable[[bytearray, random.Random], None]

_EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_HEADER = 96  # bytes in which most formats keep their sizes


def mutate(seeds: Sequence[bytes], seed: int, number: int) -> bytes:
    """Damage one of the seeds.

    Args:
        seeds: Whole photos.
        seed: Of the run.
        number: Of the case: the same three give the same bytes.
    """
    rng = random.Random(f"{seed} {number}")
    data = bytearray(seeds[number % len(seeds)])
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5, 12))):
        if rng.random() < 0.08:
            _splice(data, rng.choice(seeds), rng)
        elif data:
            rng.choice(_MUTATIONS)(data, rng)
    # Without this the checksums would keep most damage away from the decoders.
    if rng.random() < 0.7:
        _repair(data)
    return bytes(data)


def _flip_bits(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 8, 40))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _random_bytes(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    size = rng.choice((1, 2, 4, 16, 100))
    data[start : start + size] = rng.randbytes(min(size, len(data) - start))


def _header_field(data: bytearray, rng: random.Random) -> None:
    _number_field(data, rng, min(len(data), _HEADER))


def _any_field(data: bytearray, rng: random.Random) -> None:
    _number_field(data, rng, len(data))


def _number_field(data: bytearray, rng: random.Random, end: int) -> None:
    kind = rng.choice(("<H", ">H", "<I", ">I", "B"))
    size = struct.calcsize(kind)
    at = rng.randrange(end)
    if at + size > len(data):
        return
    value = rng.choice(_EXTREMES) if rng.random() < 0.7 else rng.randrange(5000)
    if rng.random() < 0.2:  # a little more or less than the truth
        (value,) = struct.unpack_from(kind, data, at)
        value += rng.choice((-2, -1, 1, 2, 8))
    struct.pack_into(kind, data, at, value % (1 << 8 * size))


def _cut_end(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def _cut_middle(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    del data[start : start + rng.choice((1, 2, 8, 64, 500))]


def _repeat_slice(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    piece = data[start : start + rng.choice((1, 4, 16, 100, 1000))]
    data[start:start] = piece * rng.choice((1, 1, 2, 20))


def _fill(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    end = min(len(data), start + rng.choice((4, 30, 300)))
    data[start:end] = bytes([rng.choice((0, 0xFF, 0x20))]) * (end - start)


def _append(data: bytearray, rng: random.Random) -> None:
    data += rng.randbytes(rng.choice((1, 10, 1000)))


def _repeat_part(data: bytearray, rng: random.Random) -> None:
    """Repeat, drop or move a whole JPEG segment or PNG chunk."""
    parts = _parts(data)
    if len(parts) < 2:
        return
    start, end = rng.choice(parts)
    piece = bytes(data[start:end])
    action = rng.choice(("repeat", "drop", "move"))
    if action != "repeat":
        del data[start:end]
    if action != "drop":
        parts = _parts(data) or [(0, len(data))]
        target = rng.choice(parts)[0]
        data[target:target] = piece * rng.choice((1, 1, 3, 50))


def _part_length(data: bytearray, rng: random.Random) -> None:
    """Let a JPEG segment or PNG chunk lie about its length."""
    parts = _parts(data)
    if not parts:
        return
    start, _ = rng.choice(parts)
    kind, at = (">I", start) if data[:4] == b"\x89PNG" else (">H", start + 2)
    if at + struct.calcsize(kind) <= len(data):
        struct.pack_into(kind, data, at, rng.choice(_EXTREMES) % (1 << 8 * struct.calcsize(kind)))


_MUTATIONS: tuple[Mutation, ...] = (
    _flip_bits,
    _random_bytes,
    _header_field,
    _header_field,
    _header_field,
    _any_field,
    _any_field,
    _cut_end,
    _cut_middle,
    _repeat_slice,
    _fill,
    _append,
    _repeat_part,
    _part_length,
)


def _splice(data: bytearray, other: bytes, rng: random.Random) -> None:
    data[rng.randrange(len(data) + 1) :] = other[rng.randrange(len(other)) :]


def _parts(data: bytes | bytearray) -> list[tuple[int, int]]:
    if data[:4] == b"\x89PNG":
        return _png_chunks(data)
    if data[:2] != b"\xff\xd8":
        return []
    parts, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        parts.append((at, min(end, len(data))))
        at = end
    return parts


def _png_chunks(data: bytes | bytearray) -> list[tuple[int, int]]:
    parts, at = [], 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            break
        parts.append((at, end))
        at = end
    return parts


def _repair(data: bytearray) -> None:
    """Make checksums and outer lengths agree with what is there now."""
    if data[:4] == b"\x89PNG":
        for start, end in _png_chunks(data):
            struct.pack_into(">I", data, end - 4, zlib.crc32(data[start + 4 : end - 4]))
    elif data[:4] == b"RIFF" and len(data) >= 12:
        struct.pack_into("<I", data, 4, len(data) - 8)
