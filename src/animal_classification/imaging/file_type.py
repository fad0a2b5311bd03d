"""What a file really is, from its first bytes; never from its name."""

from __future__ import annotations

import codecs
import re
from enum import StrEnum

from animal_classification.errors import CorruptImageError, UnsupportedImageError


class Format(StrEnum):
    """The photo formats that are decoded."""

    JPEG = "JPEG"
    PNG = "PNG"
    GIF = "GIF"
    WEBP = "WebP"
    BMP = "BMP"
    DIB = "DIB"
    TIFF = "TIFF"
    AVIF = "AVIF"
    HEIF = "HEIF"
    PNM = "PNM"


_MAGIC = (
    (b"\xff\xd8\xff", Format.JPEG),
    (b"\x89PNG\r\n\x1a\n", Format.PNG),
    (b"GIF87a", Format.GIF),
    (b"GIF89a", Format.GIF),
    (b"II*\0", Format.TIFF),
    (b"MM\0*", Format.TIFF),
    (b"II+\0", Format.TIFF),
    (b"MM\0+", Format.TIFF),
)
_BEGINNINGS = (*(magic for magic, _ in _MAGIC), b"RIFF", b"\0\0\0\x1cftyp", b"\0\0\0\x20ftyp")
# The ISO media box: photos and videos share it and differ in the brand.
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"})
_NEITHER_BRANDS = frozenset({b"mif1", b"msf1"})  # "some picture": the list of compatible brands says which
_BITMAP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
_PLAIN_OR_RAW_PNM = re.compile(rb"P([1-6])[\s#]")

