"""One answer from several crops of a photo.

In a wide or tall photo the central square misses half (``imaging.geometry``). Its crops are judged one by one, and
their probabilities are averaged with the known scores as weights: a crop without an animal has hardly a say. How
familiar the photo is, and its embedding, are those of its most familiar crop. The result is a row of logits and of
embeddings like any other, so that whatever is decided on one crop (thresholds, sets, temperature) is decided on several
in the same way, by ``predict``, the server and ``evaluate`` alike. docs/predict.md has what was tried and measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from animal_classification.common.softmax import logsumexp
from animal_classification.inference.engine import Engine, infer_in_batches

# A probability of zero has no logarithm.
_LEAST = 1e-30

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animal_classification.inference.postprocess import Postprocessor


def infer_photos(
    engine: Engine, postprocessor: Postprocessor, photos: Sequence[NDArray[np.uint8]], *, size: int | None = None
) -> dict[str, NDArray[np.float32]]:
    """Infer photos of which each is one or several crops.

    Args:
        engine: With the outputs ``logits`` and ``embedding`` at least.
        postprocessor: Says how familiar a crop is.
        photos: For each its crops, uint8 ``[crops, size, size, 3]``, the central one first; at least one photo.
        size: Crops in each call of the engine; what is best for it by default.

    Returns:
        The engine's outputs, a row for each photo.
    """
    outputs = infer_in_batches(engine, np.concatenate(photos), size=size)
    counts = [len(crops) for crops in photos]
    return outputs if len(outputs["logits"]) == len(photos) else merged(postprocessor, outputs, counts)


def merged(
    postprocessor: Postprocessor, outputs: dict[str, NDArray[np.float32]], counts: Sequence[int]
) -> dict[str, NDArray[np.float32]]:
    """One row for each photo, from a row for each crop.

    Args:
        postprocessor: Says how familiar a crop is.
        outputs: The engine's, ``[crops, …]``, with ``logits`` and ``embedding``.
        counts: How many crops each photo has, in order.
    """
    ends = np.cumsum(counts)
    familiar = most_familiar(postprocessor.familiarity(outputs["logits"], outputs["embedding"]), counts)
    rows = {name: values[familiar] for name, values in outputs.items()}
    for photo, (end, count) in enumerate(zip(ends, counts, strict=True)):
        if count > 1:
            crops = slice(end - count, end)
            logits, embeddings = outputs["logits"][crops], outputs["embedding"][crops]
            rows["logits"][photo] = _mixture(postprocessor, logits, embeddings, outputs["logits"][familiar[photo]])
    return rows


def most_familiar(familiarity: NDArray[np.float64], counts: Sequence[int]) -> NDArray[np.int64]:
    """For each photo the position of the crop with the highest familiarity; the first among equals.

    >>> most_familiar(np.array([0.2, 0.1, 0.9, 0.4, 0.4]), [3, 2]).tolist()
    [2, 3]
    """
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    best = [
        int(start + familiarity[start : start + count].argmax()) for start, count in zip(starts, counts, strict=True)
    ]
    return np.array(best, dtype=np.int64)


def _mixture(
    postprocessor: Postprocessor,
    logits: NDArray[np.float32],
    embeddings: NDArray[np.float32],
    familiar: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Logits whose probabilities are the weighted mean of the crops', with the energy of the most familiar one."""
    probabilities = postprocessor.probabilities(logits)
    weights, _ = postprocessor.detect_unknown(logits, embeddings, probabilities)
    if not weights.sum() > 0:
        weights = np.ones(len(logits))
    mean = (weights / weights.sum()) @ probabilities
    energy = logsumexp(familiar.astype(np.float64) / postprocessor.temperature)
    logits_of_mean = postprocessor.temperature * (np.log(np.maximum(mean, _LEAST)) + energy)
    result: NDArray[np.float32] = logits_of_mean.astype(np.float32)
    return result
