"""Several crops of one photo, and the one that answers for it.

In a wide or tall photo the central square misses half (``imaging.geometry``). Its crops are judged one by one, and the
one that looks most like one of the labels answers for the photo, with its logits and its embedding, so that everything
that is decided on one crop (thresholds, sets, temperature) holds on. docs/predict.md has what was tried and measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from animal_classification.inference.engine import Engine, infer_in_batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animal_classification.inference.decide import Decider


def infer_photos(
    engine: Engine, decider: Decider, photos: Sequence[NDArray[np.uint8]], *, size: int
) -> dict[str, NDArray[np.float32]]:
    """Infer photos of which each is one or several crops.

    Args:
        engine: With the outputs ``logits`` and ``embedding`` at least.
        decider: Says which crop answers.
        photos: For each its crops, uint8 ``[crops, size, size, 3]``, the central one first; at least one photo.
        size: Crops in each call of the engine.

    Returns:
        The engine's outputs, a row for each photo.
    """
    outputs = infer_in_batches(engine, np.concatenate(photos), size=size)
    counts = [len(crops) for crops in photos]
    if len(outputs["logits"]) == len(photos):
        return outputs
    chosen = answering_crops(decider.familiarity(outputs["logits"], outputs["embedding"]), counts)
    return {name: values[chosen] for name, values in outputs.items()}


def answering_crops(familiarity: NDArray[np.float64], counts: Sequence[int]) -> NDArray[np.int64]:
    """For each photo the position of the crop with the highest familiarity; the first among equals.

    >>> answering_crops(np.array([0.2, 0.1, 0.9, 0.4, 0.4]), [3, 2]).tolist()
    [2, 3]
    """
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    best = [
        start + int(familiarity[start : start + count].argmax()) for start, count in zip(starts, counts, strict=True)
    ]
    return np.array(best, dtype=np.int64)
