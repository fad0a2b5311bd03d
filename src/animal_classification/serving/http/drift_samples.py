"""Photos that a client sends to the drift API, as pixels or as embeddings, turned into a window."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from animal_classification.imaging.statistics import NAMES, photo_statistics
from animal_classification.monitoring.drift.sample import DriftWindow, PhotoSample
from animal_classification.serving.http.problem_details import ProblemError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from animal_classification.bundle import BundleInfo
    from animal_classification.serving.batching.inference_jobs import PhotoOutcome

FEWEST_PHOTOS, MOST_PHOTOS = 50, 500
MOST_NUMBERS = 16_384  # of one embedding
MAX_REST = 256 * 1024  # bytes of the JSON without the embeddings
_ROWS = re.compile(rb'"embeddings"\s*:\s*\[\s*')
_SEPARATOR = re.compile(rb"\s*,?\s*")
_ROW_BYTES = 32 * MOST_NUMBERS
Share = Annotated[float, Field(ge=0, le=1)]
Item = TypeVar("Item")
PerPhoto = Annotated[list[Item], Field(min_length=FEWEST_PHOTOS, max_length=MOST_PHOTOS)]


class DriftSampleIn(BaseModel):
    """Photos that the client has embedded; a value of each list for each photo, in the order of time."""

    model_config = ConfigDict(extra="forbid")

    embeddings: PerPhoto[list[float]] = Field(description="As the model's output `embedding` gives them.")
    known: PerPhoto[Share] = Field(description="What `unknown` is decided on.")
    pred: PerPhoto[str] = Field(description="Id of the most probable label.")
    probability: PerPhoto[Share] | None = Field(
        default=None, description="Of that label; without it, accuracy is not estimated."
    )
    stats: PerPhoto[Annotated[list[float], Field(min_length=len(NAMES), max_length=len(NAMES))]] | None = Field(
        default=None, description=f"Of each photo: {', '.join(NAMES)}."
    )
    source: PerPhoto[Annotated[str, Field(max_length=80)]] | None = Field(
        default=None, description="The camera or site of each photo."
    )


class _Rest(DriftSampleIn):
    """The same without the embeddings, which are read by themselves."""

    embeddings: None = None  # type: ignore[assignment]


def window_of_outcomes(outcomes: Sequence[Observed | None], labels: Sequence[str]) -> DriftWindow:
    """A window of photos; those that could not be read are left out, and counted as read."""
    found = [one for one in outcomes if one is not None]
    places = {name: place for place, name in enumerate(labels)}
    window = _window(
        np.stack([one.embedding for one in found]) if found else np.empty((0, 1), np.float32),
        np.stack([one.stats for one in found]) if found else np.empty((0, len(NAMES)), np.float32),
        [(places.get(one.label_id, -1), one.probability, one.known) for one in found],
        [""] * len(found),
    )
    return DriftWindow(sample=window.sample, ids=window.ids, time=window.time, read=len(outcomes))


class Observed:
    """What the monitor keeps of an outcome: computed on the thread that made it, so that pixels do not pile up."""

    __slots__ = ("embedding", "known", "label_id", "probability", "stats")

    def __init__(self, outcome: PhotoOutcome) -> None:
        prediction = outcome.result.prediction
        assert prediction is not None
        assert prediction.embedding is not None
        assert outcome.pixels is not None
        self.embedding = prediction.embedding
        self.stats = photo_statistics(outcome.pixels)
        self.label_id = prediction.label_id
        self.probability = prediction.probability
        self.known = prediction.known_score


def observed(outcome: PhotoOutcome) -> Observed | None:
    """``None`` for a photo that cannot be read."""
    return None if outcome.result.prediction is None else Observed(outcome)


def window_of_json(body: bytes | bytearray, info: BundleInfo, dimensions: int) -> tuple[DriftWindow, bool]:
    """A window from a JSON body, and whether it has probabilities.

    Args:
        body: The whole.
        info: Of the model that is asked about.
        dimensions: Of its embeddings.

    Raises:
        ProblemError: 422: it is no such JSON, or not of this model. No value of an embedding is repeated.
    """
    matrix, text = _without_embeddings(bytes(body), dimensions)
    try:
        rest = _Rest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise _invalid(f"{where}: {first['msg']}") from None
    count = len(matrix)
    for name in ("known", "pred", "probability", "stats", "source"):
        values: list[Any] | None = getattr(rest, name)
        if values is not None and len(values) != count:
            raise _invalid(f"{name} has {len(values)} values for {count} embeddings")
    places = {label.id: place for place, label in enumerate(info.labels)}
    stats = np.full((count, len(NAMES)), np.nan) if rest.stats is None else np.array(rest.stats)
    probability = rest.probability or [0.0] * count
    facts = [(places.get(name, -1), p, k) for name, p, k in zip(rest.pred, probability, rest.known, strict=True)]
    return _window(matrix, stats, facts, rest.source or [""] * count), rest.probability is not None


def _window(
    embedding: NDArray[Any], stats: NDArray[Any], facts: Sequence[tuple[int, float, float]], sources: Sequence[str]
) -> DriftWindow:
    count = len(facts)
    return DriftWindow(
        sample=PhotoSample(
            embedding=embedding,
            stats=stats,
            pred=np.array([fact[0] for fact in facts], np.int64),
            probability=np.array([fact[1] for fact in facts], np.float64),
            known=np.array([fact[2] for fact in facts], np.float64),
        ),
        ids=tuple(str(number) for number in range(count)),
        time=np.arange(count, dtype=np.float64),
        source=tuple(sources),
    )


def _without_embeddings(body: bytes, dimensions: int) -> tuple[NDArray[np.float32], bytes]:
    """The embeddings, and the JSON without them.

    They are parsed row by row: a parser of JSON holds the interpreter's lock until it is done, and some megabytes of
    numbers would hold up every answer.
    """
    begin = _ROWS.search(body)
    if begin is None:
        raise _invalid("embeddings: a list with a list of numbers for each photo is required")
    rows: list[NDArray[np.float32]] = []
    place = begin.end()
    while body[place : place + 1] == b"[":
        end = body.find(b"]", place, place + _ROW_BYTES) + 1
        if not end or len(rows) == MOST_PHOTOS:
            raise _invalid(f"embeddings: at most {MOST_PHOTOS} lists of at most {MOST_NUMBERS} numbers")
        rows.append(_row(body[place:end], len(rows), dimensions))
        place = _next(body, end)
    if body[place : place + 1] != b"]":
        raise _invalid("embeddings: a list with a list of numbers for each photo is required")
    if len(rows) < FEWEST_PHOTOS:
        raise ProblemError(
            422, f"{len(rows)} photos were sent, and it takes {FEWEST_PHOTOS} to judge drift", kind="too-few"
        )
    rest = body[: begin.start()] + b'"embeddings":null' + body[place + 1 :]
    if len(rest) > MAX_REST:
        raise _invalid(f"without the embeddings the body is larger than {MAX_REST} bytes")
    return np.stack(rows), rest


def _row(text: bytes, number: int, dimensions: int) -> NDArray[np.float32]:
    try:
        row = np.array(json.loads(text), np.float32)
    except (ValueError, TypeError, RecursionError, OverflowError):
        raise _invalid(f"embeddings.{number}: is not a list of numbers") from None
    if row.shape != (dimensions,) or not np.isfinite(row).all():
        raise _invalid(f"embeddings.{number}: this model's embeddings have {dimensions} numbers, all finite")
    return row


def _next(body: bytes, place: int) -> int:
    """Past blanks and one comma."""
    rest = _SEPARATOR.match(body, place)
    return rest.end() if rest else place


def _invalid(detail: str) -> ProblemError:
    return ProblemError(422, detail, kind="invalid-values")
