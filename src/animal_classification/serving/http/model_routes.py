"""The routes about the models: which there are, what each is, its card and its confusion matrix, and a reload."""

from __future__ import annotations

import json
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ValidationError

from animal_classification.bundle.model import CARD_FILE, CONFUSION_FILE
from animal_classification.errors import BundleError
from animal_classification.serving.http.problem_details import ProblemError, documented
from animal_classification.serving.http.schemas import ModelsResponse, ReloadResponse
from animal_classification.serving.middleware.request_bounds import allow_any_time
from animal_classification.serving.middleware.route_scopes import ADMIN, PREDICT, ScopedRoute, requires

if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from pathlib import Path

    from animal_classification.bundle import Bundle
    from animal_classification.serving.models.routing import ModelSlot
    from animal_classification.serving.service import ModelService
    from animal_classification.settings import Settings

Result = TypeVar("Result")
MARKDOWN: dict[str, Any] = {"content": {"text/markdown": {"schema": {"type": "string"}}}}
# Not shown: where things lie on the server's disk.
PRIVATE_FIELDS = {"path", "config"}


class ModelConfusion(BaseModel):
    """Test photos, by what they show and by what they were taken for."""

    labels: list[str]
    matrix: list[list[int]]


def make_router(service: ModelService, settings: Settings) -> APIRouter:
    """The routes over ``service``."""
    router = APIRouter(tags=["models"], route_class=ScopedRoute)
    _add_documents(router, service)

    @router.get("/v1/models", response_model=ModelsResponse, responses=documented(503))
    @requires(PREDICT)
    async def models() -> JSONResponse:
        """The models that answer here, the default one first."""
        service.models.find()
        return JSONResponse({"models": [_summary(name, slot) for name, slot in service.models]})

    @router.get("/v1/models/{name}", response_model=dict[str, Any], responses=documented(404, 422, 503))
    @requires(PREDICT)
    async def model(name: str, request: Request) -> Response:
        """What one model is, what it knows and how good it is; and what is seen of those beside it."""
        slot = service.models.find(name)
        current = slot.current
        beside = _beside(slot)
        headers = {"Cache-Control": "no-cache"}
        if slot.shadow is None:  # a comparison goes on all the time
            versions = "-".join(f"{served.info.version}-{served.sha256}" for served in slot.answering())
            headers["ETag"] = f'"{versions.encode("ascii", "replace").decode()}"'
            if headers["ETag"] in request.headers.get("if-none-match", ""):
                return Response(status_code=304, headers=headers)
        shown = {key: value for key, value in current.description.items() if key not in PRIVATE_FIELDS}
        shown |= {"engine": current.predictor.engine, **_files(current.info.files)}
        return JSONResponse(shown | beside, headers=headers)

    @router.post(
        "/v1/models/{name}/reload",
        response_model=ReloadResponse,
        responses=documented(401, 403, 404, 409, 422, 503),
    )
    @requires(ADMIN)
    async def reload(request: Request, name: str) -> JSONResponse:
        """Look now whether there is another version, and let it take over; needs a key with the scope `admin`."""
        if not settings.keys_file:
            detail = "without API keys nobody may reload: start the server with --keys-file"
            raise ProblemError(403, detail, kind="no-scope")
        allow_any_time(request.scope)
        slot = service.models.find(name)
        before = slot.current.info.version
        service.reload_other_workers(name)
        results = await service.reload(name)
        trouble = next((result for result in results if result in {"refused", "unreachable"}), None)
        now = slot.current.info.version
        if trouble is not None:
            detail = f"what is new was {trouble}; {name} {now} answers, and the server's log says why"
            raise ProblemError(409, detail, kind="not-reloaded")
        return JSONResponse({"name": name, "version": now, "before": before})

    return router


def _add_documents(router: APIRouter, service: ModelService) -> None:
    @router.get(
        "/v1/models/{name}/card", response_class=Response, responses={200: MARKDOWN, **documented(404, 422, 503)}
    )
    @requires(PREDICT)
    async def card(name: str) -> Response:
        """The model card, Markdown."""
        return Response(await read_card(service, name), media_type="text/markdown; charset=utf-8")

    @router.get("/v1/models/{name}/confusion", response_model=ModelConfusion, responses=documented(404, 422, 503))
    @requires(PREDICT)
    async def confusion(name: str) -> JSONResponse:
        """The confusion matrix: `matrix[true][answered]`, photos."""
        bundle = _bundle(service, name)
        data = None
        if CONFUSION_FILE in bundle.info.files:
            data = await _unchanged(service, partial(bundle.content, CONFUSION_FILE))
        found = await service.run(_confusion, data, bundle.path) if data is not None else None
        if found is None:
            raise ProblemError(404, "this bundle holds no confusion matrix", kind="no-confusion")
        return JSONResponse(found.model_dump())


def _summary(name: str, slot: ModelSlot) -> dict[str, Any]:
    info = slot.current.info
    summary = {
        "name": name,
        "version": info.version,
        "classes": len(info.labels),
        "engine": slot.current.predictor.engine,
    }
    return summary | {key: value for key, value in _beside(slot).items() if key == "canary"}


def _files(names: Container[str]) -> dict[str, bool]:
    """Which documents a model has, so that a page asks for no other."""
    return {"card": CARD_FILE in names, "confusion": CONFUSION_FILE in names}


def _beside(slot: ModelSlot) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if slot.canary is not None:
        info = slot.canary.info
        shown["canary"] = {"name": info.name, "version": info.version, "share": slot.canary_share}
    if slot.shadow is not None:
        shown["shadow"] = slot.shadow.as_object()
    return shown


async def read_card(service: ModelService, name: str) -> str:
    """The card of a model, Markdown.

    Raises:
        ProblemError: 404 where there is no such model, or no card; 503 where its files have changed.
    """
    text = await _unchanged(service, _bundle(service, name).card)
    if not text:
        raise ProblemError(404, "this bundle holds no model card", kind="no-card")
    return text


def _bundle(service: ModelService, name: str) -> Bundle:
    return service.models.find(name).current.predictor.bundle


async def _unchanged(service: ModelService, read: Callable[[], Result]) -> Result:
    """Read a bundle's files.

    Raises:
        ProblemError: 503 where they have changed since the model was loaded.
    """
    try:
        return await service.run(read)
    except BundleError as error:
        logging.getLogger(__name__).warning("%s", error)
        detail = "the model's files have changed since it was loaded; ask again when what is new has taken over"
        raise ProblemError(503, detail, kind="bundle-changed", headers={"Retry-After": "10"}) from None


def _confusion(data: bytes, path: Path) -> ModelConfusion | None:
    try:
        found = ModelConfusion.model_validate(json.loads(data))
    except (ValueError, ValidationError) as error:
        raise BundleError(f"{path}/{CONFUSION_FILE}: cannot be read: {error}") from error
    size = len(found.labels)
    return found if len(found.matrix) == size and all(len(row) == size for row in found.matrix) else None
