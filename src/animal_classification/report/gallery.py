"""Photos worth a look, with what the model says of them, where it looked, and what it learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from PIL import Image

from animal_classification.errors import AnimalsError, ImageError
from animal_classification.evaluation.result import Evaluation, NotablePhotos, PhotoRow
from animal_classification.inference.cam import Explainer
from animal_classification.report.numbers import decimal, percent
from animal_classification.report.pictures import NO_PICTURE, data_url, thumbnail

if TYPE_CHECKING:
    from animal_classification.report.report_inputs import Measurement

_SIDE, _SMALL_SIDE = 176, 64
_TYPICAL_CLASSES = 48
_MISTAKES, _OTHERS = 12, 6


class Pictures(Protocol):
    """Where a page's pictures come from."""

    def photo(self, row: PhotoRow) -> str:
        """The photo."""

    def heat(self, row: PhotoRow) -> str:
        """Where the model looked for the answer that it gave."""

    def training_photo(self, path: str) -> str:
        """A photo of the training data."""


class NoPictures:
    """A grey square for each: enough where only words and numbers matter."""

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
            measured_by = measurement.inputs.engine
            self._explainer = Explainer(bundle, engine=measured_by if find_spec(measured_by) is not None else "auto")
        self._made: dict[tuple[str, int], str] = {}

    def photo(self, row: PhotoRow) -> str:
        return self._thumbnail(self._files.get((row.path, row.sha256)), _SIDE)

    def training_photo(self, path: str) -> str:
        return self._thumbnail(self._by_path.get(path), _SMALL_SIDE)

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
        picture.thumbnail((_SIDE, _SIDE))
        return data_url(picture)

    def _thumbnail(self, file: Path | None, side: int) -> str:
        if file is None:
            return NO_PICTURE
        key = (str(file), side)
        if key not in self._made:
            self._made[key] = thumbnail(file, side) or NO_PICTURE
        return self._made[key]


@dataclass(frozen=True)
class SimilarTrainingPhoto:
    """A training photo that is like a photo; ``similarity`` is at most 1."""

    picture: str
    path: str
    label: str
    similarity: str


@dataclass(frozen=True)
class Example:
    """A photo: what it shows, what the model says, where it looked (empty in a gallery without heatmaps)."""

    picture: str
    heat: str
    path: str
    says: str
    kind: str
    nearest: Sequence[SimilarTrainingPhoto]


@dataclass(frozen=True)
class Gallery:
    """Photos that belong together."""

    title: str
    explains: str
    examples: Sequence[Example]
    small: bool = False


def only_shown(result: Evaluation) -> Evaluation:
    """The same evaluation with no photos but those that the galleries show."""
    chosen = result.examples
    lists = {
        "confident_mistakes": chosen.confident_mistakes[:_MISTAKES],
        "uncertain": chosen.uncertain[:_OTHERS],
        "unknown_accepted": chosen.unknown_accepted[:_OTHERS],
        "known_refused": chosen.known_refused[:_OTHERS],
    }
    typical = [(name, places[0]) for name, places in chosen.typical.items() if places][:_TYPICAL_CLASSES]
    kept = sorted({*(place for places in lists.values() for place in places), *(place for _, place in typical)})
    new = {place: number for number, place in enumerate(kept)}
    examples = NotablePhotos(
        typical={name: [new[place]] for name, place in typical},
        **{name: [new[place] for place in places] for name, places in lists.items()},
    )
    return result.model_copy(update={"examples": examples, "photos": [result.photos[place] for place in kept]})


def galleries(result: Evaluation, pictures: Pictures) -> list[Gallery]:
    """All photos that ``result`` names as examples, the worst first; a gallery without a photo is left out."""
    chosen = result.examples

    def several(places: Sequence[int]) -> list[Example]:
        return [_example(result.photos[place], pictures) for place in places]

    found = [
        Gallery(
            "Most confident mistakes",
            "The model's worst errors, or photos with a wrong label.",
            several(chosen.confident_mistakes),
        ),
        Gallery("Least sure", "Right or wrong: where a person should look at the answer.", several(chosen.uncertain)),
        Gallery(
            "Other photos that were taken for one of its animals",
            "They should have been called unknown.",
            several(chosen.unknown_accepted),
        ),
        Gallery(
            "Own animals that were called unknown",
            "They should not have been.",
            several(chosen.known_refused),
        ),
        Gallery(
            "Most typical",
            "One photo of each class, of those named rightly the one nearest to the middle of the class.",
            [_typical(result.photos[place], pictures) for places in chosen.typical.values() for place in places],
            small=True,
        ),
    ]
    return [gallery for gallery in found if gallery.examples]


def _typical(row: PhotoRow, pictures: Pictures) -> Example:
    says = _refused(row, f"{row.truth} ({percent(row.probability or 0.0)})")
    return Example(picture=pictures.photo(row), heat="", path=row.path, says=says, kind="right", nearest=())


def _example(row: PhotoRow, pictures: Pictures) -> Example:
    sure = percent(row.probability or 0.0)
    if row.correct:
        says = f"{row.truth}, rightly ({sure})"
    elif row.correct is None:
        says = f"taken for {row.answer} ({sure})"
    else:
        says = f"{row.truth}, taken for {row.answer} ({sure})"
        if row.p_truth is not None:
            says = f"{says}; gives {percent(row.p_truth)} to {row.truth}"
    return Example(
        picture=pictures.photo(row),
        heat=pictures.heat(row),
        path=row.path,
        says=_refused(row, says),
        kind="right" if row.correct else "wrong",
        nearest=[
            SimilarTrainingPhoto(pictures.training_photo(one.path), one.path, one.label, decimal(one.similarity, 2))
            for one in row.nearest
        ],
    )


def _refused(row: PhotoRow, says: str) -> str:
    return f"{says}, but called unknown" if row.correct is not None and row.unknown else says
