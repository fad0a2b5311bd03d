"""What a classifier answers: plain, frozen values without any array but the embedding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from animal_classification.errors import ImageAccessError, ImageError, ImageNotFoundError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Level = Literal["label", "group", "known", "unknown"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One label and how probable it is, in [0, 1]."""

    label: str
    label_id: str
    probability: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What to tell a person: the finest name that the model is sure enough of.

    Attributes:
        name: A label ("golden retriever"), a group ("dog"), "animal", or "not an animal"; "unknown" in place of the
            latter where the model knows its own classes only.
        level: Where ``name`` comes from; ``known`` is an animal that fits no group well enough.
        probability: Of ``name`` being right, in [0, 1].
    """

    name: str
    level: Level
    probability: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """All that is known about one photo.

    Attributes:
        label: Name of the most probable label, whether or not the photo is one of the labels at all.
        label_id: Its id.
        probability: Its probability in [0, 1], over labels and background classes.
        group: The most probable group of the coarsest level; ``None`` where the labels have no groups.
        group_probability: Sum of the probabilities of that group's labels.
        unknown: The photo is none of the labels.
        known_score: What ``unknown`` was decided on, in [0, 1]; higher means surer that the photo is one of the labels.
        set: Labels, the most probable first, that hold the truth at least as often as the bundle states; empty without
            such a calibration.
        top: The most probable labels, in descending order.
        answer: What to tell a person.
        background: The most probable background class where ``unknown``, such as "folding chair".
        embedding: float32 ``[D]``, on request.
        background_probability: Of ``background``, in [0, 1]; 0 where there is none.
        probabilities: float32 ``[C]`` over labels and background classes, on request.
    """

    label: str
    label_id: str
    probability: float
    group: str | None
    group_probability: float | None
    unknown: bool
    known_score: float
    set: tuple[str, ...]
    top: tuple[Candidate, ...]
    answer: Answer
    background: str | None = None
    embedding: NDArray[np.float32] | None = None
    background_probability: float = 0.0
    probabilities: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class FileResult:
    """The outcome for one file: exactly one of ``prediction`` and ``error`` is set.

    Attributes:
        path: As the caller named it.
        prediction: The answer.
        error: Why there is none, in one line without the file's name.
        reached: False when the file was gone or could not be read, so that nothing is known of what is in it.
    """

    path: str
    prediction: Prediction | None = None
    error: str | None = None
    reached: bool = True

    @classmethod
    def of(cls, name: str, answer: Prediction | ImageError) -> FileResult:
        """From what a stream gives."""
        if isinstance(answer, ImageError):
            reached = not isinstance(answer, (ImageNotFoundError, ImageAccessError))
            return cls(name, error=answer.reason, reached=reached)
        return cls(name, answer)
