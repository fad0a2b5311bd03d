"""A bundle's outputs for files: through the same engine and pixels as predictions, with logits and embeddings kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from animal_classification import imaging
from animal_classification.common.limits import available_cpus
from animal_classification.common.progress import Progress, silent
from animal_classification.errors import ImageError
from animal_classification.inference.classifier import CHUNK
from animal_classification.inference.engine import BATCH, Engine, start_engine
from animal_classification.inference.multi_crop import infer_photos
from animal_classification.inference.postprocess import Postprocessor
from animal_classification.inference.stream import map_in_chunks

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle

"""Called with how many photos are done, and of how many."""


@dataclass(frozen=True)
class Outputs:
    """What a model says of files.

    Attributes:
        positions: int64 ``[N]``: which of the files could be used, ascending.
        logits: float32 ``[N, C]``.
        embedding: float32 ``[N, D]``.
        brightness: float64 ``[N]``, mean of the central crop, 0 to 255.
        errors: Position of a file that could not be used, and why.
        engine: What ran the model.
    """

    positions: NDArray[np.int64]
    logits: NDArray[np.float32]
    embedding: NDArray[np.float32]
    brightness: NDArray[np.float64]
    errors: dict[int, str]
    engine: str


@dataclass(frozen=True)
class _One:
    logits: NDArray[np.float32] | None = None
    embedding: NDArray[np.float32] | None = None
    brightness: float = 0.0
    error: str = ""


def compute_outputs(
    bundle: Bundle,
    files: Sequence[Path],
    *,
    running: Engine | None = None,
    engine: str = "auto",
    threads: int | None = None,
    progress: Progress = silent,
) -> Outputs:
    """Send files through a model.

    Args:
        bundle: Its rules, and how pixels are made.
        files: Photos.
        running: An engine that is started already, on another file than the bundle's graph.
        engine: As for predictions.
        threads: CPUs to use; all by default.
        progress: Told how far it is.

    Raises:
        EngineError: It cannot be started, or fails.
    """
    count = threads or available_cpus()
    if running is None:
        running = start_engine(bundle, outputs=("logits", "embedding"), name=engine, threads=count)
    used = running
    spec, limits, decider = bundle.preprocess_spec, imaging.Limits.of_container(), Postprocessor.of(bundle)

    def work(batch: Sequence[Path]) -> list[_One]:
        photos: list[NDArray[np.uint8] | str] = []
        for file in batch:
            try:
                photos.append(imaging.crops(file, spec, limits=limits))
            except ImageError as error:
                photos.append(error.reason)
        good = [one for one in photos if not isinstance(one, str)]
        if not good:
            return [_One(error=str(one)) for one in photos]
        outputs = infer_photos(used, decider, good, size=BATCH)
        rows = iter(zip(outputs["logits"], outputs["embedding"], strict=True))
        return [
            _One(error=one) if isinstance(one, str) else _One(*next(rows), brightness=float(one[0].mean()))
            for one in photos
        ]

    found = []
    for one in map_in_chunks(work, files, workers=count, chunk=CHUNK):
        found.append(one)
        progress("measuring", len(found), len(files))
    return _gathered(found, bundle, used.name)


def _gathered(found: Sequence[_One], bundle: Bundle, engine: str) -> Outputs:
    positions = [index for index, one in enumerate(found) if not one.error]
    classes = len(bundle.info.labels) + len(bundle.info.background)
    good = [found[index] for index in positions]
    return Outputs(
        positions=np.array(positions, dtype=np.int64),
        logits=np.stack([one.logits for one in good if one.logits is not None])
        if good
        else np.empty((0, classes), np.float32),
        embedding=np.stack([one.embedding for one in good if one.embedding is not None])
        if good
        else np.empty((0, 0), np.float32),
        brightness=np.array([one.brightness for one in good]),
        errors={index: one.error for index, one in enumerate(found) if one.error},
        engine=engine,
    )
