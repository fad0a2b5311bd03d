"""A bundle's outputs for files: through the same engine and pixels as predictions, with logits and embeddings kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from animal_classification import imaging
from animal_classification.common.limits import available_cpus
from animal_classification.common.progress import Progress, silent
from animal_classification.errors import ImageError
from animal_classification.inference.engine import Engine, start_engine
from animal_classification.inference.multi_crop import infer_photos
from animal_classification.inference.postprocess import Postprocessor
from animal_classification.inference.stream import Stream, decode_crops, files_as_items

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


_Row = tuple[NDArray[np.float32], NDArray[np.float32], float]  # logits, embedding, brightness


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
    used, decider = running, Postprocessor.of(bundle)
    decode = partial(decode_crops, spec=bundle.preprocess_spec, limits=imaging.Limits.of_container())

    def infer(photos: Sequence[NDArray[np.uint8]]) -> list[_Row]:
        outputs = infer_photos(used, decider, photos)
        brightness = [float(crops[0].mean()) for crops in photos]
        return list(zip(outputs["logits"], outputs["embedding"], brightness, strict=True))

    results = Stream(decode, infer).run(
        files_as_items(files), threads=count, progress=lambda done: progress("measuring", done, len(files))
    )
    return _gathered([found for _, found in results], bundle, used.name)


def _gathered(found: Sequence[_Row | ImageError], bundle: Bundle, engine: str) -> Outputs:
    rows = {index: one for index, one in enumerate(found) if not isinstance(one, ImageError)}
    classes = len(bundle.info.labels) + len(bundle.info.background)
    good = list(rows.values())
    return Outputs(
        positions=np.array(list(rows), dtype=np.int64),
        logits=np.stack([logits for logits, _, _ in good]) if good else np.empty((0, classes), np.float32),
        embedding=np.stack([embedding for _, embedding, _ in good]) if good else np.empty((0, 0), np.float32),
        brightness=np.array([brightness for _, _, brightness in good]),
        errors={index: one.reason for index, one in enumerate(found) if isinstance(one, ImageError)},
        engine=engine,
    )
