"""The drift API: verdicts of the log, and photos or embeddings judged as they are sent."""

# Imported where they are used: the judge's parts load SQLAlchemy, which a server without a log does not need.

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from animal_classification.common.durations import seconds_of
from animal_classification.errors import AnimalsError
from animal_classification.monitoring.drift.judge import DriftJudge, NoReferenceError, TooFewPhotosError
from animal_classification.prediction_log.record import storable
from animal_classification.serving.http.drift_samples import (
    FEWEST_PHOTOS,
    MOST_PHOTOS,
    DriftSampleIn,
    most_bytes,
    observed,
    window_of_json,
    window_of_outcomes,
)
from animal_classification.serving.http.feedback_routes import OFF, SINCE, ask_database
from animal_classification.serving.http.problem_details import ClientGoneError, ProblemError, documented
from animal_classification.serving.http.uploads import read_form
from animal_classification.serving.middleware.auth import charge
from animal_classification.serving.middleware.client_connection import while_connected
from animal_classification.serving.middleware.request_bounds import allow_body
from animal_classification.serving.middleware.route_scopes import ADMIN, PREDICT, ScopedRoute, requires

if TYPE_CHECKING:
    from animal_classification.monitoring.drift.sample import DriftWindow
    from animal_classification.monitoring.drift.verdict import Verdict
    from animal_classification.prediction_log.drift_records import DriftRecord
    from animal_classification.serving.models.routing import ServedModel
    from animal_classification.serving.observability.prediction_logging import PredictionLogger
    from animal_classification.serving.process.drift_judge import DriftRounds, Round
    from animal_classification.serving.service import ModelService
    from animal_classification.settings import Settings

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "minItems": FEWEST_PHOTOS,
                            "maxItems": MOST_PHOTOS,
                            "description": "Photos, in the order of time.",
                        }
                    },
                },
                "encoding": {"files": {"contentType": "image/*"}},
            },
            "application/json": {"schema": DriftSampleIn.model_json_schema()},
        },
    }
}


class Judged(BaseModel):
    """What came of a round."""

    verdicts: list[dict[str, Any]] = Field(description="New ones, as from `GET /v1/drift`.")
    waiting: int = Field(description="Windows that have too few photos yet.")
    failures: list[dict[str, str]] = Field(description="Models that could not be judged, with the reason.")
    busy: bool = Field(description="Another process is judging.")


class Verdicts(BaseModel):
    """What the log says of drift."""

    since: str
    newest: list[dict[str, Any]] = Field(description="The last verdict for each model and source.")
    verdicts: list[dict[str, Any]] = Field(description="All of the period, the newest first; 200 at most.")


@dataclass(frozen=True)
class DriftApi:
    """What the routes need."""

    service: ModelService
    settings: Settings
    predictions: PredictionLogger | None
    rounds: DriftRounds | None


def make_router(api: DriftApi) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["monitor"], route_class=ScopedRoute)
    _add_stateless(router, api)
    _add_logged(router, api)
    return router


def _add_stateless(router: APIRouter, api: DriftApi) -> None:
    judges: dict[str, DriftJudge] = {}

    def judge_of(model: ServedModel) -> DriftJudge:
        if model.sha256 not in judges:
            if len(judges) >= 8:  # versions come and go
                judges.clear()
            try:
                judges[model.sha256] = DriftJudge.of(model.predictor.bundle)
            except NoReferenceError as error:
                raise ProblemError(409, str(error), kind="no-reference") from None
            except AnimalsError:
                detail = "this model's reference for drift cannot be read; the server's operator finds out with animals"
                raise ProblemError(409, f"{detail} models show", kind="no-reference") from None
        return judges[model.sha256]

    @router.post(
        "/v1/drift",
        response_model=dict[str, Any],
        responses=documented(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503),
        openapi_extra=BODY,
    )
    @requires(PREDICT)
    async def drift(
        request: Request,
        model: Annotated[str | None, Query(min_length=1, max_length=255, description="By default the first.")] = None,
    ) -> JSONResponse:
        """Whether photos differ from those that the model was measured on, how, and what it costs.

        Send 50 to 500 photos, or their embeddings. Nothing is kept, and no embedding is sent out.
        """
        api.service.require_room(model)
        allow_body(request.scope, api.settings.max_request_bytes)
        as_json = request.headers.get("content-type", "").partition(";")[0].strip() == "application/json"
        with api.service.using(model) as served:
            judge = await api.service.run(judge_of, served)
            if as_json:
                dimensions = judge.reference.sample.embedding.shape[1]
                allow_body(request.scope, min(api.settings.max_request_bytes, most_bytes(dimensions)))
                body = await _whole(request)
                window, certain = await api.service.run(window_of_json, body, served.info, dimensions)
                charge(request.scope, len(window))
                judge = judge if certain else replace(judge, measured=None)
            else:
                window = await _photos(request, api, served)
            verdict = await while_connected(request, api.service.run(_verdict, judge, window))
        told = verdict.with_model(served.info.name, served.info.version).to_json()
        return _json({**told, "since": None, "until": None})


