"""The Open Inference Protocol v2 (KServe, Triton): the same answers for clients that speak it.

Photos come as ``BYTES``: in base64 where they stand in the JSON, as they are where they follow it (the binary
extension). Errors are an ``error`` in JSON, as that protocol wants them.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from animal_classification import __version__
from animal_classification.serving.batching.inference_jobs import Extras
from animal_classification.serving.http.open_inference_tensors import (
    BODY,
    JSON_LENGTH,
    MAX_JSON,
    OUTPUTS,
    options_of,
    parse,
    render,
)
from animal_classification.serving.http.photo_source import from_source, source_of
from animal_classification.serving.http.problem_details import ClientGoneError
from animal_classification.serving.http.schemas import as_entry
from animal_classification.serving.middleware.auth import charge
from animal_classification.serving.middleware.client_connection import while_connected
from animal_classification.serving.middleware.request_bounds import allow_body
from animal_classification.serving.middleware.route_scopes import HEALTH, PREDICT, ScopedRoute, requires

if TYPE_CHECKING:
    from animal_classification.serving.models.routing import ServedModel
    from animal_classification.serving.service import ModelService
    from animal_classification.settings import Settings


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries for the protocol's errors."""
    schema = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
    content = {"application/json": {"schema": schema}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


INPUT = {"name": "photos", "datatype": "BYTES", "shape": [-1]}
DOCUMENTED: dict[str, Any] = {"requestBody": {"required": True, "content": {"application/json": {"schema": BODY}}}}
ERRORS = errors(400, 401, 403, 404, 408, 413, 415, 422, 429, 503)
FACT_ERRORS = errors(401, 403, 404, 422, 503)
PLATFORMS = {
    "onnxruntime": "onnx_onnxv1",
    "onnxruntime-cuda": "onnx_onnxv1",
    "openvino": "openvino_onnxv1",
}


def make_router(service: ModelService, settings: Settings) -> APIRouter:
    """The routes of the protocol over ``service``."""
    router = APIRouter(prefix="/v2", tags=["open inference protocol"], route_class=ScopedRoute)
    _add_facts(router, service)

    @router.post("/models/{name}/infer", openapi_extra=DOCUMENTED, responses=ERRORS)
    @router.post("/models/{name}/versions/{version}/infer", openapi_extra=DOCUMENTED, responses=ERRORS)
    @requires(PREDICT)
    async def infer(request: Request, name: str, version: str | None = None) -> Response:
        """Name the animals in photos."""
        _require(service, name, version)
        service.require_room(name)
        json_length = request.headers.get(JSON_LENGTH)
        # Photos that follow the JSON cost no parsing.
        allow_body(
            request.scope, settings.max_request_bytes if json_length else min(settings.max_request_bytes, MAX_JSON)
        )
        body = await _whole_body(request)
        asked, photos = await service.run(parse, body, json_length, settings)
        charge(request.scope, len(photos))
        photos = from_source(photos, source_of(request.scope))
        options = options_of(asked)
        with service.using(name, photos, version) as model:
            named = service.predict_as(
                lambda outcome: as_entry(outcome, model.info),
                photos,
                top_k=options.top_k,
                extras=Extras(heatmap=options.heatmap),
                model=model,
            )
            entries = await while_connected(request, named)
            answer = await service.run(render, asked, entries, model.info)
        return Response(answer, media_type="application/json")

    return router


def _add_facts(router: APIRouter, service: ModelService) -> None:
    @router.get("")
    @requires(PREDICT)
    async def server() -> JSONResponse:
        """What this server is."""
        return JSONResponse({"name": "animals", "version": __version__, "extensions": ["binary_tensor_data"]})

    @router.get("/health/live")
    @requires(HEALTH)
    async def live() -> JSONResponse:
        """The process is alive."""
        return JSONResponse({"live": True})

    @router.get("/health/ready", responses={503: {"description": "Not ready."}})
    @requires(HEALTH)
    async def ready() -> JSONResponse:
        """The model is loaded and warm; 503 until it is, and when the server is about to stop."""
        return JSONResponse({"ready": service.ready}, status_code=200 if service.ready else 503)

    @router.get("/models/{name}", responses=FACT_ERRORS)
    @router.get("/models/{name}/versions/{version}", responses=FACT_ERRORS)
    @requires(PREDICT)
    async def model(name: str, version: str | None = None) -> JSONResponse:
        """What a model takes and gives."""
        predictor = _require(service, name, version).predictor
        return JSONResponse(
            {
                "name": name,
                "versions": [model.info.version for model in service.models.find(name).answering()],
                "platform": PLATFORMS.get(predictor.engine, predictor.engine),
                "inputs": [INPUT],
                "outputs": [{"name": key, "datatype": kind, "shape": [-1]} for key, kind in OUTPUTS.items()],
            }
        )

    @router.get("/models/{name}/ready", responses=FACT_ERRORS)
    @router.get("/models/{name}/versions/{version}/ready", responses=FACT_ERRORS)
    @requires(PREDICT)
    async def model_ready(name: str, version: str | None = None) -> JSONResponse:
        """Whether a model answers."""
        _require(service, name, version)
        body = {"name": name, "ready": service.ready}
        return JSONResponse(body, status_code=200 if service.ready else 503)


def _require(service: ModelService, name: str, version: str | None) -> ServedModel:
    return service.models.find(name).current if version is None else service.models.version(name, version)


async def _whole_body(request: Request) -> bytearray:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
    except ClientDisconnect:
        raise ClientGoneError from None
    return body
