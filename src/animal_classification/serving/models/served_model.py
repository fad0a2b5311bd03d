"""A model that answers, and who still waits for it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from animal_classification.common.allocator import give_back_soon

if TYPE_CHECKING:
    from collections.abc import Iterator

    from animal_classification.bundle import BundleInfo
    from animal_classification.serving.batching.inference_jobs import InferenceJob, Predictor
    from animal_classification.serving.batching.model_queue import ModelQueue
    from animal_classification.serving.batching.response_cache import ResponseCache
    from animal_classification.serving.models.loader import Loaded
    from animal_classification.serving.models.model_metrics import VersionMetrics


class ServedModel:
    """One version of a model with its own queue and its own remembered answers.

    A request holds on to one of these, so that all of its answers are of one version. When another version takes over,
    it is let go as soon as nobody holds it any more.

    Args:
        loaded: What answers.
        lane: Where its photos wait.
        answers: What it has answered lately.
        counted: Where its answers are counted.

    All methods are called from one event loop.
    """

    def __init__(
        self, loaded: Loaded, lane: ModelQueue[InferenceJob], answers: ResponseCache, counted: VersionMetrics
    ) -> None:
        self.loaded = loaded
        self.lane = lane
        self.answers = answers
        self.counted = counted
        self._holders = 0
        self._retired = False

    @property
    def predictor(self) -> Predictor:
        """What answers."""
        return self.loaded.predictor

    @property
    def info(self) -> BundleInfo:
        """What the model says of itself; name and version are those under which it is served."""
        return self.predictor.info

    @property
    def sha256(self) -> str:
        """The bundle's identity."""
        return self.predictor.bundle.sha256

    @property
    def identity(self) -> tuple[str, str, str]:
        """Name, version and hash."""
        return self.info.name, self.info.version, self.sha256

    @property
    def facts(self) -> dict[str, Any]:
        """What people ask about it."""
        from animal_classification.bundle import describe

        return describe(self.predictor.bundle) if self.loaded.facts is None else self.loaded.facts

    @contextmanager
    def held(self) -> Iterator[ServedModel]:
        """Keep it from being let go until the context ends."""
        self._holders += 1
        try:
            yield self
        finally:
            self._holders -= 1
            self._let_go()

    def retire(self) -> None:
        """Nobody new will hold it."""
        self._retired = True
        self._let_go()

    def _let_go(self) -> None:
        if self._retired and not self._holders:
            self.lane.close()
            give_back_soon()
