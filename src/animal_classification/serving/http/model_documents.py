"""What a model's bundle holds for people: its card, and what it took for what on its test photos."""

from __future__ import annotations

import json
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ValidationError

from animal_classification.bundle.model import CONFUSION_FILE
from animal_classification.errors import BundleError
from animal_classification.serving.http.problem_details import ProblemError, documented
from animal_classification.serving.middleware.route_scopes import PREDICT, ScopedRoute, scoped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from animal_classification.bundle import Bundle
    from animal_classification.serving.service import ModelService

Result = TypeVar("Result")
MARKDOWN: dict[str, Any] = {"content": {"text/markdown": {"schema": {"type": "string"}}}}


class ModelConfusion(BaseModel):
    """Test photos, by what they show and by what they were taken for."""

    labels: list[str]
    matrix: list[list[int]]


def make_router(service: ModelService) -> APIRouter:
    """The routes over the model of ``service``."""
    router = APIRouter(prefix="/v1/models/{name}", tags=["models"], route_class=ScopedRoute)

    @router.get("/card", response_class=Response, responses={200: MARKDOWN, **documented(404, 422, 503)})
    @scoped(PREDICT)
    async def card(name: str) -> Response:
        """The model card, Markdown."""
        text = await _unchanged(service, _bundle(service, name).card)
        if not text:
            raise ProblemError(404, "this bundle holds no model card", kind="no-card")
        return Response(text, media_type="text/markdown; charset=utf-8")

    @router.get("/confusion", response_model=ModelConfusion, responses=documented(404, 422, 503))
    @scoped(PREDICT)
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

    return router


def _bundle(service: ModelService, name: str) -> Bundle:
    return service.models.find(name).current.predictor.bundle


async def _unchanged(service: ModelService, read: Callable[[], Result]) -> Result:
    """What ``read`` finds in a bundle's files.

    Raises:
        ProblemError: 503 where they are not those of the model that answers.
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
