"""The application: API, its reference at ``/docs``, and the pages."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from animal_classification import __version__
from animal_classification.serving.batching.slow_work import PATIENCE, in_thread
from animal_classification.serving.http import drift_routes, event_review, feedback_routes, problem_details, swagger_ui
from animal_classification.serving.http.request_path import describe_paths
from animal_classification.serving.http.routes import make_router
from animal_classification.serving.middleware.api_keys import read_keys
from animal_classification.serving.middleware.auth import AuthMiddleware, describe_keys
from animal_classification.serving.middleware.gzip import LEVEL, MINIMUM, GzipWhereAccepted
from animal_classification.serving.middleware.request_bounds import BodyMemory, RequestBoundsMiddleware
from animal_classification.serving.middleware.request_log import RequestLogMiddleware
from animal_classification.serving.middleware.route_scopes import OPEN, ScopedMount, ScopedRoute
from animal_classification.serving.middleware.trusted_proxies import ForwardedHeadersMiddleware
from animal_classification.serving.observability import tracing
from animal_classification.serving.observability.drift_metrics import DriftCollector
from animal_classification.serving.observability.metrics import ServerMetrics
from animal_classification.serving.observability.prediction_logging import PredictionLogger
from animal_classification.serving.process.drift_judge import DriftRounds, judging_thread, rounds_of
from animal_classification.serving.process.memory_plan import photo_limits, warn_if_over_memory, with_memory_bounds
from animal_classification.serving.service import ModelService, Predictor
from animal_classification.serving.ui import model_card, pages
from animal_classification.serving.ui.gradio_host import GRADIO_PATH, GradioHost
from animal_classification.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from starlette.types import ASGIApp, Receive, Scope, Send

DESCRIPTION = """\
Names for the animals in photos. Errors are [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem details.

    curl -F files=@lion.jpg http://localhost:8080/v1/predict
"""


class Application(FastAPI):
    """FastAPI with :class:`RequestLogMiddleware` around everything, the answers to its own errors included."""

    access_log: Callable[[dict[str, Any]], None] | None = None
    traces: tracing.Tracing | None = None
    prefix = ""
    trusted_proxies: tuple[str, ...] = ()
    wants_keys = False

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        describe_paths(document)
        if self.wants_keys:
            describe_keys(document)
        if self.prefix:
            document["servers"] = [{"url": self.prefix}]
        return document

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A proxy may send the prefix along or take it away; from here on it is there.
        prefix = self.prefix
        if prefix and "path" in scope:
            scope["root_path"] = prefix
            if not f"{scope['path']}/".startswith(f"{prefix}/"):
                scope["path"] = prefix + scope["path"]
                scope["raw_path"] = prefix.encode("ascii") + scope.get("raw_path", b"")
        await super().__call__(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        logged = RequestLogMiddleware(
            super().build_middleware_stack(), self.state.service, self.access_log, self.traces
        )
        return ForwardedHeadersMiddleware(logged, self.trusted_proxies) if self.trusted_proxies else logged


def create_app(
    classifier: Predictor | None,
    settings: Settings = Settings(),
    *,
    access_log: Callable[[dict[str, Any]], None] | None = None,
    memory: BodyMemory | None = None,
) -> FastAPI:
    """Build the application.

    Args:
        classifier: What answers; ``None`` to install one later with ``app.state.service.install``, so that the
            process is alive, and says that it is not ready, while the model loads.
        settings: Bounds on requests, and which pages there are.
        access_log: Gets the facts of each request when it is answered.
        memory: For the bodies of requests, where other processes share it.

    Raises:
        UsageError: The API keys cannot be read, or the prediction log's URL is for no database.
        OutputError: The prediction log's folder cannot be written.

    Returns:
        The application; ``app.state.service`` holds the classifier.
    """
    if settings.keys_file:
        read_keys(Path(settings.keys_file))  # a file that cannot be read is told of now and not with the first request
    settings = with_memory_bounds(settings)
    warn_if_over_memory(settings)
    metrics, limits = ServerMetrics(), photo_limits(settings)
    predictions = PredictionLogger(settings, metrics, limits) if settings.prediction_log else None
    service = ModelService(settings, metrics, on_answer=predictions.keep if predictions else None, limits=limits)
    if predictions is not None:
        service.on_compared = predictions.shadows.compared
    if classifier is not None:
        service.install(classifier)

    traces = tracing.from_environment()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        judging = judging_thread(app.state.drift_rounds, settings, metrics)
        try:
            yield
        finally:
            if judging is not None:
                await in_thread(judging.close)
            await in_thread(lambda: service.close(PATIENCE))
            if predictions is not None:
                await in_thread(predictions.close)
            if traces is not None:
                await in_thread(traces.close)

    app = _application(settings, lifespan)
    app.access_log = access_log
    app.traces = traces
    app.state.service = service
    app.state.predictions = predictions
    app.state.drift_rounds = _watched(service, predictions, settings)
    app.state.gradio = GradioHost() if settings.gradio else None
    memory = memory or BodyMemory(settings.max_memory_bytes)
    # Before the others, so that it is inside of them: who may not ask is refused before his body is looked at.
    app.add_middleware(RequestBoundsMiddleware, settings=settings, memory=memory, metrics=metrics)
    _add_middleware(app, settings)
    problem_details.install(app)
    _add_routes(app, settings)
    return app


def _application(settings: Settings, lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> Application:
    app = Application(
        title="animals",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # see reference
        telemetry={"tracing": False, "metrics": False, "logs": False},  # ours is in RequestLogMiddleware
    )
    app.router.route_class = ScopedRoute
    app.prefix = settings.root_path
    app.trusted_proxies = settings.trusted_proxies
    app.wants_keys = bool(settings.keys_file)
    return app


def _watched(service: ModelService, predictions: PredictionLogger | None, settings: Settings) -> DriftRounds | None:
    """What judges drift, and tells its verdicts to Prometheus; ``None`` without a prediction log."""
    if predictions is None:
        return None
    judges = bool(settings.drift_every)
    service.metrics.watch(DriftCollector(predictions.log, settings.drift_sources, judges=judges))
    return rounds_of(service, predictions, settings)


def _add_routes(app: FastAPI, settings: Settings) -> None:
    service, predictions = app.state.service, app.state.predictions
    routers = [
        make_router(service, settings),
        feedback_routes.make_router(service, predictions) if predictions else feedback_routes.make_router_without(),
        *([event_review.make_router(service, predictions)] if predictions else []),
        drift_routes.make_router(drift_routes.DriftApi(service, settings, predictions, app.state.drift_rounds)),
        pages.make_router(settings),
        model_card.make_router(service),
    ]
    for router in routers:  # side by side: FastAPI goes through a router within another twice for each request
        app.router.routes.extend(router.routes)
    swagger_ui.install(app)
    if settings.gradio:
        app.router.routes.append(ScopedMount(GRADIO_PATH, app.state.gradio, "gradio", required=OPEN))


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    app.add_middleware(AuthMiddleware, settings=settings, metrics=app.state.service.metrics)
    app.add_middleware(GzipWhereAccepted, minimum_size=MINIMUM, compresslevel=LEVEL)
    if settings.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After"],
            max_age=600,
        )
