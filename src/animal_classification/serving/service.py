"""The one classifier that this process serves: installed when loaded, used off the event loop.

The HTTP routes and the page share it and its threads, so that together they never work on more photos than it has
threads for.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from animal_classification.errors import ImageError
from animal_classification.inference.results import FileResult
from animal_classification.serving.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from animal_classification.bundle import Bundle, BundleInfo
    from animal_classification.inference import Prediction
    from animal_classification.serving.uploads import Photo

Result = TypeVar("Result")


class Predictor(Protocol):
    """What the server needs of a classifier; :class:`animal_classification.Classifier` is one."""

    @property
    def bundle(self) -> Bundle: ...
    @property
    def info(self) -> BundleInfo: ...
    @property
    def engine(self) -> str: ...
    @property
    def threads(self) -> int: ...
    def predict(self, photos: bytes, *, top_k: int = 5) -> Prediction: ...
    def heatmap(self, photo: bytes, label_id: str | None = None) -> NDArray[np.uint8]: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one photo.

    Attributes:
        result: A prediction, or the reason why there is none, under the photo's file name.
        heatmap: uint8 ``[size, size, 3]``, where asked for.
    """

    result: FileResult
    heatmap: NDArray[np.uint8] | None = None


class Service:
    """Holds the classifier and the threads that use it."""

    def __init__(self) -> None:
        self._predictor: Predictor | None = None
        self._pool: ThreadPoolExecutor | None = None

    @property
    def ready(self) -> bool:
        """A classifier is installed."""
        return self._predictor is not None

    @property
    def predictor(self) -> Predictor:
        """The classifier.

        Raises:
            ProblemError: 503 while none is installed.
        """
        if self._predictor is None:
            raise ProblemError(
                503, "the model is still loading; try again", kind="not-ready", headers={"Retry-After": "1"}
            )
        return self._predictor

    def install(self, predictor: Predictor) -> None:
        """Start answering with ``predictor``."""
        self._pool = ThreadPoolExecutor(predictor.threads, thread_name_prefix="animals-serve")
        self._predictor = predictor

    def close(self) -> None:
        """Stop; photos that are not begun yet are dropped."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def identify(self, photos: Sequence[Photo], *, top_k: int = 5, heatmap: bool = False) -> list[Outcome]:
        """Answer for each photo, in order; one that cannot be used gets the reason and does not stop the others."""
        predictor = self.predictor
        jobs = (self.run(_identify, predictor, photo, top_k, heatmap) for photo in photos)
        return list(await asyncio.gather(*jobs))

    async def run(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Run ``work(*arguments)`` on one of the classifier's threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)


def warm_up(predictor: Predictor) -> None:
    """Answer once for a grey photo, so that the first visitor does not pay for what engines do on first use."""
    from io import BytesIO

    from PIL import Image

    grey = BytesIO()
    Image.new("RGB", (64, 64), (127, 127, 127)).save(grey, "JPEG")
    predictor.predict(grey.getvalue())


def _identify(predictor: Predictor, photo: Photo, top_k: int, heatmap: bool) -> Outcome:
    if photo.error is not None:
        return Outcome(FileResult(photo.name, error=photo.error))
    try:
        prediction = predictor.predict(photo.data, top_k=top_k)
        seen = predictor.heatmap(photo.data, prediction.label_id) if heatmap else None
    except ImageError as error:
        return Outcome(FileResult(photo.name, error=error.reason))
    return Outcome(FileResult(photo.name, prediction), seen)
