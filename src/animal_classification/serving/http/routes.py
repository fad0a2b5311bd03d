"""The HTTP routes: parse, call the service, answer. No machine learning here."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from animal_classification.serving.batching.inference_jobs import Extras
from animal_classification.serving.http import model_routes, open_inference
from animal_classification.serving.http.photo_source import from_source, source_of
from animal_classification.serving.http.problem_details import ClientGoneError, ProblemError, documented, invalid_values
from animal_classification.serving.http.schemas import (
    MAX_SOURCE,
    Health,
    PredictQuery,
    PredictResponse,
    encoded_entry,
)
from animal_classification.serving.http.uploads import Form, read_form
from animal_classification.serving.middleware.auth import charge
from animal_classification.serving.middleware.client_connection import while_connected
from animal_classification.serving.middleware.request_bounds import allow_body
from animal_classification.serving.middleware.route_scopes import HEALTH, METRICS, PREDICT, ScopedRoute, requires
from animal_classification.serving.observability.metrics import CONTENT_TYPE
from animal_classification.serving.service import ModelService
from animal_classification.settings import Settings

OPTIONS = PredictQuery.model_json_schema()["properties"]
# What a form can say for true and false.
YES_OR_NO = {
    "type": "string",
    "enum": ["true", "false", "1", "0", "yes", "no", "on", "off", "t", "f", "y", "n"],
    "default": "false",
}
NO_DETECTOR = "this server finds no boxes: leave out 'detections', or start it with --detector lite"
PREDICT_BODY: dict[str, Any] = {
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
                            "minItems": 1,
                            "description": "One photo or many.",
                        },
                        "model": {"type": "string", "minLength": 1, "maxLength": 255},
                        "source": {"type": "string", "minLength": 1, "maxLength": MAX_SOURCE},
                        "top_k": OPTIONS["top_k"],
                        "heatmap": OPTIONS["heatmap"] | YES_OR_NO,
                        "words": OPTIONS["words"] | YES_OR_NO,
                        "detections": OPTIONS["detections"] | YES_OR_NO,
                    },
                    "additionalProperties": False,
                },
                "encoding": {"files": {"contentType": "image/*"}},
            },
            "image/*": {"schema": {"type": "string", "format": "binary", "description": "One photo by itself."}},
        },
    }
}


def make_router(service: ModelService, settings: Settings) -> APIRouter:
    """The routes over ``service``, within the bounds of ``settings``."""
    router = APIRouter(route_class=ScopedRoute)

    # The busiest route comes first, because routes are tried in order.
    @router.post(
        "/v1/predict",
        tags=["predict"],
        response_model=PredictResponse,
        responses=documented(400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503),
        openapi_extra=PREDICT_BODY,
    )
    @requires(PREDICT)
    async def predict(request: Request, options: Annotated[PredictQuery, Query()]) -> Response:
        """Name the animals in one photo or many.

        A photo that cannot be read gets an entry whose `error` says why; the others are answered.
        """
        service.require_room(options.model)
        allow_body(request.scope, settings.max_request_bytes)
        form = await _read(request, settings)
        try:
            options = PredictQuery.model_validate(options.model_dump() | form.fields)
        except ValidationError as error:
            return invalid_values(error.errors())
        if options.detections and service.detector is None:
            raise ProblemError(404, NO_DETECTOR, kind="no-detector")
        charge(request.scope, len(form.photos))
        photos = from_source(form.photos, options.source or source_of(request.scope))
        with service.using(options.model, photos) as model:
            named = service.predict_as(
                lambda outcome: encoded_entry(outcome, model.info, words=options.words),
                photos,
                top_k=options.top_k,
                extras=Extras(heatmap=options.heatmap, detections=options.detections),
                model=model,
            )
            entries = await while_connected(request, named)
        body = b'{"predictions":[' + b",".join(entries) + b"]}"
        return Response(body, media_type="application/json")

    _add_health(router, service)
    _add_metrics(router, service)
    router.routes.extend(model_routes.make_router(service, settings).routes)
    router.routes.extend(open_inference.make_router(service, settings).routes)
    return router


async def _read(request: Request, settings: Settings) -> Form:
    try:
        return await read_form(request.headers.get("content-type", ""), request.stream(), settings)
    except ClientDisconnect:
        raise ClientGoneError from None


def _add_health(router: APIRouter, service: ModelService) -> None:
    @router.get("/healthz", tags=["health"], response_model=Health)
    @requires(HEALTH)
    async def healthz() -> JSONResponse:
        """The process is alive."""
        return JSONResponse({"status": "alive"})

    @router.get("/readyz", tags=["health"], response_model=Health, responses=documented(503))
    @requires(HEALTH)
    async def readyz() -> JSONResponse:
        """The models are loaded and warm; 503 until they are, and when the server is about to stop."""
        service.models.find()
        if service.draining:
            raise ProblemError(503, "this server is about to stop", kind="draining", headers={"Retry-After": "1"})
        return JSONResponse({"status": "ready"})


def _add_metrics(router: APIRouter, service: ModelService) -> None:
    @router.get("/metrics", tags=["health"], response_class=PlainTextResponse)
    @requires(METRICS)
    async def metrics() -> PlainTextResponse:
        """For Prometheus."""
        text = await asyncio.to_thread(service.metrics.render)
        return PlainTextResponse(text, media_type=CONTENT_TYPE)
