"""A model that runs beside another one without answering, to find out how it would do.

It has a thread and a queue of its own: the thread gives way to everything else on the machine where the system lets it,
takes up a photo only while a core has nothing to answer, and what finds no room in the queue is dropped.
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

from animal_classification.serving.models.routing import fraction

if TYPE_CHECKING:
    from collections.abc import Callable

    from animal_classification.inference import Prediction
    from animal_classification.serving.batching.inference_jobs import PhotoOutcome
    from animal_classification.serving.http.uploads import UploadedPhoto
    from animal_classification.serving.models.loader import Loaded
    from animal_classification.serving.models.model_metrics import ModelMetrics

MAX_PHOTOS = 32
MAX_BYTES = 32 * 1024 * 1024
_LEAST_IMPORTANT = 19
_WAIT = 1.0


@dataclass(slots=True)
class ShadowComparison:
    """What has been seen of two models on the same photos, since one of them changed.

    Attributes:
        compared: Photos.
        agreed: Of these, how many both gave the same label, or both called unknown.
        difference: Sum over these of the shadow's probability less the other's, each of its own label.
        answer_seconds: Sum of the seconds that the other one took to decode and infer.
        shadow_seconds: Sum of the shadow's.
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
        """For people: means in place of sums."""
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
class _Answered:
    data: bytes
    prediction: Prediction
    seconds: float


class Shadow:
    """Compares a model with the one that answers.

    Args:
        name: Under which the other one answers.
        share: Of its answers, those that are compared.
        spare: Waits for so many seconds until a core has nothing to answer; whether one has.
        metrics: Where the comparison is counted.
    """

    def __init__(self, name: str, share: float, spare: Callable[[float], bool], metrics: ModelMetrics) -> None:
        self.name = name
        self.share = share
        self.loaded: Loaded | None = None
        self.comparison = ShadowComparison()
        self._spare = spare
        self._metrics = metrics
        self._waiting: deque[_Answered] = deque()
        self._bytes = 0
        self._beside = ""
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="animals-shadow", daemon=True)
        self._thread.start()

    def install(self, loaded: Loaded | None) -> None:
        """Compare with this model from now on; ``None`` for a pause."""
        with self._changed:
            self.loaded = loaded
            self._begin_again()

    def offer(self, photo: UploadedPhoto, outcome: PhotoOutcome, version: str) -> None:
        """A photo was answered by the other model, of some version. Takes no time."""
        prediction = outcome.result.prediction
        if self.loaded is None or prediction is None or outcome.seconds is None:
            return
        if fraction(photo.data, b"shadow") >= self.share:
            return
        with self._changed:
            if version != self._beside:
                self._beside = version
                self._begin_again()
            if len(self._waiting) >= MAX_PHOTOS or self._bytes + len(photo.data) > MAX_BYTES:
                self._drop()
                return
            self._waiting.append(_Answered(photo.data, prediction, outcome.seconds))
            self._bytes += len(photo.data)
            self._changed.notify()

    def close(self, timeout: float = 0.0) -> None:
        """Stop; the photo that is at work is waited for during ``timeout`` seconds."""
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

    def _begin_again(self) -> None:
        self.comparison = ShadowComparison()
        self._waiting.clear()
        self._bytes = 0

    def _drop(self) -> None:
        self.comparison.dropped += 1
        self._metrics.shadow_dropped(self.name)

    def _work(self) -> None:
        give_way()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or (self._waiting and self.loaded))
                if self._closed:
                    return
            if not self._spare(_WAIT):
                continue  # what waits makes way for what comes: the queue is bounded
            with self._changed:
                if not self._waiting or self.loaded is None:
                    continue
                answered, loaded, comparison = self._waiting.popleft(), self.loaded, self.comparison
                self._bytes -= len(answered.data)
            self._compare(answered, loaded, comparison)
            del answered, loaded  # or the thread would keep a model in memory that is not used any more

    def _compare(self, answered: _Answered, loaded: Loaded, comparison: ShadowComparison) -> None:
        started = time.perf_counter()
        try:
            (prediction,) = loaded.predictor.classify([loaded.predictor.prepare(answered.data)])
        except Exception:  # whatever it is, it must not touch what answers
            comparison.failed += 1
            self._metrics.shadow_failed(self.name)
            return
        seconds = time.perf_counter() - started
        agreed = _said(prediction) == _said(answered.prediction)
        difference = prediction.probability - answered.prediction.probability
        comparison.compared += 1
        comparison.agreed += agreed
        comparison.difference += difference
        comparison.answer_seconds += answered.seconds
        comparison.shadow_seconds += seconds
        self._metrics.shadow_compared(self.name, agreed, difference, answered.seconds, seconds)


def give_way() -> None:
    """Let this thread, and those that it starts, run only when nothing else wants to; where the system can."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LEAST_IMPORTANT)


def _said(prediction: Prediction) -> str | None:
    return None if prediction.unknown else prediction.label
