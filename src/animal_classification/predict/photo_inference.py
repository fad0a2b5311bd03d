"""Photos through a model, in order: as a whole, or with boxes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

from animal_classification.common.parallel import Executor
from animal_classification.data.discovery import FoundPhoto
from animal_classification.detection.scene import Scene
from animal_classification.detection.scene_classifier import SceneClassifier
from animal_classification.field.camera_clock import TimeRules
from animal_classification.field.photo_facts import photo_facts, read_photo_facts
from animal_classification.inference.classifier import Classifier
from animal_classification.inference.results import FileResult
from animal_classification.inference.stream import Item
from animal_classification.predict.evidence import to_record
from animal_classification.predict.journal import FileState, file_state


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoItem(Item):
    """A photo on its way through the model.

    Attributes:
        path: Where it is.
        state: Of the file before it was read.
        fetch: Brings it, where a path alone does not.
        facts: In a field run, when and where it was taken; known when the photo has been read.
        times: In a field run, which times count.
    """

    path: str
    state: FileState | None = None
    fetch: Callable[[], bytes | str] | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    times: TimeRules | None = None

    @classmethod
    def of(cls, photo: FoundPhoto, times: TimeRules | None = None) -> PhotoItem:
        """What is at that place now."""
        state = None if photo.fetch else file_state(photo.path)
        return cls(name=photo.name, source=photo.path, path=photo.path, state=state, fetch=photo.fetch, times=times)

    def ready(self) -> Self:
        """The photo itself, and what it says of its time and place."""
        source: bytes | str = b""
        try:
            source = self.fetch() if self.fetch else self.path
        finally:  # one that cannot be had still has a name
            if self.times is not None:
                self.facts.update(_facts(source, self.name, self.times))
        return replace(self, source=source, fetch=None)


InferredPhoto = tuple[PhotoItem, FileResult, dict[str, Any] | None]
"""A photo, its result, and in a field run its evidence."""


class PhotoInference(Protocol):
    """A way to infer photos."""

    def infer(
        self,
        photos: Iterable[FoundPhoto],
        *,
        top_k: int,
        stopped: Callable[[], bool],
        executor: Executor | None,
    ) -> Generator[InferredPhoto, None, None]:
        """Every photo, in order."""
        ...


@dataclass(frozen=True)
class WholePhotos:
    """Each photo as a whole: what ``animals predict`` does unless it is asked for more."""

    classifier: Classifier
    embeddings: bool = False

    def infer(
        self,
        photos: Iterable[FoundPhoto],
        *,
        top_k: int,
        stopped: Callable[[], bool],
        executor: Executor | None,
    ) -> Generator[InferredPhoto, None, None]:
        items = map(PhotoItem.of, photos)
        answers = self.classifier.predict_items(
            items, top_k=top_k, embedding=self.embeddings, stopped=stopped, executor=executor
        )
        with closing(answers):
            for item, answer in answers:
                yield item, FileResult.of(item.name, answer), None


@dataclass(frozen=True)
class FieldPhotos:
    """Each photo with the animals in it, and with what its file says of time and place.

    Attributes:
        scenes: Finds and names.
        times: Which times count.
    """

    scenes: SceneClassifier
    times: TimeRules

    def infer(
        self,
        photos: Iterable[FoundPhoto],
        *,
        top_k: int,
        stopped: Callable[[], bool],
        executor: Executor | None,
    ) -> Generator[InferredPhoto, None, None]:
        labels = len(self.scenes.classifier.info.labels)
        items = (PhotoItem.of(photo, self.times) for photo in photos)
        answers = self.scenes.look_items(items, top_k=top_k, stopped=stopped, executor=executor)
        with closing(answers):
            for item, seen in answers:
                if not isinstance(seen, Scene):
                    yield item, FileResult.of(item.name, seen), to_record(None, item.facts, labels)
                    continue
                best = seen.strongest(self.scenes.threshold)
                prediction = best.prediction if best else seen.whole
                yield item, FileResult(item.name, prediction), to_record(seen, item.facts, labels)


def _facts(source: bytes | str, name: str, times: TimeRules) -> dict[str, Any]:
    if isinstance(source, str):
        return read_photo_facts(source, name, times).to_record()
    return photo_facts(source, name, times).to_record()
