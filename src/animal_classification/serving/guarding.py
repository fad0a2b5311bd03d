"""Who may ask, and how often: before a byte of the body is read."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi.responses import JSONResponse
from starlette._utils import get_route_path

from animal_classification.serving.keys import Key, KeyRing
from animal_classification.serving.observing import notes_of
from animal_classification.serving.problems import ProblemError
from animal_classification.serving.rates import Rates, address_group

if TYPE_CHECKING:
    from collections.abc import Hashable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from animal_classification.serving.metrics import Metrics
    from animal_classification.settings import Settings

PASS = "animals.pass"  # noqa: S105 - a name in the scope
OPEN_PATHS = frozenset(
    {
        "/",
        "/favicon.ico",
        "/healthz",
        "/readyz",
        "/v2/health/live",
        "/v2/health/ready",
        "/docs",
        "/openapi.json",
        # Without any data: what they show comes from the API, with a key.
        "/review",
        "/model",
        "/monitor",
    }
)
OPEN_PREFIXES = ("/docs/assets/", "/tabs/")
# What the path begins with, the first that fits. What stands nowhere needs `admin`.
SCOPES = (
    (re.compile(r"/v1/models/[^/]+/reload/?\Z"), "admin"),
    (re.compile(r"/v1/feedback(/|\Z)"), "feedback"),
    (re.compile(r"/v1/review(/|\Z)"), "feedback"),
    (re.compile(r"/v1/monitor(/|\Z)"), "admin"),
    (re.compile(r"/v1/"), "predict"),
    (re.compile(r"/v2(/|\Z)"), "predict"),
)


@dataclass(frozen=True, slots=True)
class Pass:
    """Leave to ask; each photo is charged."""

    rates: Rates
    who: Hashable
    per_minute: float

    def require_patience(self) -> None:
        """Make sure that there is something left.

        Raises:
            ProblemError: 429 with the time to wait.
        """
        seconds = self.rates.wait(self.who, self.per_minute) if self.per_minute else 0.0
        if seconds > 0:
            retry = str(math.ceil(seconds))
            detail = f"more than {self.per_minute:g} photos a minute; try again in {retry} s"
            raise ProblemError(429, detail, kind="too-fast", headers={"Retry-After": retry})

    def charge(self, photos: int) -> None:
        """So many photos came. Asked again, because others may have come while their body was read."""
        self.require_patience()
        if self.per_minute:
            self.rates.take(self.who, self.per_minute, photos)


def charge(scope: Scope, photos: int) -> None:
    """Charge whoever made the request of ``scope`` for photos.

    Raises:
        ProblemError: 429 where nothing is left.
    """
    leave: Pass | None = scope.get(PASS)
    if leave is not None:
        leave.charge(photos)


class Guarding:
    """An ASGI application around another, which lets in only who may.

    Args:
        app: The other.
        settings: Where the keys are, and how often one may ask without a rate of its own.
        metrics: Where refusals are counted.

    Raises:
        UsageError: The keys cannot be read.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._ring = KeyRing(Path(settings.keys_file)) if settings.keys_file else None
        self._rates = Rates()
        self._per_minute = settings.rate_limit
        self._workers = settings.workers  # each knows only what it answers itself, so each grants its share of a rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = get_route_path(scope)
        try:
            leave = self._leave(scope, path)
        except ProblemError as problem:
            self._metrics.rejected(problem.kind or "refused")
            await _answer(problem, path)(scope, receive, send)
            return
        scope[PASS] = leave
        await self._app(scope, receive, send)

    def _leave(self, scope: Scope, path: str) -> Pass | None:
        if path in OPEN_PATHS or path.startswith(OPEN_PREFIXES):
            return None
        key = self._key(scope, path) if self._ring is not None else None
        client = scope.get("client")
        who: Hashable = ("key", key.id) if key else ("address", address_group(client[0] if client else ""))
        own = key.rate_limit if key else None
        leave = Pass(self._rates, who, (self._per_minute if own is None else own) / self._workers)
        if scope["method"] == "POST":
            leave.require_patience()
        return leave

    def _key(self, scope: Scope, path: str) -> Key:
        assert self._ring is not None
        given = _given_keys(scope)
        key = self._ring.find(given[0]) if len(given) == 1 else None
        if key is None:
            detail = "an API key is needed: send it as 'Authorization: Bearer KEY' or as 'X-API-Key: KEY', once"
            raise ProblemError(401, detail, kind="no-key", headers={"WWW-Authenticate": 'Bearer realm="animals"'})
        notes_of(scope).key = key.name
        wanted = next((scope_ for beginning, scope_ in SCOPES if beginning.match(path)), "admin")
        if wanted not in key.scopes and "admin" not in key.scopes:
            raise ProblemError(403, f"this API key does not allow that: it lacks the scope {wanted!r}", kind="no-scope")
        return key


def describe_keys(document: dict[str, Any]) -> None:
    """Say in an OpenAPI document how keys are sent, and which paths need none."""
    document.setdefault("components", {})["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    document["security"] = [{"bearer": []}, {"header": []}]
    for path, operations in document["paths"].items():
        if path in OPEN_PATHS:
            for operation in operations.values():
                operation["security"] = []


def _given_keys(scope: Scope) -> list[str]:
    """The keys in a request's headers, each as often as it is there."""
    keys = []
    for name, value in scope["headers"]:
        text = value.decode("latin-1").strip()
        if name == b"x-api-key":
            keys.append(text)
        elif name == b"authorization":
            scheme, _, credentials = text.partition(" ")
            keys.append(credentials.strip() if scheme.lower() == "bearer" else "")
    return keys


def _answer(problem: ProblemError, path: str) -> JSONResponse:
    if f"{path}/".startswith("/v2/"):  # that protocol has a form of its own
        headers = dict(problem.headers or {})
        return JSONResponse({"error": problem.detail}, status_code=problem.status, headers=headers)
    return problem.response()
