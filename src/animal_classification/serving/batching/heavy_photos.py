"""Photos that take long to decode: they wait in a queue of their own, and are decoded beside this process.

One such photo takes a core about a second. Several at once would occupy all threads, and everybody else would wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from animal_classification.imaging.decoder_process import DecoderProcesses
from animal_classification.serving.batching.model_queue import Bounds, InferenceWorkers, ModelQueue, or_busy
from animal_classification.serving.http.problem_details import ProblemError
from animal_classification.serving.process.memory_plan import heavy_lanes

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from animal_classification.imaging import Limits
    from animal_classification.serving.batching.inference_jobs import InferenceJob, Predictor
    from animal_classification.settings import Settings


@dataclass(eq=False, slots=True)
class HeavyJob:
    """A heavy photo, and what answers it."""

    job: InferenceJob
    answer: Callable[[Sequence[InferenceJob]], None]

    @property
    def future(self) -> asyncio.Future[Any]:
        """Cancelled when nobody waits for the answer any more."""
        return self.job.future


class HeavyPhotos:
    """The queue of heavy photos, its threads, and a process that decodes for each of them.

    Args:
        settings: How many may wait, and how long; how many CPUs there are.
        limits: Bounds on photos, with the memory in which they are decoded.
        on_depth: Called when the number of photos that wait changes.

    Attributes:
        decoders: The processes.
    """

    def __init__(self, settings: Settings, limits: Limits, on_depth: Callable[[int], None]) -> None:
        lanes = heavy_lanes(settings, limits)
        bounds = Bounds(chunk=1, size=settings.queue_size, patience=settings.max_wait)
        self.decoders = DecoderProcesses(lanes)
        self._limits = limits
        self._workers = InferenceWorkers(threads=lanes, on_depth=on_depth)
        self._queue: ModelQueue[HeavyJob] = self._workers.lane(_answer, bounds)

    @property
    def depth(self) -> int:
        """How many wait."""
        return self._queue.depth

    def put(self, heavy: HeavyJob) -> None:
        """Let a photo wait for its turn; call it on the event loop."""
        if heavy.future.cancelled():
            return
        try:
            or_busy(partial(self._queue.put, [heavy]))
        except ProblemError as error:
            heavy.future.set_exception(error)

    def withdraw(self) -> None:
        """Free the places of photos that nobody waits for any more."""
        if self.depth:
            self._queue.withdraw()

    def decode(self, predictor: Predictor, photo: bytes) -> NDArray[np.uint8]:
        """What ``predictor.prepare`` gives; on a thread of the queue.

        Raises:
            ImageError: The photo cannot be used.
        """
        return self.decoders.crops(photo, predictor.bundle.preprocess_spec, self._limits)

    def close(self, timeout: float) -> None:
        """Drop the photos that wait, and give those in work ``timeout`` seconds."""
        self._workers.close(timeout)
        self.decoders.close()


def _answer(heavy: Sequence[HeavyJob]) -> None:
    for one in heavy:
        one.answer([one.job])
