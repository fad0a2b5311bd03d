"""The routes of the review: what is worth a person's look, and what people say of it. Nothing here names animals."""

# Imported where it is used: the status loads SQLAlchemy and Alembic.

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from animal_classification.errors import ImageError
from animal_classification.imaging.file_type import Format, identify
from animal_classification.prediction_log import feedback as store
from animal_classification.prediction_log.corrections import NO_ANIMAL, as_csv, cells, confirmed, training_label
from animal_classification.prediction_log.database_errors import LogDatabaseError, RefusedRowError
from animal_classification.serving.http.feedback_schemas import (
    ID_LENGTH,
    FeedbackIn,
    FeedbackOut,
    FeedbackRecord,
    LabelEntry,
    Labels,
    Page,
)
from animal_classification.serving.http.label_names import known_label, model_named, new_name
from animal_classification.serving.http.problem_details import ProblemError, documented
from animal_classification.serving.http.review_pages import (
    QUEUES,
    Beside,
    Queue,
    known_fields,
    open_page,
    reviewed_page,
)
from animal_classification.serving.middleware.auth import key_of
from animal_classification.serving.middleware.route_scopes import ADMIN, FEEDBACK, ScopedRoute, requires

if TYPE_CHECKING:
    from collections.abc import Callable

    from animal_classification.serving.observability.prediction_logging import PredictionLogger
    from animal_classification.serving.service import ModelService

Result = TypeVar("Result")
# A prediction of another worker is in the database after half a second, and its reader may be quicker than that.
TRIES, PAUSE = 4, 0.3
SHOWN_BY_BROWSERS = frozenset({Format.JPEG, Format.PNG, Format.GIF, Format.WEBP, Format.AVIF, Format.BMP})
PICTURE: dict[str, Any] = {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}
TABLE: dict[str, Any] = {"content": {"text/csv": {"schema": {"type": "string"}}}}
SINCE = r"^[1-9][0-9]{0,3}[mhdw]$"
OFF = "this server keeps no predictions: start it with --prediction-log"


def make_router(service: ModelService, predictions: PredictionLogger) -> APIRouter:
    """The routes over ``predictions``."""
    router = APIRouter(tags=["feedback"], route_class=ScopedRoute)
    _add_words(router, service, predictions)
    _add_review(router, service, predictions)
    _add_review_files(router, service, predictions)
    _add_monitor(router, predictions)
    return router


def make_router_without() -> APIRouter:
    """The same paths where no predictions are kept; each says so."""
    router = APIRouter(include_in_schema=False, route_class=ScopedRoute)

    @router.api_route("/v1/feedback", methods=["GET", "POST", "DELETE"])
    @router.api_route("/v1/feedback/{rest:path}", methods=["GET", "POST", "DELETE"])
    @router.api_route("/v1/review", methods=["GET"])
    @router.api_route("/v1/review/{rest:path}", methods=["GET"])
    @requires(FEEDBACK)
    async def off(rest: str = "") -> Response:
        raise ProblemError(404, OFF, kind="no-prediction-log")

    @router.get("/v1/monitor")
    @requires(ADMIN)
    async def off_as_well() -> Response:
        raise ProblemError(404, OFF, kind="no-prediction-log")

    return router


