"""What a file says about itself, checked before a decoder sees it.

Pillow reads headers part by part in Python and keeps the parts; a few megabytes of tiny JPEG segments or PNG chunks,
or thousands of empty progressive scans, cost it gigabytes or hours. GIF and WebP also allocate their canvas while
they are being opened, before a caller can look at its size. Each walk here is one pass over the header.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from animal_classification.errors import CorruptImageError, ImageTooLargeError, UnsupportedImageError
from animal_classification.imaging.av1 import coded_pixels
from animal_classification.imaging.file_type import Format
from animal_classification.imaging.spec import Limits

MAX_PARTS = 100_000  # a 128 MB PNG in the usual 8 KB chunks has 16,000
MAX_SCANS = 100  # encoders write about ten
MAX_JUNK = 1_000_000  # bytes between JPEG segments, which Pillow skips one at a time
MAX_RUN_LENGTH_BITMAP = 4_000_000  # bytes; Pillow unpacks these in Python, 4 MB a second
MAX_TAGS = 4096
MAX_TEXTS = 64  # of a million characters; Pillow reads no more
MAX_WEBP_SIDE = 16_384  # of a frame; a canvas may declare a thousand times that, which Pillow would allocate and fill

_CUT_SHORT = "is cut short (it ends inside its header)"
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_BARE_MARKERS = frozenset({*range(0xD0, 0xDA), 0xC8, *range(0xF0, 0xFE)})
_FRAMES = frozenset({*range(0xC0, 0xD0), 0xDE}) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_TIFF_NUMBERS = {1: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q"}  # by TIFF type; the others are not whole numbers
# New subfile, width, length, bits, compression, photometric, strips (273, 279), samples, tiles (324, 325),
# sub-directories, extra samples, sample format, JPEG tables.
_TIFF_TAGS = frozenset({254, 256, 257, 258, 259, 262, 273, 277, 279, 324, 325, 330, 338, 339, 347})
# By bit depth and colour type (0 grey, 3 palette); Pillow stores all others in four bytes a pixel.
_PNG_GREY = {(depth, colour): 1 for depth in (1, 2, 4, 8) for colour in (0, 3)} | {(16, 0): 2}
_PNG_TEXTS = frozenset({b"zTXt", b"iTXt"})
# With alpha, twice the picture; and where a stream may have frames of several sizes, up to four times that.
_MOST_CODED = 8
_TOP_BOXES = frozenset({b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"wide", b"uuid"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Declared:
    """What decides how much memory decoding takes, as the header has it.

    Attributes:
        size: Width and height in pixels; of a GIF's canvas as its first frame makes it grow.
        stored: Bytes a pixel in Pillow's memory.
        components: Of a JPEG in several scans, whose coefficients are kept until the last; 0 for one in a single scan.
        animated: Whether a PNG has several frames.
        coded: Pixels of all AV1 streams of an AVIF together.
        texts: How many compressed texts a PNG has, which are unpacked when it is opened.
    """

    size: tuple[int, int] = (0, 0)
    stored: int = 4
    components: int = 0
    animated: bool = False
    texts: int = 0
    coded: int = 0


def require_pixels(width: int, height: int, limits: Limits) -> None:
    """Refuse a picture that declares more than ``limits.max_pixels``.

    Raises:
        ImageTooLargeError: It does.
    """
    if width * height > limits.max_pixels:
        millions = f"{width * height / 1e6:,.1f} megapixels"
        raise ImageTooLargeError(
            f"declares {width} x {height} pixels, {millions}; the limit is {limits.max_pixels / 1e6:,.1f}"
        )


def check_structure(format_: Format, data: bytes, limits: Limits) -> Declared | None:
    """Walk through the parts of a file (a PNM has none).

    Returns:
        What an AVIF, GIF, JPEG, PNG or WebP declares; ``None`` for the others.

    Raises:
        ImageTooLargeError: It declares more pixels than allowed.
        CorruptImageError: It ends inside the header, or has more parts than any encoder writes.
        UnsupportedImageError: A raw photo whose TIFF part is only a thumbnail.
    """
    walks = {
        Format.JPEG: _walk_jpeg,
        Format.PNG: _walk_png,
        Format.GIF: _walk_gif,
        Format.WEBP: _walk_webp,
        Format.BMP: _walk_bitmap,
        Format.DIB: _walk_bitmap,
        Format.TIFF: _walk_tiff,
        Format.AVIF: _walk_avif,
        Format.HEIF: _walk_boxes,
    }
    try:
        return walks[format_](data, limits)
    except (struct.error, IndexError, OverflowError) as error:
        raise CorruptImageError(_CUT_SHORT) from error


def _too_many(what: str, limit: int) -> CorruptImageError:
    return CorruptImageError(f"is damaged or made to do harm (more than {limit:,} {what})")


def _walk_jpeg(data: bytes, limits: Limits) -> Declared:
    at, junk, components, progressive, size = 2, 0, 0, False, (0, 0)
    for _ in range(MAX_PARTS):
        start = data.find(b"\xff", at)
        junk += start - at
        if start < 0:
            raise CorruptImageError("is cut short (no pixels follow its header)")
        if junk > MAX_JUNK:
            raise _too_many("stray bytes", MAX_JUNK)
        marker = data[start + 1]
        at = start + (1 if marker == 0xFF else 2)
        if marker < 0xC0 or marker == 0xFF or marker in _BARE_MARKERS:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if marker in _FRAMES:
            height, width, components = struct.unpack_from(">HHB", data, at + 3)
            require_pixels(width, height, limits)
            size = (max(size[0], width), max(size[1], height))
            progressive = progressive or marker in _PROGRESSIVE
        at += length
        if marker == 0xDA:
            if progressive or data[start + 4] < components:
                _count_scans(data, at)
                return Declared(size=size, components=components)
            return Declared(size=size)
    raise _too_many("segments", MAX_PARTS)


def _count_scans(data: bytes, at: int) -> None:
    # Every scan passes over the whole picture: 50 bytes of file buy 60 ms of work at 100 megapixels.
    scans = 1
    for _ in range(MAX_PARTS):
        found = _MARKER.search(data, at)
        if found is None or found[0] == b"\xff\xd9":
            return
        scans += found[0] == b"\xff\xda"
        if scans > MAX_SCANS:
            raise _too_many("scans", MAX_SCANS)
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    raise _too_many("segments", MAX_PARTS)


def _walk_png(data: bytes, limits: Limits) -> Declared:
    at, width, height, stored, texts, animated = 8, 0, 0, 4, 0, False
    for _ in range(MAX_PARTS):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack_from(">IIBB", data, at + 8)
            require_pixels(width, height, limits)
            stored = _PNG_GREY.get((depth, colour), 4)
        texts += kind in _PNG_TEXTS
        animated = animated or kind == b"acTL"
        at += length + 12
        if kind == b"IEND" or at + 8 > len(data):  # whether the pixels are complete is for the decoder to say
            return Declared(size=(width, height), stored=stored, animated=animated, texts=min(texts, MAX_TEXTS))
    raise _too_many("chunks", MAX_PARTS)


def _walk_gif(data: bytes, limits: Limits) -> Declared:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    require_pixels(width, height, limits)
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    in_extension = False
    for _ in range(MAX_PARTS):
        if in_extension:
            in_extension = data[at] != 0
            at += data[at] + 1
        elif data[at] == 0x21:
            in_extension = True
            at += 2
        elif data[at] == 0x2C:  # a first frame may reach beyond the canvas, which then grows
            x, y, frame_width, frame_height = struct.unpack_from("<4H", data, at + 1)
            size = (max(width, x + frame_width), max(height, y + frame_height))
            require_pixels(*size, limits)
            return Declared(size=size, stored=1)
        elif data[at] == 0x3B:
            raise CorruptImageError("is damaged (no picture in it)")
        else:
            at += 1
    raise _too_many("blocks", MAX_PARTS)


def _walk_webp(data: bytes, limits: Limits) -> Declared:
    (declared,) = struct.unpack_from("<I", data, 4)
    if declared + 8 > len(data) + 1:  # some writers forget the last padding byte
        raise CorruptImageError(f"is cut short (it has {len(data):,} of {declared + 8:,} bytes)")
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    if max(width, height) > MAX_WEBP_SIDE:
        declared = f"declares {width} x {height} pixels; WebP ends at {MAX_WEBP_SIDE:,} a side"
        raise CorruptImageError(f"is damaged ({declared})")
    require_pixels(width, height, limits)
    return Declared(size=(width, height))


def _walk_bitmap(data: bytes, limits: Limits) -> None:
    at = 14 if data[:2] == b"BM" else 0
    (header,) = struct.unpack_from("<I", data, at)
    if header == 12:
        width, height = struct.unpack_from("<HH", data, at + 4)
    else:
        width, height, _, _, compression = struct.unpack_from("<IiHHI", data, at + 4)
        if compression in (1, 2) and len(data) > MAX_RUN_LENGTH_BITMAP:
            raise UnsupportedImageError("is a large run-length bitmap, which is not read here; save it as PNG")
    require_pixels(width, abs(height), limits)


def _walk_tiff(data: bytes, limits: Limits) -> None:
    tags = _tiff_tags(data)
    first = {tag: numbers[0] for tag, numbers in tags.items() if numbers}
    require_pixels(first.get(256, 0), first.get(257, 0), limits)
    is_thumbnail = first.get(254, 0) & 1 and 330 in tags  # the full picture is in a sub-directory, as DNG and NEF do
    if is_thumbnail or first.get(262) in (32803, 34892):  # colour filter array, linear raw
        raise UnsupportedImageError("is a raw photo from a camera; convert it to JPEG")
    if max((*tags.get(273, ()), *tags.get(324, ())), default=0) > len(data):
        raise CorruptImageError("is cut short (its pixels are beyond its end)")


def _tiff_tags(data: bytes) -> dict[int, tuple[int, ...]]:
    """The numbers in the first directory that decide how pixels are read."""
    order = "<" if data[:2] == b"II" else ">"
    big = b"+" in data[2:4]
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, start)
    if count > MAX_TAGS:
        raise _too_many("tags", MAX_TAGS)
    head, step, inline = (order + "HHQ", 20, 8) if big else (order + "HHI", 12, 4)
    first = start + (8 if big else 2)
    tags: dict[int, tuple[int, ...]] = {}
    for at in range(first, first + count * step, step):
        tag, kind, number = struct.unpack_from(head, data, at)
        if kind not in _TIFF_NUMBERS or tag not in _TIFF_TAGS:
            continue
        if number > MAX_PARTS:
            raise _too_many("strips", MAX_PARTS)
        numbers = f"{order}{number}{_TIFF_NUMBERS[kind]}"
        place = at + step - inline
        if struct.calcsize(numbers) > inline:
            (place,) = struct.unpack_from(order + ("Q" if big else "I"), data, place)
        tags.setdefault(tag, struct.unpack_from(numbers, data, place))
    struct.unpack_from(order + ("Q" if big else "I"), data, first + count * step)  # the link to the next page
    return tags


def _walk_avif(data: bytes, limits: Limits) -> Declared:
    _walk_boxes(data, limits)
    coded = coded_pixels(data)
    most = _MOST_CODED * limits.max_pixels
    if coded > most:
        raise ImageTooLargeError(f"holds {coded / 1e6:,.1f} megapixels in its streams; the limit is {most / 1e6:,.1f}")
    return Declared(coded=coded)


def _walk_boxes(data: bytes, _limits: Limits) -> None:
    at = 0
    for _ in range(MAX_PARTS):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
        if kind not in _TOP_BOXES or size < 8:  # something stuck on behind the picture, or a box up to the end
            return
        at += size
        if at == len(data):
            return
        if at > len(data):
            raise CorruptImageError(f"is cut short (it has {len(data):,} of at least {at:,} bytes)")
    raise _too_many("boxes", MAX_PARTS)
