"""The route of the review by event: photos camera by camera, as taken, and where an event begins."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from animal_classification.field.events import Gaps
from animal_classification.prediction_log.event_queue import to_review_by_event
from animal_classification.serving.http.feedback_routes import ask_database
from animal_classification.serving.http.feedback_schemas import ID_LENGTH, Page
from animal_classification.serving.http.problem_details import documented
from animal_classification.serving.http.review_pages import Beside, review_entry, sample_photos
from animal_classification.serving.middleware.route_scopes import FEEDBACK, ScopedRoute, requires

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from animal_classification.serving.observability.prediction_logging import PredictionLogger
    from animal_classification.serving.service import ModelService


def make_router(service: ModelService, predictions: PredictionLogger) -> APIRouter:
    """The route over ``predictions``."""
    router = APIRouter(tags=["feedback"], route_class=ScopedRoute)

    @router.get("/v1/review/events", response_model=Page, responses=documented(401, 403, 422, 429, 503))
    @requires(FEEDBACK)
    async def events(
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        after: Annotated[str | None, Query(max_length=ID_LENGTH, description="The `next` of the page before.")] = None,
    ) -> JSONResponse:
        """Photos without a word on them that say when they were taken: camera by camera, in that order.

        `begins` says where an event begins: with another camera, or after a pause of more than half an hour.
        """
        beside = Beside.of(service, "all", None)

        def look() -> Page:
            part = to_review_by_event(
                predictions.log.database(),
                limit=limit,
                after=after,
                leave_out=sample_photos(),
                shadows=beside.shadows,
            )
            kept = predictions.photos.having(row["photo"] for row in part.rows)
            begin = beginnings(part.rows, part.before)
            shown = [
                review_entry(row, kept).model_copy(update={"begins": new})
                for row, new in zip(part.rows, begin, strict=True)
            ]
            following = part.rows[-1]["id"] if len(part.rows) == limit else None
            return Page(predictions=shown, total=part.total, next=following)

        if after is None:
            await predictions.query(lambda: predictions.log.flush(3.0))
        page = await ask_database(predictions, look)
        return JSONResponse(page.model_dump(mode="json"), headers={"Cache-Control": "no-store"})

    return router


def beginnings(rows: Sequence[Mapping[str, Any]], before: Mapping[str, Any] | None) -> list[bool]:
    """Whether each row begins an event, by its ``source`` and ``taken``.

    Args:
        rows: Camera by camera, each in the order of its clock.
        before: The row before the first of them, if there is one.
    """
    return [first is None or (then is not None and _apart(first, then)) for first, then in pairwise([before, *rows])]


def _apart(first: Mapping[str, Any], then: Mapping[str, Any]) -> bool:
    pause = datetime.fromisoformat(then["taken"]) - datetime.fromisoformat(first["taken"])
    return first["source"] != then["source"] or pause > Gaps().event