def _add_words(router: APIRouter, service: ModelService, predictions: PredictionLogger) -> None:
    @router.post(
        "/v1/feedback",
        status_code=201,
        response_model=FeedbackOut,
        responses=documented(400, 401, 403, 404, 422, 429, 503),
    )
    @requires(FEEDBACK)
    async def say(request: Request, word: FeedbackIn) -> JSONResponse:
        """Confirm or correct a prediction. Every word is kept, and the last one counts."""
        found = await _found(predictions, word.id)
        name, identity = await _meant(service, predictions, found, word)
        kept = store.Feedback(
            prediction=found["id"],
            verdict=word.verdict,
            label=name,
            label_id=identity,
            note=word.note or None,
            who=key.name if (key := key_of(request.scope)) else word.who,
        )
        said = await ask_database(predictions, lambda: store.add(predictions.log.database(), kept))
        if said is None:
            raise _no_such_prediction()
        return _json(
            FeedbackOut(
                id=word.id, said=FeedbackRecord(**known_fields(said)), stands=FeedbackRecord(**known_fields(said))
            ),
            status=201,
        )

    @router.delete(
        "/v1/feedback/{number}", response_model=FeedbackOut, responses=documented(401, 403, 404, 422, 429, 503)
    )
    @requires(FEEDBACK)
    async def undo(request: Request, number: int) -> JSONResponse:
        """Take a word back; the one before it, if there is one, stands again. A key takes back its own words only."""
        key = key_of(request.scope)
        own = None if key is None or key.allows(ADMIN) else key.name
        said = (
            await ask_database(predictions, lambda: store.undo(predictions.log.database(), number, own))
            if 0 < number < 2**63
            else None
        )
        if said is None:
            raise ProblemError(404, "there is no feedback of that number", kind="no-such-feedback")
        if said["undone"] is None:
            raise ProblemError(403, "this is not a word of this key's: only an admin may undo it", kind="not-yours")
        identity = said["prediction"]
        found = await ask_database(predictions, lambda: store.prediction(predictions.log.database(), identity))
        stands = found and found["feedback"]
        return _json(
            FeedbackOut(
                id=identity,
                said=FeedbackRecord(**known_fields(said)),
                stands=FeedbackRecord(**known_fields(stands)) if stands else None,
            )
        )


def _add_monitor(router: APIRouter, predictions: PredictionLogger) -> None:
    @router.get(
        "/v1/monitor", tags=["monitor"], response_model=dict[str, Any], responses=documented(401, 403, 422, 429, 503)
    )
    @requires(ADMIN)
    async def monitor(
        since: Annotated[str, Query(pattern=SINCE, description="How far to look back: 30m, 24h, 7d, 4w.")] = "24h",
    ) -> JSONResponse:
        """What the log says of the model in use; as `animals monitor status --json`."""
        from animal_classification.monitoring.status import seconds_of, status

        seconds, place = seconds_of(since), predictions.log.place
        found = await ask_database(predictions, lambda: status(predictions.log.database(), place, seconds))
        # Where a database is, is nobody's business.
        shown = {name: value for name, value in found.items() if name != "database"}
        return JSONResponse(shown, headers={"Cache-Control": "no-store"})


def _add_review(router: APIRouter, service: ModelService, predictions: PredictionLogger) -> None:
    @router.get("/v1/review", response_model=Page, responses=documented(401, 403, 404, 422, 429, 503))
    @requires(FEEDBACK)
    async def review(
        state: Annotated[Literal["open", "done"], Query(description="Without or with a word on them.")] = "open",
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        after: Annotated[str | None, Query(max_length=ID_LENGTH, description="The `next` of the page before.")] = None,
        queue: Annotated[Queue, Query(description=QUEUES)] = "doubt",
        model: Annotated[str | None, Query(max_length=200, description="For `disagree`: beside which model.")] = None,
    ) -> JSONResponse:
        """Predictions for a person to look at, class by class, or what was said last.

        A photo is asked about once, by its last answer; the samples of the page are not asked about.
        """
        beside = Beside.of(service, queue, model)

        def look() -> Page:
            if state == "done":
                return reviewed_page(predictions, limit, after)
            return open_page(predictions, beside, queue, limit, after)

        if after is None:
            await predictions.query(lambda: predictions.log.flush(3.0))
        return _json(await ask_database(predictions, look))


