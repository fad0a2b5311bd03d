"""The ways in: ``decode`` to all pixels, ``preprocess`` and ``crops`` for a model, ``thumbnail`` for a person."""

from __future__ import annotations

import math
import os
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from animal_classification.errors import HeavyImageError, ImageError, UnsupportedImageError
from animal_classification.imaging.bounded_read import read_photo, require_bytes
from animal_classification.imaging.decode_cost import ALLOCATED_WHEN_OPENED, DecodeCost, bytes_to_load, bytes_to_open
from animal_classification.imaging.file_type import Format, identify
from animal_classification.imaging.geometry import Box, require_box
from animal_classification.imaging.headers import check_structure, require_pixels
from animal_classification.imaging.orientation import UPRIGHT, read_orientation, valid_orientation
from animal_classification.imaging.photo import Photo
from animal_classification.imaging.pillow import open_image, pillow_errors
from animal_classification.imaging.pixel_formats import WHITE_16_BIT, Flat, image_from_array
from animal_classification.imaging.pnm import pnm_header, read_pnm
from animal_classification.imaging.spec import Limits, PreprocessSpec

ImageSource = str | os.PathLike[str] | bytes | Image.Image | np.ndarray[Any, Any]

# At twice the model's resolution a JPEG decoded at reduced scale still differs from the exact path by less than one
# grey level; at once, by several. docs/imaging.md has the measurements.
OVERSAMPLING = 2
_DEFAULT_LIMITS = Limits()


def decode(
    source: ImageSource, *, limits: Limits = _DEFAULT_LIMITS, min_side: int | None = None, where: str | None = None
) -> NDArray[np.uint8]:
    """Decode a photo, upright.

    Args:
        source: A path, an encoded photo, a PIL image, or pixels: uint8, uint16 or floats from 0 to 1.
        limits: Bounds on bytes, pixels and memory.
        min_side: Allows a JPEG to be decoded at 1/2, 1/4 or 1/8 as long as its shorter side keeps this many pixels.
        where: Name for error messages instead of the path.

    Returns:
        RGB, uint8 ``[H, W, 3]``; transparency is composited on white, of animations and pages the first.

    Raises:
        ImageError: One of its five kinds; ``reason`` says what is wrong.

    Example:
        >>> decode(np.zeros((4, 6), np.uint8)).shape
        (4, 6, 3)
    """
    with _named(source, where), _opened(source, limits, DecodeCost(min_side=min_side)) as photo:
        return photo.array()


def preprocess(
    source: ImageSource,
    spec: PreprocessSpec,
    *,
    limits: Limits = _DEFAULT_LIMITS,
    where: str | None = None,
    box: Box | None = None,
) -> NDArray[np.uint8]:
    """Turn a photo into a model's input: upright, shorter side resized, central square.

    Args:
        source: As for ``decode``.
        spec: What the model wants to see.
        limits: Bounds on bytes, pixels and memory.
        where: Name for error messages instead of the path.
        box: Look at this part only, in fractions of the upright photo: left, top, right, bottom. It is cut out first.

    Returns:
        RGB, uint8 ``[size, size, 3]``. Photos smaller than that are enlarged.

    Raises:
        ImageError: One of its five kinds; ``reason`` says what is wrong.
        UsageError: Nothing of the photo is inside of the box.

    Example:
        >>> preprocess(np.zeros((40, 60), np.uint8), PreprocessSpec(size=32)).shape
        (32, 32, 3)
    """
    with _named(source, where), _opened(source, limits, _cost(spec, box)) as photo:
        return (photo.inside(box) if box else photo).for_model(spec)


def crops(
    source: ImageSource, spec: PreprocessSpec, *, limits: Limits = _DEFAULT_LIMITS, box: Box | None = None
) -> NDArray[np.uint8]:
    """Turn a photo into all that a model looks at: as ``preprocess``, and in a wide or tall photo both ends as well.

    Args:
        source: As for ``decode``.
        spec: What the model wants to see.
        limits: Bounds on bytes, pixels and memory.
        box: As for ``preprocess``.

    Returns:
        RGB, uint8 ``[crops, size, size, 3]``: one crop, or three with the central one first.

    Raises:
        ImageError: One of its five kinds; ``reason`` says what is wrong.
        UsageError: Nothing of the photo is inside of the box.

    Example:
        >>> crops(np.zeros((90, 160), np.uint8), PreprocessSpec(size=32)).shape
        (3, 32, 32, 3)
    """
    with _named(source, None), _opened(source, limits, _cost(spec, box)) as photo:
        return (photo.inside(box) if box else photo).crops_for_model(spec)


def thumbnail(
    source: ImageSource, side: int, *, limits: Limits = _DEFAULT_LIMITS, where: str | None = None
) -> Image.Image:
    """Make a small picture for people to look at, upright.

    It takes less memory than ``decode`` and shrinking what that gives.

    Args:
        source: As for ``decode``.
        side: What neither side is longer than, in pixels; a smaller photo keeps its size.
        limits: Bounds on bytes, pixels and memory.
        where: Name for error messages instead of the path.

    Returns:
        Mode ``RGB``.

    Raises:
        ImageError: One of its five kinds; ``reason`` says what is wrong.
    """
    use = DecodeCost(side=side, min_side=side)
    with _named(source, where), _opened(source, limits, use) as photo:
        return photo.thumbnail(side)


