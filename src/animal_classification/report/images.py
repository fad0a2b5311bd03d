"""The pictures of a page, as data URLs: photos, where the model looked, and training photos that are alike."""

from __future__ import annotations

import base64
import io
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from PIL import Image

from animal_classification.errors import AnimalsError, ImageError
from animal_classification.inference.cam import Explainer
from animal_classification.report.dataset.thumbnails import data_url, thumbnail

if TYPE_CHECKING:
    from animal_classification.evaluation.result import PhotoRow
    from animal_classification.report.report_inputs import Measurement

SIDE = 176
_SMALL = 64
# A grey square with a line through it: shown where a photo is not at hand.
NO_PICTURE = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='96' height='96'%3E%3Cpath "
    "fill='%23d5d9e0' d='M0 0h96v96H0z'/%3E%3Cpath stroke='%23fff' stroke-width='3' d='M0 96 96 0'/%3E%3C/svg%3E"
)


_JPEG = "data:image/jpeg;base64,"


def is_jpeg(address: str) -> bool:
    """Whether a data URL holds a JPEG that can be decoded, and nothing else by that name."""
    try:
        data = base64.b64decode(address.removeprefix(_JPEG), validate=True)
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as picture:
            picture.load()
    except (ValueError, OSError, Image.DecompressionBombError):
        return False
    return address.startswith(_JPEG)


class Pictures(Protocol):
    """Where a page's pictures come from."""

    def photo(self, row: PhotoRow) -> str:
        """The photo."""

    def heat(self, row: PhotoRow) -> str:
        """Where the model looked for the answer that it gave."""

    def training_photo(self, path: str) -> str:
        """A photo of the training data."""


class NoPictures:
    """None at all: what is needed where only numbers matter."""

    def photo(self, row: PhotoRow) -> str:
        return NO_PICTURE

    def heat(self, row: PhotoRow) -> str:
        return NO_PICTURE

    def training_photo(self, path: str) -> str:
        return NO_PICTURE


class PhotosAtHand:
    """Made from the photos that were measured, as far as they are there and can be read.

    A path that a bundle names is looked up among the source's photos and never opened by itself: a bundle may come from
    anybody.
    """

    def __init__(self, measurement: Measurement) -> None:
        self._files: dict[tuple[str, str | None], Path] = {}
        self._by_path: dict[str, Path] = {}
        manifest, bundle = measurement.manifest, measurement.bundle
        if manifest is not None:
            self._by_path = {row.path: manifest.file(row) for row in manifest}
            self._files = {(row.path, row.sha256): manifest.file(row) for row in manifest}
        self._files |= {(one.row.path, one.row.sha256): one.file for one in measurement.others.subjects}
        self._ids = {label.name: label.id for label in bundle.info.labels} if bundle is not None else {}
        self._explainer = None
        if bundle is not None:
            # An evaluation may come from a machine with other engines.
            measured_by = measurement.recipe.engine
            self._explainer = Explainer(bundle, engine=measured_by if find_spec(measured_by) is not None else "auto")
        self._made: dict[tuple[str, str], str] = {}

    def photo(self, row: PhotoRow) -> str:
        return self._thumbnail(self._files.get((row.path, row.sha256)), SIDE)

    def training_photo(self, path: str) -> str:
        return self._thumbnail(self._by_path.get(path), _SMALL)

    def heat(self, row: PhotoRow) -> str:
        file = self._files.get((row.path, row.sha256))
        label = self._ids.get(row.top[0].label) if row.top else None
        if file is None or self._explainer is None or label is None:
            return NO_PICTURE
        try:
            picture = Image.fromarray(self._explainer.heatmap(file, label))
        except ImageError:
            return NO_PICTURE
        except AnimalsError:  # a graph without a feature map: then there is none for any photo
            self._explainer = None
            return NO_PICTURE
        picture.thumbnail((SIDE, SIDE))
        return data_url(picture)

    def _thumbnail(self, file: Path | None, side: int) -> str:
        if file is None:
            return NO_PICTURE
        key = (str(file), str(side))
        if key not in self._made:
            self._made[key] = thumbnail(file, side) or NO_PICTURE
        return self._made[key]
