"""What a model does before its first visitor: answer once, and find out how many photos to infer at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from animal_classification.inference import Prediction
    from animal_classification.serving.batching.inference_jobs import Predictor

# The sizes tried. A batch makes its first photo wait for its last, so it may take only this share of what one photo
# after the other takes.
WORTH_IT = {1: 1.0, 2: 0.98, 4: 0.9}
LARGEST_BATCH = max(WORTH_IT)


def warm_up(predictor: Predictor) -> Prediction:
    """Answer once for a grey photo, so that the first visitor does not pay for what engines do on first use."""
    (prediction,) = predictor.classify(_grey(predictor))
    return prediction


def warm_all(predictor: Predictor, batch: int) -> None:
    """Answer for as many photos as may come at once, on every thread that the engine has: it makes its buffers then."""
    from concurrent.futures import ThreadPoolExecutor

    many = _grey(predictor) * batch
    with ThreadPoolExecutor(predictor.threads) as pool:
        for size in range(batch, 0, -1):
            list(pool.map(lambda _, size=size: predictor.classify(many[:size]), range(predictor.threads)))


def fastest_batch(predictor: Predictor, *, tries: int = 3, clock: Callable[[], float] = time.perf_counter) -> int:
    """How many photos to infer at once on this machine: more than one where that is faster by what it must win.

    Whether it is depends on the caches, and on who else uses them. Takes a tenth of a second or two.
    """
    many = _grey(predictor) * LARGEST_BATCH
    best = dict.fromkeys(WORTH_IT, float("inf"))
    for _ in range(tries):  # side by side, and the best of each, because others may take the cores meanwhile
        for size in best:
            started = clock()
            for _ in range(LARGEST_BATCH // size):
                predictor.classify(many[:size])
            best[size] = min(best[size], clock() - started)
    return min(best, key=lambda size: best[size] / WORTH_IT[size])


def _grey(predictor: Predictor) -> list[NDArray[np.uint8]]:
    """A grey photo, prepared."""
    from io import BytesIO

    from PIL import Image

    grey = BytesIO()
    Image.new("RGB", (64, 64), (127, 127, 127)).save(grey, "JPEG")
    return [predictor.prepare(grey.getvalue())]
