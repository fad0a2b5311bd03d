"""The backbone: a bundle whose embeddings are used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from animal_classification import imaging
from animal_classification.errors import ImageError

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle

_CHUNK = 8


class Backbone:
    """Gives embeddings of files; the engine starts when the first is wanted."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    @property
    def key(self) -> str:
        """What embeddings depend on besides the photo."""
        return self.bundle.sha256

    def embed(self, files: Sequence[Path], *, mirrored: bool = False) -> Iterable[NDArray[np.float32] | None]:
        """An embedding for each file, in order; ``None`` for one that cannot be used."""
        from animal_classification.inference.engine import available_cpus, create_engine
        from animal_classification.inference.stream import map_in_chunks

        engine = create_engine(self.bundle.model_path, outputs=("embedding",))

        def work(batch: Sequence[Path]) -> list[NDArray[np.float32] | None]:
            pixels = [_pixels(file, self.bundle.preprocess_spec) for file in batch]
            good = [picture[:, ::-1] if mirrored else picture for picture in pixels if picture is not None]
            found: Iterator[NDArray[np.float32]] = iter(engine.infer(np.stack(good))["embedding"] if good else ())
            return [None if picture is None else next(found) for picture in pixels]

        return map_in_chunks(work, files, workers=available_cpus(), chunk=_CHUNK)


def _pixels(file: Path, spec: imaging.PreprocessSpec) -> NDArray[np.uint8] | None:
    try:
        return imaging.preprocess(file, spec)
    except ImageError:
        return None
