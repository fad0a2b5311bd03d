"""The HTTP routes: parse, call the service, answer. No machine learning here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from animal_classification.bundle import describe
from animal_classification.serving import open_inference
from animal_classification.serving.bodies import Memory, too_late, too_slow, while_connected, within
from animal_classification.serving.guarding import charge
from animal_classification.serving.metrics import CONTENT_TYPE
from animal_classification.serving.problems import ClientGoneError, ProblemError, documented, invalid_values
from animal_classification.serving.schemas import (
    Health,
    ModelsResponse,
    PredictOptions,
    PredictResponse,
    encoded_entry,
)
from animal_classification.serving.service import Service
from animal_classification.serving.uploads import Form, read_form
from animal_classification.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OPTIONS = PredictOptions.model_json_schema()["properties"]
# What a form can say for true and false.
YES_OR_NO = ["true", "false", "1", "0", "yes", "no", "on", "off", "t", "f", "y", "n"]
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
                        "top_k": OPTIONS["top_k"],
                        "heatmap": OPTIONS["heatmap"] | {"type": "string", "enum": YES_OR_NO, "default": "false"},
                    },
                    "additionalProperties": False,
                },
                "encoding": {"files": {"contentType": "image/*"}},
            },
            "image/*": {"schema": {"type": "string", "format": "binary", "description": "One photo by itself."}},
        },
    }
}
# Where things lie on the server's disk is nobody's business.
PRIVATE_FACTS = {"path", "config"}


def make_router(service: Service, settings: Settings) -> APIRouter:
    """The routes over ``service``, within the bounds of ``settings``."""
    router = APIRouter()
    memory = Memory(settings.max_memory_bytes)

    # The busiest route comes first, because routes are tried in order.
    @router.post(
        "/v1/predict",
        tags=["predict"],
        response_model=PredictResponse,
        responses=documented(400, 401, 403, 408, 413, 415, 422, 429, 500, 503),
        openapi_extra=PREDICT_BODY,
    )
    async def predict(request: Request, options: Annotated[PredictOptions, Query()]) -> Response:
        """Name the animals in one photo or many.

        A photo that cannot be read gets an entry whose `error` says why; the others are answered.
        """
        service.admit()
        info = service.predictor.info
        with memory.claim() as counted:
            async with within(settings.body_timeout, too_slow):
                form = await _read(request, counted(request.stream()), settings)
            try:
                options = PredictOptions.model_validate(options.model_dump() | form.fields)
            except ValidationError as error:
                return invalid_values(error.errors())
            charge(request.scope, len(form.photos))
            async with within(settings.request_timeout, too_late):
                named = service.identify_as(
                    lambda outcome: encoded_entry(outcome, info),
                    form.photos,
                    top_k=options.top_k,
                    heatmap=options.heatmap,
                )
                entries = await while_connected(request, named)
        body = b'{"predictions":[' + b",".join(entries) + b"]}"
        return Response(body, media_type="application/json")

    _add_health(router, service)
    _add_metrics(router, service)
    _add_models(router, service)
    router.include_router(open_inference.make_router(service, settings, memory))
    return router


async def _read(request: Request, body: AsyncIterator[bytes], settings: Settings) -> Form:
    headers = request.headers
    try:
        return await read_form(headers.get("content-type", ""), headers.get("content-length"), body, settings)
    except ClientDisconnect:
        raise ClientGoneError from None


def _add_health(router: APIRouter, service: Service) -> None:
    @router.get("/healthz", tags=["health"], response_model=Health)
    async def healthz() -> JSONResponse:
        """The process is alive."""
        return JSONResponse({"status": "alive"})

    @router.get("/readyz", tags=["health"], response_model=Health, responses=documented(503))
    async def readyz() -> JSONResponse:
        """The model is loaded and warm; 503 until it is, and when the server is about to stop."""
        _ = service.predictor
        if service.draining:
            raise ProblemError(503, "this server is about to stop", kind="draining", headers={"Retry-After": "1"})
        return JSONResponse({"status": "ready"})


def _add_metrics(router: APIRouter, service: Service) -> None:
    @router.get("/metrics", tags=["health"], response_class=PlainTextResponse)
    async def metrics() -> PlainTextResponse:
        """For Prometheus."""
        text = await asyncio.to_thread(service.metrics.render)
        return PlainTextResponse(text, media_type=CONTENT_TYPE)


def _add_models(router: APIRouter, service: Service) -> None:
    @router.get("/v1/models", tags=["models"], response_model=ModelsResponse, responses=documented(503))
    async def models() -> JSONResponse:
        """The models that answer here."""
        predictor = service.predictor
        info = predictor.info
        summary = {
            "name": info.name,
            "version": info.version,
            "classes": len(info.labels),
            "engine": predictor.engine,
        }
        return JSONResponse({"models": [summary]})

    @router.get(
        "/v1/models/{name}", tags=["models"], response_model=dict[str, Any], responses=documented(404, 422, 503)
    )
    async def model(name: str, request: Request) -> Response:
        """What one model is, what it knows and how good it is."""
        predictor = service.predictor
        if name != predictor.info.name:
            detail = f"no model {name[:80]!r} here; there is: {predictor.info.name}"
            raise ProblemError(404, detail, kind="no-such-model")
        headers = {"ETag": f'"{predictor.bundle.sha256}"', "Cache-Control": "no-cache"}
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        facts = await service.run(describe, predictor.bundle)
        shown = {key: value for key, value in facts.items() if key not in PRIVATE_FACTS} | {"engine": predictor.engine}
        return JSONResponse(shown, headers=headers)
