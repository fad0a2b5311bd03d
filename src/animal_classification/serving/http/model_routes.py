"""The routes about the models: which there are, what each is, and a look whether there is a newer one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from animal_classification.bundle.model import CARD_FILE, CONFUSION_FILE
from animal_classification.serving.http.problem_details import ProblemError, documented
from animal_classification.serving.http.schemas import ModelsResponse, ReloadResponse
from animal_classification.serving.middleware.request_bounds import take_time
from animal_classification.serving.middleware.route_scopes import ADMIN, PREDICT, ScopedRoute, scoped

if TYPE_CHECKING:
    from collections.abc import Container

    from animal_classification.serving.models.routing import Slot
    from animal_classification.serving.service import ModelService
    from animal_classification.settings import Settings

# Where things lie on the server's disk is nobody's business.
PRIVATE_FACTS = {"path", "config"}


def make_router(service: ModelService, settings: Settings) -> APIRouter:
    """The routes over ``service``."""
    router = APIRouter(tags=["models"], route_class=ScopedRoute)

    @router.get("/v1/models", response_model=ModelsResponse, responses=documented(503))
    @scoped(PREDICT)
    async def models() -> JSONResponse:
        """The models that answer here, the default one first."""
        service.models.find()
        return JSONResponse({"models": [_summary(name, slot) for name, slot in service.models]})

    @router.get("/v1/models/{name}", response_model=dict[str, Any], responses=documented(404, 422, 503))
    @scoped(PREDICT)
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
        shown = {key: value for key, value in current.facts.items() if key not in PRIVATE_FACTS}
        shown |= {"engine": current.predictor.engine, **_files(current.info.files)}
        return JSONResponse(shown | beside, headers=headers)

    @router.post(
        "/v1/models/{name}/reload",
        response_model=ReloadResponse,
        responses=documented(401, 403, 404, 409, 422, 503),
    )
    @scoped(ADMIN)
    async def reload(request: Request, name: str) -> JSONResponse:
        """Look now whether there is another version, and let it take over; needs a key with the scope `admin`."""
        if not settings.keys_file:
            detail = "without API keys nobody may reload: start the server with --keys-file"
            raise ProblemError(403, detail, kind="no-scope")
        take_time(request.scope)
        slot = service.models.find(name)
        before = slot.current.info.version
        service.tell_others(name)
        results = await service.reload(name)
        trouble = next((result for result in results if result in {"refused", "unreachable"}), None)
        now = slot.current.info.version
        if trouble is not None:
            detail = f"what is new was {trouble}; {name} {now} answers, and the server's log says why"
            raise ProblemError(409, detail, kind="not-reloaded")
        return JSONResponse({"name": name, "version": now, "before": before})

    return router


def _summary(name: str, slot: Slot) -> dict[str, Any]:
    info = slot.current.info
    summary = {
        "name": name,
        "version": info.version,
        "classes": len(info.labels),
        "engine": slot.current.predictor.engine,
    }
    return summary | {key: value for key, value in _beside(slot).items() if key == "canary"}


def _files(names: Container[str]) -> dict[str, bool]:
    """Which of the texts below a model's address there are, so that nobody need ask for what is not there."""
    return {"card": CARD_FILE in names, "confusion": CONFUSION_FILE in names}


def _beside(slot: Slot) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if slot.canary is not None:
        info = slot.canary.info
        shown["canary"] = {"name": info.name, "version": info.version, "share": slot.canary_share}
    if slot.shadow is not None:
        shown["shadow"] = slot.shadow.as_object()
    return shown