def _add_logged(router: APIRouter, api: DriftApi) -> None:
    @router.get("/v1/drift", response_model=Verdicts, responses=documented(401, 403, 404, 422, 429, 503))
    @requires(ADMIN)
    async def verdicts(
        since: Annotated[str, Query(pattern=SINCE, description="How far to look back: 30m, 24h, 7d, 4w.")] = "24h",
        model: Annotated[str | None, Query(max_length=255)] = None,
        source: Annotated[str | None, Query(max_length=80, description="Empty for all sources together.")] = None,
    ) -> JSONResponse:
        """What the judge found on this server's photos."""
        from animal_classification.prediction_log import drift_records
        from animal_classification.prediction_log.database import reading
        from animal_classification.prediction_log.database_errors import translated_errors

        log = _log_of(api)
        begin = drift_records.now() - timedelta(seconds=seconds_of(since))
        of_model, of_source = model and storable(model), source and storable(source)

        def look() -> JSONResponse:
            engine = log.log.database()
            with translated_errors(engine.url, rows=False), reading(engine) as connection:
                newest = drift_records.newest_of_each(connection)
                found = drift_records.verdicts_since(connection, begin, model=of_model, source=of_source)
            shown = [one for one in newest if model in (None, one.model) and source in (None, one.source)]
            answer = {
                "since": begin.isoformat(timespec="seconds"),
                "newest": [_told(one, found) for one in shown],
                "verdicts": [_told(one, ()) for one in found],
            }
            return _json(answer)  # here, and not on the event loop: it may be a megabyte

        return await ask_database(log, look)

    @router.post("/v1/drift/judge", response_model=Judged, responses=documented(401, 403, 404, 409, 429, 503))
    @requires(ADMIN)
    async def judge() -> JSONResponse:
        """Judge what came since the last time: for a scheduler, where no process lives long enough to do it."""
        log = _log_of(api)
        rounds = api.rounds
        assert rounds is not None
        await log.query(lambda: log.log.flush(2.0))
        done: Round = await ask_database(log, rounds.run)
        if done.failures and not done.verdicts and all(reason == "no-reference" for _, reason, _ in done.failures):
            detail = "no model here has a reference for drift; animals monitor reference adds one"
            raise ProblemError(409, detail, kind="no-reference")
        answer = {
            "verdicts": [_told(one, ()) for one in done.verdicts],
            "waiting": done.waiting,
            "failures": [{"model": name, "reason": reason} for name, reason, _ in done.failures],
            "busy": done.busy,
        }
        return _json(answer)


def _log_of(api: DriftApi) -> PredictionLogger:
    if api.predictions is None:
        raise ProblemError(404, OFF, kind="no-prediction-log")
    return api.predictions


def _told(record: DriftRecord, others: Any) -> dict[str, Any]:
    """A verdict as it is told; where others are given, with since when, and with example photos."""
    told = {"id": record.id, "judged": record.time.isoformat(timespec="seconds"), **record.verdict}
    if not others:
        return told
    own = [one for one in others if (one.model, one.source) == (record.model, record.source)]
    from animal_classification.prediction_log.drift_records import since_of

    began = since_of(own)
    usual = next((one for one in own if one.kind == "none"), None)
    pictures = {
        name: [f"review/{identity}/photo" for identity in one.score.get("examples", ())] if one else []
        for name, one in (("before", usual), ("after", None if record.kind == "none" else record))
    }
    return told | {"began": began and began.isoformat(timespec="seconds"), "examples": pictures}


def _verdict(judge: DriftJudge, window: DriftWindow) -> Verdict:
    try:
        return judge.judge(window, size=MOST_PHOTOS)
    except TooFewPhotosError as error:
        raise ProblemError(422, str(error), kind="too-few") from None


async def _photos(request: Request, api: DriftApi, served: ServedModel) -> DriftWindow:
    settings = replace(api.settings, max_files=MOST_PHOTOS, queue_size=max(MOST_PHOTOS, api.settings.queue_size))
    try:
        form = await read_form(request.headers.get("content-type", ""), request.stream(), settings)
    except ClientDisconnect:
        raise ClientGoneError from None
    if len(form.photos) < FEWEST_PHOTOS:
        detail = f"{len(form.photos)} photos were sent, and it takes {FEWEST_PHOTOS} to judge drift"
        raise ProblemError(422, detail, kind="too-few")
    charge(request.scope, len(form.photos))
    readable = [photo for photo in form.photos if photo.error is None]
    outcomes = await while_connected(request, api.service.observe(observed, readable, served))
    refused = [None] * (len(form.photos) - len(readable))
    labels = [label.id for label in served.info.labels]
    return await api.service.run(window_of_outcomes, [*outcomes, *refused], labels)


async def _whole(request: Request) -> bytearray:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
    except ClientDisconnect:
        raise ClientGoneError from None
    return body


def _json(value: dict[str, Any]) -> JSONResponse:
    return JSONResponse(value, headers={"Cache-Control": "no-store"})