@contextmanager
def opened(source: ImageSource, *, limits: Limits = _DEFAULT_LIMITS, min_side: int | None = None) -> Iterator[Photo]:
    """Decode a photo once, for those who want several things of it; its memory is theirs until the context ends.

    Args:
        source: As for ``decode``.
        limits: Bounds on bytes, pixels and memory.
        min_side: As for ``decode``; at least ``sufficient_side(spec)`` where ``for_model(spec)`` is to give what
            ``preprocess`` gives.

    Raises:
        ImageError: One of its five kinds; ``reason`` says what is wrong.
    """
    with _named(source, None), _opened(source, limits, DecodeCost(min_side=min_side)) as photo:
        yield photo


def sufficient_side(spec: PreprocessSpec) -> int:
    """The shorter side that is decoded for a model, in pixels, where the photo has more."""
    return OVERSAMPLING * spec.resize_to


def _cost(spec: PreprocessSpec, box: Box | None) -> DecodeCost:
    """What a model's input needs; with a box, as many pixels inside of it, and memory for a copy of them."""
    if box is None:
        return DecodeCost(side=spec.size, min_side=sufficient_side(spec))
    require_box(box)
    share = min(box[2] - box[0], box[3] - box[1])
    return DecodeCost(min_side=math.ceil(sufficient_side(spec) / share))


@contextmanager
def _named(source: ImageSource, where: str | None) -> Iterator[None]:
    try:
        yield
    except ImageError as error:
        raise type(error)(error.reason, where or _name(source)) from error.__cause__


def _name(source: ImageSource) -> str:
    if isinstance(source, Image.Image):
        return "image"
    if isinstance(source, np.ndarray):
        return "array"
    if not isinstance(source, (str, os.PathLike)):
        return "bytes"
    # A message is one line on any terminal, whatever characters a file name holds.
    name = os.fsdecode(source)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name) or "''"


@contextmanager
def _opened(source: ImageSource, limits: Limits, use: DecodeCost) -> Iterator[Photo]:
    """A photo for as long as the context lasts; its pixels are gone before its memory is given to others."""
    with ExitStack() as held:
        try:
            photo = _load(source, limits, use, held)
        except ImageError as error:
            _forget_pixels(error)
            raise
        held.callback(photo.pixels.release)
        with pillow_errors():
            yield photo


def _forget_pixels(error: BaseException | None) -> None:
    """Let go what the functions held that an error went through: its traceback would keep a half-decoded picture."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__


def _load(source: ImageSource, limits: Limits, use: DecodeCost, held: ExitStack) -> Photo:
    if isinstance(source, Image.Image):
        return _from_image(source, limits)
    if isinstance(source, np.ndarray):
        if source.ndim >= 2:
            require_pixels(source.shape[1], source.shape[0], limits)
        return _whole(Flat(image_from_array(source)))
    if isinstance(source, (str, os.PathLike)):
        return _from_bytes(read_photo(source, limits), limits, use, held)
    if isinstance(source, (bytes, bytearray, memoryview)):
        require_bytes(len(source), limits)
        return _from_bytes(bytes(source), limits, use, held)
    raise UnsupportedImageError(f"is a {type(source).__name__}; pass a path, bytes, a PIL image or a NumPy array")


def _from_bytes(data: bytes, limits: Limits, use: DecodeCost, held: ExitStack) -> Photo:
    """Decode within the memory that it takes, which is claimed until ``held`` is left."""
    format_ = identify(data)

    def claim(size: tuple[int, int], amount: int, *, scaled: tuple[int, int] | None = None) -> None:
        light = limits.light
        if light is not None and (amount > light.max_bytes or math.prod(scaled or size) > light.max_pixels):
            raise HeavyImageError(f"takes {amount:,} bytes for {size[0]} x {size[1]} pixels: too much for one photo")
        if limits.memory is not None:
            held.enter_context(limits.memory.claim(amount, f"{size[0]} x {size[1]} pixels of {format_}"))

    if format_ is Format.PNM:
        header = pnm_header(data, limits)
        claim(header.declared.size, bytes_to_open(format_, header.declared, len(data), use))
        return _whole(Flat(read_pnm(data, header)))
    declared = check_structure(format_, data, limits)
    early = format_ in ALLOCATED_WHEN_OPENED
    if declared is not None and early:
        claim(declared.size, bytes_to_open(format_, declared, len(data), use))
    image = open_image(format_, data)
    full = image.size
    require_pixels(*full, limits)
    with pillow_errors():
        reduced = image.draft("RGB", (use.min_side,) * 2) if use.min_side and format_ is Format.JPEG else None
        if not early:
            claim(full, bytes_to_load(format_, image, declared, len(data), use), scaled=image.size)
        image.load()
        if reduced:
            orientation = read_orientation(image.info.get("exif"))
            return Photo(pixels=Flat(image), orientation=orientation, full_size=full, extent=reduced[1][2:])
        return _decoded(image, format_)


def _decoded(image: Image.Image, format_: Format) -> Photo:
    if format_ is not Format.TIFF:
        return _whole(Flat(image), read_orientation(image.info.get("exif")))
    tags = getattr(image, "tag_v2", {})
    pixels = Flat(
        image,
        white=4095 if tags.get(258) == (12,) else WHITE_16_BIT,  # 258: bits per sample
        inverted=tags.get(262) == 0,  # 262: what zero means, and here it means white
    )
    return _whole(pixels, valid_orientation(tags.get(274)))


def _from_image(image: Image.Image, limits: Limits) -> Photo:
    if 0 in image.size:
        raise UnsupportedImageError(f"has no pixels ({image.size[0]} x {image.size[1]})")
    require_pixels(*image.size, limits)
    with pillow_errors():
        image.load()
        return _whole(Flat(image), read_orientation(image.info.get("exif")))


def _whole(pixels: Flat, orientation: int = UPRIGHT) -> Photo:
    return Photo(pixels=pixels, orientation=orientation, full_size=pixels.size, extent=pixels.size)