def _add_review_files(router: APIRouter, service: ModelService, predictions: PredictionLogger) -> None:
    @router.get("/v1/review/labels", response_model=Labels, responses=documented(401, 403, 404, 422, 429, 503))
    @requires(FEEDBACK)
    async def labels(
        model: Annotated[
            str | None, Query(max_length=200, description="Whose; of the one that answers by default.")
        ] = None,
    ) -> JSONResponse:
        """What a correction can say."""
        info = (model_named(service, model) if model else None) or service.models.find(model).current.info
        entries = [LabelEntry(id=label.id, name=label.name, group=label.group) for label in info.labels]
        others = await ask_database(predictions, lambda: store.new_label_names(predictions.log.database()))
        return _json(Labels(labels=entries, others=others))

    @router.get(
        "/v1/review/reviewed.csv",
        response_class=Response,
        responses={200: TABLE, **documented(401, 403, 429, 503)},
    )
    @requires(FEEDBACK)
    async def table() -> Response:
        """Every word that stands, as a table; `label` is empty where a word names no class to train."""

        def read() -> str:
            rows = store.all_feedback(predictions.log.database())
            return as_csv(cells(row, row["file"], _class_of(row)) for row in rows)

        headers = {"Cache-Control": "no-store", "Content-Disposition": 'attachment; filename="reviewed.csv"'}
        return Response(await ask_database(predictions, read), media_type="text/csv", headers=headers)

    @router.get(
        "/v1/review/{prediction}/photo",
        response_class=Response,
        responses={200: PICTURE, **documented(401, 403, 404, 422, 503)},
    )
    @requires(FEEDBACK)
    async def photo(prediction: str) -> Response:
        """The photo of a prediction, where it is kept."""

        def look() -> tuple[bytes, str]:
            found = store.prediction(predictions.log.database(), prediction)
            data = predictions.photos.read(found["photo"]) if found else None
            return _showable(data or b"", predictions.thumbnail)

        shown, kind = await ask_database(predictions, look)
        if not shown:
            raise ProblemError(404, "this photo is not kept (any more)", kind="no-such-photo")
        headers = {
            "Cache-Control": "private, max-age=600",
            # Whatever a stranger sent is a picture or nothing.
            "Content-Security-Policy": "default-src 'none'; sandbox",
        }
        return Response(shown, media_type=kind, headers=headers)


async def _found(predictions: PredictionLogger, identity: str) -> dict[str, Any]:
    for number in range(TRIES):
        found = await ask_database(predictions, lambda: store.prediction(predictions.log.database(), identity))
        if found is not None:
            return found
        if number == 0:
            await predictions.query(lambda: predictions.log.flush(1.0))
        else:
            await asyncio.sleep(PAUSE)
    raise _no_such_prediction()


async def ask_database(predictions: PredictionLogger, query: Callable[[], Result]) -> Result:
    """Ask the database, beside the event loop.

    Raises:
        ProblemError: 503 where it is gone; 422 where it cannot keep what was said.
    """
    try:
        return await predictions.query(query)
    except LogDatabaseError as error:
        # The log of this server says more; the address of a database is nobody's business.
        detail = f"{error.reason}; try again in a few seconds"
        raise ProblemError(503, detail, kind="log-unavailable", headers={"Retry-After": "5"}) from None
    except RefusedRowError as error:
        detail = f"the database of the prediction log cannot keep this: {error}"
        raise ProblemError(422, detail, kind="not-storable") from None


async def _meant(
    service: ModelService, predictions: PredictionLogger, found: dict[str, Any], word: FeedbackIn
) -> tuple[str, str | None]:
    """Name and id of what a word says that the photo shows."""
    if word.verdict == "confirmed":
        return confirmed(found)
    if word.label is None:
        return NO_ANIMAL, None
    known = known_label(service, found, word.label)
    if known is not None:
        return known[1], known[0]
    wanted = new_name(word.label)
    given = await ask_database(predictions, lambda: store.new_label_names(predictions.log.database()))
    return next((name for name in given if name.casefold() == wanted.casefold()), wanted), None


def _class_of(row: dict[str, Any]) -> str | None:
    label = training_label(row)
    return None if label == NO_ANIMAL else label


def _no_such_prediction() -> ProblemError:
    return ProblemError(404, "there is no prediction of that id in the log", kind="no-such-prediction")


def _showable(data: bytes, thumbnail: Callable[[bytes], bytes | None]) -> tuple[bytes, str]:
    """A kept photo as browsers can show it, and its type."""
    try:
        kind = identify(data)
    except ImageError:
        return b"", "application/octet-stream"
    if kind in SHOWN_BY_BROWSERS:
        return data, f"image/{kind.value.lower()}"
    return thumbnail(data) or b"", "image/jpeg"


def _json(model: BaseModel, status: int = 200) -> JSONResponse:
    return JSONResponse(model.model_dump(mode="json"), status_code=status, headers={"Cache-Control": "no-store"})
