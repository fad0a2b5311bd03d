"""A model that runs beside another one without answering, to find out how it would do.

It has a thread and a queue of its own. The thread runs at the lowest priority where the system allows that, and takes a
photo only while a core has nothing to answer; a photo that finds no room in the queue is dropped.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from animal_classification.serving.models.routing import sample_point

if TYPE_CHECKING:
    from collections.abc import Callable

    from animal_classification.inference import Prediction
    from animal_classification.serving.batching.inference_jobs import PhotoOutcome
    from animal_classification.serving.http.uploads import UploadedPhoto
    from animal_classification.serving.models.loader import LoadedModel
    from animal_classification.serving.observability.metrics import ModelMetrics

    # The answer's id, the name under which it was given, the shadow's version, and what the shadow says.
    OnCompared = Callable[[str, str, str, Prediction], None]

MAX_PHOTOS = 32
MAX_BYTES = 32 * 1024 * 1024
_LOWEST_PRIORITY = 19  # of POSIX's nice values
_WAIT = 1.0


@dataclass(slots=True)
class ShadowComparison:
    """How two models compare on the same photos, since one of them changed.

    Attributes:
        compared: Photos.
        agreed: Of these, those that both gave the same label, or both called unknown.
        difference: Sum of the shadow's probability minus the other's, each of its own label.
        answer_seconds: Sum of the seconds that the other model took to decode and infer.
        shadow_seconds: The same of the shadow.
        dropped: Photos for which there was no room, or no time.
        failed: Photos on which the shadow failed.
    """

    compared: int = 0
    agreed: int = 0
    difference: float = 0.0
    answer_seconds: float = 0.0
    shadow_seconds: float = 0.0
    dropped: int = 0
    failed: int = 0

    def as_object(self) -> dict[str, object]:
        """As JSON, with means in place of sums."""
        count = self.compared

        def mean(total: float) -> float | None:
            return round(total / count, 6) if count else None

        return {
            "compared": count,
            "agreement": mean(self.agreed),
            "confidence_difference": mean(self.difference),
            "answer_seconds": mean(self.answer_seconds),
            "shadow_seconds": mean(self.shadow_seconds),
            "dropped": self.dropped,
            "failed": self.failed,
        }


@dataclass(frozen=True, slots=True)
class _AnsweredPhoto:
    data: bytes
    prediction: Prediction
    seconds: float
    id: str


class Shadow:
    """Compares a model with the one that answers.

    Args:
        name: Under which the other model answers.
        share: Of its answers, how many are compared.
        wait_for_spare_core: Waits up to so many seconds until a core has nothing to answer; whether one has.
        metrics: Where the comparison is counted.
        on_compared: Gets each comparison, on the shadow's thread.
    """

    def __init__(
        self,
        name: str,
        share: float,
        wait_for_spare_core: Callable[[float], bool],
        metrics: ModelMetrics,
        on_compared: OnCompared | None = None,
    ) -> None:
        self.name = name
        self.share = share
        self.loaded: LoadedModel | None = None
        self.comparison = ShadowComparison()
        self._wait_for_spare_core = wait_for_spare_core
        self._metrics = metrics
        self._on_compared = on_compared
        self._waiting: deque[_AnsweredPhoto] = deque()
        self._bytes = 0
        self._answering_version = ""
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="animals-shadow", daemon=True)
        self._thread.start()

    def install(self, loaded: LoadedModel | None) -> None:
        """Compare with this model from now on; ``None`` for a pause."""
        with self._changed:
            self.loaded = loaded
            self._reset()

    def offer(self, photo: UploadedPhoto, outcome: PhotoOutcome, version: str) -> None:
        """Compare on a photo that a version of the other model has answered, if there is room. Returns at once."""
        prediction = outcome.result.prediction
        if self.loaded is None or prediction is None or outcome.seconds is None:
            return
        if sample_point(photo.data, b"shadow") >= self.share:
            return
        with self._changed:
            if version != self._answering_version:
                self._answering_version = version
                self._reset()
            if len(self._waiting) >= MAX_PHOTOS or self._bytes + len(photo.data) > MAX_BYTES:
                self._drop()
                return
            self._waiting.append(_AnsweredPhoto(photo.data, prediction, outcome.seconds, outcome.id))
            self._bytes += len(photo.data)
            self._changed.notify()

    def close(self, timeout: float = 0.0) -> None:
        """Stop, after waiting up to ``timeout`` seconds for the photo in work."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify()
        self._thread.join(timeout)

    def as_object(self) -> dict[str, object]:
        """For people."""
        info = self.loaded.predictor.info if self.loaded is not None else None
        shown = {"version": info.version if info else None, "share": self.share}
        return shown | self.comparison.as_object()

    def _reset(self) -> None:
        self.comparison = ShadowComparison()
        self._waiting.clear()
        self._bytes = 0

    def _drop(self) -> None:
        self.comparison.dropped += 1
        self._metrics.shadow_dropped(self.name)

    def _work(self) -> None:
        lower_priority()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or (self._waiting and self.loaded))
                if self._closed:
                    return
            if not self._wait_for_spare_core(_WAIT):
                continue
            with self._changed:
                if not self._waiting or self.loaded is None:
                    continue
                answered, loaded, comparison = self._waiting.popleft(), self.loaded, self.comparison
                self._bytes -= len(answered.data)
            self._compare(answered, loaded, comparison)
            del answered, loaded  # or the waiting thread would keep a model in memory that nobody uses any more

    def _compare(self, answered: _AnsweredPhoto, loaded: LoadedModel, comparison: ShadowComparison) -> None:
        started = time.perf_counter()
        try:
            (prediction,) = loaded.predictor.classify([loaded.predictor.prepare(answered.data)])
        except Exception:  # whatever it is, the model that answers must not notice
            comparison.failed += 1
            self._metrics.shadow_failed(self.name)
            return
        seconds = time.perf_counter() - started
        agreed = _answer_of(prediction) == _answer_of(answered.prediction)
        difference = prediction.probability - answered.prediction.probability
        comparison.compared += 1
        comparison.agreed += agreed
        comparison.difference += difference
        comparison.answer_seconds += answered.seconds
        comparison.shadow_seconds += seconds
        self._metrics.shadow_compared(self.name, agreed, difference, answered.seconds, seconds)
        if self._on_compared is not None:
            self._on_compared(answered.id, self.name, loaded.predictor.info.version, prediction)


def lower_priority() -> None:
    """Run this thread, and those that it starts, only while the cores have nothing else to do (on Linux)."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)


def _answer_of(prediction: Prediction) -> str | None:
    return None if prediction.unknown else prediction.label
