"""Whether the pictures of a page are those of the photos that were measured, as far as these are at hand."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from html.parser import HTMLParser

import numpy as np
from PIL import Image

from animal_classification.report.images import NO_PICTURE, is_jpeg

# Mean difference of grey levels: decoders and heatmaps of other engines differ by less than two, other photos by tens.
_ALIKE = 6.0


def picture_differences(claimed: str, measured: str) -> list[str]:
    """A line for each picture that shows something else.

    Args:
        claimed: The page.
        measured: The page of a new measurement, with its pictures. Where one of the two has none, nothing is said.
    """
    said, true = _addresses(claimed), _addresses(measured)
    if len(said) != len(true):
        return [f"the page has {len(said)} pictures, measured {len(true)}"]
    return [
        f"picture {place} ({name}) shows something else than the photo that was measured"
        for place, ((name, one), (_, other)) in enumerate(zip(said, true, strict=True), 1)
        if is_jpeg(one) and is_jpeg(other) and not _alike(one, other)
    ]


def _addresses(page: str) -> list[tuple[str, str]]:
    reader = _Pictures()
    reader.feed(page)
    reader.close()
    return list(reader.found())


class _Pictures(HTMLParser):
    """What each ``img`` is called, and its address."""

    def __init__(self) -> None:
        super().__init__()
        self._images: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self._images.append({name: value or "" for name, value in reversed(attrs)})

    def found(self) -> Iterator[tuple[str, str]]:
        for one in self._images:
            yield one.get("alt", ""), one.get("src", NO_PICTURE)


def _alike(first: str, second: str) -> bool:
    if first == second:
        return True
    pictures = [
        Image.open(io.BytesIO(base64.b64decode(one.partition(",")[2]))).convert("RGB") for one in (first, second)
    ]
    if pictures[0].size != pictures[1].size:
        return False
    mine, other = (np.asarray(one, dtype=np.int16) for one in pictures)
    return float(np.abs(mine - other).mean()) <= _ALIKE
