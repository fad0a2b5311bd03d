"""The backbone: a bundle whose embeddings are used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from animal_classification import imaging
from animal_classification.bundle import Preprocess
from animal_classification.bundle import load as load_bundle
from animal_classification.errors import BundleInvalidError, ImageError
from animal_classification.registry import resolve_model, tracking_uri
from animal_classification.training.probe.opinions import Head

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle
    from animal_classification.config.schema import Config
    from animal_classification.inference.engine import Engine

_CHUNK = 8
_MIRRORED = " mirrored"
# Animals stand at the border as well: a wider crop than the backbone was trained with (docs/train.md).
CROP = 0.95


class Backbone:
    """Gives embeddings; the engine starts when the first is wanted."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        crop = max(CROP, bundle.info.preprocess.crop_pct)
        self.preprocess = Preprocess(**{**bundle.info.preprocess.model_dump(), "crop_pct": crop})
        self._starting = Lock()

    @classmethod
    def of(cls, config: Config) -> Backbone:
        """The bundle that a configuration names, verified.

        Raises:
            BundleError: It is missing, damaged or too new.
        """
        uri = tracking_uri(config.tracking.uri, output=config.output)
        return cls(load_bundle(resolve_model(config.backbone.bundle, uri=uri)))

    @property
    def spec(self) -> imaging.PreprocessSpec:
        """What it wants to see."""
        return imaging.PreprocessSpec(**self.preprocess.model_dump())

    @property
    def key(self) -> str:
        """What embeddings depend on besides the photo."""
        spec = self.preprocess
        return f"{self.bundle.sha256} {spec.size} {spec.crop_pct} {spec.interpolation}"

    @property
    def mirrored_key(self) -> str:
        """The same for mirrored photos."""
        return self.key + _MIRRORED

    def head(self) -> Head | None:
        """What it knows already: logits of its own classes; ``None`` where they are not linear in the embedding."""
        try:
            weight, bias = self.bundle.head()
        except BundleInvalidError:
            return None
        return Head(weight.astype(np.float64), bias.astype(np.float64))

    def infer(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeddings ``[N, D]`` of what ``spec`` asks for, uint8 ``[N, H, W, 3]``; from several threads at once."""
        with self._starting:
            engine = self._engine
        return engine.infer(pixels)["embedding"]

    @cached_property
    def _engine(self) -> Engine:
        from animal_classification.inference.engine import create_engine

        return create_engine(self.bundle.model_path, outputs=("embedding",))

    def embed(self, files: Sequence[Path], *, mirrored: bool = False) -> Iterable[NDArray[np.float32] | None]:
        """An embedding for each file, in order; ``None`` for one that cannot be used."""
        from animal_classification.inference.engine import available_cpus
        from animal_classification.inference.stream import map_in_chunks

        def work(batch: Sequence[Path]) -> list[NDArray[np.float32] | None]:
            pixels = [_pixels(file, self.spec) for file in batch]
            good = [picture[:, ::-1] if mirrored else picture for picture in pixels if picture is not None]
            found: Iterator[NDArray[np.float32]] = iter(self.infer(np.stack(good)) if good else ())
            return [None if picture is None else next(found) for picture in pixels]

        return map_in_chunks(work, files, workers=available_cpus(), chunk=_CHUNK)


def _pixels(file: Path, spec: imaging.PreprocessSpec) -> NDArray[np.uint8] | None:
    try:
        return imaging.preprocess(file, spec)
    except ImageError:
        return None
