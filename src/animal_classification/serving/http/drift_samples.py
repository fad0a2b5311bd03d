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
MAX_REST = 256 * 1024  # bytes of the JSON without the embeddings
MOST = 65_504.0  # of a number: the log keeps them in half precision
_ROWS = re.compile(rb'"embeddings"\s*:\s*\[\s*')
_SEPARATOR = re.compile(rb"\s*,?\s*")
_BLANKS = 1024  # bytes between two embeddings
_NUMBER_BYTES = 32
_MOST_ERRORS = 100  # of which the first is told
_LONGEST_NAME = 100
Share = Annotated[float, Field(ge=0, le=1)]
Number = Annotated[float, Field(ge=-MOST, le=MOST)]
Item = TypeVar("Item")
PerPhoto = Annotated[list[Item], Field(min_length=FEWEST_PHOTOS, max_length=MOST_PHOTOS)]


class DriftSampleIn(BaseModel):
    """Photos that the client has embedded; a value of each list for each photo, in the order of time."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    embeddings: PerPhoto[list[Number]] = Field(description="As the model's output `embedding` gives them.")
    known: PerPhoto[Share] = Field(description="What `unknown` is decided on.")
    pred: PerPhoto[str] = Field(description="Id of the most probable label.")
    probability: PerPhoto[Share] | None = Field(
        default=None, description="Of that label; without it, accuracy is not estimated."
    )
    stats: PerPhoto[Annotated[list[Number], Field(min_length=len(NAMES), max_length=len(NAMES))]] | None = Field(
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


def most_bytes(dimensions: int) -> int:
    """Of a body with embeddings of so many numbers."""
    return MAX_REST + MOST_PHOTOS * _row_bytes(dimensions)


def window_of_json(body: bytearray, info: BundleInfo, dimensions: int) -> tuple[DriftWindow, bool]:
    """A window from a JSON body, and whether it has probabilities.

    Args:
        body: The whole.
        info: Of the model that is asked about.
        dimensions: Of its embeddings.

    Raises:
        ProblemError: 422: it is no such JSON, or not of this model. No value of an embedding is repeated.
    """
    matrix, text = _without_embeddings(body, dimensions)
    try:
        rest = _Rest.model_validate_json(text)
    except ValidationError as error:
        if error.error_count() > _MOST_ERRORS:  # to list them all would hold the interpreter up
            raise _invalid(f"{error.error_count()} values are wrong; see the API's description") from None
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part)[:_LONGEST_NAME] for part in first["loc"]) or "the body"
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


def _without_embeddings(body: bytearray, dimensions: int) -> tuple[NDArray[np.float32], bytes]:
    """The embeddings, and the JSON without them.

    They are parsed row by row: a parser of JSON holds the interpreter's lock until it is done, and some megabytes of
    numbers would hold up every answer. For the same reason nothing here looks through, or copies, the whole body.
    """
    begin = _ROWS.search(body, 0, MAX_REST)
    if begin is None:
        raise _invalid("embeddings: a list with a list of numbers for each photo is required")
    rows: list[NDArray[np.float32]] = []
    place = begin.end()
    while body[place : place + 1] == b"[":
        end = body.find(b"]", place, place + _row_bytes(dimensions)) + 1
        if not end or len(rows) == MOST_PHOTOS:
            raise _invalid(f"embeddings: at most {MOST_PHOTOS} lists, each of {dimensions} numbers")
        rows.append(_row(body[place:end], len(rows), dimensions))
        place = _next(body, end)
    if body[place : place + 1] != b"]":
        raise _invalid("embeddings: a list with a list of numbers for each photo is required")
    if len(rows) < FEWEST_PHOTOS:
        raise ProblemError(
            422, f"{len(rows)} photos were sent, and it takes {FEWEST_PHOTOS} to judge drift", kind="too-few"
        )
    if begin.start() + len(body) - place > MAX_REST:
        raise _invalid(f"without the embeddings the body is larger than {MAX_REST} bytes")
    return np.stack(rows), bytes(body[: begin.start()] + b'"embeddings":null' + body[place + 1 :])


def _row_bytes(dimensions: int) -> int:
    return _NUMBER_BYTES * (dimensions + 1)


def _row(text: bytearray, number: int, dimensions: int) -> NDArray[np.float32]:
    try:
        row = np.array(json.loads(text), np.float64)
    except (ValueError, TypeError, RecursionError, OverflowError):
        raise _invalid(f"embeddings.{number}: is not a list of numbers") from None
    if row.shape != (dimensions,) or not (np.abs(row) <= MOST).all():
        raise _invalid(f"embeddings.{number}: this model's embeddings have {dimensions} numbers, at most {MOST:,.0f}")
    return row.astype(np.float32)


def _next(body: bytearray, place: int) -> int:
    """Past blanks and one comma."""
    rest = _SEPARATOR.match(body, place, place + _BLANKS)
    return rest.end() if rest else place


def _invalid(detail: str) -> ProblemError:
    return ProblemError(422, detail, kind="invalid-values")
