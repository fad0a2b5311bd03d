"""The HTTP routes: parse, call the service, answer. No machine learning here."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from animal_classification.bundle import describe
from animal_classification.serving.problems import ProblemError, documented, invalid_values
from animal_classification.serving.schemas import (
    Health,
    ModelsResponse,
    PredictOptions,
    PredictResponse,
    as_entry,
)
from animal_classification.serving.service import Service
from animal_classification.serving.uploads import read_form
from animal_classification.settings import Settings

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
                        "top_k": PredictOptions.model_json_schema()["properties"]["top_k"],
                        "heatmap": PredictOptions.model_json_schema()["properties"]["heatmap"],
                    },
                },
                "encoding": {"files": {"contentType": "image/*"}},
            }
        },
    }
}
# Where things lie on the server's disk is nobody's business.
PRIVATE_FACTS = {"path", "config"}


def make_router(service: Service, settings: Settings) -> APIRouter:
    """The routes over ``service``, within the bounds of ``settings``."""
    router = APIRouter()
    _add_health(router, service)
    _add_models(router, service)

    @router.post(
        "/v1/predict",
        tags=["predict"],
        response_model=PredictResponse,
        responses=documented(400, 413, 415, 422, 500, 503),
        openapi_extra=PREDICT_BODY,
    )
    async def predict(request: Request, options: Annotated[PredictOptions, Query()]) -> JSONResponse:
        """Name the animals in one photo or many.

        A photo that cannot be read gets an entry whose `error` says why; the others are answered.
        """
        info = service.predictor.info
        try:
            form = await read_form(
                request.headers.get("content-type", ""),
                request.headers.get("content-length"),
                request.stream(),
                settings,
            )
        except ClientDisconnect:
            raise ProblemError(400, "the connection ended before the whole body came") from None
        try:
            options = PredictOptions.model_validate(options.model_dump() | form.fields)
        except ValidationError as error:
            return invalid_values(error.errors())
        outcomes = await service.identify(form.photos, top_k=options.top_k, heatmap=options.heatmap)
        entries = await service.run(lambda: [as_entry(outcome, info) for outcome in outcomes])
        return JSONResponse({"predictions": entries})

    return router


def _add_health(router: APIRouter, service: Service) -> None:
    @router.get("/healthz", tags=["health"], response_model=Health)
    async def healthz() -> JSONResponse:
        """The process is alive."""
        return JSONResponse({"status": "alive"})

    @router.get("/readyz", tags=["health"], response_model=Health, responses=documented(503))
    async def readyz() -> JSONResponse:
        """The model is loaded and warm; 503 until it is."""
        _ = service.predictor
        return JSONResponse({"status": "ready"})


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

    @router.get("/v1/models/{name}", tags=["models"], responses=documented(404, 422, 503))
    async def model(name: str) -> dict[str, Any]:
        """What one model is, what it knows and how good it is."""
        predictor = service.predictor
        if name != predictor.info.name:
            detail = f"no model {name[:80]!r} here; there is: {predictor.info.name}"
            raise ProblemError(404, detail, kind="no-such-model")
        facts = await service.run(describe, predictor.bundle)
        return {key: value for key, value in facts.items() if key not in PRIVATE_FACTS} | {"engine": predictor.engine}
