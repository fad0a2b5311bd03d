"""Pillow behind a door: one plugin for each format, no process-wide settings, and only our own errors come out.

``Image.open`` is not used. It consults ``MAX_IMAGE_PIXELS``, which belongs to the whole process, and warns, which
cannot be silenced for one thread alone; and it tries plugins that have no business here (EPS starts Ghostscript).
"""

from __future__ import annotations

import importlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile, DibImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from animal_classification.errors import (
    CorruptImageError,
    ImageError,
    ImageMemoryError,
    ImageTooLargeError,
    UnsupportedImageError,
)
from animal_classification.imaging.file_type import Format
from animal_classification.install_hint import pip_install

_CUT_SHORT = ("unexpected end", "not enough", "incomplete", "eof", "end of file", "only got", "too short")
_CANNOT = ("cannot handle", "unsupported", "not supported", "unknown pixel mode", "unknown data organization")
_LONGEST_DETAIL = 120
_AVIF_EXIF = re.compile(rb"(infe\x02\0\0[\0\1]..\0\0)Exif", re.DOTALL)


class _Jpeg(JpegImageFile):
    """The first picture of a JPEG or MPO, without looking into its EXIF."""

    def _read_dpi_from_exif(self) -> None:
        # Nobody needs the resolution, and a damaged EXIF block would warn here.
        pass


class _Tiff(TiffImageFile):
    """A TIFF that leaves the size limit and the turning to us."""

    def _open(self) -> None:
        super()._open()
        if self.tag_v2.get(262) == 6 and self.mode == "RGB" and not self.use_load_libtiff:
            # Pillow 12 takes uncompressed YCbCr for padded RGB and misses a quarter of it; 13 does this itself.
            self._mode = "YCbCr"
            self.tile = [tile._replace(args=("YCbCr", 0, 1)) for tile in self.tile]

    def load_prepare(self) -> None:
        # TiffImageFile asks MAX_IMAGE_PIXELS at this point; our own limit has been applied already.
        self.im = Image.new(self.mode, self._tile_size, None).im
        ImageFile.load_prepare(self)

    def load_end(self) -> None:
        # TiffImageFile parses all EXIF directories here, then turns the picture. It announced the turned size.
        self._size = self.im.size


_PLUGINS: dict[Format, type[ImageFile]] = {
    Format.JPEG: _Jpeg,
    Format.PNG: PngImageFile,
    Format.GIF: GifImageFile,
    Format.WEBP: WebPImageFile,
    Format.BMP: BmpImageFile,
    Format.DIB: DibImageFile,
    Format.TIFF: _Tiff,
    Format.AVIF: AvifImageFile,
}


def open_image(format_: Format, data: bytes) -> ImageFile:
    """Read the header; the pixels stay undecoded until ``load()``.

    Raises:
        ImageError: As from ``pillow_errors``, or the format needs an extra that is not installed.
    """
    plugin = _heif_plugin() if format_ is Format.HEIF else _PLUGINS[format_]
    if format_ is Format.AVIF:
        # A damaged EXIF block makes libavif and Pillow refuse the photo. Its orientation does not count in AVIF
        # anyway, where turns are properties of the picture, so the block is hidden by giving it an unknown type.
        data = _AVIF_EXIF.sub(rb"\1skip", data)
    with pillow_errors():
        return plugin(io.BytesIO(data), "")


@contextmanager
def pillow_errors() -> Iterator[None]:
    """Turn whatever Pillow raises into an ``ImageError``.

    Raises:
        ImageError: Corrupt, unsupported or too large, with a one-line reason.
    """
    try:
        yield
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLargeError("declares more pixels than its decoder accepts") from error
    except MemoryError as error:
        raise ImageMemoryError("needs more memory than there is") from error
    except Exception as error:
        # Broken files make Pillow raise nearly anything: OSError, SyntaxError, ValueError, struct.error, IndexError,
        # KeyError, zlib.error, OverflowError, AttributeError, even Warning where warnings are errors. The pixels are
        # unusable in every case, and one bad photo must never stop a run over thousands.
        raise _describe(error) from error


def _describe(error: Exception) -> ImageError:
    detail = " ".join(str(error).split())[:_LONGEST_DETAIL] or type(error).__name__
    if isinstance(error, KeyError):  # str() of it is only the key
        detail = f"unknown value {detail}"
    lowered = detail.lower()
    if "truncated" in lowered:
        return CorruptImageError("is cut short (its pixels are incomplete)")
    if isinstance(error, EOFError) or any(words in lowered for words in _CUT_SHORT):
        return CorruptImageError(f"is cut short ({detail})")
    if any(words in lowered for words in _CANNOT):
        return UnsupportedImageError(f"uses a variant that cannot be read here ({detail})")
    return CorruptImageError(f"is damaged ({detail})")


def _heif_plugin() -> type[ImageFile]:
    # Used directly: registering the opener would change Image.open for the whole process.
    try:
        plugin: type[ImageFile] = importlib.import_module("pillow_heif").HeifImageFile
    except ImportError as error:
        raise UnsupportedImageError(f"is HEIC, which needs: {pip_install('heic')}") from error
    return plugin