_OTHER_THINGS = (
    (b"%PDF", "is a PDF; export its pictures first"),
    (b"%!PS", "is a PostScript drawing, not a photo"),
    (b"\xc5\xd0\xd3\xc6", "is a PostScript drawing, not a photo"),
    (b"8BPS", "is a Photoshop file; export it as JPEG"),
    (b"gimp xcf", "is a GIMP file; export it as JPEG"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "is JPEG 2000, which is not read here; save it as JPEG"),
    (b"\xff\x4f\xff\x51", "is JPEG 2000, which is not read here; save it as JPEG"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "is JPEG XL, which is not read here; save it as JPEG"),
    (b"\xff\x0a", "is JPEG XL, which is not read here; save it as JPEG"),
    (b"II\xbc", "is JPEG XR, which is not read here; save it as JPEG"),
    (b"\0\0\1\0", "is an icon, not a photo"),
    (b"\0\0\2\0", "is a mouse pointer, not a photo"),
    (b"FUJIFILMCCD-RAW", "is a raw photo from a camera; convert it to JPEG"),
    (b"IIU\0", "is a raw photo from a camera; convert it to JPEG"),
    (b"IIRO", "is a raw photo from a camera; convert it to JPEG"),
    (b"IIRS", "is a raw photo from a camera; convert it to JPEG"),
    (b"MMOR", "is a raw photo from a camera; convert it to JPEG"),
    (b"FOVb", "is a raw photo from a camera; convert it to JPEG"),
    (b"\0MRM", "is a raw photo from a camera; convert it to JPEG"),
    (b"\x1a\x45\xdf\xa3", "is a video"),
    (b"\0\0\1\xba", "is a video"),
    (b"\0\0\1\xb3", "is a video"),
    (b"FLV\1", "is a video"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "is a video"),
    (b"OggS", "is a sound or video file"),
    (b"ID3", "is a sound file"),
    (b"fLaC", "is a sound file"),
    (b"PK\3\4", "is a ZIP archive or an office document; unpack it first"),
    (b"\x1f\x8b", "is a gzip archive; unpack it first"),
    (b"Rar!", "is a RAR archive; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive; unpack it first"),
    (b"\xfd7zXZ\0", "is an xz archive; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "is a Zstandard archive; unpack it first"),
    (b"\x93NUMPY", "is a NumPy file; load it and pass the array"),
    (b"\x89HDF", "is an HDF5 file, not a photo"),
    (b"SIMPLE  =", "is a FITS file, not a photo"),
    (b"\x76\x2f\x31\x01", "is OpenEXR, which is not read here; save it as JPEG"),
    (b"qoif", "is QOI, which is not read here; save it as PNG"),
    (b"DDS ", "is a game texture, not a photo"),
    (b"SQLite format 3\0", "is a database, not a photo"),
    (b"\x7fELF", "is a program, not a photo"),
    (b"MZ", "is a program, not a photo"),
    (b"\0\5\x16\7", "is macOS metadata, not a photo"),
    (b"version https://git-lfs", "is a Git LFS pointer; run `git lfs pull` to get the photo"),
)
_HTML = re.compile(rb"<(!doctype html|html|head|body)", re.IGNORECASE)
_SAMPLE = 1024


def identify(data: bytes) -> Format:
    """Say which photo format these bytes are.

    Args:
        data: The whole file.

    Raises:
        CorruptImageError: Empty, all zeros, or cut off inside its first bytes.
        UnsupportedImageError: Something else; the reason says what it is when that can be told.
    """
    if not data:
        raise CorruptImageError("is empty (0 bytes)")
    for magic, format_ in _MAGIC:
        if data.startswith(magic):
            return _unless_raw(data, format_)
    found = _in_container(data) or _bitmap(data)
    if found:
        return found
    pnm = _PLAIN_OR_RAW_PNM.match(data)
    if pnm and pnm[1] in b"456":
        return Format.PNM
    if any(magic.startswith(data) for magic in _BEGINNINGS):
        raise CorruptImageError(f"is cut short ({len(data)} bytes)")
    if pnm and _is_text(data):
        raise UnsupportedImageError("is a picture written as text (plain PNM); save it as PNG")
    if not data[:_SAMPLE].strip(b"\0") and not data.strip(b"\0"):
        raise CorruptImageError("holds nothing but zeros (a failed copy or a damaged card?)")
    raise UnsupportedImageError(_other_thing(data))


def _unless_raw(data: bytes, format_: Format) -> Format:
    if format_ is Format.TIFF and data[8:10] == b"CR":
        raise UnsupportedImageError("is a raw photo from a camera; convert it to JPEG")
    return format_


def _in_container(data: bytes) -> Format | None:
    if data[:4] == b"RIFF":
        kind = data[8:12]
        if kind == b"WEBP":
            return Format.WEBP
        if len(data) < 12:
            raise CorruptImageError(f"is cut short ({len(data)} bytes)")
        raise UnsupportedImageError("is a video" if kind == b"AVI " else "is a sound file, not a photo")
    if data[4:8] != b"ftyp":
        return None
    brand = data[8:12]
    if brand in _NEITHER_BRANDS:
        size = int.from_bytes(data[:4], "big")
        compatible = {data[at : at + 4] for at in range(16, min(size, 256, len(data)), 4)}
        return Format.AVIF if compatible & _AVIF_BRANDS else Format.HEIF
    if brand in _AVIF_BRANDS:
        return Format.AVIF
    if brand in _HEIF_BRANDS:
        return Format.HEIF
    if len(data) < 12:
        raise CorruptImageError(f"is cut short ({len(data)} bytes)")
    raise UnsupportedImageError(
        "is a raw photo from a camera; convert it to JPEG" if brand == b"crx " else "is a video"
    )


def _bitmap(data: bytes) -> Format | None:
    # "BM" alone begins many an English text, so the size of the next header has to fit as well.
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BITMAP_HEADERS:
        return Format.BMP
    one_plane = data[12:14] == b"\1\0"
    return Format.DIB if one_plane and int.from_bytes(data[:4], "little") in _BITMAP_HEADERS - {12} else None


def _other_thing(data: bytes) -> str:
    for magic, reason in _OTHER_THINGS:
        if data.startswith(magic):
            return reason
    if not _is_text(data):
        return "is not a photo in a format that is known here"
    sample = data[:_SAMPLE].decode("latin-1").lstrip("\xef\xbb\xbf \t\r\n").encode("latin-1")
    if _HTML.match(sample):
        return "is an HTML page, not a photo (a failed download?)"
    if b"<svg" in sample:
        return "is an SVG drawing, not a photo; save it as PNG"
    if sample.startswith(b"<?xml"):
        return "is XML, not a photo"
    return "is text, not a photo"


def _is_text(data: bytes) -> bool:
    sample = data[:_SAMPLE]
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    if re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", sample):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return True
