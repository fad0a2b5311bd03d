"""Who answers under which name: one model, perhaps a canary that answers a share, and a shadow that answers nobody.

All of this happens on the event loop, so that a change is one step for every request.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from animal_classification.bundle import describe
from animal_classification.common.allocator import give_back_soon
from animal_classification.serving.http.problem_details import ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from animal_classification.bundle import BundleInfo
    from animal_classification.serving.batching.inference_jobs import InferenceJob, Predictor
    from animal_classification.serving.batching.model_queue import ModelQueue
    from animal_classification.serving.batching.response_cache import ResponseCache
    from animal_classification.serving.http.uploads import UploadedPhoto
    from animal_classification.serving.models.loader import LoadedModel
    from animal_classification.serving.models.shadow import Shadow
    from animal_classification.serving.observability.metrics import VersionMetrics

# Only so much of a photo's beginning and end decides who answers: hashing a whole one would hold up the event loop.
_PIECE = 32 * 1024


class ServedModel:
    """One version of a model with its own queue and its own remembered answers.

    A request holds one of these, so that all of its answers are of one version. When another version takes over, this
    one is released as soon as nobody holds it any more.

    Args:
        loaded: What answers.
        queue: Where its photos wait.
        cache: What it has answered lately.
        metrics: Where its answers are counted.
        canary: It answers a share of the requests for another model's name.

    All methods are called from one event loop.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        queue: ModelQueue[InferenceJob],
        cache: ResponseCache,
        metrics: VersionMetrics,
        *,
        canary: bool = False,
    ) -> None:
        self.loaded = loaded
        self.queue = queue
        self.cache = cache
        self.metrics = metrics
        self.canary = canary
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
    def description(self) -> dict[str, Any]:
        """What the bundle says of itself, for people."""
        return describe(self.predictor.bundle) if self.loaded.description is None else self.loaded.description

    @contextmanager
    def held(self) -> Iterator[ServedModel]:
        """Keep it from being released until the context ends."""
        self._holders += 1
        try:
            yield self
        finally:
            self._holders -= 1
            self._release_if_unused()

    def retire(self) -> None:
        """Release it when the requests that hold it now are answered."""
        self._retired = True
        self._release_if_unused()

    def _release_if_unused(self) -> None:
        if self._retired and not self._holders:
            self.queue.close()
            give_back_soon()


@dataclass(slots=True)
class ModelSlot:
    """What serves under one name.

    Attributes:
        current: Answers.
        canary: Answers ``canary_share`` of the requests, where there is one.
        canary_share: In (0, 1].
        shadow: Is compared with ``current`` on a share of its answers.
    """

    current: ServedModel
    canary: ServedModel | None = None
    canary_share: float = 0.0
    shadow: Shadow | None = None

    def answering(self) -> Iterator[ServedModel]:
        """Everything that answers."""
        yield self.current
        if self.canary is not None:
            yield self.canary

    def choose(self, photos: Sequence[UploadedPhoto]) -> ServedModel:
        """Who answers for these photos: always the same for the same first photo."""
        if self.canary is None or not photos or sample_point(photos[0].data, b"canary") >= self.canary_share:
            return self.current
        return self.canary


class ModelSlots:
    """All models of a server by name; the first one is the default."""

    def __init__(self) -> None:
        self._slots: dict[str, ModelSlot] = {}

    def __iter__(self) -> Iterator[tuple[str, ModelSlot]]:
        yield from self._slots.items()

    def install(self, name: str, model: ServedModel) -> None:
        """Let a model answer from now on; the one before is retired."""
        slot = self._slots.get(name)
        if slot is None:
            self._slots[name] = ModelSlot(model)
            return
        before, slot.current = slot.current, model
        before.retire()

    def install_canary(self, name: str, model: ServedModel | None, share: float) -> None:
        """Let a canary answer a share from now on, or none; the one before is retired."""
        slot = self._slots[name]
        before, slot.canary, slot.canary_share = slot.canary, model, share
        if before is not None:
            before.retire()

    def find(self, name: str | None = None) -> ModelSlot:
        """What serves under a name, or by default.

        Raises:
            ProblemError: 503 while nothing is installed; 404 where there is no such model.
        """
        if not self._slots:
            raise ProblemError(
                503, "the model is still loading; try again", kind="not-ready", headers={"Retry-After": "1"}
            )
        if name is None:
            return next(iter(self._slots.values()))
        if name not in self._slots:
            raise self._no_such_model(name)
        return self._slots[name]

    def version(self, name: str, version: str) -> ServedModel:
        """The model that answers with a version.

        Raises:
            ProblemError: 404 where none does.
        """
        found = next((model for model in self.find(name).answering() if model.info.version == version), None)
        if found is None:
            raise self._no_such_model(f"{name} {version}")
        return found

    def _no_such_model(self, requested: str) -> ProblemError:
        present = ", ".join(
            f"{name} {model.info.version}" for name, slot in self._slots.items() for model in slot.answering()
        )
        return ProblemError(404, f"no model {requested[:80]!r} here; there is: {present}", kind="no-such-model")


def sample_point(data: bytes, salt: bytes) -> float:
    """A number in [0, 1) that depends on a photo alone, spread evenly over photos.

    Args:
        data: The photo.
        salt: At most 16 bytes; each purpose has its own numbers.
    """
    digest = hashlib.blake2b(len(data).to_bytes(8, "little"), digest_size=7, salt=salt)
    digest.update(data[:_PIECE])
    digest.update(data[-_PIECE:])
    return int.from_bytes(digest.digest(), "little") / 2**56
